//! Settings and progress of a run.

use super::history::{Epoch, Sums};
use super::recipe::Recipe;
use crate::loss::LossWeights;
use crate::network::NetworkConfig;
use serde::{Deserialize, Serialize};

/// What a checkpoint says about its run, as JSON inside the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Architecture and settings of the network.
    pub network: NetworkConfig,
    /// What it is trained on.
    #[serde(default)]
    pub loss: LossWeights,
    /// Name of the transform, `bark-262` or `mel-32`.
    pub transform: String,
    /// Steps of the whole run; the learning rate falls to zero over them, unless `minutes` is set.
    pub total_steps: u64,
    /// Minutes of the whole run, over which the learning rate falls to zero; validations and starts count.
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Seconds that count towards `minutes`.
    #[serde(default)]
    pub clock_s: f64,
    /// How long the last validation took.
    #[serde(default)]
    pub judging_s: f64,
    /// Steps taken.
    pub step: u64,
    /// Seconds of audio seen.
    pub audio_s: f64,
    /// Seconds spent training.
    pub wall_s: f64,
    /// Best mean SDR on the validation songs so far.
    pub best_sdr_db: Option<f64>,
    /// Learning rate at its highest.
    pub learning_rate: f64,
    /// Slices of a batch.
    pub batch_slices: usize,
    /// Seed of the batches.
    pub seed: u64,
    /// Data folders.
    pub data: Vec<String>,
    /// Settings of the optimizer.
    #[serde(default)]
    pub recipe: Recipe,
    /// Learning rate of the last step.
    #[serde(default)]
    pub last_learning_rate: f64,
    /// Every epoch so far.
    #[serde(default)]
    pub history: Vec<Epoch>,
    /// The epoch that has begun.
    #[serde(default)]
    pub sums: Sums,
}

impl RunState {
    /// How far the run has come, 0..=1.
    pub fn progress(&self) -> f64 {
        let progress = match self.minutes {
            Some(minutes) => self.clock_s / (60.0 * minutes).max(1e-9),
            None => self.step as f64 / self.total_steps.max(1) as f64,
        };
        progress.min(1.0)
    }

    /// Whether no step is to follow: the steps are taken, or what is left of the minutes is for the last validation.
    pub fn is_over(&self) -> bool {
        let is_late = |minutes: f64| self.clock_s + self.judging_s >= 60.0 * minutes;
        self.step >= self.total_steps || self.minutes.is_some_and(is_late)
    }
}
