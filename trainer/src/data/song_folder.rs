//! Song folders on disk: which files hold which stems, and what is known apart.

use crate::data::known::Known;
use crate::data::songs::STEMS;
use anyhow::{Context, Result, bail};
use audio::StemFolder;
use std::path::{Path, PathBuf};

/// Names of the file that holds the published mix of a song whose vocals alone are known.
const MIX_NAMES: [&str; 2] = ["mix", "mixture"];
const EXTENSIONS: [&str; 3] = ["wav", "flac", "ogg"];

/// The files of one song.
pub struct SongFolder {
    /// Name of the folder.
    pub name: String,
    /// `[stem]` Files by stem. With [`Known::VocalsOnly`] the one in place of other holds the whole mix.
    pub files: [Option<PathBuf>; 4],
    /// How far the stems are known apart.
    pub known: Known,
}

impl SongFolder {
    /// Looks at a folder; opens no audio. A folder with `vocals` and `mix` (or `mixture`) and no other stem is a song
    /// of which only vocals are known; anything else is a [`StemFolder`].
    ///
    /// # Errors
    /// As [`StemFolder::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
        if let (Some(vocals), Some(mix)) = (find(dir, &["vocals"]), find(dir, &MIX_NAMES))
            && find(dir, &STEMS[1..]).is_none()
        {
            return Ok(SongFolder { name, files: [Some(vocals), None, None, Some(mix)], known: Known::VocalsOnly });
        }
        let folder = StemFolder::open(dir)?;
        let files: [Option<PathBuf>; 4] = std::array::from_fn(|i| folder.file(i).map(Path::to_path_buf));
        let known = if files[2].is_some() { Known::All } else { Known::BassInOther };
        Ok(SongFolder { name: folder.name(), files, known })
    }

    /// The song folders of `data`, sorted by name: `data` itself if it holds a song, else its sub-folders that do.
    ///
    /// # Errors
    /// If the folder cannot be listed, or holds no song.
    pub fn find_all(data: &Path) -> Result<Vec<PathBuf>> {
        if is_song(data) {
            return Ok(vec![data.to_path_buf()]);
        }
        let entries =
            std::fs::read_dir(data).with_context(|| format!("cannot list the songs in {}", data.display()))?;
        let mut dirs: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| is_song(p)).collect();
        dirs.sort();
        if dirs.is_empty() {
            bail!(
                "{}: expected song folders with vocals, drums, bass and other (or vocals and mix) as wav, flac or ogg, \
                 but found none",
                data.display()
            );
        }
        Ok(dirs)
    }
}

fn is_song(dir: &Path) -> bool {
    dir.join("song.json").is_file() || find(dir, &STEMS).is_some()
}

/// The first file of one of these names.
fn find(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    let files = |name: &&str| EXTENSIONS.map(|extension| dir.join(format!("{name}.{extension}")));
    names.iter().flat_map(files).find(|path| path.is_file())
}
