//! Weights of the graph's grouped convolutions: batch norms folded in (in f64, rounded once), stacks side by side,
//! transposed convolutions written as convolutions with the kernel reversed, frames filled up with zeros.
//!
//! ONNX Runtime adds up the products of an output one after the other, in f32: what is lost grows with their number.
//! So the inputs of a long sum are dealt out to *parts*, each a group of its own, whose sums are added at the end.

use super::{BucketStacks, Cdae, Stack, TAPS};

/// Weights of one grouped convolution.
pub(super) struct Kernels {
    /// `[group][part][output][input of the part][kernel bin][kernel frame]`
    pub weight: Vec<f32>,
    /// `[group][part][output]`; zero but in the first part.
    pub bias: Vec<f32>,
    pub num_groups: usize,
    /// Parts of a group.
    pub num_parts: usize,
    /// Outputs of a group.
    pub num_outputs: usize,
    /// Inputs of a group.
    pub num_inputs: usize,
    /// Bins and frames.
    pub kernel: [usize; 2],
}

/// Sizes of a grouped convolution.
struct Sizes {
    num_groups: usize,
    num_parts: usize,
    num_outputs: usize,
    num_inputs: usize,
    kernel: [usize; 2],
}

impl Kernels {
    /// `weight_at(group, output, input, [kernel bin, kernel frame])`, `bias_at(group, output)`.
    fn new(
        sizes: Sizes,
        weight_at: impl Fn(usize, usize, usize, [usize; 2]) -> f64,
        bias_at: impl Fn(usize, usize) -> f64,
    ) -> Kernels {
        let Sizes { num_groups, num_parts, num_outputs, num_inputs, kernel } = sizes;
        let part_len = num_inputs / num_parts;
        let mut weight = Vec::with_capacity(num_groups * num_outputs * num_inputs * kernel[0] * kernel[1]);
        let mut bias = Vec::with_capacity(num_groups * num_parts * num_outputs);
        for group in 0..num_groups {
            for part in 0..num_parts {
                for output in 0..num_outputs {
                    for input in part * part_len..(part + 1) * part_len {
                        for bin in 0..kernel[0] {
                            weight.extend(
                                (0..kernel[1]).map(|frame| weight_at(group, output, input, [bin, frame]) as f32),
                            );
                        }
                    }
                    bias.push(if part == 0 { bias_at(group, output) as f32 } else { 0.0 });
                }
            }
        }
        Kernels { weight, bias, num_groups, num_parts, num_outputs, num_inputs, kernel }
    }

    /// Groups: buckets. Inputs as [`WindowOrder`] has them, outputs `[stem][outer]`.
    pub fn conv_1(network: &Cdae, buckets: &[&BucketStacks], order: &WindowOrder) -> Kernels {
        let outer = network.outer;
        let norms: Vec<Vec<_>> =
            buckets.iter().map(|own| own.stacks.iter().map(|stack| stack.norm_1.folded()).collect()).collect();
        let sizes = Sizes {
            num_groups: buckets.len(),
            num_parts: 1,
            num_outputs: network.num_stems() * outer,
            num_inputs: order.len(),
            kernel: [1, 1],
        };
        let weight_at = |group: usize, output: usize, input: usize, _| {
            let (stem, output) = (output / outer, output % outer);
            let (channel, kernel_bin, frame) = order.at(input);
            let num_frames = buckets[group].bucket.num_frames;
            if frame >= num_frames {
                return 0.0;
            }
            let row = (output * 2 + channel) * order.kernel + kernel_bin;
            let weight = buckets[group].stacks[stem].conv_1[row * num_frames + frame];
            f64::from(weight) * norms[group][stem].0[output]
        };
        Kernels::new(sizes, weight_at, |group, output| norms[group][output / outer].1[output % outer])
    }

    /// Groups: stacks.
    pub fn conv_2(network: &Cdae, stacks: &[&Stack], k: usize) -> Kernels {
        let norms: Vec<_> = stacks.iter().map(|stack| stack.norm_2.folded()).collect();
        let sizes = Sizes {
            num_groups: stacks.len(),
            num_parts: parts_of(network.outer),
            num_outputs: network.inner,
            num_inputs: network.outer,
            kernel: [k, TAPS],
        };
        let weight_at = |group: usize, output: usize, input: usize, [bin, frame]: [usize; 2]| {
            let at = ((output * network.outer + input) * k + bin) * TAPS + frame;
            f64::from(stacks[group].conv_2[at]) * norms[group].0[output]
        };
        Kernels::new(sizes, weight_at, |group, output| norms[group].1[output])
    }

    /// Groups: stacks. Kernels are reversed.
    pub fn transposed_1(network: &Cdae, stacks: &[&Stack], k: usize) -> Kernels {
        let norms: Vec<_> = stacks.iter().map(|stack| stack.norm_3.folded()).collect();
        let sizes = Sizes {
            num_groups: stacks.len(),
            num_parts: parts_of(network.inner),
            num_outputs: network.outer,
            num_inputs: network.inner,
            kernel: [k, TAPS],
        };
        let weight_at = |group: usize, output: usize, input: usize, [bin, frame]: [usize; 2]| {
            let row = (input * network.outer + output) * k + (k - 1 - bin);
            f64::from(stacks[group].transposed_1[row * TAPS + (TAPS - 1 - frame)]) * norms[group].0[output]
        };
        Kernels::new(sizes, weight_at, |group, output| norms[group].1[output])
    }

    /// Groups: stacks, outputs `[channel][frame of a half]`: a half is the first half of its frame's kernel plus the
    /// second half of the one before. `num_frames`: of each stack's bucket.
    pub fn transposed_2(
        network: &Cdae,
        stacks: &[&Stack],
        num_frames: &[usize],
        k: usize,
        half_frames: usize,
    ) -> Kernels {
        let sizes = Sizes {
            num_groups: stacks.len(),
            num_parts: 1,
            num_outputs: 2 * half_frames,
            num_inputs: network.outer,
            kernel: [k, 2],
        };
        let weight_at = |group: usize, output: usize, input: usize, [bin, frame]: [usize; 2]| {
            let (channel, row, own_half) = (output / half_frames, output % half_frames, num_frames[group] / 2);
            if row >= own_half {
                return 0.0;
            }
            let start = ((input * 2 + channel) * k + (k - 1 - bin)) * num_frames[group];
            stacks[group].transposed_2[start + row + if frame == 0 { own_half } else { 0 }].into()
        };
        Kernels::new(sizes, weight_at, |group, output| stacks[group].bias[output / half_frames].into())
    }
}

/// Into how many parts the inputs of the two inner convolutions are dealt out, whose sums are the longest: 2 of the 50
/// published channels, 3 of the 51. Chosen among several divisions on the golden data, where it loses least of those that
/// take about a percent more time (`separator/tests/published.rs` prints what is lost). More parts write more.
fn parts_of(num_inputs: usize) -> usize {
    (2..=4).find(|parts| num_inputs.is_multiple_of(*parts)).unwrap_or(1)
}

/// The order of what the first convolution sees: `[channel][kernel bin][frame]`.
pub(super) struct WindowOrder {
    pub kernel: usize,
    /// Filled up.
    pub num_frames: usize,
}

impl WindowOrder {
    pub fn len(&self) -> usize {
        2 * self.kernel * self.num_frames
    }

    /// Channel, kernel bin and frame.
    pub fn at(&self, input: usize) -> (usize, usize, usize) {
        let (row, frame) = (input / self.num_frames, input % self.num_frames);
        (row / self.kernel, row % self.kernel, frame)
    }
}
