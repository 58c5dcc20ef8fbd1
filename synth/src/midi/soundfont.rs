//! SoundFonts: where Debian puts them, and how they are opened.

use crate::patch::Note;
use crate::raw_song::SAMPLE_RATE_HZ;
use crate::tone::{Stereo, silence};
use anyhow::{Context, Result, bail};
use rustysynth::{SoundFont, SoundFontError, Synthesizer, SynthesizerSettings};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Debian packages that bring an uncompressed SoundFont.
pub const PACKAGES: &str =
    "apt-get install fluid-soundfont-gm timgm6mb-soundfont opl3-soundfont musescore-general-soundfont-lossless";

/// Where they put it.
const DIRS: [&str; 2] = ["/usr/share/sounds/sf2", "/usr/share/sounds/sf3"];

/// A SoundFont in memory.
pub struct Bank {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Shared by all threads.
    pub sounds: Arc<SoundFont>,
}

impl Bank {
    /// Reads an sf2 file.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is an sf3 file, whose samples are compressed.
    pub fn open(path: &Path) -> Result<Bank> {
        let file = File::open(path).with_context(|| format!("SoundFont {}: could not open it", path.display()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let sounds = match SoundFont::new(&mut reader) {
            Ok(sounds) => sounds,
            Err(SoundFontError::UnsupportedSampleFormat) => bail!(
                "SoundFont {}: expected an sf2 file, found sf3, whose samples are compressed (Ogg), which cannot be \
                 read yet; `sf3convert -z IN.sf3 OUT.sf2` (Debian package sf3convert) unpacks it",
                path.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("SoundFont {}: expected a sound sf2 file", path.display()));
            }
        };
        let hash =
            base::sha256_file(path).with_context(|| format!("SoundFont {}: could not read it", path.display()))?;
        Ok(Bank { path: path.into(), sha256: hash.sha256, sounds: Arc::new(sounds) })
    }

    /// Kits of percussion that it has (presets of bank 128), as program numbers.
    pub fn kits(&self) -> Vec<u8> {
        let presets = self.sounds.get_presets().iter().filter(|preset| preset.get_bank_number() == 128);
        let mut kits: Vec<u8> = presets.filter_map(|preset| u8::try_from(preset.get_patch_number()).ok()).collect();
        kits.retain(|kit| *kit < 128);
        kits.sort_unstable();
        kits
    }
}

/// Plays notes on one program of a SoundFont, at whatever level that gives.
///
/// # Errors
/// The SoundFont cannot be played.
pub fn play_notes(bank: &Bank, program: u8, notes: &[Note], has_room: bool, num_samples: usize) -> Result<Stereo> {
    let mut settings = SynthesizerSettings::new(SAMPLE_RATE_HZ as i32);
    settings.enable_reverb_and_chorus = has_room;
    settings.maximum_polyphony = 96;
    let mut synthesizer = Synthesizer::new(&bank.sounds, &settings)?;
    synthesizer.process_midi_message(0, 0xc0, i32::from(program), 0);
    let place = |time_s: f64| ((time_s.max(0.0) * f64::from(SAMPLE_RATE_HZ)) as usize).min(num_samples);
    // (sample, note on, key, velocity): where one ends and the next begins, the end comes first.
    let mut events: Vec<(usize, bool, i32, i32)> = Vec::with_capacity(2 * notes.len());
    for note in notes {
        let (key, velocity) =
            (note.key.round().clamp(0.0, 127.0) as i32, (127.0 * note.velocity).clamp(1.0, 127.0) as i32);
        events.push((place(note.start_s), true, key, velocity));
        events.push((place(note.start_s + note.duration_s), false, key, 0));
    }
    events.sort_unstable();
    let mut out = silence(num_samples);
    let [left, right] = &mut out;
    let mut at = 0;
    for (due, is_start, key, velocity) in events {
        if due > at {
            synthesizer.render(&mut left[at..due], &mut right[at..due]);
            at = due;
        }
        synthesizer.process_midi_message(0, if is_start { 0x90 } else { 0x80 }, key, velocity);
    }
    synthesizer.render(&mut left[at..], &mut right[at..]);
    Ok(out)
}

/// The sf2 files where Debian's packages put them, each once.
pub fn find_installed() -> Vec<PathBuf> {
    let entries = DIRS.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
    let is_sf2 = |path: &PathBuf| path.extension().is_some_and(|e| e == "sf2");
    // Names like default-GM.sf2 are links to one of the others.
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok()?.path().canonicalize().ok()).filter(is_sf2).collect();
    paths.sort();
    paths.dedup();
    paths
}
