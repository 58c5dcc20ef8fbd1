//! Folders of stems in memory.

use crate::song_folder::SongFolder;
use crate::stems::Known;
use anyhow::{Result, bail};
use std::{path::PathBuf, str::FromStr};

/// Order of the stems in everything that the trainer makes.
pub const STEMS: [&str; 4] = ["vocals", "drums", "bass", "other"];
/// Index of drums in [`STEMS`].
pub const DRUMS: usize = 1;
/// Index of bass in [`STEMS`].
pub const BASS: usize = 2;
/// Index of other in [`STEMS`].
pub const OTHER: usize = 3;

/// Stems quieter than this (mean square) count as silent: -60 dB.
pub const SILENCE: f64 = 1e-6;

/// The stems of one song, in memory.
pub struct Song {
    /// Name of its folder.
    pub name: String,
    /// `[stem]`, then `[sample][channel]`; `None` where the song declares that the stem is missing. With
    /// [`Known::VocalsOnly`] other holds all of the mix that is not vocals.
    pub stems: [Option<Vec<[f32; 2]>>; 4],
    /// How far the stems are known apart.
    pub known: Known,
    /// Samples of every stem.
    pub num_samples: usize,
    /// Share of the song's seconds in which its bass stem sounds.
    pub bass_activity: f64,
    /// How often it is drawn, relative to others.
    pub weight: f64,
}

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

/// Reads every song folder below the folders, in order of name. `progress` hears each song's name. A song that cannot be
/// read is named on standard error and left out.
///
/// # Errors
/// If a folder has no songs at all, or none that can be read.
pub fn load(folders: &[DataFolder], sample_rate_hz: u32, mut progress: impl FnMut(&str)) -> Result<Vec<Song>> {
    let mut songs = Vec::new();
    for DataFolder { path, weight } in folders {
        let dirs = SongFolder::find_all(path)?;
        let first = songs.len();
        for dir in &dirs {
            match SongFolder::open(dir).and_then(|folder| load_song(&folder, sample_rate_hz)) {
                Ok(song) => songs.push(song),
                Err(error) => eprintln!("left out: {}: {error:#}", dir.display()),
            }
            progress(&dir.file_name().unwrap_or_default().to_string_lossy());
        }
        let num_songs = songs.len() - first;
        if num_songs < dirs.len() {
            eprintln!("{}: {} of {} songs left out", path.display(), dirs.len() - num_songs, dirs.len());
        }
        if num_songs == 0 {
            bail!("{}: none of its {} songs can be read", path.display(), dirs.len());
        }
        songs[first..].iter_mut().for_each(|song| song.weight = weight / num_songs as f64);
    }
    Ok(songs)
}

fn load_song(folder: &SongFolder, sample_rate_hz: u32) -> Result<Song> {
    let mut stems: [Option<Vec<[f32; 2]>>; 4] = Default::default();
    for (stem, path) in stems.iter_mut().zip(&folder.files) {
        let Some(path) = path else { continue };
        let sound = audio::read_all(path)?;
        if sound.sample_rate_hz != sample_rate_hz {
            bail!("{}: expected {sample_rate_hz} Hz, got {} Hz", path.display(), sound.sample_rate_hz);
        }
        let [left, right] = &sound.samples;
        *stem = Some(left.iter().zip(right).map(|(l, r)| [*l, *r]).collect());
    }
    let num_samples = stems.iter().flatten().map(Vec::len).max().unwrap_or(0);
    for stem in stems.iter_mut().flatten() {
        stem.resize(num_samples, [0.0; 2]); // encoders round lengths up to their blocks
    }
    if folder.known == Known::VocalsOnly
        && let [Some(vocals), _, _, Some(mix)] = &mut stems
    {
        for (mix, vocals) in mix.iter_mut().zip(vocals) {
            *mix = [mix[0] - vocals[0], mix[1] - vocals[1]];
        }
    }
    let second = sample_rate_hz as usize;
    let num_seconds = num_samples / second;
    let bass_activity = stems[BASS].as_ref().map_or(0.0, |bass| {
        let active = (0..num_seconds).filter(|s| power(bass, s * second, second) > SILENCE).count();
        active as f64 / num_seconds.max(1) as f64
    });
    Ok(Song { name: folder.name.clone(), stems, known: folder.known, num_samples, bass_activity, weight: 1.0 })
}

/// Reads `num_samples` from `position`, the first at a fraction of a sample, at `speed` times the original pitch and
/// tempo (third-order Hermite interpolation), times `gain`, channels swapped if asked; zeros outside.
pub fn read_chunk(stem: &[[f32; 2]], position: f64, speed: f64, gain: f32, swap: bool, out: &mut [Vec<f32>; 2]) {
    let at = |i: i64| -> [f32; 2] { usize::try_from(i).ok().and_then(|i| stem.get(i)).copied().unwrap_or([0.0; 2]) };
    let [left, right] = out;
    for (n, (l, r)) in left.iter_mut().zip(right.iter_mut()).enumerate() {
        let exact = position + n as f64 * speed;
        let floor = exact.floor();
        let (i, t) = (floor as i64, (exact - floor) as f32);
        let mut value = [0.0; 2];
        if speed == 1.0 && t == 0.0 {
            value = at(i);
        } else {
            let (a, b, c, d) = (at(i - 1), at(i), at(i + 1), at(i + 2));
            for (channel, value) in value.iter_mut().enumerate() {
                let (a, b, c, d) = (a[channel], b[channel], c[channel], d[channel]);
                let (c1, c2) = (0.5 * (c - a), a - 2.5 * b + 2.0 * c - 0.5 * d);
                let c3 = 0.5 * (d - a) + 1.5 * (b - c);
                *value = ((c3 * t + c2) * t + c1) * t + b;
            }
        }
        if swap {
            value.swap(0, 1);
        }
        *l = gain * value[0];
        *r = gain * value[1];
    }
}

/// Mean square of a stretch of a stem.
pub fn power(stem: &[[f32; 2]], from: usize, num_samples: usize) -> f64 {
    let end = (from + num_samples).min(stem.len());
    let stretch = &stem[from.min(end)..end];
    // A value in 16 is enough to tell sound from silence.
    let sum: f64 = stretch.iter().step_by(16).map(|[l, r]| (l * l + r * r) as f64).sum();
    16.0 * sum / num_samples.max(1) as f64
}
