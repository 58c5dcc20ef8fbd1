//! SHA-256, as lower-case hexadecimal digits.

use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The hash of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHash {
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length of the file.
    pub num_bytes: u64,
}

/// Hashes a file without holding it in memory.
///
/// # Errors
/// The file cannot be opened or read.
pub fn sha256_file(path: &Path) -> io::Result<FileHash> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut num_bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(FileHash { sha256: hex::encode(hash.finalize()), num_bytes }),
            Ok(len) => {
                hash.update(&buffer[..len]);
                num_bytes += len as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The 32 bytes of the hash of what is in memory.
pub fn sha256_digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Hashes what is in memory.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hex::encode(sha256_digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha256() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(&path).unwrap(), FileHash { sha256: digits.to_owned(), num_bytes: 3 });
        assert_eq!(sha256_bytes(b"abc"), digits);
        assert_eq!(sha256_digest(b"abc")[..3], [0xba, 0x78, 0x16]);
    }

    #[test]
    fn missing_files_and_folders_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(sha256_file(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(sha256_file(dir.path()).is_err());
    }
}
