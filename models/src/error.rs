//! Everything that can be wrong with a model folder.

use std::path::PathBuf;
use thiserror::Error;

/// Why a model cannot be used. The message names the file, the field, what was expected and what is there, and what
/// to do about it.
#[derive(Debug, Error)]
pub enum ModelError {
    /// No folder of that name (or path) holds a manifest.
    #[error(
        "model '{name}' not found: no manifest.toml in {}. Put the model's folder in one of these places, or give the \
         path of the folder{}",
        list(searched),
        hint.as_ref().map_or(String::new(), |path| format!(" (there is one here: {path})"))
    )]
    NotFound {
        /// As asked for.
        name: String,
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
        /// A path that may be meant: names are not looked up in the working directory.
        hint: Option<String>,
    },
    /// A text that should be the name of a model cannot be one; it was not looked for.
    #[error("model {name:?}: expected {expected}")]
    Name {
        /// As asked for.
        name: String,
        /// What names are.
        expected: &'static str,
    },
    /// A file of the model cannot be read.
    #[error("{}: cannot be read ({source}). Install the model again, or check the file's permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The manifest cannot be written.
    #[error("{}: cannot be written ({source})", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The manifest is not TOML, or has missing or unknown fields.
    #[error("{}: not a valid manifest: {message}", path.display())]
    Syntax {
        /// The manifest.
        path: PathBuf,
        /// The parser's message, with line and field.
        message: String,
    },
    /// A field contradicts another field, the transform, or the graph.
    #[error(
        "{}: {field}: expected {expected}, got {actual}. The model does not fit this version of Unbraid, or its \
         manifest was edited: install the model again",
        path.display()
    )]
    Field {
        /// The manifest.
        path: PathBuf,
        /// The field, as `table.key`.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// The graph's file holds what no model may hold, or more than one may.
    #[error("{}: expected {expected}, got {actual}. Ask whoever made the model for another export", path.display())]
    Graph {
        /// The graph's file.
        path: PathBuf,
        /// What graphs may hold.
        expected: String,
        /// What this one holds.
        actual: String,
    },
    /// The graph is not the file that the manifest was written for.
    #[error(
        "{}: graph.sha256: expected {expected}, got {actual} ({num_bytes} bytes). The file is damaged or incomplete: \
         install the model again",
        path.display()
    )]
    Checksum {
        /// The graph's file.
        path: PathBuf,
        /// Hash in the manifest.
        expected: String,
        /// Hash of the file.
        actual: String,
        /// Length of the file.
        num_bytes: u64,
    },
}

fn list(dirs: &[PathBuf]) -> String {
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}
