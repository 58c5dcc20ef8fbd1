//! What a run has been through: one record per epoch, kept in its checkpoints, so that a run that resumes decides and
//! reports as if it had never stopped.

use crate::data::STEMS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Means over an epoch, and the scores after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Epoch {
    /// Steps taken at its end.
    pub step: u64,
    /// Hours of audio seen by then.
    pub audio_h: f64,
    /// Hours spent by then.
    pub wall_h: f64,
    /// Mean of every part of the loss, without its weight, by name; `total` with the weights.
    pub losses: BTreeMap<String, f64>,
    /// Mean norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Seconds of audio per second.
    pub audio_s_per_s: f64,
    /// Share of the time spent waiting for batches.
    pub waiting: f64,
    /// `[stem]` Mean global SDR over the songs that judge; `None` where none of them has the stem apart.
    pub sdr_db: [Option<f64>; 4],
    /// Mean over all songs and stems.
    pub mean_sdr_db: Option<f64>,
}

/// Sums over the steps of an epoch so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Steps summed.
    pub num_steps: u64,
    /// As in [`Epoch::losses`].
    pub losses: BTreeMap<String, f64>,
    /// Norms of gradients.
    pub gradient_norm: f64,
    /// Seconds of audio.
    pub audio_s: f64,
    /// Seconds spent.
    pub wall_s: f64,
    /// Seconds spent waiting for batches.
    pub waiting_s: f64,
}

impl Sums {
    /// Adds the losses of a step.
    pub fn add(&mut self, losses: &[(String, f64)], gradient_norm: f64) {
        for (name, value) in losses {
            *self.losses.entry(name.clone()).or_default() += value;
        }
        self.gradient_norm += gradient_norm;
        self.num_steps += 1;
    }

    /// The epoch that they make, without scores.
    pub fn epoch(&self, step: u64, audio_s: f64, wall_s: f64, learning_rate: f64) -> Epoch {
        let num_steps = self.num_steps.max(1) as f64;
        Epoch {
            step,
            audio_h: audio_s / 3600.0,
            wall_h: wall_s / 3600.0,
            losses: self.losses.iter().map(|(name, sum)| (name.clone(), sum / num_steps)).collect(),
            gradient_norm: self.gradient_norm / num_steps,
            learning_rate,
            audio_s_per_s: self.audio_s / self.wall_s.max(1e-9),
            waiting: self.waiting_s / self.wall_s.max(1e-9),
            ..Epoch::default()
        }
    }
}

impl Epoch {
    /// Takes in the scores `[song][stem]`.
    pub fn set_scores(&mut self, scores: &[[Option<f64>; 4]]) {
        let mean = |known: Vec<f64>| (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        self.sdr_db = std::array::from_fn(|stem| mean(scores.iter().filter_map(|song| song[stem]).collect()));
        self.mean_sdr_db = mean(scores.iter().flatten().flatten().copied().collect());
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let mut line = format!("step {:6}  {:6.2} h heard  {:5.2} h spent", self.step, self.audio_h, self.wall_h);
        for (name, value) in &self.losses {
            let _ = write!(line, "  {name} {value:.4}");
        }
        let _ = write!(line, "  {:5.1} x real time  waiting {:2.0} %  SDR", self.audio_s_per_s, 100.0 * self.waiting);
        for (name, sdr_db) in STEMS.iter().zip(self.sdr_db) {
            if let Some(sdr_db) = sdr_db {
                let _ = write!(line, "  {name} {sdr_db:.2}");
            }
        }
        if let Some(mean) = self.mean_sdr_db {
            let _ = write!(line, "  mean {mean:.2} dB");
        }
        line
    }
}
