//! What can be wrong with published weights.

use crate::ModelError;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why weights cannot be imported. The message names the file, the field, what was expected and what is there.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{}: cannot be read ({source}). Check the path and the file's permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A folder or file cannot be written.
    #[error("{}: cannot be written ({source}). Check the folder's permissions and the space on the disk", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is cut off, or is no file of weights at all.
    #[error("{}: not a complete file of weights: {message}. Download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A pickle tries to call something that weights do not need. It was not called.
    #[error(
        "{}: the pickle asks for {module}.{name}, which files of weights have no need of; nothing of it was run. Only \
         state dicts are imported (torch.save(model.state_dict(), ...))",
        path.display()
    )]
    ForeignPickle {
        /// The file.
        path: PathBuf,
        /// Python module.
        module: String,
        /// Name in it.
        name: String,
    },
    /// A setting or a tensor is not what the network needs.
    #[error("{}: {field}: expected {expected}, got {actual}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Setting or tensor.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// There is a model of that name.
    #[error("{}: there is a model of this name already. Choose another with --name, or replace it with --replace", dir.display())]
    Exists {
        /// Its folder.
        dir: PathBuf,
    },
    /// What was written does not load; that is our mistake.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl ImportError {
    pub(crate) fn field(path: &Path, field: impl Into<String>, expected: impl ToString, actual: impl ToString) -> Self {
        ImportError::Field {
            path: path.to_owned(),
            field: field.into(),
            expected: expected.to_string(),
            actual: actual.to_string(),
        }
    }

    pub(crate) fn damaged(path: &Path, message: impl ToString) -> Self {
        ImportError::Damaged { path: path.to_owned(), message: message.to_string() }
    }
}
