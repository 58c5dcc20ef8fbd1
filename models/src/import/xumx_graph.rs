//! The network of xumx-sliCQ-V2 as a stream: one slice in, the masks of the slice two before it out.
//!
//! In the published form a song's slices lie end to end, S M frames per bucket, P = M/2. The first convolution gives two
//! frames per slice, the others keep that number. With k the slice that comes in:
//!
//! | | realtime weights (M - 1 zeros in front) | offline weights (none) |
//! |---|---|---|
//! | convolution 1 sees, from the slice's first frame | -(M-1)..=0 and -(P-1)..=P | -P..P and 0..M |
//! | and gives its frames | 2k, 2k+1 | 2k-1, 2k |
//! | convolutions 2 and 3 give | 2k-3, 2k-2 | 2k-4, 2k-3 |
//! | masks of the half slices 2k-4, 2k-3 need frames | 2k-5, 2k-4, 2k-3 | 2k-5, 2k-4, 2k-3 |
//!
//! So both look two slices ahead. A transposed convolution is written as a convolution with the kernel reversed, over
//! the last frames of its input instead of over sums under way: the same numbers, and all memory is inputs.
//! Frames before the song, and convolution 2's after it, are not there in the published form: `valid` (one row for
//! convolution 2, one for convolution 3) makes them zero. Its rows are flags of the frames to come.

use super::{
    grouping::{Class, Group, group},
    xumx::{BucketNetwork, INNER, OUTER, STEMS, Stack, TAPS, Xumx},
};
use crate::{
    State,
    onnx::{Attr, GraphBuilder, Value},
};
use std::{collections::BTreeMap, io, path::Path};

/// Slices that the network looks ahead.
pub(crate) const LOOK_AHEAD_SLICES: usize = 2;

const NUM_STEMS: usize = STEMS.len();

/// What the manifest must know of the graph.
pub(crate) struct GraphFacts {
    pub states: Vec<State>,
    pub at_end: BTreeMap<String, Vec<f32>>,
    pub num_nodes: usize,
}

/// Writes the graph: input `magnitudes` `[2, num_coefs]`, output `masks` `[4, 2, num_coefs]`.
pub(crate) fn write(network: &Xumx, path: &Path) -> io::Result<GraphFacts> {
    let mut stream = StreamGraph {
        graph: GraphBuilder::default(),
        network,
        is_realtime: network.settings.is_realtime,
        num_coefs: network.plan.num_coefs(),
        states: vec![],
    };
    let groups = group(&network.buckets);
    let classes: Vec<(&Group, &Class)> =
        groups.iter().flat_map(|group| group.classes.iter().map(move |class| (group, class))).collect();
    let windows = stream.windows(&classes);
    let valid = stream.valid();
    let (mut masks, mut windows) = (vec![], windows.into_iter());
    for (idx, group) in groups.iter().enumerate() {
        let windows: Vec<Value> = windows.by_ref().take(group.classes.len()).collect();
        masks.extend(stream.group(idx, group, windows, &valid));
    }
    stream.masks(&classes, &masks);
    let num_flags = stream.num_flags();
    let mut at_end = vec![0.0; num_flags];
    at_end.extend(std::iter::repeat_n(1.0, num_flags));
    if !stream.is_realtime {
        // Of convolution 3's last two frames, one lies behind the end.
        at_end[2 * num_flags - 1] = 0.0;
    }
    let num_nodes = stream.graph.num_nodes();
    stream.graph.write(path)?;
    Ok(GraphFacts { states: stream.states, at_end: [("valid".to_owned(), at_end)].into(), num_nodes })
}

struct StreamGraph<'a> {
    graph: GraphBuilder,
    network: &'a Xumx,
    is_realtime: bool,
    num_coefs: usize,
    states: Vec<State>,
}

impl StreamGraph<'_> {
    /// Frames that the flags of one slice and of the states reach: the delay from slice to frame, in frames.
    fn num_flags(&self) -> usize {
        if self.is_realtime { 3 } else { 4 }
    }

    /// A memory of the past: the value as it was left by the slice before.
    fn state(&mut self, name: &str, shape: &[usize]) -> Value {
        let (input, output) = (name.to_owned(), format!("{name}_next"));
        self.states.push(State { input, output, shape: shape.to_vec() });
        self.graph.input(name, &as_i64(shape))
    }

    fn leave(&mut self, name: &str, value: &Value, shape: &[usize]) {
        self.graph.output(value, &format!("{name}_next"), &as_i64(shape));
    }

    fn slice(&mut self, value: &Value, axis: i64, range: std::ops::Range<usize>) -> Value {
        let g = &mut self.graph;
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
    fn windows(&mut self, classes: &[(&Group, &Class)]) -> Vec<Value> {
        let num_coefs = self.num_coefs;
        let shape = [2, num_coefs];
        let magnitudes = self.graph.input("magnitudes", &as_i64(&shape));
        let (mut mean, mut scale) = (vec![0.0; num_coefs], vec![0.0; num_coefs]);
        for network in &self.network.buckets {
            let bucket = &network.bucket;
            for (i, coef) in bucket.coefs.clone().enumerate() {
                (mean[coef], scale[coef]) = (network.mean[i / bucket.num_frames], network.scale[i / bucket.num_frames]);
            }
        }
        let mean = self.graph.floats(&mean, &as_i64(&[1, num_coefs]));
        let scale = self.graph.floats(&scale, &as_i64(&[1, num_coefs]));
        let centred = self.graph.node("Add", &[&magnitudes, &mean], &[]);
        let normalised = self.graph.node("Mul", &[&centred, &scale], &[]);
        let previous = self.state("previous", &shape);
        self.leave("previous", &normalised, &shape);
        let zeros = self.graph.floats(&vec![0.0; num_coefs], &as_i64(&[1, num_coefs]));
        let rows = self.concat(&[&previous, &normalised, &zeros], 0);
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
    fn window_indices(&self, group: &Group, class: &Class, network: &BucketNetwork, indices: &mut Vec<i64>) {
        let (bucket, num_coefs) = (&network.bucket, self.num_coefs);
        let num_frames = bucket.num_frames as i64;
        for channel in 0..2 {
            for kernel_bin in 0..group.kernel {
                for m in 0..class.num_frames as i64 {
                    for out_bin in 0..=group.num_bins - group.kernel {
                        for half in 0..2 {
                            let first = if self.is_realtime {
                                half * num_frames / 2 - (num_frames - 1)
                            } else {
                                (half - 1) * num_frames / 2
                            };
                            let (bin, frame) = (out_bin + kernel_bin, first + m);
                            let coef = bucket.coefs.start as i64 + bin as i64 * num_frames + frame;
                            indices.push(if bin >= bucket.num_bins || m >= num_frames {
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
        }
    }

    /// Flags `[1][1][1][2]` of this slice's frames of convolution 2, and of convolution 3.
    fn valid(&mut self) -> [Value; 2] {
        let num_flags = self.num_flags();
        let shape = [2, 1, 1, num_flags];
        let valid = self.state("valid", &shape);
        let now = self.slice(&valid, 3, 0..2);
        let later = self.slice(&valid, 3, 2..num_flags);
        let ones = self.graph.floats(&[1.0; 4], &[2, 1, 1, 2]);
        let next = self.concat(&[&later, &ones], 3);
        self.leave("valid", &next, &shape);
        self.split(&now, 0, &[1, 1]).try_into().expect("two rows were split")
    }

    /// A grouped convolution over bins and frames.
    fn conv(&mut self, x: &Value, kernel: [usize; 2], num_groups: usize, pad_bins: usize, w: Weights) -> Value {
        let shape = [w.num_outputs, w.num_inputs, kernel[0], kernel[1]];
        let (weight, bias) =
            (self.graph.floats(&w.weight, &as_i64(&shape)), self.graph.floats(&w.bias, &[w.num_outputs as i64]));
        let pads = as_i64(&[pad_bins, 0, pad_bins, 0]);
        let attributes = [
            ("kernel_shape", Attr::Ints(as_i64(&kernel))),
            ("group", Attr::Int(num_groups as i64)),
            ("pads", Attr::Ints(pads)),
        ];
        self.graph.node("Conv", &[x, &weight, &bias], &attributes)
    }

    /// The buckets of a group, from windows to the values before the sigmoid: for each class, flat,
    /// `[bucket][stem][channel][frame of a half slice][bin][half]`.
    fn group(&mut self, idx: usize, group: &Group, windows: Vec<Value>, valid: &[Value; 2]) -> Vec<Value> {
        let network = self.network;
        let stacks_of = |class: &Class| -> Vec<&Stack> {
            class.buckets.iter().flat_map(|&idx| &network.buckets[idx].stacks).collect()
        };
        let (num_buckets, k) = (group.num_buckets(), group.kernel);
        let (full_bins, outer_bins) = (group.num_bins, group.num_bins - k + 1);
        let num_groups = num_buckets * NUM_STEMS;
        // Convolution 1, per class.
        let mut outer = vec![];
        for (class, window) in group.classes.iter().zip(&windows) {
            let weights = Weights::conv_1(&stacks_of(class), k, class.num_frames);
            let y = self.conv(window, [1, 1], class.buckets.len(), 0, weights);
            outer.push(self.graph.node("Relu", &[&y], &[]));
        }
        let outer = self.concat(&outer.iter().collect::<Vec<_>>(), 1);
        // Convolution 2.
        let stacks: Vec<&Stack> = group.classes.iter().flat_map(stacks_of).collect();
        let (x, _) = self.with_past(&format!("outer_{idx}"), &outer, [num_groups * OUTER, outer_bins], 3, None);
        let inner = self.conv(&x, [k, TAPS], num_groups, 0, Weights::conv_2(&stacks));
        let inner = self.graph.node("Relu", &[&inner], &[]);
        // Convolution 3, the first transposed one.
        let shape = [num_groups * INNER, outer_bins - k + 1];
        let (x, _) = self.with_past(&format!("inner_{idx}"), &inner, shape, 3, Some(&valid[0]));
        let outer = self.conv(&x, [k, TAPS], num_groups, k - 1, Weights::transposed_1(&stacks, k));
        let outer = self.graph.node("Relu", &[&outer], &[]);
        // The second transposed one, per class: half slices 2k-4 and 2k-3 see frames 2k-5..=2k-3.
        let num_past = if self.is_realtime { 2 } else { 1 };
        let shape = [num_groups * OUTER, outer_bins];
        let (x, len) = self.with_past(&format!("last_{idx}"), &outer, shape, num_past, Some(&valid[1]));
        let x = if len > 3 { self.slice(&x, 3, 0..3) } else { x };
        let lens: Vec<usize> = group.classes.iter().map(|class| class.buckets.len() * NUM_STEMS * OUTER).collect();
        let parts = self.split(&x, 1, &lens);
        let mut masks = vec![];
        for (class, part) in group.classes.iter().zip(&parts) {
            let frames: Vec<usize> = class.buckets.iter().map(|&idx| network.buckets[idx].bucket.num_frames).collect();
            let half_frames = class.num_frames / 2;
            let weights = Weights::transposed_2(&stacks_of(class), &frames, k, half_frames);
            let y = self.conv(part, [k, 2], class.buckets.len() * NUM_STEMS, k - 1, weights);
            masks.push(self.reshape(&y, &[class.buckets.len() * NUM_STEMS * 2 * half_frames * full_bins * 2]));
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
    fn masks(&mut self, classes: &[(&Group, &Class)], values: &[Value]) {
        let shape = [NUM_STEMS, 2, self.num_coefs];
        let mut indices = vec![0; shape.iter().product()];
        let mut start = 0;
        for (group, class) in classes {
            let half_frames = class.num_frames / 2;
            for (position, &idx) in class.buckets.iter().enumerate() {
                let bucket = &self.network.buckets[idx].bucket;
                for stem_and_channel in 0..NUM_STEMS * 2 {
                    let rows = start + (position * NUM_STEMS * 2 + stem_and_channel) * half_frames * group.num_bins * 2;
                    for (i, coef) in bucket.coefs.clone().enumerate() {
                        let (bin, frame) = (i / bucket.num_frames, i % bucket.num_frames);
                        let (half, row) = (frame / (bucket.num_frames / 2), frame % (bucket.num_frames / 2));
                        indices[stem_and_channel * self.num_coefs + coef] =
                            (rows + (row * group.num_bins + bin) * 2 + half) as i64;
                    }
                }
            }
            start += class.buckets.len() * NUM_STEMS * 2 * half_frames * group.num_bins * 2;
        }
        let flat = self.concat(&values.iter().collect::<Vec<_>>(), 0);
        let indices = self.graph.ints(&indices, &as_i64(&shape));
        let ordered = self.graph.node("Gather", &[&flat, &indices], &[]);
        let masks = self.graph.node("Sigmoid", &[&ordered], &[]);
        self.graph.output(&masks, "masks", &as_i64(&shape));
    }
}

/// Of a grouped convolution, `[output][input of the group][kernel bin][kernel frame]`.
struct Weights {
    weight: Vec<f32>,
    bias: Vec<f32>,
    num_outputs: usize,
    num_inputs: usize,
}

impl Weights {
    /// `[bucket, stem, 50][channel, kernel bin, frame]`, frames filled up.
    fn conv_1(stacks: &[&Stack], kernel: usize, num_frames: usize) -> Weights {
        let num_inputs = 2 * kernel * num_frames;
        let mut weight = Vec::with_capacity(stacks.len() * OUTER * num_inputs);
        for stack in stacks {
            let (values, _) = &stack.conv_1;
            for row in values.chunks_exact(values.len() / (OUTER * 2 * kernel)) {
                weight.extend_from_slice(row);
                weight.extend(std::iter::repeat_n(0.0, num_frames - row.len()));
            }
        }
        let bias = stacks.iter().flat_map(|stack| stack.conv_1.1.iter().copied()).collect();
        Weights { weight, bias, num_outputs: stacks.len() * OUTER, num_inputs }
    }

    /// `[bucket, stem, 51][50][kernel bin][4]`
    fn conv_2(stacks: &[&Stack]) -> Weights {
        Weights {
            weight: stacks.iter().flat_map(|stack| stack.conv_2.0.iter().copied()).collect(),
            bias: stacks.iter().flat_map(|stack| stack.conv_2.1.iter().copied()).collect(),
            num_outputs: stacks.len() * INNER,
            num_inputs: OUTER,
        }
    }

    /// `[bucket, stem, 50][51][kernel bin][4]`, kernels reversed.
    fn transposed_1(stacks: &[&Stack], kernel: usize) -> Weights {
        let mut weight = Vec::new();
        for stack in stacks {
            for output in 0..OUTER {
                for input in 0..INNER {
                    let start = (input * OUTER + output) * kernel * TAPS;
                    weight.extend(stack.transposed_1.0[start..start + kernel * TAPS].iter().rev());
                }
            }
        }
        Weights {
            weight,
            bias: stacks.iter().flat_map(|stack| stack.transposed_1.1.iter().copied()).collect(),
            num_outputs: stacks.len() * OUTER,
            num_inputs: INNER,
        }
    }

    /// `[bucket, stem, channel, frame of a half slice][50][kernel bin][2]`: a half slice is the first half of its
    /// frame's kernel plus the second half of the one before; frames filled up. `num_frames`: of each bucket.
    fn transposed_2(stacks: &[&Stack], num_frames: &[usize], kernel: usize, half_frames: usize) -> Weights {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for (stack, num_frames) in stacks.iter().zip(num_frames.iter().flat_map(|n| [*n; NUM_STEMS])) {
            for channel in 0..2 {
                for row in 0..half_frames {
                    for input in 0..OUTER {
                        for kernel_bin in (0..kernel).rev() {
                            let start = ((input * 2 + channel) * kernel + kernel_bin) * num_frames;
                            let frames = &stack.transposed_2.0[start..start + num_frames];
                            let at = |frame: usize| if row < num_frames / 2 { frames[frame] } else { 0.0 };
                            weight
                                .extend([at((num_frames / 2 + row).min(num_frames - 1)), at(row.min(num_frames - 1))]);
                        }
                    }
                    bias.push(stack.transposed_2.1[channel]);
                }
            }
        }
        Weights { weight, num_outputs: bias.len(), bias, num_inputs: OUTER }
    }
}

fn as_i64(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}
