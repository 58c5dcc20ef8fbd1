//! The song that is played: a file, or a folder of stems.

use anyhow::{Context, Result};
use audio::{StemFolder, StemReader, read_all};
use std::path::Path;
use tests::signal::{Stereo, silence};

/// Samples read at once.
const READ_LEN: usize = 1 << 16;

/// A whole song in memory.
pub struct Input {
    /// What to call it.
    pub name: String,
    /// Of all sounds.
    pub sample_rate_hz: u32,
    /// `[channel][sample]`
    pub mix: Stereo,
    /// The true stems, `[stem][channel][sample]`, where they are known.
    pub stems: Option<[Stereo; 4]>,
}

impl Input {
    /// Reads an audio file or a folder of stems.
    pub fn open(path: &Path) -> Result<Input> {
        let name = path.display().to_string();
        if !path.is_dir() {
            let audio = read_all(path).context("could not read the song")?;
            return Ok(Input { name, sample_rate_hz: audio.sample_rate_hz, mix: audio.samples, stems: None });
        }
        let mut reader = StemReader::open(&StemFolder::open(path)?)?;
        let mut stems: [Stereo; 4] = Default::default();
        let mut block: [Stereo; 4] = Default::default();
        while reader.read_block(READ_LEN, &mut block)? > 0 {
            for (channel, samples) in stems.iter_mut().flatten().zip(block.iter().flatten()) {
                channel.extend_from_slice(samples);
            }
        }
        Ok(Input { name, sample_rate_hz: reader.sample_rate_hz(), mix: sum(&stems), stems: Some(stems) })
    }

    /// Length of the song.
    pub fn duration_s(&self) -> f64 {
        self.mix[0].len() as f64 / f64::from(self.sample_rate_hz)
    }

    /// The mix, followed by `num_samples` of silence, so that a delayed output holds all of it.
    pub fn padded(&self, num_samples: usize) -> Stereo {
        let [left, right] = silence(num_samples);
        [[&self.mix[0][..], &left].concat(), [&self.mix[1][..], &right].concat()]
    }
}

fn sum(stems: &[Stereo; 4]) -> Stereo {
    let mut mix = stems[0].clone();
    for stem in &stems[1..] {
        for (mix, samples) in mix.iter_mut().flatten().zip(stem.iter().flatten()) {
            *mix += samples;
        }
    }
    mix
}
