//! The published network and its Wiener filter as `transform.md` defines them, over a whole song and in f64: an oracle
//! that shares no code with ours. For kernels of one bin, which all buckets of mel-32 have.

use slicqt::{Bucket, Complex, Plan};
use std::collections::BTreeMap;

type C64 = Complex<f64>;

/// Published tensors by name.
pub type State = BTreeMap<String, Vec<f32>>;

const OUTER: usize = 50;
const INNER: usize = 51;
const TAPS: usize = 4;
const NUM_STEMS: usize = 4;

/// Masks `[slice][stem][channel][coef]` of coefficients `[slice][channel][coef]`.
pub fn masks(state: &State, plan: &Plan<f32>, is_realtime: bool, x: &[Complex<f32>]) -> Vec<f64> {
    let num_coefs = plan.num_coefs();
    let num_slices = x.len() / (2 * num_coefs);
    let mut masks = vec![f64::NAN; num_slices * NUM_STEMS * 2 * num_coefs];
    for (b, bucket) in plan.buckets().iter().enumerate() {
        assert!(bucket.num_bins < 10, "kernels of one bin");
        let (mean, scale) = (
            floats(state, &format!("sliced_umx.{b}.input_mean")),
            floats(state, &format!("sliced_umx.{b}.input_scale")),
        );
        for bin in 0..bucket.num_bins {
            let start = bucket.coefs.start + bin * bucket.num_frames;
            let input = [0, 1].map(|channel| -> Vec<f64> {
                let frames = (0..num_slices * bucket.num_frames).map(|n| {
                    let (slice, frame) = (n / bucket.num_frames, n % bucket.num_frames);
                    let c = x[(slice * 2 + channel) * num_coefs + start + frame];
                    (f64::from(c.re).hypot(c.im.into()) + mean[bin]) * scale[bin]
                });
                frames.collect()
            });
            for stem in 0..NUM_STEMS {
                let stack = Stack::new(state, &format!("sliced_umx.{b}.cdaes.{stem}"), bucket);
                for (channel, logits) in stack.logits(is_realtime, &input).iter().enumerate() {
                    for (n, logit) in logits.iter().enumerate().take(num_slices * bucket.num_frames) {
                        let (slice, frame) = (n / bucket.num_frames, n % bucket.num_frames);
                        let at = ((slice * NUM_STEMS + stem) * 2 + channel) * num_coefs + start + frame;
                        masks[at] = 1.0 / (1.0 + (-logit).exp());
                    }
                }
            }
        }
    }
    masks
}

fn floats(state: &State, name: &str) -> Vec<f64> {
    state[name].iter().map(|x| f64::from(*x)).collect()
}

/// One stem's layers.
struct Stack {
    num_frames: usize,
    /// Convolutions 0, 3, 6, 9.
    weights: [Vec<f64>; 4],
    /// Batch norms 1, 4, 7: `[channel]` weight, bias, mean and variance.
    norms: [[Vec<f64>; 4]; 3],
    bias: Vec<f64>,
}

impl Stack {
    fn new(state: &State, prefix: &str, bucket: &Bucket) -> Self {
        let get = |name: String| floats(state, &format!("{prefix}.{name}"));
        Stack {
            num_frames: bucket.num_frames,
            weights: [0, 3, 6, 9].map(|layer| get(format!("{layer}.weight"))),
            norms: [1, 4, 7].map(|layer| {
                ["weight", "bias", "running_mean", "running_var"].map(|name| get(format!("{layer}.{name}")))
            }),
            bias: get("9.bias".to_owned()),
        }
    }

    /// What goes into the sigmoid, `[channel][frame]`, of one bin's input `[channel][frame]`.
    fn logits(&self, is_realtime: bool, input: &[Vec<f64>; 2]) -> [Vec<f64>; 2] {
        let (m, p) = (self.num_frames, self.num_frames / 2);
        let padding = if is_realtime { m - 1 } else { 0 };
        let input = input.each_ref().map(|values| [vec![0.0; padding], values.clone()].concat());
        let num_halves = (input[0].len() - m) / p + 1;
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };

        let conv_1 = |o: usize, n: usize| -> f64 {
            (0..2).map(|c| dot(&self.weights[0][(o * 2 + c) * m..][..m], &input[c][n * p..n * p + m])).sum()
        };
        let h = self.norm_relu(0, (0..OUTER).map(|o| (0..num_halves).map(|n| conv_1(o, n)).collect()).collect());

        let conv_2 = |o: usize, n: usize| -> f64 {
            (0..OUTER).map(|c| dot(&self.weights[1][(o * OUTER + c) * TAPS..][..TAPS], &h[c][n..n + TAPS])).sum()
        };
        let num_inner = num_halves + 1 - TAPS;
        let h = self.norm_relu(1, (0..INNER).map(|o| (0..num_inner).map(|n| conv_2(o, n)).collect()).collect());

        let mut sums = vec![vec![0.0; num_halves]; OUTER];
        add_transposed(&mut sums, &h, &self.weights[2], TAPS, 1);
        let h = self.norm_relu(2, sums);

        let mut sums = [0, 1].map(|channel| vec![self.bias[channel]; (num_halves + 1) * p]);
        add_transposed(&mut sums, &h, &self.weights[3], m, p);
        sums
    }

    fn norm_relu(&self, layer: usize, values: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let [weight, bias, mean, var] = &self.norms[layer];
        let norm = |c: usize, x: f64| ((x - mean[c]) / (var[c] + 1e-5).sqrt() * weight[c] + bias[c]).max(0.0);
        values.iter().enumerate().map(|(c, values)| values.iter().map(|x| norm(c, *x)).collect()).collect()
    }
}

/// Transposed convolution of `[input][n]` with kernels `[input][output][len]`.
fn add_transposed(sums: &mut [Vec<f64>], input: &[Vec<f64>], weights: &[f64], len: usize, stride: usize) {
    let num_outputs = sums.len();
    for (c, input) in input.iter().enumerate() {
        for (o, sums) in sums.iter_mut().enumerate() {
            let kernel = &weights[(c * num_outputs + o) * len..][..len];
            for (n, x) in input.iter().enumerate() {
                sums[n * stride..].iter_mut().zip(kernel).for_each(|(sum, weight)| *sum += weight * x);
            }
        }
    }
}

/// The filter's estimates `[slice][stem][channel][coef]` of coefficients `[slice][channel][coef]` and masks, all slices in
/// one window.
pub fn wiener(plan: &Plan<f32>, x: &[Complex<f32>], masks: &[f64]) -> Vec<C64> {
    let num_coefs = plan.num_coefs();
    let num_slices = x.len() / (2 * num_coefs);
    let mut estimates = vec![C64::default(); masks.len()];
    let epsilon = f64::from(f32::EPSILON);
    let wide = |c: Complex<f32>| C64::new(c.re.into(), c.im.into());
    for bucket in plan.buckets() {
        let of_bucket = |slice: usize, channel: usize| {
            x[(slice * 2 + channel) * num_coefs..][..num_coefs][bucket.coefs.clone()].iter().map(|c| wide(*c).norm())
        };
        let peak = (0..num_slices * 2).flat_map(|row| of_bucket(row / 2, row % 2)).fold(0f64, f64::max);
        let u = (0.1 * peak).max(1.0);
        let c_at = |slice: usize, coef: usize| [0, 1].map(|ch| wide(x[(slice * 2 + ch) * num_coefs + coef]) / u);
        let at = |slice: usize, stem: usize, ch: usize, coef: usize| {
            ((slice * NUM_STEMS + stem) * 2 + ch) * num_coefs + coef
        };
        let y_at = |slice: usize, stem: usize, coef: usize| {
            let c = c_at(slice, coef);
            [0, 1].map(|ch| c[ch] * masks[at(slice, stem, ch, coef)])
        };
        let power = |y: [C64; 2]| (y[0].norm_sqr() + y[1].norm_sqr()) / 2.0;
        for bin in 0..bucket.num_bins {
            let coefs =
                bucket.coefs.start + bin * bucket.num_frames..bucket.coefs.start + (bin + 1) * bucket.num_frames;
            let cells: Vec<(usize, usize)> =
                (0..num_slices).flat_map(|slice| coefs.clone().map(move |coef| (slice, coef))).collect();
            let covariances: [[[C64; 2]; 2]; NUM_STEMS] = std::array::from_fn(|stem| {
                let (mut r, mut v) = ([[C64::default(); 2]; 2], epsilon);
                for &(slice, coef) in &cells {
                    let y = y_at(slice, stem, coef);
                    v += power(y);
                    (0..4).for_each(|i| r[i / 2][i % 2] += y[i / 2] * y[i % 2].conj());
                }
                r.map(|row| row.map(|r| r / v))
            });
            for &(slice, coef) in &cells {
                let v = std::array::from_fn::<f64, NUM_STEMS, _>(|stem| power(y_at(slice, stem, coef)));
                let mut m = [[C64::from(epsilon.sqrt()), C64::default()], [C64::default(), C64::from(epsilon.sqrt())]];
                for stem in 0..NUM_STEMS {
                    (0..4).for_each(|i| m[i / 2][i % 2] += covariances[stem][i / 2][i % 2] * v[stem]);
                }
                let c = c_at(slice, coef);
                let determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0];
                let z = [m[1][1] * c[0] - m[0][1] * c[1], m[0][0] * c[1] - m[1][0] * c[0]].map(|z| z / determinant);
                for (stem, r) in covariances.iter().enumerate() {
                    for ch in 0..2 {
                        estimates[at(slice, stem, ch, coef)] = (r[ch][0] * z[0] + r[ch][1] * z[1]) * (u * v[stem]);
                    }
                }
            }
        }
    }
    estimates
}
