//! What a model is: a folder with `model.onnx` (the graph), `manifest.toml` (everything that a program must know
//! before it opens the graph) and `CARD.md` (everything that a person should know before using it).
//!
//! [`locate`] finds the folder, [`Model::load`] reads, validates and hash-checks it. Whether the manifest and the
//! *graph* agree is checked by the `separator`, which opens the graph.
//!
//! ```no_run
//! # fn main() -> Result<(), models::ModelError> {
//! let dir = models::locate("first", &["models".into()])?;
//! let model = models::Model::load(&dir)?;
//! println!("{} separates {:?}", model.manifest.name, model.manifest.stems);
//! # Ok(()) }
//! ```
#![warn(missing_docs)]

pub mod cdae;
mod checksum;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "import")]
pub mod import;
mod location;
mod manifest;
mod model;
pub mod onnx;

pub use checksum::sha256_file;
pub use error::ModelError;
pub use location::{locate, user_models_dir};
pub use manifest::{
    Channel, FORMAT, Graph, Input, InputKind, MANIFEST_FILE, Manifest, Offline, Output, OutputKind, Scores, State,
    Training, Transform,
};
pub use model::Model;
