//! Losses of samples and their gradients on worker threads of the CPU, without torch's graph: what the functions of
//! [`time`](super::time) compute (tests hold both against each other), each in one or two passes over samples that are
//! still in the cache.

mod l1;
mod ratios;
mod stft;

use super::time::TimeLoss;
use super::{Over, sums::all_sums};
use crate::data::Known;
use crate::inverse::StemSum;
use slicqt::Sample;
use std::borrow::Cow;
use std::ops::Range;

/// Samples that are counted together in [`Sample`]s before they go into an `f64`.
const BLOCK_LEN: usize = 1024;
/// Samples that a worker thread takes at a time.
const PIECE_LEN: usize = 16 * BLOCK_LEN;

/// Estimates and true stems of a batch.
pub struct Signals<'a, T: Sample> {
    /// What they are sums of: by example, in order.
    pub sums: Vec<StemSum>,
    /// What is known of the stems of each example.
    known: &'a [Known],
    num_samples: usize,
    /// `[sum][channel][sample]`
    estimates: Vec<T>,
    /// `[sum][channel]`, each `[sample]`.
    targets: Vec<[Cow<'a, [T]>; 2]>,
    /// `[B]` Mean absolute value of the mix, kept off 0.
    mix_magnitudes: Vec<f64>,
}

/// Adds the gradient by the samples of an estimate, by sum and channel, to `[sample]`.
type AddGradient<'a, T> = dyn Fn(usize, usize, &mut [T]) + Sync + 'a;

/// What a loss makes of estimates.
pub struct Judgement<'a, T> {
    /// The loss.
    pub value: f64,
    /// `add(sum, channel, out)` adds the gradient by the samples of an estimate to `out[sample]`.
    pub add: Box<AddGradient<'a, T>>,
}

impl<'a, T: Sample> Signals<'a, T> {
    /// Estimates `[sum][channel][sample]` beside what they should be: sums of `stems` (`[B]`, each
    /// `[stem][channel][sample]`, of at least `num_samples` samples).
    pub fn new(
        sums: Vec<StemSum>,
        known: &'a [Known],
        estimates: Vec<T>,
        stems: &'a [Vec<[Vec<T>; 2]>],
        num_samples: usize,
    ) -> Self {
        let target = |sum: &StemSum, channel: usize| -> Cow<'a, [T]> {
            let stem = |i: usize| &stems[sum.example][i][channel][..num_samples];
            let mut target = Cow::Borrowed(stem(sum.stems[0]));
            for i in &sum.stems[1..] {
                target.to_mut().iter_mut().zip(stem(*i)).for_each(|(sum, x)| *sum = *sum + *x);
            }
            target
        };
        let targets = sums.iter().map(|sum| [target(sum, 0), target(sum, 1)]).collect();
        let mix_magnitudes = stems.iter().map(|stems| mean_magnitude(stems, num_samples) + 1e-6).collect();
        Signals { sums, known, num_samples, estimates, targets, mix_magnitudes }
    }

    /// Judges the estimates by a loss, times `weight` in the gradient. The STFT loss runs over the sums that the
    /// estimates are of. For the others, which run over what `over` says, they have to be those of all parts.
    pub fn judge(&self, kind: TimeLoss, over: Over, weight: f64, stft_lens: &[i64]) -> Judgement<'_, T> {
        if self.num_samples == 0 {
            return Judgement { value: 0.0, add: Box::new(|_, _, _| ()) };
        }
        match kind {
            TimeLoss::L1 => l1::judge(self, over, weight),
            TimeLoss::Stft => stft::judge(self, weight, stft_lens),
            _ => ratios::judge(self, kind, over, weight),
        }
    }

    /// `[sample]`
    fn estimate(&self, sum: usize, channel: usize) -> &[T] {
        &self.estimates[(sum * 2 + channel) * self.num_samples..][..self.num_samples]
    }

    /// `[sample]`
    fn target(&self, sum: usize, channel: usize) -> &[T] {
        &self.targets[sum][channel]
    }

    fn batch_size(&self) -> usize {
        self.known.len()
    }

    /// The sums of an example.
    fn of_example(&self, example: usize) -> Range<usize> {
        let start = self.sums.partition_point(|sum| sum.example < example);
        start..start + self.sums[start..].partition_point(|sum| sum.example == example)
    }

    /// `[B]` The sums that a loss runs over, each as indices of the parts that the estimates are of.
    fn sums_of_parts(&self, over: Over) -> Vec<Vec<Vec<usize>>> {
        let mut by_example = vec![Vec::new(); self.batch_size()];
        for sum in all_sums(self.known, over) {
            let parts = self.of_example(sum.example).filter(|part| sum.stems.contains(&self.sums[*part].stems[0]));
            by_example[sum.example].push(parts.collect());
        }
        by_example
    }

    /// Every channel of every example in pieces, for worker threads.
    fn pieces(&self) -> Vec<Piece> {
        let of_channel = |example: usize, channel: usize| {
            let starts = (0..self.num_samples).step_by(PIECE_LEN);
            let samples = move |start: usize| start..(start + PIECE_LEN).min(self.num_samples);
            starts.map(move |start| Piece { example, channel, samples: samples(start) })
        };
        (0..2 * self.batch_size()).flat_map(|i| of_channel(i / 2, i % 2)).collect()
    }
}

/// Neighbouring samples of a channel of an example.
struct Piece {
    example: usize,
    channel: usize,
    samples: Range<usize>,
}

impl Piece {
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let end = self.samples.end;
        self.samples.clone().step_by(BLOCK_LEN).map(move |start| start..(start + BLOCK_LEN).min(end))
    }
}

/// Mean absolute value of the sum of `stems` `[stem][channel][sample]`.
fn mean_magnitude<T: Sample>(stems: &[[Vec<T>; 2]], num_samples: usize) -> f64 {
    let mut sum = 0.0;
    let mut mix = [T::zero(); BLOCK_LEN];
    for channel in 0..2 {
        for start in (0..num_samples).step_by(BLOCK_LEN) {
            let mix = &mut mix[..BLOCK_LEN.min(num_samples - start)];
            mix.fill(T::zero());
            for stem in stems {
                mix.iter_mut().zip(&stem[channel][start..]).for_each(|(mix, x)| *mix = *mix + *x);
            }
            mix.iter_mut().for_each(|x| *x = x.abs());
            sum += total(mix);
        }
    }
    sum / (2 * num_samples).max(1) as f64
}

/// Values side by side, so that the compiler adds several at once (it may not change the order of a sum itself).
const LANES: usize = 8;

/// The sum of up to [`BLOCK_LEN`] values or so.
fn total<T: Sample>(values: &[T]) -> f64 {
    let mut lanes = [T::zero(); LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(T::zero(), |sum, x| sum + *x);
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane = *lane + *x);
    }
    wide(lanes.iter().fold(rest, |sum, x| sum + *x))
}

/// The inner product of up to [`BLOCK_LEN`] values or so.
fn product<T: Sample>(a: &[T], b: &[T]) -> f64 {
    let mut lanes = [T::zero(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder()).fold(T::zero(), |sum, (a, b)| sum + *a * *b);
    for (a, b) in a_chunks.zip(b_chunks) {
        lanes.iter_mut().zip(a).zip(b).for_each(|((lane, a), b)| *lane = *lane + *a * *b);
    }
    wide(lanes.iter().fold(rest, |sum, x| sum + *x))
}

fn wide<T: Sample>(x: T) -> f64 {
    x.to_f64().expect("every sample is a number")
}

fn narrow<T: Sample>(x: f64) -> T {
    T::from_f64(x).expect("every f64 rounds to a sample type")
}

/// 1, 0 or -1.
fn sign<T: Sample>(x: T) -> T {
    let positive = if x > T::zero() { T::one() } else { T::zero() };
    if x < T::zero() { -T::one() } else { positive }
}
