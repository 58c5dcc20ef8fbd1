//! Files of results: written beside their names, then renamed.

use std::path::Path;

use anyhow::{Result, anyhow};

/// Says before long work whether `path` can be written after it.
pub fn check_writable(path: &Path) -> Result<()> {
    let part = base::part_path(path);
    if path.is_dir() {
        return Err(anyhow!("{}: expected a file to write, got a folder", path.display()));
    }
    std::fs::File::create(&part)
        .and_then(|_| std::fs::remove_file(&part))
        .map_err(|error| anyhow!("{}: could not write: {error}", path.display()))
}

/// Gives `path` these contents.
pub fn write(path: &Path, contents: &[u8]) -> Result<()> {
    base::write_whole(path, contents).map_err(|error| anyhow!("{}: could not write: {error}", path.display()))
}
