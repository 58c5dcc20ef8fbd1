//! What a model is: a folder with `model.onnx` (the graph), `manifest.toml` (everything that a program must know
//! before it opens the graph) and `CARD.md` (everything that a person should know before using it).
//!
//! [`find_by_name`] finds the folder of a name that a project holds, [`locate`] that of a name or path that the user
//! typed; [`Model::load`] reads, validates and hash-checks it, within [`limits`]. Whether the manifest and the
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
pub mod graph;
#[cfg(feature = "import")]
pub mod import;
pub mod limits;
mod location;
mod manifest;
mod model;
mod names;
pub mod onnx;
#[cfg(feature = "testing")]
pub mod testing;
mod validate;

pub use checksum::sha256_file;
pub use error::ModelError;
pub use location::{
    find_by_name, locate, program_data_dir, program_models_dirs, program_runtime_dirs, user_models_dir,
    user_models_dirs,
};
pub use manifest::{
    Channel, FORMAT, GraphSpec, Input, InputKind, MANIFEST_FILE, Manifest, Offline, Output, OutputKind, Scores,
    StateSpec, Training, TransformSpec,
};
pub use model::{GraphBytes, Model};
