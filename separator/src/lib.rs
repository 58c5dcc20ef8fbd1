//! The host-free engine: a stereo mix goes in, its stems come out.
//!
//! From the inside out:
//! - [`Runtime`] is the one ONNX Runtime of the process; nothing outside this crate uses `ort`.
//! - [`Graph`] is a model and its ONNX session, opened once per process and shared; [`NetworkState`] is what one stream
//!   remembers.
//! - [`Pipeline`] is synchronous: one hop of the mix in, one hop of every stem out, at the model's sample rate.
//! - [`FileSeparator`] runs a pipeline over a whole file at any sample rate; its stems are aligned with the file.
//! - [`Engine`] and [`AudioSide`] run it beside a live audio thread: the audio thread copies and counts, a worker
//!   thread computes, and jobs from a pool circulate between them through two lock-free rings.
//!
//! All of them resample between the host's rate and the model's on one time grid ([`latency_samples`] is exact, in
//! whole host samples, at every rate), and the stems of all of them sum to the mix.
//!
//! While somebody looks, a [`SpectrumFeed`] carries spectra of the stems from the worker to an editor.
//!
//! The feature `testing` has model folders with tiny graphs, so that tests need no trained network.
#![warn(missing_docs)]
#![allow(
    clippy::needless_range_loop,
    reason = "`for channel in 0..2` says more than enumerate over one of several arrays"
)]

pub use base::Stereo;

mod denormals;
mod ends;
mod error;
mod graph;
mod latency;
mod pipeline;
mod realtime;
mod resampling;
mod runtime;
mod schedule;
mod silence;
mod spectra;
pub mod stages;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod whole_file;

pub use denormals::DenormalsAreZero;
pub use error::SeparatorError;
pub use graph::{Graph, NetworkState};
pub use latency::{LatencyPlan, latency_samples, latency_samples_of};
pub use pipeline::Pipeline;
#[cfg(any(test, feature = "testing"))]
pub use realtime::EndWorker;
pub use realtime::{
    AudioSide, BlockStatus, Engine, EngineConfig, EngineState, EngineStatus, RuntimeSource, STEMS, stem_map,
};
pub use runtime::{RUNTIME_VARIABLE, Runtime, find_runtime, runtime_library_name};
pub use spectra::{LEVEL_STEP_DB, MIN_LEVEL_DB, NUM_LEVELS, NUM_ROWS, SpectrumColumn, SpectrumFeed, row_frequency_hz};
pub use stages::Wiener;
pub use whole_file::FileSeparator;
