//! The songs that a run draws from.

use crate::data::decode::Decoder;
use crate::data::known::Known;
use crate::data::song_folder::SongFolder;
use crate::data::split::SongList;
use crate::data::stem::Stem;
use anyhow::{Result, bail};
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

pub use base::STEMS;
/// Index of vocals in [`STEMS`].
pub const VOCALS: usize = 0;
/// Index of drums in [`STEMS`].
pub const DRUMS: usize = 1;
/// Index of bass in [`STEMS`].
pub const BASS: usize = 2;
/// Index of other in [`STEMS`].
pub const OTHER: usize = 3;

/// Samples per second of everything that the trainer reads.
pub const SAMPLE_RATE_HZ: u32 = 44_100;
/// Stems quieter than this (mean square) count as silent: -60 dB.
pub const SILENCE: f64 = 1e-6;

/// The stems of one song.
pub struct Song {
    /// Name of its folder.
    pub name: String,
    /// `[stem]`; `None` where the song declares that the stem is missing. With [`Known::VocalsOnly`] other holds all of
    /// the mix that is not vocals.
    pub stems: [Option<Arc<Stem>>; 4],
    /// How far the stems are known apart.
    pub known: Known,
    /// Samples of the longest stem.
    pub num_samples: usize,
    /// Share of the song's seconds in which its bass stem sounds.
    pub bass_activity: f64,
    /// How often it is drawn, relative to others.
    pub weight: f64,
}

/// A song with all its samples in memory, to be separated and judged.
pub struct WholeSong {
    /// `[stem]`, then `[sample][channel]`, all of one length; as in [`Song::stems`].
    pub stems: [Option<Vec<[f32; 2]>>; 4],
    /// How far the stems are known apart.
    pub known: Known,
    /// Samples of every stem.
    pub num_samples: usize,
}

impl Song {
    /// Names the stems that end more than a second before the others, if there are any: [`Stem::read`] gives silence
    /// after their end. (Encoders round lengths up to their blocks, so a little is nothing to tell of.)
    pub fn shorter_stems(&self) -> Option<String> {
        let missing_s = |stem: &Stem| (self.num_samples - stem.num_samples()) as f64 / f64::from(SAMPLE_RATE_HZ);
        let shorter = STEMS.iter().zip(&self.stems).filter_map(|(name, stem)| {
            let missing_s = missing_s(stem.as_ref()?);
            (missing_s > 1.0).then(|| format!("{name} ends {missing_s:.1} s before the song"))
        });
        let shorter: Vec<String> = shorter.collect();
        (!shorter.is_empty()).then(|| format!("{}: {}; silence takes its place", self.name, shorter.join(", ")))
    }

    /// All of its samples; stems that end before the others go on with silence.
    ///
    /// # Errors
    /// If a file cannot be read any more.
    pub fn whole(&self) -> Result<WholeSong> {
        let mut stems: [Option<Vec<[f32; 2]>>; 4] = Default::default();
        for (whole, stem) in stems.iter_mut().zip(&self.stems) {
            let Some(stem) = stem else { continue };
            let mut samples = vec![[0.0; 2]; self.num_samples];
            stem.read(0, &mut samples)?;
            *whole = Some(samples);
        }
        Ok(WholeSong { stems, known: self.known, num_samples: self.num_samples })
    }
}

/// Songs, and how many had to be left out.
pub struct Songs {
    /// In the order of the lists.
    pub songs: Vec<Song>,
    /// Songs that could not be read, with the reason.
    pub left_out: Vec<String>,
}

/// Opens every song of the lists, on all cores. `progress` hears each song's name. A song that cannot be read is left
/// out and told of in the result.
///
/// # Errors
/// If none of a list's songs can be read.
pub fn open(lists: &[SongList], decoder: &Decoder, progress: impl Fn(&str) + Sync) -> Result<Songs> {
    let mut all = Songs { songs: Vec::new(), left_out: Vec::new() };
    for SongList { folder, songs: dirs } in lists {
        let read = |dir: &PathBuf| {
            let song = SongFolder::open(dir).and_then(|folder| open_song(&folder, decoder));
            progress(&dir.file_name().unwrap_or_default().to_string_lossy());
            song
        };
        let songs: Vec<Result<Song>> = dirs.par_iter().map(read).collect();
        let num_good = songs.iter().filter(|song| song.is_ok()).count();
        for (song, dir) in songs.into_iter().zip(dirs) {
            match song {
                Ok(song) => all.songs.push(Song { weight: folder.weight / num_good as f64, ..song }),
                Err(error) => all.left_out.push(format!("{}: {error:#}", dir.display())),
            }
        }
        if num_good == 0 {
            let reasons = all.left_out.join("\n  ");
            bail!("{}: none of its {} songs can be read:\n  {reasons}", folder.path.display(), dirs.len());
        }
    }
    Ok(all)
}

fn open_song(folder: &SongFolder, decoder: &Decoder) -> Result<Song> {
    let mut stems: [Option<Arc<Stem>>; 4] = Default::default();
    for (stem_idx, path) in folder.files.iter().enumerate() {
        let Some(path) = path else { continue };
        let mut stem = decoder.open(path)?;
        if stem_idx == OTHER && folder.known == Known::VocalsOnly {
            let vocals = stems[VOCALS].clone().expect("such a folder has vocals");
            stem = Stem::rest(stem, vocals);
        }
        stems[stem_idx] = Some(Arc::new(stem));
    }
    let num_samples = stems.iter().flatten().map(|stem| stem.num_samples()).max().unwrap_or(0);
    let second = SAMPLE_RATE_HZ as usize;
    let num_seconds = num_samples / second;
    let mut num_active = 0;
    if let Some(bass) = &stems[BASS] {
        for s in 0..num_seconds {
            num_active += usize::from(bass.power(s * second, second)? > SILENCE);
        }
    }
    let bass_activity = num_active as f64 / num_seconds.max(1) as f64;
    Ok(Song { name: folder.name.clone(), stems, known: folder.known, num_samples, bass_activity, weight: 1.0 })
}
