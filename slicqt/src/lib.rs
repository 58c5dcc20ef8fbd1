#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod adjoint;
mod design;
mod error;
mod forward;
mod grammar;
mod inverse;
mod layout;
mod lens;
mod multi_resolution;
mod plan;
mod sample;
mod scale;
mod scratch;
mod stft;
mod stream;
mod tables;
mod timing;
mod whole;
mod windows;

pub use design::{Design, ResolutionBand};
pub use error::DesignError;
pub use num_complex::Complex;
pub use plan::{Bin, Bucket, Plan};
pub use sample::Sample;
pub use scale::Scale;
pub use scratch::Scratch;
pub use stream::{OverlapAdd, Slicer};
pub use timing::Timing;
pub use whole::{forward_whole, inverse_whole};
