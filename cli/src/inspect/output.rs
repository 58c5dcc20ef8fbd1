//! Files of results: written beside their names, then renamed.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

/// Says before long work whether `path` can be written after it.
pub fn check_writable(path: &Path) -> Result<()> {
    let part = part_of(path);
    if path.is_dir() {
        return Err(anyhow!("{}: expected a file to write, got a folder", path.display()));
    }
    std::fs::File::create(&part)
        .and_then(|_| std::fs::remove_file(&part))
        .map_err(|error| anyhow!("{}: could not write: {error}", path.display()))
}

/// Gives `path` these contents.
pub fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let part = part_of(path);
    std::fs::write(&part, contents)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| anyhow!("{}: could not write: {error}", path.display()))
}
