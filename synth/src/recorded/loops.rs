//! Drum loops: fitted to a song's tempo by their speed, as samplers do.

use super::level::loudest_rms;
use super::resample::at_speed;
use super::{Source, sounds};
use crate::tone::{Stereo, add_sound};
use anyhow::Result;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file in a folder `loop`.
pub struct Loop {
    /// The file.
    pub path: PathBuf,
    /// Where it comes from.
    pub source: Source,
}

/// Files of sonic-pi's loops that are no drums, or not only: a synthesizer's drone, a bass line, a machine.
const NOT_DRUMS: [&str; 3] = ["loop_drone", "loop_garzul", "loop_3d_printer"];
/// Tempi that a loop is taken to have, in beats per minute: an octave, so that only one of them fits.
const TEMPI: Range<f64> = 80.0..160.0;

impl Loop {
    /// The loops in `dir/loop`.
    pub fn find(dir: &Path) -> Vec<Loop> {
        let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut paths = sounds(&dir.join("loop"));
        paths.retain(|path| !NOT_DRUMS.iter().any(|other| name(path).starts_with(other)));
        paths.into_iter().map(|path| Loop { path, source: Source::of(dir) }).collect()
    }

    /// Plays it over stretches of the song, from the start of each, again and again; `beat_s` is the length of a beat.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn play(&self, out: &mut Stereo, stretches_s: &[Range<f64>], beat_s: f64, rate: f64) -> Result<()> {
        let audio = audio::read_all(&self.path)?;
        let loudness = loudest_rms(&audio.samples, f64::from(audio.sample_rate_hz)).max(1e-6);
        let duration_s = audio.samples[0].len() as f64 / f64::from(audio.sample_rate_hz);
        // A power of two of beats, at whatever tempo in the octave that gives.
        let num_beats = (0..7).map(|octave| f64::from(1 << octave));
        let num_beats = num_beats.into_iter().find(|n| TEMPI.contains(&(60.0 * n / duration_s))).unwrap_or(4.0);
        // Half or double time where that is nearer to the loop's own.
        let speed = [0.5, 1.0, 2.0].map(|f| f * duration_s / (num_beats * beat_s));
        let speed = speed.into_iter().min_by(|a, b| a.ln().abs().total_cmp(&b.ln().abs())).unwrap_or(1.0);
        let turn = audio.samples.map(|channel| at_speed(&channel, speed * f64::from(audio.sample_rate_hz) / rate));
        for stretch in stretches_s {
            let mut start = (stretch.start * rate) as usize;
            let end = ((stretch.end * rate) as usize).min(out[0].len());
            while start < end && !turn[0].is_empty() {
                let len = turn[0].len().min(end - start);
                let part = [&turn[0][..len], &turn[1][..len]].map(<[f32]>::to_vec);
                add_sound(out, &part, start, (1.0 / loudness) as f32);
                start += len;
            }
        }
        Ok(())
    }
}
