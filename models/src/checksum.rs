//! Hashes of files.

use crate::ModelError;
use std::path::Path;

/// SHA-256 of a file, as 64 lower-case hexadecimal digits, and its length in bytes.
///
/// # Errors
/// [`ModelError::Unreadable`] names the path.
pub fn sha256_file(path: &Path) -> Result<(String, u64), ModelError> {
    match base::sha256_file(path) {
        Ok(hash) => Ok((hash.sha256, hash.num_bytes)),
        Err(source) => Err(ModelError::Unreadable { path: path.to_owned(), source }),
    }
}
