//! Everything that can go wrong while bundling.

use models::ModelError;
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why there is no bundle; the message says what to do.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Cargo has not built it yet.
    #[error("{} is not there. Build it first: cargo build --release -p {package}", path.display())]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
        /// The package that makes it.
        package: &'static str,
    },
    /// The library has not been fetched.
    #[error("{} is not there. Fetch ONNX Runtime first: cargo xtask setup", path.display())]
    NoRuntime {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is nothing to separate with.
    #[error("{} holds no model: no folder in it has a manifest.toml. Train one: cargo xtask train", dir.display())]
    NoModel {
        /// The folder of model folders.
        dir: PathBuf,
    },
    /// A model is damaged, or contradicts itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file or folder cannot be read or written.
    #[error("{}: {source}. Check that the disk has room, and that the file is yours and not in use", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl BundleError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BundleError {
        let path = path.into();
        |source| BundleError::File { path, source }
    }
}
