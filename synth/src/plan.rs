//! Which songs are rendered: decided before the first one is, so that neither threads nor interruptions change it.

use crate::compose::Score;
use crate::midi::{Arrangement, Bank, MidiSong};
use crate::recorded::Library;
use crate::run::Options;
use crate::{seed, vocals};
use anyhow::{Context, Result, bail};
use rand::seq::SliceRandom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One song to be.
pub struct PlannedSong {
    /// Of its folder.
    pub name: String,
    /// Decides about everything in it.
    pub seed: u64,
    /// What must be the same for the same song to come out: seed, sources, and version of this program.
    pub digest: String,
    /// Length in s.
    pub seconds: f64,
    pub kind: Kind,
}

/// Where a song's notes come from.
pub enum Kind {
    Composed(Box<Score>),
    Midi(Arc<MidiSong>, Box<Arrangement>),
}

/// Raised whenever the same seed sounds different.
const VERSION: u32 = 2;

/// Plans songs until they last as long as asked for. MIDI files that cannot be read are told to `complain`.
pub fn plan(
    options: &Options,
    banks: &[Bank],
    recordings: &[vocals::Recording],
    library: &Library,
    complain: &mut dyn FnMut(String),
) -> Result<Vec<PlannedSong>> {
    let target_s = options.hours * 3600.0;
    let mut sources = format!("{VERSION} {} {}", options.seed, options.max_seconds).into_bytes();
    banks.iter().for_each(|bank| sources.extend(bank.sha256.bytes()));
    recordings.iter().for_each(|recording| sources.extend(recording.path.to_string_lossy().bytes()));
    if !library.is_empty() {
        sources.extend(library.digest());
    }
    let digest = |song_seed: u64, more: &str| {
        let of_song = [&sources, &song_seed.to_le_bytes()[..], more.as_bytes()].concat();
        base::sha256_bytes(&of_song)[..16].to_owned()
    };
    let files = if options.midi.is_empty() { Vec::new() } else { read_midi(&options.midi, complain)? };
    let mut planned: Vec<PlannedSong> = Vec::new();
    let mut total_s = 0.0;
    let mut order: Vec<usize> = Vec::new();
    while total_s < target_s {
        let song_idx = planned.len();
        let song_seed = seed::of_song(options.seed, song_idx);
        let song = if files.is_empty() {
            let drummers_tempo = library.groove(song_seed).map(|groove| groove.beats_per_minute);
            let score = Score::random(options.max_seconds, song_seed, drummers_tempo);
            let seconds = score.duration_s();
            let name = format!("composed-{song_idx:04}");
            let digest = digest(song_seed, "composed");
            PlannedSong { name, seed: song_seed, digest, seconds, kind: Kind::Composed(Box::new(score)) }
        } else {
            if order.is_empty() {
                order = (0..files.len()).collect();
                order.shuffle(&mut seed::rng(song_seed, "order"));
            }
            let file = &files[order.pop().unwrap_or(0)];
            let arrangement = Arrangement::random(file, options.max_seconds, song_seed);
            let stem = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = format!("midi-{song_idx:04}-{stem}");
            let (digest, seconds) = (digest(song_seed, &file.sha256), arrangement.duration_s());
            let kind = Kind::Midi(file.clone(), Box::new(arrangement));
            PlannedSong { name, seed: song_seed, digest, seconds, kind }
        };
        total_s += song.seconds;
        planned.push(song);
    }
    Ok(planned)
}

/// Reads every MIDI file below the folders, in order of path.
fn read_midi(dirs: &[PathBuf], complain: &mut dyn FnMut(String)) -> Result<Vec<Arc<MidiSong>>> {
    let mut paths = Vec::new();
    for dir in dirs {
        find_midi(dir, &mut paths).with_context(|| format!("--midi {}: could not read it", dir.display()))?;
    }
    paths.sort();
    let mut files = Vec::new();
    for path in &paths {
        match MidiSong::open(path) {
            // Jingles: with two seconds of dying away they would be mostly that.
            Ok(song) if song.duration_s < 5.0 => {}
            Ok(song) => files.push(Arc::new(song)),
            Err(error) => complain(format!("{error:#}; left out")),
        }
    }
    if files.is_empty() {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        bail!("--midi {}: expected .mid files that play for 5 s at least, found none", dirs.join(" "));
    }
    Ok(files)
}

/// MIDI files below `path`, in no order.
pub fn find_midi(path: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            find_midi(&entry?.path(), found)?;
        }
    } else if path.metadata()?.is_file()
        && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("mid") || e.eq_ignore_ascii_case("midi"))
    {
        found.push(path.into());
    }
    Ok(())
}
