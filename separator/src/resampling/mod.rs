//! Sample rate conversion by a rational factor, on an explicit time grid.

mod kernel;
mod resampler;

pub(crate) use kernel::Kernel;
pub(crate) use resampler::Resampler;
