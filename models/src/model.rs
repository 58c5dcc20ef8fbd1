//! A model folder that was read, validated and hash-checked.

use crate::{
    MANIFEST_FILE, Manifest, ModelError,
    graph::{GraphRefusal, check_graph},
    limits::MAX_GRAPH_BYTES,
    validate::{check_len, field_error},
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// A model on disk whose manifest makes sense, whose graph is the one that the manifest was written for, and both within
/// the [`limits`](crate::limits).
#[derive(Clone, Debug)]
pub struct Model {
    /// The model's folder.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Model {
    /// Reads, validates and hash-checks the model in `dir`, and looks through its graph ([`crate::graph`]).
    ///
    /// # Errors
    /// [`ModelError`] names the file, the field, what was expected and what is there.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let model = Model::read(dir)?;
        model.verify()?;
        Ok(model)
    }

    /// Reads and validates the manifest in `dir`, and leaves the graph, which may be large, for [`verify`](Self::verify):
    /// for threads that must not be kept waiting.
    ///
    /// # Errors
    /// [`ModelError`] names the file, the field, what was expected and what is there.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let manifest = Manifest::read(&dir.join(MANIFEST_FILE))?;
        manifest.validate(dir)?;
        Ok(Model { dir: dir.to_owned(), manifest })
    }

    /// Checks that the graph is the one that the manifest was written for, and looks through it ([`crate::graph`]).
    ///
    /// # Errors
    /// As [`read_graph`](Self::read_graph).
    pub fn verify(&self) -> Result<(), ModelError> {
        self.read_graph().map(|_| ())
    }

    /// Reads the graph and checks what was read: that it is the graph that the manifest was written for, and what it holds
    /// ([`crate::graph`]). Whoever runs it should take these bytes and not open the file again, which may be another by
    /// then.
    ///
    /// # Errors
    /// [`ModelError`] names the file, what was expected and what is there.
    pub fn read_graph(&self) -> Result<GraphBytes, ModelError> {
        let graph = self.onnx_path();
        let bytes = read_file(&graph)?;
        let (actual, expected) = (base::sha256_bytes(&bytes), self.manifest.graph.sha256.to_lowercase());
        if actual != expected {
            let num_bytes = bytes.len() as u64;
            return Err(ModelError::Checksum { path: graph, expected, actual, num_bytes });
        }
        match check_graph(&bytes) {
            Ok(_) => Ok(GraphBytes(bytes)),
            Err(GraphRefusal { expected, actual }) => Err(ModelError::Graph { path: graph, expected, actual }),
        }
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

/// The contents of a graph's file, checked: only [`Model::read_graph`] makes them.
pub struct GraphBytes(Vec<u8>);

impl AsRef<[u8]> for GraphBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    let num_bytes = check_len(path, MAX_GRAPH_BYTES)?;
    let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::with_capacity(num_bytes as usize);
    // Should it grow meanwhile, the hash will tell.
    File::open(path).map_err(unreadable)?.take(num_bytes).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
