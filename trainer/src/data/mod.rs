//! The data of a run: which songs train, which judge, and how they are opened.

mod decode;
mod known;
mod song_folder;
mod songs;
mod split;
mod stem;
#[cfg(test)]
mod tests;

pub use known::{DrawnStems, Known, Shares};
pub use songs::{BASS, DRUMS, OTHER, SAMPLE_RATE_HZ, SILENCE, STEMS, Song, WholeSong};
pub use split::DataFolder;
pub use stem::Stem;

use anyhow::{Result, bail};
use decode::Decoder;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use songs::Songs;
use split::{SongList, Split};
use std::path::{Path, PathBuf};

/// Where the songs are.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct DataConfig {
    /// Folder of songs to train on, DIR or DIR=WEIGHT (may be given several times); of MUSDB18-HQ, the folder that holds
    /// train and test
    #[arg(long, required = true, value_name = "DIR[=WEIGHT]")]
    pub data: Vec<DataFolder>,
    /// Folder of songs to judge by after every epoch (may be given several times) [default: MUSDB18's 14 validation
    /// songs, or the folder valid of the data, or one song in ten]
    #[arg(long, value_name = "DIR")]
    pub valid: Vec<DataFolder>,
    /// Memory for songs that have to be decoded; what is over goes to the disk (wav files are read in place and need none)
    #[arg(long, default_value_t = 4.0, value_name = "GB")]
    pub memory_gb: f64,
    /// Folder for decoded songs that do not fit into memory; they are found again at the next start
    /// [default: OUT/decoded]
    #[arg(long, value_name = "DIR")]
    pub decoded: Option<PathBuf>,
}

/// Songs in use and songs that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataCounts {
    /// Songs to train on.
    pub num_train: usize,
    /// Minutes of them.
    pub train_min: f64,
    /// Songs that judge.
    pub valid: Vec<String>,
    /// How they were chosen.
    pub valid_reason: String,
    /// Songs that could not be read, with the reason.
    pub left_out: Vec<String>,
    /// Songs with stems that end early, and how early.
    #[serde(default)]
    pub filled_up: Vec<String>,
}

/// Songs to train on, songs that judge, and their number.
pub struct Data {
    /// To train on.
    pub train: Vec<Song>,
    /// To judge by.
    pub valid: Vec<Song>,
    /// Numbers for the report.
    pub counts: DataCounts,
}

impl Data {
    /// Opens all songs, and says on standard error what was found.
    ///
    /// # Errors
    /// If there is nothing to train on or to judge by, or all songs of a folder are bad.
    pub fn open(config: &DataConfig, out: &Path) -> Result<Data> {
        let split = Split::new(&config.data, &config.valid)?;
        let num_songs: usize = split.train.iter().chain(&split.valid).map(|list| list.songs.len()).sum();
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} songs opened, {eta} left: {msg}")?;
        let bar = ProgressBar::new(num_songs as u64).with_style(style);
        let max_bytes = (config.memory_gb.max(0.0) * 1e9) as u64;
        let decoded = config.decoded.clone().unwrap_or_else(|| out.join("decoded"));
        let decoder = Decoder::new(SAMPLE_RATE_HZ, max_bytes, decoded);
        let open = |lists| {
            songs::open(lists, &decoder, |name| {
                bar.set_message(name.to_owned());
                bar.inc(1);
            })
        };
        let (train, valid) = (open(&split.train)?, open(&split.valid)?);
        bar.finish_and_clear();
        let Songs { songs: train, mut left_out } = train;
        left_out.extend(valid.left_out);
        if train.iter().all(|song| song.stems[OTHER].is_none()) {
            bail!("none of the {} songs to train on has a stem other (or a mix beside vocals)", train.len());
        }
        let counts = DataCounts {
            num_train: train.len(),
            train_min: train.iter().map(|song| song.num_samples).sum::<usize>() as f64 / 44_100.0 / 60.0,
            valid: valid.songs.iter().map(|song| song.name.clone()).collect(),
            valid_reason: split.reason,
            left_out,
            filled_up: train.iter().chain(&valid.songs).filter_map(Song::shorter_stems).collect(),
        };
        counts.tell(&train);
        Ok(Data { train, valid: valid.songs, counts })
    }
}

impl Data {
    /// Opens songs that only judge.
    ///
    /// # Errors
    /// If a song cannot be read: what it would have scored is not left out of a manifest in silence.
    pub fn open_to_judge(folders: &[DataFolder]) -> Result<Vec<Song>> {
        let folder = std::env::temp_dir().join("unbraid-decoded");
        let decoder = Decoder::new(SAMPLE_RATE_HZ, u64::MAX, folder);
        let lists = folders.iter().map(SongList::to_judge).collect::<Result<Vec<_>>>()?;
        let Songs { songs, left_out } = songs::open(&lists, &decoder, |_| ())?;
        if let Some(reason) = left_out.first() {
            bail!("{reason}");
        }
        Ok(songs)
    }
}

impl DataCounts {
    fn tell(&self, train: &[Song]) {
        let of_kind = |known: Known| {
            let num_songs = train.iter().filter(|song| song.known == known).count();
            format!("{num_songs} {}", known.name())
        };
        let kinds = Known::EACH.map(of_kind).join(", ");
        eprintln!("{} songs ({:.0} min; {kinds}) to train on", self.num_train, self.train_min);
        eprintln!("{} to judge by ({}): {}", self.valid.len(), self.valid_reason, self.valid.join(", "));
        self.filled_up.iter().for_each(|song| eprintln!("{song}"));
        self.tell_left_out();
    }

    /// Names the songs that were left out, if there are any.
    pub fn tell_left_out(&self) {
        for song in &self.left_out {
            eprintln!("left out: {song}");
        }
        if !self.left_out.is_empty() {
            eprintln!("{} songs left out, as they cannot be read", self.left_out.len());
        }
    }
}
