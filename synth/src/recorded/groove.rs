//! Performances of drummers: MIDI files of drums alone, as bars that songs are built of.

use super::{Drum, Stroke};
use crate::midi::{MidiSong, PERCUSSION};
use crate::plan::find_midi;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// A performance in bars of four beats.
pub struct Groove {
    /// The file.
    pub path: PathBuf,
    /// What its name says of it: of `drummer1_session2_106_funk-rock_92_fill_4-4` the words; songs take fills of the same style.
    pub style: String,
    /// At which it was played.
    pub beats_per_minute: f64,
    /// `[bar]` strokes, with times in beats from the bar's start.
    pub bars: Vec<Vec<Stroke>>,
}

/// Performances of fewer bars are fills.
const FEWEST_BARS: usize = 4;

impl Groove {
    /// A performance that is too short to accompany a song.
    pub fn is_fill(&self) -> bool {
        self.bars.len() < FEWEST_BARS
    }

    /// Cuts a MIDI song into bars; `None` where it is not in four quarters, or hardly anybody drums.
    pub fn of(song: &MidiSong) -> Option<Groove> {
        let is_in_four = song.time_signature.is_none_or(|signature| signature == (4, 4));
        let beats_per_s = song.beats_per_minute / 60.0;
        let drums: Vec<_> = song.notes.iter().filter(|note| note.channel == PERCUSSION).collect();
        // The last bar counts where it is at least half there.
        let num_bars = (song.duration_s * beats_per_s / 4.0).round() as usize;
        if !is_in_four || drums.len() != song.notes.len() || drums.len() < 4 || num_bars == 0 {
            return None;
        }
        let mut bars = vec![Vec::new(); num_bars];
        for note in drums {
            let beat = note.note.start_s * beats_per_s;
            // A stroke just before the bar line is meant for the one behind it.
            let bar = ((beat + 0.1) / 4.0).floor();
            if let Some(strokes) = bars.get_mut(bar as usize) {
                let drum = Drum::of_note(note.channel, note.note.key as u8);
                strokes.push(Stroke { time_s: beat - 4.0 * bar, drum, velocity: note.note.velocity });
            }
        }
        let name = song.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let style = name.split(['_', '-']).filter(|word| word.chars().all(char::is_alphabetic));
        let style = style.filter(|word| !["beat", "fill"].contains(word)).collect::<Vec<_>>().join("-");
        Some(Groove { path: song.path.clone(), style, beats_per_minute: song.beats_per_minute, bars })
    }

    /// The sixteenths of a bar, 0..16, on which the kick falls most often: what a bass line follows.
    pub fn kick_steps(&self) -> Vec<usize> {
        let mut counts = [0usize; 16];
        for stroke in self.bars.iter().flatten().filter(|stroke| stroke.drum == Drum::Kick) {
            counts[(4.0 * stroke.time_s).round().clamp(0.0, 15.0) as usize] += 1;
        }
        (0..16).filter(|step| 3 * counts[*step] >= self.bars.len()).collect()
    }
}

/// Every performance below `dir`, in order of path.
pub fn open_all(dir: &Path) -> Result<Vec<Groove>> {
    let mut paths = Vec::new();
    find_midi(dir, &mut paths).with_context(|| format!("--groove {}: could not read it", dir.display()))?;
    paths.sort();
    let grooves: Vec<Groove> = paths.iter().filter_map(|path| Groove::of(&MidiSong::open(path).ok()?)).collect();
    let num_beats = grooves.iter().filter(|groove| !groove.is_fill()).count();
    ensure!(
        num_beats > 0,
        "--groove {}: expected MIDI files of drums alone, in 4/4, of {FEWEST_BARS} bars at least, found none of {}",
        dir.display(),
        paths.len()
    );
    Ok(grooves)
}
