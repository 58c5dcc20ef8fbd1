//! The pipeline beside a live audio thread.
//!
//! ```text
//! audio thread                                   worker thread
//! DelayLine: the aligned mix
//! Dispatcher: input -> job -- ring of jobs ----> Worker: Stream (resample, Pipeline, resample)
//! Collector: stems <- job <-- ring of results --
//!            `-- job back to the pool
//! ```
//!
//! Jobs are boxes that circulate: nothing is allocated or freed on the audio thread. Everything else that crosses is
//! an atomic in [`Shared`].

mod audio_side;
mod collector;
mod delay_line;
mod dispatcher;
mod engine;
mod job;
mod link;
mod shared;
mod worker;

pub use audio_side::{AudioSide, BlockStatus};
pub use engine::{Engine, EngineConfig, EngineStatus};
pub use shared::EngineState;

/// The stems of [`AudioSide::process_into`], in this order, whatever the order of the model.
pub const STEMS: [&str; 4] = ["vocals", "drums", "bass", "other"];
