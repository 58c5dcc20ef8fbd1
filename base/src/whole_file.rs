//! Files and folders that appear under their name complete or not at all, also after a power cut: written beside their
//! place, flushed to the disk, renamed.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use tempfile::Builder;

/// Replaces `path` by a file with these contents, in one step.
///
/// # Errors
/// As the file system has them; then `path` is what it was, and nothing is left beside it.
pub fn write_whole(path: &Path, contents: impl AsRef<[u8]>) -> io::Result<()> {
    write_whole_with(path, |file| file.write_all(contents.as_ref()))
}

/// Replaces `path` by what `write` writes, in one step.
///
/// # Errors
/// That of `write`, or as the file system has them; then `path` is what it was, and nothing is left beside it.
pub fn write_whole_with(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?);
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(".part");
    // tempfile makes private files; these are the user's own, and the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let part = builder.tempfile_in(folder_of(path))?;
    let (file, part) = part.into_parts();
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    // Windows renames no open file.
    drop(file);
    part.persist(path).map_err(|error| error.error)?;
    sync_folder_of(path)
}

/// Gives a file that was written under another name of the same folder its own, replacing what was there: flushes it,
/// renames it, and flushes the folder. For files that grow over a long time, as downloads and recordings;
/// [`write_whole`] does all of it.
///
/// # Errors
/// As the file system has them; then `part` is still there.
pub fn put_in_place(part: &Path, path: &Path) -> io::Result<()> {
    // Windows flushes only what is open for writing.
    File::options().read(true).write(true).open(part)?.sync_all()?;
    fs::rename(part, path)?;
    sync_folder_of(path)
}

/// The same for a folder: what was at `dir` is set aside, and removed only after `part` has taken its place. The files
/// in it should be flushed already, as [`write_whole`] leaves them.
///
/// # Errors
/// As the file system has them; then `dir` is what it was.
pub fn replace_dir(part: &Path, dir: &Path) -> io::Result<()> {
    let mut old = OsString::from(dir);
    old.push(".old");
    let old = PathBuf::from(old);
    remove_dir(&old)?;
    match fs::rename(dir, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Err(error) = fs::rename(part, dir) {
        // The first error is the one to tell.
        let _ = fs::rename(&old, dir);
        return Err(error);
    }
    sync_folder_of(dir)?;
    remove_dir(&old)
}

/// `path` with `.part` appended: where something that takes long to write lies until [`put_in_place`]. (Not
/// `with_extension`, by which `model.onnx` and `model.toml` would be one file.)
pub fn part_path(path: &Path) -> PathBuf {
    let mut part = OsString::from(path);
    part.push(".part");
    part.into()
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The new name is on the disk only when its folder is. Windows has no such call and needs none.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
        // Some network file systems flush no folders; the file is there all the same.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
        other => other?,
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
