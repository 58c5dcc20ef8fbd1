//! Pitch and tempo moved apart from each other.

use crate::data::SAMPLE_RATE_HZ;
use crate::data::Stem;
use anyhow::{Context, Result};
use timestretch::{Backend, Parameters, PitchRatio, SessionConfig, TempoRate};

/// Samples that the vocoder gets more than it needs: it starts and ends softly.
const MARGIN: usize = 4_096;

/// How far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Pitch, upwards.
    pub semitones: f64,
    /// Factor on the tempo.
    pub tempo: f64,
}

impl Shift {
    /// Reads `out` from `position` on, moved, times `gain`; zeros outside.
    ///
    /// # Errors
    /// If the stem cannot be read.
    pub fn read(&self, stem: &Stem, position: usize, gain: f32, out: &mut [Vec<f32>; 2]) -> Result<()> {
        let num_samples = out[0].len();
        let mut source = vec![[0.0f32; 2]; (num_samples as f64 * self.tempo).ceil() as usize + 2 * MARGIN];
        stem.read(position as i64 - MARGIN as i64, &mut source)?;
        let config = SessionConfig {
            source_sample_rate: SAMPLE_RATE_HZ,
            output_sample_rate: SAMPLE_RATE_HZ,
            channels: 2,
            parameters: Parameters {
                tempo: TempoRate::new(self.tempo)?,
                pitch: PitchRatio::from_semitones(self.semitones)?,
                ..Parameters::default()
            },
            // The same bits on every machine.
            backend: Backend::Portable,
            ..SessionConfig::default()
        };
        let moved = timestretch::render(source.as_flattened(), config).context("cannot shift pitch and tempo")?;
        let first = (MARGIN as f64 / self.tempo) as usize;
        for (channel, out) in out.iter_mut().enumerate() {
            let moved = moved.samples.iter().skip(2 * first + channel).step_by(2);
            out.iter_mut().zip(moved).for_each(|(out, sample)| *out = gain * sample);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_moves_in_pitch_and_a_click_in_time() {
        let tone = |n: usize| 0.3 * (std::f64::consts::TAU * 440.0 * n as f64 / 44_100.0).sin() as f32;
        let samples: Vec<[f32; 2]> = (0..88_200).map(|n| [tone(n), if n >= 40_000 { tone(n) } else { 0.0 }]).collect();
        let stem = Stem::from_samples(&samples);
        let shift = Shift { semitones: 3.0, tempo: 1.08 };
        let mut out = [vec![0.0; 50_000], vec![0.0; 50_000]];
        shift.read(&stem, 10_000, 2.0, &mut out).unwrap();
        let middle = &out[0][10_000..40_000];
        let crossings = middle.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let hz = crossings as f64 * 44_100.0 / middle.len() as f64;
        assert!((hz / (440.0 * 2f64.powf(0.25)) - 1.0).abs() < 0.01, "{hz}");
        let onset = out[1].iter().position(|sample| sample.abs() > 0.3).unwrap() as f64;
        assert!((onset - 30_000.0 / 1.08).abs() < 1_500.0, "{onset}");
        let mut again = [vec![0.0; 50_000], vec![0.0; 50_000]];
        shift.read(&stem, 10_000, 2.0, &mut again).unwrap();
        assert_eq!(out, again);
    }
}
