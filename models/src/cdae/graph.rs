//! The network as a stream: one slice in, masks of a slice out.
//!
//! In the published form a song's slices lie end to end, S M frames per bucket, P = M/2. The first convolution gives two
//! frames per slice, the others keep that number. With k the slice that comes in:
//!
//! | | realtime (M - 1 zeros in front) | offline (none) | causal (P zeros) |
//! |---|---|---|---|
//! | convolution 1 sees, from the slice's first frame | -(M-1)..=0 and -(P-1)..=P | -P..P and 0..M | the same |
//! | and gives its frames | 2k, 2k+1 | 2k-1, 2k | 2k, 2k+1 |
//! | convolutions 2 and 3 give | 2k-3, 2k-2 | 2k-4, 2k-3 | 2k, 2k+1 |
//! | masks of the half slices | 2k-4, 2k-3 | 2k-4, 2k-3 | 2k, 2k+1 |
//! | need frames | 2k-5, 2k-4, 2k-3 | 2k-5, 2k-4, 2k-3 | 2k-1, 2k, 2k+1 |
//!
//! So the published forms look two slices ahead. A transposed convolution is written as a convolution with the kernel
//! reversed, over the last frames of its input instead of over sums under way: the same numbers, and all memory is
//! inputs. Frames before the song, and convolution 2's after it, are not there in the published forms: `valid` (one row
//! for convolution 2, one for convolution 3) makes them zero. Its rows are flags of the frames to come. The causal form,
//! whose past is zeros, is the offline one without these flags.

use super::{
    BucketStacks, Cdae, CdaeGraph, Form, Stack,
    grouping::{Class, Group, group},
    kernels::{Kernels, WindowOrder},
};
use crate::{
    StateSpec,
    onnx::{Attr, GraphBuilder, Value},
};
use std::collections::BTreeMap;

/// See [`Cdae::write_into`].
pub(super) fn write(network: &Cdae, graph: &mut GraphBuilder, magnitudes: &Value) -> CdaeGraph {
    let num_coefs = network.num_coefs();
    let mut stream = StreamGraph { graph, network, num_coefs, states: vec![] };
    let sizes: Vec<_> = network.buckets.iter().map(|own| (own.bucket.num_bins, own.bucket.num_frames)).collect();
    let groups = group(&sizes);
    let classes: Vec<(&Group, &Class)> =
        groups.iter().flat_map(|group| group.classes.iter().map(move |class| (group, class))).collect();
    let windows = stream.windows(magnitudes, &classes);
    let valid = stream.valid();
    let (mut masks, mut windows) = (vec![], windows.into_iter());
    for (idx, group) in groups.iter().enumerate() {
        let windows: Vec<Value> = windows.by_ref().take(group.classes.len()).collect();
        masks.extend(stream.group(idx, group, windows, &valid));
    }
    let masks = stream.masks(&classes, &masks);
    let at_end = stream.at_end();
    CdaeGraph { masks, states: stream.states, at_end }
}

struct StreamGraph<'a> {
    graph: &'a mut GraphBuilder,
    network: &'a Cdae,
    num_coefs: usize,
    states: Vec<StateSpec>,
}

impl StreamGraph<'_> {
    /// Frames that the flags of one slice and of the states reach: the delay from slice to frame, in frames.
    fn num_flags(&self) -> usize {
        match self.network.form {
            Form::Realtime => 3,
            Form::Offline => 4,
            Form::Causal => 0,
        }
    }

    fn at_end(&self) -> BTreeMap<String, Vec<f32>> {
        let num_flags = self.num_flags();
        let mut flags = vec![0.0; num_flags];
        flags.extend(std::iter::repeat_n(1.0, num_flags));
        match self.network.form {
            Form::Realtime => {}
            // Of convolution 3's last two frames, one lies behind the end.
            Form::Offline => flags[2 * num_flags - 1] = 0.0,
            Form::Causal => return BTreeMap::new(),
        }
        [("valid".to_owned(), flags)].into()
    }

    /// A memory of the past: the value as it was left by the slice before.
    fn state(&mut self, name: &str, shape: &[usize]) -> Value {
        let (input, output) = (name.to_owned(), format!("{name}_next"));
        self.states.push(StateSpec { input, output, shape: shape.to_vec() });
        self.graph.input(name, &as_i64(shape))
    }

    fn leave(&mut self, name: &str, value: &Value, shape: &[usize]) {
        self.graph.output(value, &format!("{name}_next"), &as_i64(shape));
    }

    fn slice(&mut self, value: &Value, axis: i64, range: std::ops::Range<usize>) -> Value {
        let g = &mut *self.graph;
        let (start, end) = (g.ints(&[range.start as i64], &[1]), g.ints(&[range.end as i64], &[1]));
        let axis = g.ints(&[axis], &[1]);
        g.node("Slice", &[value, &start, &end, &axis], &[])
    }

    fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        match values {
            [value] => (*value).clone(),
            _ => self.graph.node("Concat", values, &[("axis", Attr::Int(axis))]),
        }
    }

    fn reshape(&mut self, value: &Value, shape: &[usize]) -> Value {
        let shape = self.graph.ints(&as_i64(shape), &[shape.len() as i64]);
        self.graph.node("Reshape", &[value, &shape], &[])
    }

    fn split(&mut self, value: &Value, axis: i64, lens: &[usize]) -> Vec<Value> {
        if lens.len() == 1 {
            return vec![value.clone()];
        }
        let num_parts = lens.len();
        let lens = self.graph.ints(&as_i64(lens), &[num_parts as i64]);
        self.graph.nodes("Split", &[value, &lens], num_parts, &[("axis", Attr::Int(axis))])
    }

    /// For each class what convolution 1 sees, `[1][bucket, channel, kernel bin, frame][bin][2]`.
    fn windows(&mut self, magnitudes: &Value, classes: &[(&Group, &Class)]) -> Vec<Value> {
        let num_coefs = self.num_coefs;
        let shape = [2, num_coefs];
        let (mut mean, mut scale) = (vec![0.0; num_coefs], vec![0.0; num_coefs]);
        for network in &self.network.buckets {
            let bucket = &network.bucket;
            for (i, coef) in bucket.coefs.clone().enumerate() {
                (mean[coef], scale[coef]) = (network.mean[i / bucket.num_frames], network.scale[i / bucket.num_frames]);
            }
        }
        let mean = self.graph.floats(&mean, &as_i64(&[1, num_coefs]));
        let scale = self.graph.floats(&scale, &as_i64(&[1, num_coefs]));
        let centred = self.graph.node("Add", &[magnitudes, &mean], &[]);
        let normalized = self.graph.node("Mul", &[&centred, &scale], &[]);
        let previous = self.state("previous", &shape);
        self.leave("previous", &normalized, &shape);
        let zeros = self.graph.floats(&vec![0.0; num_coefs], &as_i64(&[1, num_coefs]));
        let rows = self.concat(&[&previous, &normalized, &zeros], 0);
        let flat = self.reshape(&rows, &[5 * num_coefs]);
        let (mut indices, mut lens) = (vec![], vec![]);
        for (group, class) in classes {
            let start = indices.len();
            for &idx in &class.buckets {
                self.window_indices(group, class, &self.network.buckets[idx], &mut indices);
            }
            lens.push(indices.len() - start);
        }
        let indices = self.graph.ints(&indices, &[indices.len() as i64]);
        let windows = self.graph.node("Gather", &[&flat, &indices], &[]);
        let windows = self.split(&windows, 0, &lens);
        let reshape = |(window, (group, class)): (&Value, &(&Group, &Class))| {
            let num_rows = class.buckets.len() * 2 * group.kernel * class.num_frames;
            self.reshape(window, &[1, num_rows, group.num_bins - group.kernel + 1, 2])
        };
        windows.iter().zip(classes).map(reshape).collect()
    }

    /// Where a bucket's windows lie in `[previous, this, zeros][coef]`.
    fn window_indices(&self, group: &Group, class: &Class, own: &BucketStacks, indices: &mut Vec<i64>) {
        let (bucket, num_coefs) = (&own.bucket, self.num_coefs);
        let num_frames = bucket.num_frames as i64;
        let order = WindowOrder { kernel: group.kernel, num_frames: class.num_frames };
        for input in 0..order.len() {
            let (channel, kernel_bin, m) = order.at(input);
            for out_bin in 0..=group.num_bins - group.kernel {
                for half in 0..2 {
                    let first = match self.network.form {
                        Form::Realtime => half * num_frames / 2 - (num_frames - 1),
                        Form::Offline | Form::Causal => (half - 1) * num_frames / 2,
                    };
                    let (bin, frame) = (out_bin + kernel_bin, first + m as i64);
                    let coef = bucket.coefs.start as i64 + bin as i64 * num_frames + frame;
                    indices.push(if bin >= bucket.num_bins || m >= bucket.num_frames {
                        4 * num_coefs as i64
                    } else if frame < 0 {
                        (channel * num_coefs) as i64 + coef + num_frames
                    } else {
                        ((2 + channel) * num_coefs) as i64 + coef
                    });
                }
            }
        }
    }

    /// Flags `[1][1][1][2]` of this slice's frames of convolution 2, and of convolution 3.
    fn valid(&mut self) -> Option<[Value; 2]> {
        let num_flags = self.num_flags();
        if num_flags == 0 {
            return None;
        }
        let shape = [2, 1, 1, num_flags];
        let valid = self.state("valid", &shape);
        let now = self.slice(&valid, 3, 0..2);
        let later = self.slice(&valid, 3, 2..num_flags);
        let ones = self.graph.floats(&[1.0; 4], &[2, 1, 1, 2]);
        let next = self.concat(&[&later, &ones], 3);
        self.leave("valid", &next, &shape);
        self.split(&now, 0, &[1, 1]).try_into().ok()
    }

    /// A grouped convolution over bins and frames, and the sum of its parts; `len` bins and frames come out.
    fn conv(&mut self, x: &Value, pad_bins: usize, len: [usize; 2], w: &Kernels) -> Value {
        let num_outputs = w.num_groups * w.num_outputs;
        let [k, taps] = w.kernel;
        let shape = [num_outputs * w.num_parts, w.num_inputs / w.num_parts, k, taps];
        let weight = self.graph.floats(&w.weight, &as_i64(&shape));
        let bias = self.graph.floats(&w.bias, &as_i64(&shape[..1]));
        let attributes = [
            ("kernel_shape", Attr::Ints(as_i64(&w.kernel))),
            ("group", Attr::Int((w.num_groups * w.num_parts) as i64)),
            ("pads", Attr::Ints(as_i64(&[pad_bins, 0, pad_bins, 0]))),
        ];
        let y = self.graph.node("Conv", &[x, &weight, &bias], &attributes);
        if w.num_parts == 1 {
            return y;
        }
        let parts = self.reshape(&y, &[w.num_groups, w.num_parts, w.num_outputs * len[0] * len[1]]);
        let axis = self.graph.ints(&[1], &[1]);
        let sum = self.graph.node("ReduceSum", &[&parts, &axis], &[("keepdims", Attr::Int(0))]);
        self.reshape(&sum, &[1, num_outputs, len[0], len[1]])
    }

    /// The buckets of a group, from windows to the values before the sigmoid: for each class, flat,
    /// `[bucket][stem][channel][frame of a half slice][bin][half]`.
    fn group(&mut self, idx: usize, group: &Group, windows: Vec<Value>, valid: &Option<[Value; 2]>) -> Vec<Value> {
        let network = self.network;
        let (num_stems, outer, inner) = (network.num_stems(), network.outer, network.inner);
        let buckets_of =
            |class: &Class| -> Vec<&BucketStacks> { class.buckets.iter().map(|&idx| &network.buckets[idx]).collect() };
        let stacks_of =
            |class: &Class| -> Vec<&Stack> { buckets_of(class).into_iter().flat_map(|own| &own.stacks).collect() };
        let k = group.kernel;
        let (full_bins, outer_bins) = (group.num_bins, group.num_bins - k + 1);
        let inner_bins = outer_bins - k + 1;
        let num_stacks = group.num_buckets() * num_stems;
        // Convolution 1, per class.
        let mut halves = vec![];
        for (class, window) in group.classes.iter().zip(&windows) {
            let order = WindowOrder { kernel: k, num_frames: class.num_frames };
            let kernels = Kernels::conv_1(network, &buckets_of(class), &order);
            let y = self.conv(window, 0, [outer_bins, 2], &kernels);
            halves.push(self.graph.node("Relu", &[&y], &[]));
        }
        let halves = self.concat(&halves.iter().collect::<Vec<_>>(), 1);
        // Convolution 2.
        let stacks: Vec<&Stack> = group.classes.iter().flat_map(stacks_of).collect();
        let (x, _) = self.with_past(&format!("outer_{idx}"), &halves, [num_stacks * outer, outer_bins], 3, None);
        let y = self.conv(&x, 0, [inner_bins, 2], &Kernels::conv_2(network, &stacks, k));
        let y = self.graph.node("Relu", &[&y], &[]);
        // Convolution 3, the first transposed one.
        let valid_at = |row: usize| valid.as_ref().map(|rows| &rows[row]);
        let (x, _) = self.with_past(&format!("inner_{idx}"), &y, [num_stacks * inner, inner_bins], 3, valid_at(0));
        let y = self.conv(&x, k - 1, [outer_bins, 2], &Kernels::transposed_1(network, &stacks, k));
        let y = self.graph.node("Relu", &[&y], &[]);
        // The second transposed one, per class: a half sees its own frame and the one before.
        let num_past = if network.form == Form::Realtime { 2 } else { 1 };
        let shape = [num_stacks * outer, outer_bins];
        let (x, len) = self.with_past(&format!("last_{idx}"), &y, shape, num_past, valid_at(1));
        let x = if len > 3 { self.slice(&x, 3, 0..3) } else { x };
        let lens: Vec<usize> = group.classes.iter().map(|class| class.buckets.len() * num_stems * outer).collect();
        let parts = self.split(&x, 1, &lens);
        let mut masks = vec![];
        for (class, part) in group.classes.iter().zip(&parts) {
            let num_frames: Vec<usize> =
                buckets_of(class).iter().flat_map(|own| vec![own.bucket.num_frames; num_stems]).collect();
            let half_frames = class.num_frames / 2;
            let kernels = Kernels::transposed_2(network, &stacks_of(class), &num_frames, k, half_frames);
            let y = self.conv(part, k - 1, [full_bins, 2], &kernels);
            masks.push(self.reshape(&y, &[class.buckets.len() * num_stems * 2 * half_frames * full_bins * 2]));
        }
        masks
    }

    /// The frames of this slice behind the last `num_past` ones, which are remembered; and how many frames these are.
    fn with_past(
        &mut self,
        name: &str,
        value: &Value,
        [num_channels, num_bins]: [usize; 2],
        num_past: usize,
        valid: Option<&Value>,
    ) -> (Value, usize) {
        let shape = [1, num_channels, num_bins, num_past];
        let value = match valid {
            Some(valid) => self.graph.node("Mul", &[value, valid], &[]),
            None => value.clone(),
        };
        let past = self.state(name, &shape);
        let all = self.concat(&[&past, &value], 3);
        let next = if num_past == 2 { value } else { self.slice(&all, 3, 2..2 + num_past) };
        self.leave(name, &next, &shape);
        (all, num_past + 2)
    }

    /// Brings everything into the order `[stem][channel][coef]`.
    fn masks(&mut self, classes: &[(&Group, &Class)], values: &[Value]) -> Value {
        let num_masks = self.network.num_stems() * 2;
        let shape = [num_masks / 2, 2, self.num_coefs];
        let mut indices = vec![0; shape.iter().product()];
        let mut start = 0;
        for (group, class) in classes {
            let half_frames = class.num_frames / 2;
            for (position, &idx) in class.buckets.iter().enumerate() {
                let bucket = &self.network.buckets[idx].bucket;
                for stem_and_channel in 0..num_masks {
                    let rows = start + (position * num_masks + stem_and_channel) * half_frames * group.num_bins * 2;
                    for (i, coef) in bucket.coefs.clone().enumerate() {
                        let (bin, frame) = (i / bucket.num_frames, i % bucket.num_frames);
                        let (half, row) = (frame / (bucket.num_frames / 2), frame % (bucket.num_frames / 2));
                        indices[stem_and_channel * self.num_coefs + coef] =
                            (rows + (row * group.num_bins + bin) * 2 + half) as i64;
                    }
                }
            }
            start += class.buckets.len() * num_masks * half_frames * group.num_bins * 2;
        }
        let flat = self.concat(&values.iter().collect::<Vec<_>>(), 0);
        let indices = self.graph.ints(&indices, &as_i64(&shape));
        let ordered = self.graph.node("Gather", &[&flat, &indices], &[]);
        // 1 / (1 + exp(-a)). ONNX Runtime's Sigmoid approximates; masks near 0 are then wrong in all their digits, which
        // the Wiener filter, dividing masks by each other, tells.
        let one = self.graph.floats(&[1.0], &[1]);
        let negative = self.graph.node("Neg", &[&ordered], &[]);
        let exponential = self.graph.node("Exp", &[&negative], &[]);
        let sum = self.graph.node("Add", &[&exponential, &one], &[]);
        self.graph.node("Div", &[&one, &sum], &[])
    }
}

fn as_i64(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}
