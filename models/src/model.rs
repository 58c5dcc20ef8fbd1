//! A model folder that was read, validated and hash-checked.

use crate::{
    MANIFEST_FILE, Manifest, ModelError,
    limits::MAX_GRAPH_BYTES,
    sha256_file,
    validate::{check_len, field_error},
};
use std::path::{Path, PathBuf};

/// A model on disk whose manifest makes sense and whose graph is the one that the manifest was written for.
#[derive(Clone, Debug)]
pub struct Model {
    /// The model's folder.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Model {
    /// Reads, validates and hash-checks the model in `dir`.
    ///
    /// # Errors
    /// [`ModelError`] names the file, the field, what was expected and what is there.
    ///
    /// # Realtime
    /// Not safe: reads files.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let manifest = Manifest::read(&dir.join(MANIFEST_FILE))?;
        manifest.validate(dir)?;
        let model = Model { dir: dir.to_owned(), manifest };
        let graph = model.onnx_path();
        check_len(&graph, MAX_GRAPH_BYTES)?;
        let (actual, num_bytes) = sha256_file(&graph)?;
        let expected = model.manifest.graph.sha256.to_lowercase();
        if actual != expected {
            return Err(ModelError::Checksum { path: graph, expected, actual, num_bytes });
        }
        Ok(model)
    }

    /// The graph's file.
    pub fn onnx_path(&self) -> PathBuf {
        self.dir.join(&self.manifest.graph.file)
    }

    /// An error about one field of this model's manifest, for what only the graph or the transform can tell.
    pub fn field_error(&self, field: impl Into<String>, expected: impl ToString, actual: impl ToString) -> ModelError {
        field_error(&self.dir.join(MANIFEST_FILE), field, expected, actual)
    }
}
