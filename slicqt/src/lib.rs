//! The sliced constant-Q transform (sliCQT): an exactly invertible time-frequency transform whose bins may lie on
//! any frequency scale, computed slice by slice so that it can run on a live stream.
//!
//! A signal is cut into half-overlapping *slices* by a window that sums to one ([`Slicer`]); each slice goes through
//! one real FFT and then, per *bin*, through a window in frequency and a small inverse FFT ([`Plan::forward_into`]).
//! Bins differ in bandwidth, so they differ in their number of *frames*; neighbouring bins with equal numbers form
//! a *bucket*. The inverse uses the canonical dual windows ([`Plan::inverse_into`]), and the slices are added up
//! again ([`OverlapAdd`]).
//!
//! ```
//! use slicqt::{Design, Plan, Slicer, OverlapAdd};
//! # fn main() -> Result<(), slicqt::DesignError> {
//! let plan = Plan::<f32>::new(&Design::mel_32())?;
//! let (mut slicer, mut overlap_add) = (Slicer::new(&plan), OverlapAdd::new(&plan));
//! let (mut slice, mut coefs) = (plan.make_slice(), plan.make_coefs());
//! let mut scratch = plan.make_scratch();
//! let (hop, mut out) = (vec![0.1; plan.hop_len()], vec![0.0; plan.hop_len()]);
//! for _ in 0..4 {
//!     slicer.slice_into(&plan, &hop, &mut slice);
//!     plan.forward_into(&slice, &mut coefs, &mut scratch);
//!     // ... change `coefs` here: `plan.bins()` says which coefficient is which ...
//!     plan.inverse_into(&coefs, &mut slice, &mut scratch);
//!     overlap_add.add_into(&slice, &mut out); // the hop before the last one
//! }
//! assert!(out.iter().all(|x| (x - 0.1).abs() < 1e-6));
//! # Ok(()) }
//! ```
//!
//! No threads, no files, no logging; after planning nothing allocates.
//!
//! Papers: Velasco, Holighaus, Dörfler, Grill, "Constructing an invertible constant-Q transform with nonstationary
//! Gabor frames" (DAFx 2011); Holighaus, Dörfler, Velasco, Grill, "A framework for invertible, real-time constant-Q
//! transforms" (2013, arXiv:1210.0084).
#![warn(missing_docs)]

mod design;
mod error;
mod forward;
mod grammar;
mod inverse;
mod layout;
mod multi_resolution;
mod plan;
mod scale;
mod scratch;
mod stft;
mod stream;
mod tables;
mod whole;
mod windows;

pub use design::{Design, ResolutionBand};
pub use error::DesignError;
pub use num_complex::Complex;
pub use plan::{Bin, Bucket, Plan};
pub use scale::Scale;
pub use scratch::Scratch;
pub use stream::{OverlapAdd, Slicer};
pub use whole::{forward_whole, inverse_whole};

/// The sample types that the transform computes in: `f32` and `f64`.
pub trait Sample: realfft::FftNum + num_traits::Float + num_traits::FloatConst {}
impl Sample for f32 {}
impl Sample for f64 {}
