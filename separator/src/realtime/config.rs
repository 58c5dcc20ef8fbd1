//! What an engine is started with, and what it says of itself.

use super::shared::EngineState;
use crate::Runtime;
use std::{path::PathBuf, sync::Arc};

/// What the host says before it activates a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineConfig {
    /// The host's sample rate.
    pub sample_rate_hz: f64,
    /// The longest block that the host will ask for; longer ones work, but may come late.
    pub max_block_len: usize,
}

/// Where ONNX Runtime comes from. Opening it takes a while: given as a path, that happens beside the host's threads.
#[derive(Clone)]
pub enum RuntimeSource {
    /// It is loaded.
    Loaded(Arc<Runtime>),
    /// To be loaded from this library.
    Path(PathBuf),
}

impl From<Arc<Runtime>> for RuntimeSource {
    fn from(runtime: Arc<Runtime>) -> Self {
        RuntimeSource::Loaded(runtime)
    }
}

impl From<PathBuf> for RuntimeSource {
    fn from(path: PathBuf) -> Self {
        RuntimeSource::Path(path)
    }
}

/// How the separation is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineStatus {
    /// Of the model that was chosen last.
    pub state: EngineState,
    /// Of the model for offline renders; None if it is the same. Should it fail, the one that plays does its work.
    pub bouncing: Option<EngineState>,
    /// Hops whose stems did not come in time and were replaced by the mix, since the engine was started.
    pub late_hops: u64,
    /// Time that the worker needs over the time that it has, averaged over the last ten hops or so: 1 is too much.
    pub load: f32,
    /// A job should have been done seconds ago. It ends when the job ends.
    pub is_overdue: bool,
    /// Worker threads of the process that something has ended, and that were replaced.
    pub num_replaced_workers: u64,
}
