//! Listening by measurement: level, silence, crest and spectrum of stems.

use crate::Biquad;
use crate::tone::Stereo;
use anyhow::Result;
use audio::{STEM_NAMES, StemFolder, read_all};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;

/// Blocks in which levels are taken.
const BLOCK_LEN: usize = 4410;
/// Blocks below this mean square are silent: -60 dB.
const SILENCE: f64 = 1e-6;
/// Edges of the bands in Hz.
const EDGES_HZ: [f64; 3] = [120.0, 500.0, 4000.0];

/// What a stem is like.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct StemMeasure {
    /// Samples that were measured.
    pub num_samples: u64,
    /// Mean square of both channels over all of it; full scale is 1.
    pub power: f64,
    /// Share of tenths of a second below -60 dB.
    pub silence: f64,
    /// Highest sample.
    pub peak: f64,
    /// Mean squares of the mono sum below 120 Hz, up to 500 Hz, up to 4 kHz, and above.
    pub bands: [f64; 4],
}

impl StemMeasure {
    /// Measures a stem, `[channel][sample]`.
    pub fn of(stem: &Stereo, rate: f64) -> StemMeasure {
        let num_samples = stem[0].len();
        let blocks = block_powers(stem);
        let num_blocks = blocks.len().max(1) as f64;
        let mut filters: Vec<[Biquad; 2]> =
            EDGES_HZ.iter().map(|hz| [0.54, 1.31].map(|q| Biquad::low_pass(*hz, q, rate))).collect();
        let mut bands = [0.0; 4];
        for (l, r) in stem[0].iter().zip(&stem[1]) {
            let x = 0.5 * f64::from(l + r);
            // What a low-pass lets through, less what a lower one did: phases blur the edges, which is fine here.
            let mut below = 0.0;
            for (band, filter) in bands.iter_mut().zip(&mut filters) {
                let low = filter.iter_mut().fold(x, |x, filter| filter.filter(x));
                *band += (low * low - below).max(0.0);
                below = low * low;
            }
            bands[3] += (x * x - below).max(0.0);
        }
        StemMeasure {
            num_samples: num_samples as u64,
            power: blocks.iter().sum::<f64>() / num_blocks,
            silence: blocks.iter().filter(|power| **power < SILENCE).count() as f64 / num_blocks,
            peak: stem.iter().flatten().fold(0.0, |peak: f64, x| peak.max(f64::from(x.abs()))),
            bands: bands.map(|sum| sum / num_samples.max(1) as f64),
        }
    }

    /// Joins the measures of two stretches.
    fn join(&mut self, other: &StemMeasure) {
        let num_samples = self.num_samples + other.num_samples;
        let share = other.num_samples as f64 / num_samples.max(1) as f64;
        let mean = |a: f64, b: f64| a + share * (b - a);
        self.power = mean(self.power, other.power);
        self.silence = mean(self.silence, other.silence);
        self.peak = self.peak.max(other.peak);
        self.bands = std::array::from_fn(|band| mean(self.bands[band], other.bands[band]));
        self.num_samples = num_samples;
    }
}

/// Mean squares of all blocks, both channels together.
fn block_powers(stem: &Stereo) -> Vec<f64> {
    let blocks = stem[0].chunks(BLOCK_LEN).zip(stem[1].chunks(BLOCK_LEN));
    let power = |block: &[f32]| block.iter().map(|x| f64::from(x * x)).sum::<f64>();
    blocks.map(|(left, right)| (power(left) + power(right)) / (2.0 * left.len() as f64)).collect()
}

/// Mean square while the stem sounds: over the tenths of a second within 25 dB of the loudest. 0 for a silent stem.
pub fn active_power(stem: &Stereo) -> f64 {
    let blocks = block_powers(stem);
    let loudest = blocks.iter().copied().fold(0.0, f64::max);
    let active: Vec<f64> = blocks.into_iter().filter(|power| *power > loudest * 10f64.powf(-2.5)).collect();
    if loudest < 1e-12 { 0.0 } else { active.iter().sum::<f64>() / active.len() as f64 }
}

/// A table over songs, a line per stem.
#[derive(Default)]
pub struct Table {
    stems: [StemMeasure; 4],
    crest_db: [f64; 4],
    num_songs: usize,
    seconds: f64,
}

impl Table {
    /// Takes in a song: the measures of its stems, `None` where it has none.
    pub fn add(&mut self, measures: &[Option<StemMeasure>; 4], seconds: f64) {
        self.num_songs += 1;
        self.seconds += seconds;
        for ((all, crest_db), measure) in self.stems.iter_mut().zip(&mut self.crest_db).zip(measures) {
            let Some(measure) = measure else { continue };
            if measure.power > 0.0 {
                let share = measure.num_samples as f64 / (all.num_samples + measure.num_samples) as f64;
                *crest_db += share * (10.0 * (measure.peak.powi(2) / measure.power).log10() - *crest_db);
            }
            all.join(measure);
        }
    }

    /// The table as text.
    pub fn render(&self) -> String {
        let mut text = format!(
            "{} songs, {:.1} min\n{:<8}{:>9}{:>9}{:>9}{:>9}  power below 120 Hz, 500 Hz, 4 kHz, above, in %\n",
            self.num_songs,
            self.seconds / 60.0,
            "stem",
            "minutes",
            "mean dB",
            "silent %",
            "crest dB"
        );
        for ((name, stem), crest_db) in STEM_NAMES.iter().zip(&self.stems).zip(&self.crest_db) {
            let minutes = stem.num_samples as f64 / 44_100.0 / 60.0;
            let total: f64 = stem.bands.iter().sum::<f64>().max(1e-30);
            let _ = write!(
                text,
                "{name:<8}{minutes:>9.1}{:>9.1}{:>9.0}{crest_db:>9.1}",
                10.0 * stem.power.max(1e-12).log10(),
                100.0 * stem.silence,
            );
            for band in stem.bands {
                let _ = write!(text, "{:>6.0}", 100.0 * band / total);
            }
            text.push('\n');
        }
        text
    }
}

/// The table of a folder of songs, whoever made them.
///
/// # Errors
/// A song cannot be read.
pub fn folder(dir: &Path) -> Result<Table> {
    let mut table = Table::default();
    for song in StemFolder::open_all(dir)? {
        let mut measures = [const { None }; 4];
        let mut seconds: f64 = 0.0;
        for (stem_idx, measure) in measures.iter_mut().enumerate() {
            let Some(path) = song.file(stem_idx) else { continue };
            let sound = read_all(path)?;
            let rate = f64::from(sound.sample_rate_hz);
            seconds = seconds.max(sound.samples[0].len() as f64 / rate);
            *measure = Some(StemMeasure::of(&sound.samples, rate));
        }
        table.add(&measures, seconds);
    }
    Ok(table)
}
