//! The FFTs of a plan and nothing else, on buffers of their own: what the transform is measured against. They are the
//! same sizes from the same library as the plan's, and called in the fastest way found: in place, all bins of a bucket
//! in one call.

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use slicqt::{Bucket, Complex, Plan};
use std::sync::Arc;

/// One real FFT of a slice and one complex FFT per bin, in both directions.
pub struct BareFfts {
    real_forward: Arc<dyn RealToComplex<f32>>,
    real_inverse: Arc<dyn ComplexToReal<f32>>,
    /// `[bucket]`
    to_frames: Vec<Arc<dyn Fft<f32>>>,
    /// `[bucket]`
    from_frames: Vec<Arc<dyn Fft<f32>>>,
    buckets: Vec<Bucket>,
    slice: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    coefs: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl BareFfts {
    pub fn new(plan: &Plan<f32>) -> Self {
        let (mut real_planner, mut planner) = (RealFftPlanner::new(), FftPlanner::new());
        let real_forward = real_planner.plan_fft_forward(plan.slice_len());
        let real_inverse = real_planner.plan_fft_inverse(plan.slice_len());
        let frames = || plan.buckets().iter().map(|bucket| bucket.num_frames);
        let to_frames: Vec<_> = frames().map(|m| planner.plan_fft_inverse(m)).collect();
        let from_frames: Vec<_> = frames().map(|m| planner.plan_fft_forward(m)).collect();
        let scratch_len = to_frames.iter().chain(&from_frames).map(|fft| fft.get_inplace_scratch_len());
        let scratch_len = scratch_len.chain([real_forward.get_scratch_len(), real_inverse.get_scratch_len()]);
        BareFfts {
            scratch: vec![Complex::default(); scratch_len.max().unwrap()],
            slice: plan.make_slice(),
            spectrum: real_forward.make_output_vec(),
            coefs: plan.make_coefs(),
            buckets: plan.buckets().to_vec(),
            real_forward,
            real_inverse,
            to_frames,
            from_frames,
        }
    }

    /// Fills the buffers with numbers of ordinary size: FFTs in place would let them grow without end.
    pub fn refill(&mut self) {
        self.slice.iter_mut().zip((0..).map(sample)).for_each(|(out, x)| *out = x);
        self.spectrum.iter_mut().zip((0..).map(coef)).for_each(|(out, x)| *out = x);
        self.coefs.iter_mut().zip((0..).map(coef)).for_each(|(out, x)| *out = x);
    }

    /// The FFTs of `Plan::forward_into`.
    pub fn forward(&mut self) {
        self.real_forward.process_with_scratch(&mut self.slice, &mut self.spectrum, &mut self.scratch).unwrap();
        for (bucket, fft) in self.buckets.iter().zip(&self.to_frames) {
            fft.process_with_scratch(&mut self.coefs[bucket.coefs.clone()], &mut self.scratch);
        }
    }

    /// The FFTs of `Plan::inverse_into`.
    pub fn inverse(&mut self) {
        for (bucket, fft) in self.buckets.iter().zip(&self.from_frames) {
            fft.process_with_scratch(&mut self.coefs[bucket.coefs.clone()], &mut self.scratch);
        }
        // The real FFT spoils its input, and would complain of it in the next round.
        let nyquist = self.spectrum.len() - 1;
        self.spectrum[0].im = 0.0;
        self.spectrum[nyquist].im = 0.0;
        self.real_inverse.process_with_scratch(&mut self.spectrum, &mut self.slice, &mut self.scratch).unwrap();
    }
}

/// Sample `i` of a test signal: dense in frequency, the same on every machine.
pub fn sample(i: usize) -> f32 {
    (((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32) / (1 << 23) as f32 - 1.0
}

/// Coefficient `i` of a test signal.
pub fn coef(i: usize) -> Complex<f32> {
    Complex::new(sample(2 * i), sample(2 * i + 1))
}
