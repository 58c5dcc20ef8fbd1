//! The pipeline beside live audio threads.
//!
//! ```text
//! audio thread of an instance                                 worker threads of the process
//! AudioSide: the aligned mix, and up to two lanes
//!   AudioLane
//!     Dispatcher: input -> job ------- ring of jobs ------->  Pool: the lane whose job is most urgent
//!     Collector: stems <- job <------- ring of results -----    WorkerLane: Stream (resample, Pipeline, resample)
//!                `-- job back to the lane's jobs
//! ```
//!
//! Jobs are boxes that circulate: nothing is allocated or freed on the audio thread. Everything else that crosses is an
//! atomic in `LaneShared`, or a whole lane through a ring of its own: so an instance changes its model while it plays.

mod audio_side;
mod clock;
mod collector;
mod config;
mod delay_line;
mod dispatcher;
mod engine;
mod job;
mod lane;
mod library;
mod link;
mod lookout;
mod pace;
mod pool;
mod shared;
mod stem_map;
#[cfg(any(test, feature = "testing"))]
mod test_hooks;
mod worker_lane;
mod workers;

pub use audio_side::{AudioSide, BlockStatus};
pub use config::{EngineConfig, EngineStatus, RuntimeSource};
pub use engine::Engine;
pub use shared::EngineState;
pub use stem_map::stem_map;
#[cfg(any(test, feature = "testing"))]
pub use test_hooks::EndWorker;

/// The stems of [`AudioSide::process_into`], in this order, whatever the order of the model.
pub use base::STEMS;
