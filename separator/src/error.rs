//! Everything that can go wrong between a model folder and its stems.

use models::ModelError;
use std::path::PathBuf;
use thiserror::Error;

/// Why nothing can be separated; the message says what to do.
#[derive(Debug, Error)]
pub enum SeparatorError {
    /// The ONNX Runtime library is in none of the places where it should be.
    #[error(
        "ONNX Runtime not found: no {} in {}. Install Unbraid again (from its sources: run `cargo xtask setup`), or \
         set the environment variable UNBRAID_ONNXRUNTIME to the library's path",
        crate::runtime_library_name(),
        list(searched)
    )]
    RuntimeNotFound {
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
    },
    /// The library is there but is not an ONNX Runtime of the right version.
    #[error(
        "{}: not a usable ONNX Runtime ({message}). Install Unbraid again (from its sources: run `cargo xtask setup`)",
        path.display()
    )]
    RuntimeUnusable {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        message: String,
    },
    /// The model folder is missing, damaged or contradicts itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// ONNX Runtime refuses the graph, or fails to run it.
    #[error("{}: ONNX Runtime cannot run this graph ({message}). Install the model again", path.display())]
    Graph {
        /// The graph's file.
        path: PathBuf,
        /// What ONNX Runtime says.
        message: String,
    },
    /// The model needs more of the song than a live stream could wait for.
    #[error(
        "model '{name}' needs much of the song before its first stems, so it is for files only: run `unbraid \
         separate --model {name} SONG --out DIR`, and choose another model for playing live"
    )]
    ForFilesOnly {
        /// The model.
        name: String,
    },
    /// The model needs more latency than was reported to the host.
    #[error("model '{name}' needs more latency than the host was told: switch the plugin off and on again to use it")]
    NoRoomInPlan {
        /// The model.
        name: String,
    },
    /// Models were changed more often than the audio thread could take them.
    #[error("too many models were chosen while nothing played: play for a moment, and choose again")]
    Busy,
    /// The operating system gives no thread.
    #[error("the worker thread cannot be started ({0}). Close other programs and try again")]
    Thread(std::io::Error),
}

fn list(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}
