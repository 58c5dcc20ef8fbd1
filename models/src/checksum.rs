//! Hashes of files.

use crate::ModelError;
use sha2::{Digest, Sha256};
use std::{fs::File, io::Read, path::Path};

/// SHA-256 of a file, as 64 lower-case hexadecimal digits, and its length in bytes.
///
/// # Errors
/// [`ModelError::Unreadable`] names the path.
///
/// # Realtime
/// Not safe: reads a file.
pub fn sha256_file(path: &Path) -> Result<(String, u64), ModelError> {
    let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut num_bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(&buffer[..n]);
                num_bytes += n as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok((digits(hash), num_bytes))
}

/// SHA-256 of what is in memory.
#[cfg(feature = "import")]
pub(crate) fn sha256_bytes(bytes: &[u8]) -> String {
    digits(Sha256::new_with_prefix(bytes))
}

fn digits(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
