//! One song as a folder of stems.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{AudioError, StemReader};

/// The stems a song is made of, in the order used everywhere.
pub const STEM_NAMES: [&str; 4] = base::STEMS;

const EXTENSIONS: [&str; 3] = ["wav", "flac", "ogg"];

/// A folder with `vocals`, `drums`, `bass` and `other` as wav, flac or ogg.
///
/// A stem that the song does not have is declared in `song.json`, whose field `stems` lists those that it has; without
/// that field (or file) all four must be there. What is missing is never guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StemFolder {
    dir: PathBuf,
    /// In the order of [`STEM_NAMES`]; `None` is declared missing.
    files: [Option<PathBuf>; 4],
}

/// What is read of `song.json`; the rest is for people.
#[derive(Deserialize)]
struct SongJson {
    stems: Option<Vec<String>>,
}

impl StemFolder {
    /// Looks at the folder; opens no audio.
    ///
    /// # Errors
    /// A stem is neither there nor declared missing, or there twice, or there although declared missing; or `song.json`
    /// cannot be understood.
    pub fn open(dir: impl AsRef<Path>) -> Result<StemFolder, AudioError> {
        let dir = dir.as_ref();
        std::fs::read_dir(dir).map_err(AudioError::io(dir, "open the song's folder"))?;
        let declared = declared_stems(&dir.join("song.json"))?;
        let mut files = [const { None }; 4];
        for (file, stem) in files.iter_mut().zip(STEM_NAMES) {
            let is_declared = declared.as_ref().is_none_or(|names| names.iter().any(|name| name == stem));
            *file = find_stem(dir, stem, is_declared)?;
        }
        Ok(StemFolder { dir: dir.to_path_buf(), files })
    }

    /// The song folders in `data`, sorted by name: `data` itself if it holds stems or a `song.json`, else its
    /// sub-folders that do; if there are none, those of its sub-folder `test`, as in MUSDB18-HQ.
    ///
    /// # Errors
    /// There is no song at all, or the folder cannot be read.
    pub fn find_all(data: impl AsRef<Path>) -> Result<Vec<PathBuf>, AudioError> {
        let data = data.as_ref();
        if looks_like_song(data) {
            return Ok(vec![data.to_path_buf()]);
        }
        let songs_in = |data: &Path| -> Result<Vec<PathBuf>, AudioError> {
            let entries = std::fs::read_dir(data).map_err(AudioError::io(data, "open the folder of songs"))?;
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let mut dirs: Vec<PathBuf> = paths.filter(|path| looks_like_song(path)).collect();
            dirs.sort();
            Ok(dirs)
        };
        let mut dirs = songs_in(data)?;
        if dirs.is_empty() && data.join("test").is_dir() {
            dirs = songs_in(&data.join("test"))?;
        }
        if dirs.is_empty() {
            let reason = "expected song folders with vocals, drums, bass and other as wav, flac or ogg, but found none";
            return Err(AudioError::io(data, "find songs")(std::io::Error::other(reason)));
        }
        Ok(dirs)
    }

    /// All of [`find_all`](Self::find_all), opened.
    ///
    /// # Errors
    /// As [`StemFolder::open`]; also if there is no song at all.
    pub fn open_all(data: impl AsRef<Path>) -> Result<Vec<StemFolder>, AudioError> {
        StemFolder::find_all(data)?.iter().map(StemFolder::open).collect()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The song's name: that of the folder.
    pub fn name(&self) -> String {
        song_name(&self.dir)
    }

    /// The file of the stem at this index of [`STEM_NAMES`]; `None` if the song is declared not to have it.
    ///
    /// # Panics
    /// If `stem_idx` is 4 or more.
    pub fn file(&self, stem_idx: usize) -> Option<&Path> {
        self.files[stem_idx].as_deref()
    }

    /// The file of the stem of this name; `None` if the song is declared not to have it, or there is no such name.
    pub fn file_of(&self, stem: &str) -> Option<&Path> {
        let stem_idx = STEM_NAMES.iter().position(|name| *name == stem)?;
        self.file(stem_idx)
    }

    /// Opens all stems for reading in step.
    ///
    /// # Errors
    /// As [`StemReader::open`].
    pub fn reader(&self) -> Result<StemReader, AudioError> {
        StemReader::open(self)
    }
}

/// The name of the song in a folder: that of the folder.
pub fn song_name(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn looks_like_song(dir: &Path) -> bool {
    dir.join("song.json").is_file() || STEM_NAMES.iter().any(|stem| !candidates(dir, stem).is_empty())
}

fn candidates(dir: &Path, stem: &str) -> Vec<PathBuf> {
    EXTENSIONS.iter().map(|extension| dir.join(format!("{stem}.{extension}"))).filter(|path| path.is_file()).collect()
}

fn find_stem(dir: &Path, stem: &str, is_declared: bool) -> Result<Option<PathBuf>, AudioError> {
    let ambiguous =
        |problem: String| AudioError::AmbiguousStem { folder: dir.to_path_buf(), stem: stem.to_string(), problem };
    let mut found = candidates(dir, stem);
    match (found.len(), is_declared) {
        (1, true) => Ok(found.pop()),
        (0, false) => Ok(None),
        (0, true) => Err(AudioError::MissingStem { folder: dir.to_path_buf(), stem: stem.to_string() }),
        (_, false) => Err(ambiguous(format!(
            "{} is there, but \"stems\" of song.json does not list it; list it or remove the file",
            found[0].display()
        ))),
        (_, true) => Err(ambiguous(format!(
            "both {} and {} are there; remove one of them",
            found[0].display(),
            found[1].display()
        ))),
    }
}

/// The stems that `song.json` lists; `None` if there is no such file or field.
fn declared_stems(path: &Path) -> Result<Option<Vec<String>>, AudioError> {
    let problem =
        |problem: String| AudioError::SongJson { path: path.to_path_buf(), known: STEM_NAMES.join(", "), problem };
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(AudioError::io(path, "read"))?;
    let song: SongJson = serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
    if let Some(names) = &song.stems {
        if let Some(unknown) = names.iter().find(|name| !STEM_NAMES.contains(&name.as_str())) {
            return Err(problem(format!("\"{unknown}\" is not one of them")));
        }
        if names.is_empty() {
            return Err(problem("\"stems\" is empty".into()));
        }
    }
    Ok(song.stems)
}
