//! Which songs are trained on and which ones judge: the folders that were named, or the published split of MUSDB18, or
//! a few songs held back.

use crate::data::known::Known;
use crate::data::song_folder::SongFolder;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The validation songs of MUSDB18 and MUSDB18-HQ, as the `musdb` package 0.4.2 lists them (`configs/mus.yaml`).
const MUSDB_VALID: [&str; 14] = [
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
];
/// Without a split, one song in this many is held back.
const HELD_BACK: usize = 10;

/// A folder of songs, and how often they are drawn, all together, relative to other folders.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFolder {
    /// The folder.
    pub path: PathBuf,
    /// Its weight.
    pub weight: f64,
}

impl FromStr for DataFolder {
    type Err = String;

    /// `DIR` or `DIR=WEIGHT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, weight) = text.rsplit_once('=').unwrap_or((text, "1"));
        match weight.parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight > 0.0 => Ok(DataFolder { path: path.into(), weight }),
            _ => Err(format!("expected DIR or DIR=WEIGHT with a weight above 0, got the weight {weight:?}")),
        }
    }
}

/// Song folders of one data folder.
#[derive(Clone, Debug, PartialEq)]
pub struct SongList {
    /// The data folder and its weight.
    pub folder: DataFolder,
    /// Its song folders, by name.
    pub songs: Vec<PathBuf>,
}

impl SongList {
    /// The songs of a folder; of a data set's folder, those that judge.
    ///
    /// # Errors
    /// If there are none.
    pub fn to_judge(folder: &DataFolder) -> Result<SongList> {
        list(folder, "valid")
    }
}

/// What to train on and what to judge by.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Lists to train on.
    pub train: Vec<SongList>,
    /// Lists to judge by.
    pub valid: Vec<SongList>,
    /// How the songs to judge by were chosen, for people.
    pub reason: String,
}

impl Split {
    /// Songs in `valid`; if it is empty, MUSDB18's validation songs where `data` has them, else the folder `valid` beside
    /// or in a data folder, else one song in ten of those whose stems are all known. Songs that judge are not trained on.
    ///
    /// # Errors
    /// If a folder has no songs, or none would be left to judge by or to train on.
    pub fn new(data: &[DataFolder], valid: &[DataFolder]) -> Result<Split> {
        let mut train = data.iter().map(|folder| list(folder, "train")).collect::<Result<Vec<_>>>()?;
        let (valid, reason) = if valid.is_empty() {
            choose(&train)?
        } else {
            let lists = valid.iter().map(SongList::to_judge).collect::<Result<Vec<_>>>()?;
            (lists, "given with --valid".to_owned())
        };
        let judging: BTreeSet<PathBuf> = valid.iter().flat_map(|list| &list.songs).map(|song| real(song)).collect();
        for list in &mut train {
            list.songs.retain(|song| !judging.contains(&real(song)));
        }
        train.retain(|list| !list.songs.is_empty());
        if train.is_empty() {
            bail!("no song is left to train on: all of them judge ({reason})");
        }
        Ok(Split { train, valid, reason })
    }
}

/// The songs of a folder; of a data set's folder, those of its part `train` or `valid`.
fn list(folder: &DataFolder, part: &str) -> Result<SongList> {
    let root = &folder.path;
    let has_songs = |dir: &Path| SongFolder::find_all(dir).is_ok();
    let is_root = !has_songs(root) && has_songs(&root.join("train"));
    let mut songs = match () {
        () if is_root && part == "valid" && has_songs(&root.join("valid")) => {
            SongFolder::find_all(&root.join("valid"))?
        }
        () if is_root => SongFolder::find_all(&root.join("train"))?,
        () => SongFolder::find_all(root)?,
    };
    if part == "valid" && is_root && songs.iter().any(|song| is_musdb_valid(song)) {
        songs.retain(|song| is_musdb_valid(song));
    }
    Ok(SongList { folder: folder.clone(), songs })
}

fn choose(train: &[SongList]) -> Result<(Vec<SongList>, String)> {
    let lists = |songs_of: &dyn Fn(&SongList) -> Vec<PathBuf>| -> Vec<SongList> {
        let list = |list: &SongList| SongList { folder: list.folder.clone(), songs: songs_of(list) };
        train.iter().map(list).filter(|list| !list.songs.is_empty()).collect()
    };
    let musdb = lists(&|list| list.songs.iter().filter(|song| is_musdb_valid(song)).cloned().collect());
    if !musdb.is_empty() {
        return Ok((musdb, "the validation songs of MUSDB18".into()));
    }
    let beside = lists(&|list| {
        let root = &list.folder.path;
        let beside = if root.ends_with("train") { root.with_file_name("valid") } else { root.join("valid") };
        SongFolder::find_all(&beside).unwrap_or_default()
    });
    if !beside.is_empty() {
        return Ok((beside, "the folder `valid` of the data".into()));
    }
    let known = |song: &PathBuf| SongFolder::open(song).is_ok_and(|folder| folder.known == Known::All);
    let mut all: Vec<&PathBuf> = train.iter().flat_map(|list| &list.songs).filter(|song| known(song)).collect();
    all.sort();
    if all.len() < 2 {
        bail!("expected --valid DIR, as there are {} songs with all four stems, and one must be held back", all.len());
    }
    let held: BTreeSet<&PathBuf> = all.iter().copied().step_by(HELD_BACK).collect();
    let held_back = lists(&|list| list.songs.iter().filter(|song| held.contains(song)).cloned().collect());
    Ok((held_back, format!("one song in {HELD_BACK}, held back as no --valid was given")))
}

fn is_musdb_valid(song: &Path) -> bool {
    song.file_name().is_some_and(|name| MUSDB_VALID.contains(&name.to_string_lossy().as_ref()))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
