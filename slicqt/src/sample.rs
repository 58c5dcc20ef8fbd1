//! The sample types, and their FFTs.

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// The sample types that the transform computes in: `f32` and `f64`.
pub trait Sample: realfft::FftNum + num_traits::Float + num_traits::FloatConst + Ffts {}
impl Sample for f32 {}
impl Sample for f64 {}

/// A complex FFT and its inverse, both without a factor.
pub struct FftPair<T> {
    pub(crate) forward: Arc<dyn Fft<T>>,
    pub(crate) inverse: Arc<dyn Fft<T>>,
}

/// A real FFT and its inverse, both without a factor.
pub struct RealFftPair<T> {
    pub(crate) forward: Arc<dyn RealToComplex<T>>,
    pub(crate) inverse: Arc<dyn ComplexToReal<T>>,
}

/// Plans FFTs. Not generic, so that the FFTs of both types are compiled into this crate, once, and not into every
/// program, test and example that makes a plan: they are most of its code.
pub trait Ffts: Sized {
    /// The FFTs of these lengths, which share what they are built of.
    #[doc(hidden)]
    fn ffts(lens: &[usize]) -> Vec<FftPair<Self>>;

    /// The real FFTs of one length.
    #[doc(hidden)]
    fn real_ffts(len: usize) -> RealFftPair<Self>;
}

macro_rules! plan_ffts_of {
    ($($sample:ty),*) => {$(
        impl Ffts for $sample {
            fn ffts(lens: &[usize]) -> Vec<FftPair<Self>> {
                let mut planner = FftPlanner::new();
                let mut pair =
                    |len| FftPair { forward: planner.plan_fft_forward(len), inverse: planner.plan_fft_inverse(len) };
                lens.iter().map(|len| pair(*len)).collect()
            }

            fn real_ffts(len: usize) -> RealFftPair<Self> {
                let mut planner = RealFftPlanner::new();
                RealFftPair { forward: planner.plan_fft_forward(len), inverse: planner.plan_fft_inverse(len) }
            }
        }
    )*};
}
plan_ffts_of!(f32, f64);
