//! Checkpoints in several files, for places that give back only files up to a size.
//!
//! Beside `last.safetensors.parts`, a small index, lie the parts, whose names begin with the hash of the whole. A new set is
//! written beside the old one, then its index takes the old one's place, then the old parts go: killed at any time, there is
//! one whole checkpoint.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

#[derive(Serialize, Deserialize)]
struct Index {
    sha256: String,
    /// File names, in order.
    parts: Vec<String>,
}

/// Whether there is a checkpoint of that name, in one file or in parts.
pub fn exists(path: &Path) -> bool {
    path.is_file() || index_path(path).is_file()
}

/// Puts `whole` where the checkpoint `path` is to be: as it is, or in parts of at most `max_len` bytes if it is longer.
pub fn put_in_place(whole: &Path, path: &Path, max_len: Option<u64>) -> Result<()> {
    let len = fs::metadata(whole).with_context(|| format!("cannot read {}", whole.display()))?.len();
    let Some(max_len) = max_len.filter(|max_len| len > *max_len) else {
        base::put_in_place(whole, path).with_context(|| format!("cannot rename to {}", path.display()))?;
        return remove_parts(path, &[]);
    };
    let index =
        write_parts(whole, path, max_len).with_context(|| format!("cannot write the parts of {}", path.display()))?;
    // The index counts from here on.
    let _ = fs::remove_file(path);
    fs::remove_file(whole).with_context(|| format!("cannot remove {}", whole.display()))?;
    remove_parts(path, &index.parts)
}

fn write_parts(whole: &Path, path: &Path, max_len: u64) -> io::Result<Index> {
    let sha256 = base::sha256_file(whole)?.sha256;
    let mut rest = File::open(whole)?;
    let num_parts = rest.metadata()?.len().div_ceil(max_len.max(1));
    let mut parts = Vec::new();
    for i in 1..=num_parts {
        let mut part = OsString::from(path.file_name().unwrap_or_default());
        part.push(format!(".{}.{i}of{num_parts}", &sha256[..8]));
        base::write_whole_with(&path.with_file_name(&part), |file| {
            io::copy(&mut Read::by_ref(&mut rest).take(max_len), file).map(drop)
        })?;
        parts.push(part.to_string_lossy().into_owned());
    }
    let index = Index { sha256, parts };
    base::write_whole(&index_path(path), serde_json::to_vec(&index)?)?;
    Ok(index)
}

/// The checkpoint in one file: itself, or a temporary one.
///
/// # Errors
/// If a part is missing, or the parts do not belong together.
pub fn in_one_file(path: &Path) -> Result<(PathBuf, Option<NamedTempFile>)> {
    let index = index_path(path);
    if path.is_file() || !index.is_file() {
        return Ok((path.to_owned(), None));
    }
    let text = fs::read(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let known: Index =
        serde_json::from_slice(&text).with_context(|| format!("{}: no index of parts", index.display()))?;
    let mut whole = tempfile::Builder::new().suffix(".safetensors").tempfile()?;
    for name in &known.parts {
        let part = Path::new(name).file_name().map(|name| path.with_file_name(name));
        let part = part.with_context(|| format!("{}: expected names of files, got {name:?}", index.display()))?;
        let mut file = File::open(&part)
            .with_context(|| format!("cannot read {}, a part of {}", part.display(), path.display()))?;
        io::copy(&mut file, whole.as_file_mut())?;
    }
    whole.as_file_mut().flush()?;
    let sha256 = base::sha256_file(whole.path())?.sha256;
    ensure!(
        sha256 == known.sha256,
        "{}: expected parts that are {} together, got {sha256}: one of them is damaged or of another checkpoint",
        path.display(),
        known.sha256
    );
    Ok((whole.path().to_owned(), Some(whole)))
}

/// Removes a checkpoint, however it was written.
pub fn remove(path: &Path) -> Result<()> {
    if path.is_file() {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    remove_parts(path, &[])
}

/// Every checkpoint of a folder by the name of its one file.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", dir.display()))?.path();
        let is_of = |path: &Path, extension: &str| path.extension().is_some_and(|e| e == extension);
        if is_of(&path, "safetensors") {
            paths.push(path);
        } else if is_of(&path, "parts") {
            paths.push(path.with_extension(""));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Removes parts other than `kept`, and their index if none is kept.
fn remove_parts(path: &Path, kept: &[String]) -> Result<()> {
    let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default().to_string_lossy());
    if kept.is_empty() && index_path(path).is_file() {
        fs::remove_file(index_path(path)).with_context(|| format!("cannot remove {}", index_path(path).display()))?;
    }
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let file = entry?.path();
        let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_part = file_name.strip_prefix(&format!("{name}.")).is_some_and(is_part_of_a_checkpoint);
        if is_part && !kept.contains(&file_name) {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

/// `01234567.2of3`
fn is_part_of_a_checkpoint(ending: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    ending.split_once('.').is_some_and(|(hash, count)| {
        let is_hash = hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash && count.split_once("of").is_some_and(|(i, n)| is_number(i) && is_number(n))
    })
}

fn index_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".parts");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(dir: &Path, contents: &[u8], max_len: Option<u64>) {
        let whole = dir.join("new.part");
        fs::write(&whole, contents).unwrap();
        put_in_place(&whole, &dir.join("last.safetensors"), max_len).unwrap();
    }

    #[test]
    fn parts_together_are_the_whole_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last.safetensors");
        let read = || {
            let (file, _kept) = in_one_file(&path).unwrap();
            fs::read(file).unwrap()
        };
        put(dir.path(), b"whole", None);
        assert_eq!((names(dir.path()), read()), (vec!["last.safetensors".to_owned()], b"whole".to_vec()));
        for (contents, num_parts) in [(b"0123456789".as_slice(), 4), (b"abcdef".as_slice(), 2), (b"abcdefg", 3)] {
            put(dir.path(), contents, Some(3));
            assert!(exists(&path) && !path.exists());
            assert_eq!(read(), contents);
            assert_eq!(names(dir.path()).len(), num_parts + 1, "{:?}", names(dir.path()));
            assert_eq!(list(dir.path()).unwrap(), std::slice::from_ref(&path));
        }
        put(dir.path(), b"xyz", Some(3));
        assert_eq!((names(dir.path()), read()), (vec!["last.safetensors".to_owned()], b"xyz".to_vec()));
        remove(&path).unwrap();
        assert!(!exists(&path) && names(dir.path()).is_empty());
    }

    #[test]
    fn a_part_that_is_missing_or_of_another_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last.safetensors");
        put(dir.path(), b"0123456789", Some(4));
        let part = dir.path().join(&names(dir.path())[1]);
        fs::write(&part, b"4x67").unwrap();
        let error = format!("{:#}", in_one_file(&path).unwrap_err());
        assert!(error.contains("last.safetensors") && error.contains("damaged"), "{error}");
        fs::remove_file(&part).unwrap();
        let error = format!("{:#}", in_one_file(&path).unwrap_err());
        assert!(error.contains("2of3"), "{error}");
    }
}
