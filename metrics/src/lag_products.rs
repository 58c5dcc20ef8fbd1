//! Inner products of signals with delayed signals.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Samples that one transform covers; longer ones gain nothing.
const FFT_LEN: usize = 4096;

/// Sums `sum_n first[a][n] second[b][n + lag]` for all lags from 0 on, over any number of stretches.
pub struct LagProducts {
    num_first: usize,
    num_second: usize,
    num_lags: usize,
    fft_len: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    /// `[first][bin]`, conjugated.
    first_spectra: Vec<Vec<Complex<f64>>>,
    /// `[second][first][bin]`, summed over blocks.
    sums: Vec<Vec<Vec<Complex<f64>>>>,
    spectrum: Vec<Complex<f64>>,
    samples: Vec<f64>,
    scratch: Vec<Complex<f64>>,
}

impl LagProducts {
    /// Of this many signals with this many others.
    pub fn new(num_first: usize, num_second: usize, num_lags: usize) -> LagProducts {
        let fft_len = FFT_LEN.max((4 * num_lags).next_power_of_two());
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(fft_len), planner.plan_fft_inverse(fft_len));
        let spectrum = forward.make_output_vec();
        LagProducts {
            num_first,
            num_second,
            num_lags,
            fft_len,
            first_spectra: vec![spectrum.clone(); num_first],
            sums: vec![vec![spectrum.clone(); num_first]; num_second],
            spectrum,
            samples: forward.make_input_vec(),
            scratch: vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())],
            forward,
            inverse,
        }
    }

    /// Adds a stretch, `[signal][sample]`, all of one length, with silence before and after it.
    pub fn add(&mut self, first: &[&[f32]], second: &[&[f32]]) {
        let len = first[0].len();
        // A block and what it meets within the lags fit into the transform, so that nothing wraps around.
        let max_block_len = self.fft_len - (self.num_lags - 1);
        let block_len = len.div_ceil(len.div_ceil(max_block_len).max(1)).max(1);
        for start in (0..len).step_by(block_len) {
            let end = (start + block_len).min(len);
            for (first, spectrum) in first.iter().zip(&mut self.first_spectra) {
                transform(&*self.forward, &first[start..end], spectrum, &mut self.samples, &mut self.scratch);
                spectrum.iter_mut().for_each(|x| *x = x.conj());
            }
            let end = (end + self.num_lags - 1).min(len);
            for (second, sums) in second.iter().zip(&mut self.sums) {
                transform(
                    &*self.forward,
                    &second[start..end],
                    &mut self.spectrum,
                    &mut self.samples,
                    &mut self.scratch,
                );
                for (sum, first) in sums.iter_mut().zip(&self.first_spectra) {
                    for ((sum, x), y) in sum.iter_mut().zip(first).zip(&self.spectrum) {
                        *sum += x * y;
                    }
                }
            }
        }
    }

    /// The products so far, `[first][second][lag]`; the next ones start from zero.
    pub fn take(&mut self) -> Vec<f64> {
        let mut products = vec![0.0; self.num_first * self.num_second * self.num_lags];
        let scale = 1.0 / self.fft_len as f64;
        for (second_idx, sums) in self.sums.iter_mut().enumerate() {
            for (first_idx, sum) in sums.iter_mut().enumerate() {
                // Rounding leaves them tiny imaginary parts, which a real signal cannot have.
                sum[0].im = 0.0;
                sum[self.fft_len / 2].im = 0.0;
                self.inverse
                    .process_with_scratch(sum, &mut self.samples, &mut self.scratch)
                    .expect("buffers are the plan's, ends are real");
                let start = (first_idx * self.num_second + second_idx) * self.num_lags;
                for (product, sample) in products[start..][..self.num_lags].iter_mut().zip(&self.samples) {
                    *product = sample * scale;
                }
                sum.fill(Complex::default());
            }
        }
        products
    }
}

/// The spectrum of a block, with zeros after it.
fn transform(
    forward: &dyn RealToComplex<f64>,
    block: &[f32],
    spectrum: &mut [Complex<f64>],
    samples: &mut [f64],
    scratch: &mut [Complex<f64>],
) {
    let (signal, silence) = samples.split_at_mut(block.len());
    signal.iter_mut().zip(block).for_each(|(sample, x)| *sample = f64::from(*x));
    silence.fill(0.0);
    forward.process_with_scratch(samples, spectrum, scratch).expect("buffers are the plan's");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let signal = |seed: usize, len: usize| -> Vec<f32> {
            (0..len).map(|i| ((i * i + seed) as f32 * 0.37).sin() + (i == seed) as u8 as f32).collect()
        };
        for len in [1, 7, 300, 4000, 9001] {
            let (a, b, c) = (signal(1, len), signal(2, len), signal(3, len));
            let mut products = LagProducts::new(2, 3, 32);
            for _ in 0..2 {
                products.add(&[&a, &b], &[&a, &b, &c]);
                let all = products.take();
                for (first_idx, first) in [&a, &b].into_iter().enumerate() {
                    for (second_idx, second) in [&a, &b, &c].into_iter().enumerate() {
                        for lag in 0..32 {
                            let shifted = second.iter().skip(lag);
                            let want: f64 = first.iter().zip(shifted).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                            let got = all[(first_idx * 3 + second_idx) * 32 + lag];
                            assert!((got - want).abs() < 1e-9, "{len} {first_idx} {second_idx} {lag}: {got} {want}");
                        }
                    }
                }
            }
        }
    }
}
