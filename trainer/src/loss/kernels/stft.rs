//! The multi-resolution STFT loss, frame by frame in the cache.
//!
//! Estimate and target go through one complex FFT as its real and imaginary part. The loss has two terms: of the
//! logarithms the gradient by a magnitude is known at once, of the convergence `|E - T| / |T|` only up to a factor that
//! needs all frames. So both go back through one complex FFT too, the one as real part of the samples, the other as
//! imaginary part, and are added up with their factors at the end.

use super::{BLOCK_LEN, Judgement, Signals, narrow, product, sign, wide};
use crate::loss::time::{CONVERGENCE_FLOOR, LOG_FLOOR, MAGNITUDE_FLOOR};
use crate::workers;
use num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use slicqt::Sample;
use std::f64::consts::PI;
use std::sync::Arc;

/// One window length.
struct Resolution<T> {
    /// `[sample]` Periodic Hann window.
    window: Vec<T>,
    hop_len: usize,
    num_frames: usize,
    forward: Arc<dyn Fft<T>>,
    inverse: Arc<dyn Fft<T>>,
}

/// What the frames of one sum, channel and resolution amount to.
struct Frames<T> {
    /// Sum of `(|E| - |T|)^2`, of `|T|^2`, and of `|log E - log T|`.
    residual: f64,
    target: f64,
    logs: f64,
    /// `[sample]` Gradient by the samples: of `logs` as real part, of half of `residual` as imaginary part.
    gradient: Vec<Complex<T>>,
}

/// See [`TimeLoss::Stft`](crate::loss::time::TimeLoss::Stft). Every sum counts alike within its example.
pub fn judge<'a, T: Sample>(signals: &'a Signals<T>, weight: f64, stft_lens: &[i64]) -> Judgement<'a, T> {
    let resolutions: Vec<Resolution<T>> =
        stft_lens.iter().map(|len| Resolution::new(*len as usize, signals.num_samples)).collect();
    // [sum][channel][resolution]
    let mut all: Vec<Option<Frames<T>>> = Vec::new();
    all.resize_with(signals.sums.len() * 2 * resolutions.len(), || None);
    let items = all.iter_mut().enumerate();
    workers::for_each(items, Memory::default, |memory, (i, out)| {
        let (item, resolution) = (i / resolutions.len(), &resolutions[i % resolutions.len()]);
        *out = Some(resolution.compare(signals, item / 2, item % 2, memory));
    });
    let all: Vec<Frames<T>> = all.into_iter().map(|frames| frames.expect("every item was taken")).collect();

    let mut value = 0.0;
    // [sum][resolution] Factors on the two parts of the gradient.
    let mut factors = Vec::new();
    for (i, sum) in signals.sums.iter().enumerate() {
        let num_parts = signals.of_example(sum.example).len() * signals.batch_size() * resolutions.len();
        for (r, resolution) in resolutions.iter().enumerate() {
            let channels = [0, 1].map(|channel| &all[(2 * i + channel) * resolutions.len() + r]);
            let total = |of: fn(&Frames<T>) -> f64| channels.iter().map(|frames| of(frames)).sum::<f64>();
            let count = (2 * resolution.num_frames * resolution.num_bins()) as f64;
            let floors = resolution.floor(signals.mix_magnitudes[sum.example]).powi(2) * count;
            let energy = total(|f| f.target) + floors;
            let convergence = ((total(|f| f.residual) + floors * CONVERGENCE_FLOOR) / energy).sqrt();
            value += (convergence + total(|f| f.logs) / count) / num_parts as f64;
            let share = weight / num_parts as f64;
            factors.push((narrow::<T>(share / count), narrow::<T>(share / (convergence * energy))));
        }
    }
    let add = move |sum: usize, channel: usize, out: &mut [T]| {
        let of_sum = &factors[sum * resolutions.len()..];
        let of_item = &all[(2 * sum + channel) * resolutions.len()..][..resolutions.len()];
        for (frames, (of_logs, of_residual)) in of_item.iter().zip(of_sum) {
            for (out, g) in out.iter_mut().zip(&frames.gradient) {
                *out = *out + (*of_logs * g.re + *of_residual * g.im);
            }
        }
    };
    Judgement { value, add: Box::new(add) }
}

/// Working memory of a thread.
struct Memory<T> {
    /// `[bin over both signs]`
    spectrum: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
    /// `[bin]` Of the estimate: spectrum, and magnitude.
    estimate: Vec<Complex<T>>,
    magnitude: Vec<T>,
    /// `[bin]` Magnitude of the target.
    target: Vec<T>,
    /// `[bin]` The larger of both magnitudes, by the smaller.
    ratio: Vec<T>,
    /// `[bin]` Gradients by the estimate's magnitude, divided by it: of the logarithms, and of the residual.
    by_logs: Vec<T>,
    by_residual: Vec<T>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Memory {
            spectrum: vec![],
            fft: vec![],
            estimate: vec![],
            magnitude: vec![],
            target: vec![],
            ratio: vec![],
            by_logs: vec![],
            by_residual: vec![],
        }
    }
}

impl<T: Sample> Memory<T> {
    fn resize(&mut self, resolution: &Resolution<T>) {
        let zero = Complex::new(T::zero(), T::zero());
        let (len, num_bins) = (resolution.window.len(), resolution.num_bins());
        let ffts = [&resolution.forward, &resolution.inverse].map(|fft| fft.get_inplace_scratch_len());
        self.spectrum.resize(len, zero);
        self.fft.resize(ffts[0].max(ffts[1]), zero);
        self.estimate.resize(num_bins, zero);
        for values in [&mut self.magnitude, &mut self.target, &mut self.ratio, &mut self.by_logs, &mut self.by_residual]
        {
            values.resize(num_bins, T::zero());
        }
    }
}

impl<T: Sample> Resolution<T> {
    fn new(len: usize, num_samples: usize) -> Self {
        // What is shorter than a window is seen through a window of its own length.
        let len = len.min(num_samples);
        let hop_len = (len / 4).max(1);
        let mut planner = FftPlanner::new();
        Resolution {
            window: (0..len).map(|n| narrow(0.5 - 0.5 * (2.0 * PI * n as f64 / len as f64).cos())).collect(),
            hop_len,
            num_frames: (num_samples - len) / hop_len + 1,
            forward: planner.plan_fft_forward(len),
            inverse: planner.plan_fft_inverse(len),
        }
    }

    fn num_bins(&self) -> usize {
        self.window.len() / 2 + 1
    }

    /// Magnitudes below this do not count. The mean magnitude of a frame's spectrum grows with the square root of its
    /// energy.
    fn floor(&self, mix_magnitude: f64) -> f64 {
        mix_magnitude * LOG_FLOOR * (0.375 * self.window.len() as f64).sqrt()
    }

    /// All frames of one channel of a sum.
    fn compare(&self, signals: &Signals<T>, sum: usize, channel: usize, memory: &mut Memory<T>) -> Frames<T> {
        memory.resize(self);
        let (estimate, target) = (signals.estimate(sum, channel), signals.target(sum, channel));
        let floor = self.floor(signals.mix_magnitudes[signals.sums[sum].example]);
        let zero = Complex::new(T::zero(), T::zero());
        let mut frames = Frames { residual: 0.0, target: 0.0, logs: 0.0, gradient: vec![zero; signals.num_samples] };
        for start in (0..self.num_frames).map(|frame| frame * self.hop_len) {
            let (estimate, target) = (&estimate[start..], &target[start..]);
            for (((z, w), e), t) in memory.spectrum.iter_mut().zip(&self.window).zip(estimate).zip(target) {
                *z = Complex::new(*e * *w, *t * *w);
            }
            self.forward.process_with_scratch(&mut memory.spectrum, &mut memory.fft);
            self.take_apart(memory);
            frames.add_magnitudes(memory, floor);
            self.put_together(memory);
            self.inverse.process_with_scratch(&mut memory.spectrum, &mut memory.fft);
            for ((sum, z), w) in frames.gradient[start..].iter_mut().zip(&memory.spectrum).zip(&self.window) {
                *sum = Complex::new(sum.re + z.re * *w, sum.im + z.im * *w);
            }
        }
        frames
    }

    /// From the spectrum of `e + i t` to that of `e` and to the powers of both: `E = (Z_k + conj Z_-k) / 2`,
    /// `T = (Z_k - conj Z_-k) / 2i`.
    fn take_apart(&self, memory: &mut Memory<T>) {
        let len = self.window.len();
        let half = narrow::<T>(0.5);
        let Memory { spectrum, estimate, magnitude, target, .. } = memory;
        let mut put = |k: usize, a: Complex<T>, b: Complex<T>| {
            let e = Complex::new((a.re + b.re) * half, (a.im - b.im) * half);
            let t = Complex::new((a.im + b.im) * half, (b.re - a.re) * half);
            estimate[k] = e;
            magnitude[k] = e.re * e.re + e.im * e.im;
            target[k] = t.re * t.re + t.im * t.im;
        };
        put(0, spectrum[0], spectrum[0]);
        let num_bins = self.num_bins();
        for (i, (a, b)) in spectrum[1..num_bins].iter().zip(spectrum[len + 1 - num_bins..].iter().rev()).enumerate() {
            put(i + 1, *a, *b);
        }
    }

    /// From gradients by magnitudes to the spectrum whose inverse FFT has the gradients by the samples: the transpose of
    /// an FFT that gives bins 0..=len/2 is the inverse FFT of half of each bin and its mirror.
    fn put_together(&self, memory: &mut Memory<T>) {
        let len = self.window.len();
        let half = narrow::<T>(0.5);
        let Memory { spectrum, estimate, by_logs, by_residual, .. } = memory;
        let bins = estimate.iter().zip(&*by_logs).zip(&*by_residual).enumerate();
        for (k, ((e, logs), residual)) in bins {
            if k == 0 || 2 * k == len {
                spectrum[k] = Complex::new(*logs * e.re, *residual * e.re);
                continue;
            }
            let (logs, residual) = (*logs * half, *residual * half);
            spectrum[k] = Complex::new(logs * e.re - residual * e.im, logs * e.im + residual * e.re);
            spectrum[len - k] = Complex::new(logs * e.re + residual * e.im, residual * e.re - logs * e.im);
        }
    }
}

impl<T: Sample> Frames<T> {
    /// Compares the magnitudes of one frame, whose squares lie in `memory`, and leaves their gradients there.
    fn add_magnitudes(&mut self, memory: &mut Memory<T>, floor: f64) {
        let (floor, least) = (narrow::<T>(floor), narrow::<T>(floor * floor * MAGNITUDE_FLOOR));
        let Memory { magnitude, target, ratio, by_logs, by_residual, .. } = memory;
        let estimates = magnitude.iter_mut().zip(target.iter_mut());
        for ((((e, t), ratio), by_logs), by_residual) in estimates.zip(ratio).zip(by_logs).zip(by_residual) {
            // Kept off 0, where the square root has no gradient.
            (*e, *t) = ((*e + least).sqrt(), (*t + least).sqrt());
            let (u, v) = (*e + floor, *t + floor);
            let is_above = u > v;
            let (larger, smaller) = (if is_above { u } else { v }, if is_above { v } else { u });
            *ratio = larger / smaller;
            let (difference, inverse) = (*e - *t, T::one() / (u * *e));
            *by_logs = sign(difference) * inverse;
            *by_residual = difference * u * inverse;
        }
        for (e, t) in memory.magnitude.chunks_mut(BLOCK_LEN).zip(memory.target.chunks(BLOCK_LEN)) {
            self.target += product(t, t);
            e.iter_mut().zip(t).for_each(|(e, t)| *e = *e - *t);
            self.residual += product(e, e);
        }
        // The sum of logarithms as the logarithm of a product, which overflows for no ratios below 1e19.
        for ratios in memory.ratio.chunks(16) {
            self.logs += ratios.iter().fold(1.0, |product, ratio| product * wide(*ratio)).ln();
        }
    }
}
