//! What to separate: files, folders with everything below them, the standard input.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::console;

/// Endings of files that are taken for songs within folders.
const EXTENSIONS: &[&str] = &[
    "wav", "wave", "w64", "rf64", "bwf", "aif", "aiff", "aifc", "flac", "ogg", "oga", "opus", "mp3", "mp2", "m4a",
    "m4b", "mp4", "aac", "alac", "caf", "wv", "wma", "webm", "mka", "mkv", "mov", "ape", "tta", "dsf", "ac3",
];

/// One song.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SongFile {
    /// `None` is the standard input.
    pub path: Option<PathBuf>,
    /// Where it lies below the folder that was named: kept in the output.
    pub folder: PathBuf,
}

impl SongFile {
    /// For messages.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard input".into(), |path| path.display().to_string())
    }

    /// The file's name, without its folder.
    pub fn file_name(&self) -> String {
        let name = self.path.as_ref().and_then(|path| path.file_name());
        name.map_or_else(|| "stdin".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Without its ending.
    pub fn stem(&self) -> String {
        let name = self.path.as_ref().and_then(|path| path.file_stem());
        name.map_or_else(|| "stdin".into(), |name| name.to_string_lossy().into_owned())
    }

    /// The ending alone.
    pub fn extension(&self) -> String {
        let extension = self.path.as_ref().and_then(|path| path.extension());
        extension.map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The songs that are meant by `inputs`; `out` is left out of folders, so that stems are not separated again.
pub fn find_songs(inputs: &[PathBuf], out: &Path) -> Result<Vec<SongFile>> {
    let out = out.canonicalize().ok();
    let mut songs = Vec::new();
    for input in inputs {
        if input.as_os_str() == "-" {
            songs.push(SongFile { path: None, folder: PathBuf::new() });
        } else if input.is_dir() {
            let num_before = songs.len();
            add_folder(input, input, out.as_deref(), &mut songs)?;
            if songs.len() == num_before {
                bail!("{}: no audio files in this folder or below it", input.display());
            }
        } else {
            if input.file_name().is_none() {
                bail!("{}: expected an audio file", input.display());
            }
            songs.push(SongFile { path: Some(input.clone()), folder: PathBuf::new() });
        }
    }
    if songs.iter().filter(|song| song.path.is_none()).count() > 1 {
        bail!("-: the standard input can only be read once");
    }
    Ok(songs)
}

fn add_folder(root: &Path, dir: &Path, out: Option<&Path>, songs: &mut Vec<SongFile>) -> Result<()> {
    let read_error = |error| anyhow!("{}: could not read the folder: {error}", dir.display());
    let mut paths = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if dir == root => return Err(read_error(error)),
        // One folder below that nobody may read does not keep the others from being done.
        Err(error) => {
            console::complain(format_args!("warning: {}", read_error(error)));
            return Ok(());
        }
    };
    for entry in entries {
        paths.push(entry.map_err(read_error)?.path());
    }
    paths.sort();
    for path in paths {
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link to a folder above would never end.
        let is_linked_dir = path.is_symlink() && path.is_dir();
        if is_hidden || is_linked_dir {
            continue;
        }
        if path.is_dir() {
            if out.is_none() || path.canonicalize().ok().as_deref() != out {
                add_folder(root, &path, out, songs)?;
            }
            continue;
        }
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        if extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
            let folder = dir.strip_prefix(root).unwrap_or(Path::new("")).to_path_buf();
            songs.push(SongFile { path: Some(path), folder });
        }
    }
    Ok(())
}
