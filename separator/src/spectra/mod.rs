//! Spectra of the mix and of its stems for whoever looks: measured by the worker that has the coefficients, while
//! somebody looks, and never on the audio thread.

mod feed;
mod measure;
mod tap;

pub use feed::{LEVEL_STEP_DB, MIN_LEVEL_DB, NUM_LEVELS, NUM_ROWS, SpectrumColumn, SpectrumFeed, row_frequency_hz};
pub(crate) use tap::SpectrumTap;
