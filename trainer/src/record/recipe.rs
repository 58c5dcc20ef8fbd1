//! How a run learns: the optimizer and its learning rate over the steps.

use crate::precision::Precision;
use crate::record::history::Epoch;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Settings of the optimizer; a checkpoint keeps those that its run was started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default)]
#[command(next_help_heading = "Optimizer")]
pub struct Recipe {
    /// Adam, or AdamW: with weights that decay
    #[arg(long, value_enum, default_value_t = Optimizer::Adam)]
    pub optimizer: Optimizer,
    /// Decay of weights per step, times the learning rate (AdamW)
    #[arg(long, default_value_t = 0.01, value_name = "FACTOR")]
    pub weight_decay: f64,
    /// Steps over which the learning rate rises from zero; at most a quarter of the run
    #[arg(long, default_value_t = 150, value_name = "STEPS")]
    pub warm_up: u64,
    /// What the learning rate does after that
    #[arg(long, value_enum, default_value_t = Schedule::Cosine)]
    pub schedule: Schedule,
    /// Validations without a better score after which a plateau lowers the learning rate
    #[arg(long, default_value_t = 5, value_name = "EPOCHS")]
    pub plateau_patience: usize,
    /// Factor on the learning rate at a plateau
    #[arg(long, default_value_t = 0.3, value_name = "FACTOR")]
    pub plateau_factor: f64,
    /// Largest norm of a gradient; a longer one is shortened to it
    #[arg(long, default_value_t = 1.0, value_name = "NORM")]
    pub clip: f64,
    /// Batches whose gradients make one step: large steps in the memory of small ones
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub accumulate: u64,
    /// Share of the moving average of the weights that each step keeps; the average is what is judged and exported
    #[arg(long, default_value_t = 0.995, value_name = "SHARE")]
    pub average_decay: f64,
    /// Number format of the forward pass: bf16 multiplies in 16 bits, weights and sums stay in 32 (auto: bf16 on GPUs
    /// that have it)
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,
    /// Stop after this many validations without a better score; 0 never stops
    #[arg(long, default_value_t = 0, value_name = "EPOCHS")]
    pub early_stop: usize,
}

/// Which optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Kingma and Ba 2015
    Adam,
    /// Loshchilov and Hutter 2019
    Adamw,
}

/// What the learning rate does after warming up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine down to zero at the last step
    Cosine,
    /// Lower whenever the score no longer rises
    Plateau,
    /// As it is
    Constant,
}

impl Default for Recipe {
    /// What the command line takes when nothing is said.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            recipe: Recipe,
        }
        <Alone as clap::Parser>::parse_from(["defaults"]).recipe
    }
}

impl Recipe {
    /// Factor on the highest learning rate after `step` steps, `progress` (0..=1) through the run, with this past.
    pub fn learning_rate_factor(&self, step: u64, progress: f64, past: &[Epoch]) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        // A short run is not to spend itself on warming up.
        let rise = ((step + 1) as f64 / self.warm_up.max(1) as f64).max(4.0 * progress).min(1.0);
        rise * match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Schedule::Plateau => self.plateau_factor.powi(num_plateaus(past, self.plateau_patience)),
        }
    }

    /// Whether a run with this past has stopped getting better.
    pub fn stops_early(&self, past: &[Epoch]) -> bool {
        let best = past.iter().filter_map(|epoch| epoch.mean_sdr_db).fold(f64::NEG_INFINITY, f64::max);
        let since = past.iter().rev().take_while(|epoch| epoch.mean_sdr_db.is_none_or(|sdr_db| sdr_db < best)).count();
        self.early_stop > 0 && since >= self.early_stop
    }
}

/// How often the best score so far stood for `patience` epochs, counted from the last time it rose or this was counted.
fn num_plateaus(past: &[Epoch], patience: usize) -> i32 {
    let (mut best, mut since, mut num) = (f64::NEG_INFINITY, 0, 0);
    for sdr_db in past.iter().map(|epoch| epoch.mean_sdr_db.unwrap_or(f64::NEG_INFINITY)) {
        since += 1;
        if sdr_db > best {
            (best, since) = (sdr_db, 0);
        } else if since >= patience.max(1) {
            (since, num) = (0, num + 1);
        }
    }
    num
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(scores: &[f64]) -> Vec<Epoch> {
        scores.iter().map(|score| Epoch { mean_sdr_db: Some(*score), ..Epoch::default() }).collect()
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let recipe = Recipe { warm_up: 10, ..Recipe::default() };
        let at = |recipe: &Recipe, step, past: &[Epoch]| recipe.learning_rate_factor(step, step as f64 / 100.0, past);
        assert!((at(&recipe, 0, &[]) - 0.1).abs() < 1e-12);
        assert!((at(&recipe, 50, &[]) - 0.5).abs() < 1e-12);
        assert!(at(&recipe, 100, &[]) < 1e-12);
        let slow = Recipe { warm_up: 1000, ..recipe.clone() };
        assert!((at(&slow, 12, &[]) / at(&recipe, 12, &[]) - 0.48).abs() < 1e-12, "a quarter of the run at most");
        let plateau = Recipe { schedule: Schedule::Plateau, plateau_patience: 2, plateau_factor: 0.5, ..recipe };
        for (scores, factor) in
            [(&[1.0, 2.0, 1.5][..], 1.0), (&[1.0, 2.0, 1.5, 2.0], 0.5), (&[2.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0], 0.25)]
        {
            assert_eq!(at(&plateau, 50, &past(scores)), factor, "{scores:?}");
        }
    }

    #[test]
    fn it_stops_when_nothing_gets_better() {
        let recipe = Recipe { early_stop: 2, ..Recipe::default() };
        assert!(!recipe.stops_early(&past(&[1.0, 2.0, 1.0])));
        assert!(recipe.stops_early(&past(&[1.0, 2.0, 1.0, 1.9])));
        assert!(!recipe.stops_early(&past(&[1.0, 2.0, 1.0, 2.1])));
        assert!(!Recipe::default().stops_early(&past(&[3.0, 2.0, 1.0, 0.0, 0.0])));
    }
}
