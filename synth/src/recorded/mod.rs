//! Drums and bass of recordings: kits of hits, loops, and notes of bass guitars, played by whoever composed the song.

mod amp;
mod bass;
mod drum;
mod groove;
mod kit;
mod level;
mod loops;
mod resample;
mod sample_kit;

pub use bass::BassSet;
pub use drum::{Drum, Stroke};
pub use groove::Groove;
pub use kit::{KitFolder, Source};
pub use loops::Loop;
pub use sample_kit::SampleKit;

use crate::seed;
use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::seq::IndexedRandom;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything recorded that a run may play, and how often it does.
#[derive(Default)]
pub struct Library {
    /// Folders of hits.
    pub kits: Vec<KitFolder>,
    /// Drum loops found among them.
    pub loops: Vec<Loop>,
    /// Folders of bass notes.
    pub basses: Vec<BassSet>,
    /// Performances of drummers.
    pub grooves: Vec<Groove>,
    /// How often drums come from `kits`, and bass from `basses`, 0..=1.
    pub recorded_share: f64,
    /// How often composed songs have drums from `grooves`, 0..=1.
    pub groove_share: f64,
}

/// What of a [`Library`] one song is played on.
#[derive(Default)]
pub struct Band<'a> {
    /// The drums; `None`: as without a library.
    pub kit: Option<SampleKit>,
    /// Plays instead of the kit where drums are at full.
    pub drum_loop: Option<&'a Loop>,
    /// The bass; `None`: as without a library.
    pub bass: Option<&'a BassSet>,
    /// The drummer of a composed song; `None`: composed patterns.
    pub groove: Option<&'a Groove>,
    /// What ends sections, where there is a drummer.
    pub fills: Vec<&'a Groove>,
}

impl Library {
    /// Whether nothing of it will ever be heard.
    pub fn is_empty(&self) -> bool {
        self.kits.is_empty() && self.loops.is_empty() && self.basses.is_empty() && self.grooves.is_empty()
    }

    /// Paths and sizes of all files, and the shares: another library makes other songs.
    pub fn digest(&self) -> [u8; 32] {
        let mut facts = format!("{} {}", self.recorded_share, self.groove_share);
        let hits = self.kits.iter().flat_map(KitFolder::files);
        let notes = self.basses.iter().flat_map(BassSet::files);
        let others = self.loops.iter().map(|l| l.path.as_path()).chain(self.grooves.iter().map(|g| g.path.as_path()));
        for path in hits.chain(notes).chain(others) {
            let len = fs::metadata(path).map_or(0, |metadata| metadata.len());
            facts += &format!("{} {len}\n", path.display());
        }
        base::sha256_digest(facts.as_bytes())
    }

    /// Draws who plays a song. Whether drums and bass are recorded is decided apart from each other.
    ///
    /// # Errors
    /// A hit cannot be read.
    pub fn band(&self, song_seed: u64, is_composed: bool, rate: f64) -> Result<Band<'_>> {
        let mut rng = seed::rng(song_seed, "recorded/band");
        let [has_kit, has_bass, has_loop] =
            [self.recorded_share, self.recorded_share, 0.1].map(|share| rng.random_bool(share.clamp(0.0, 1.0)));
        let kit = if has_kit && !self.kits.is_empty() {
            Some(SampleKit::random(&self.kits, &mut seed::rng(song_seed, "recorded/kit"), rate)?)
        } else {
            None
        };
        let mut rng = seed::rng(song_seed, "recorded/choice");
        let bass = self.basses.choose(&mut rng).filter(|_| has_bass);
        let groove = is_composed.then(|| self.groove(song_seed)).flatten();
        let drum_loop =
            self.loops.choose(&mut rng).filter(|_| is_composed && has_loop && kit.is_some() && groove.is_none());
        let fills = groove.map(|groove| self.fills(groove)).unwrap_or_default();
        Ok(Band { kit, drum_loop, bass, groove, fills })
    }

    /// The performance that a composed song has its drums from, and so its tempo; cheap.
    pub fn groove(&self, song_seed: u64) -> Option<&Groove> {
        let mut rng = seed::rng(song_seed, "recorded/groove");
        let is_played = rng.random_bool(self.groove_share.clamp(0.0, 1.0));
        let beats: Vec<&Groove> = self.grooves.iter().filter(|groove| !groove.is_fill()).collect();
        beats.choose(&mut rng).copied().filter(|_| is_played)
    }

    /// Fills at a tempo near that of `groove`, the nearest first.
    fn fills(&self, groove: &Groove) -> Vec<&Groove> {
        let mut fills: Vec<&Groove> = self.grooves.iter().filter(|fill| fill.is_fill()).collect();
        let distance = |fill: &&Groove| {
            let factor = fill.beats_per_minute / groove.beats_per_minute;
            // Fills of the same style are nearer than any other.
            let style = if fill.style == groove.style { 0.0 } else { 10.0 };
            ((style + factor.ln().abs()) * 1e6) as i64
        };
        fills.sort_by_key(distance);
        fills.truncate(12);
        fills
    }
}

/// Sub-folders in order of name; `dir` itself where it is what is looked for.
fn folders(dir: &Path, option: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("{option} {}: could not read it", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths.insert(0, dir.into());
    Ok(paths)
}

/// Sound files directly in `dir`, in order of name.
fn sounds(dir: &Path) -> Vec<PathBuf> {
    let is_sound = |path: &PathBuf| path.extension().is_some_and(|e| ["wav", "flac", "ogg"].iter().any(|k| e == *k));
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).filter(is_sound).collect();
    paths.sort();
    paths
}

/// Opens the folders of the options.
///
/// # Errors
/// A folder cannot be read, or has nothing of what it is given for.
pub fn open(kit_dirs: &[PathBuf], bass_dirs: &[PathBuf], groove_dirs: &[PathBuf]) -> Result<Library> {
    let mut library = Library::default();
    for dir in kit_dirs {
        let num_before = library.kits.len() + library.loops.len();
        for path in folders(dir, "--kits")? {
            library.kits.extend(KitFolder::open(&path));
            library.loops.extend(Loop::find(&path));
        }
        ensure!(
            library.kits.len() + library.loops.len() > num_before,
            "--kits {}: expected folders kick, snare, hat, ... with sound files, in it or one level below, found none",
            dir.display()
        );
    }
    for dir in bass_dirs {
        let num_before = library.basses.len();
        for path in folders(dir, "--bass")? {
            library.basses.extend(BassSet::open(&path));
        }
        ensure!(
            library.basses.len() > num_before,
            "--bass {}: expected sound files named <MIDI note>_<velocity>, in it or one level below, found none",
            dir.display()
        );
    }
    for dir in groove_dirs {
        library.grooves.extend(groove::open_all(dir)?);
    }
    if !library.kits.is_empty() {
        for drum in [Drum::Kick, Drum::Snare, Drum::Closed] {
            let has = library.kits.iter().any(|kit| kit.has(drum));
            ensure!(has, "--kits: expected a {drum:?} in at least one of the kits, found none");
        }
    }
    Ok(library)
}

impl Band<'_> {
    /// Where its sounds come from, each once.
    pub fn sources(&self) -> Vec<Source> {
        let mut sources = self.kit.as_ref().map(|kit| kit.sources.clone()).unwrap_or_default();
        sources.extend(self.drum_loop.map(|drum_loop| drum_loop.source.clone()));
        sources.extend(self.bass.map(|bass| bass.source.clone()));
        sources.extend(self.groove.map(|groove| Source::of(groove.path.parent().unwrap_or(&groove.path))));
        sources
    }
}
