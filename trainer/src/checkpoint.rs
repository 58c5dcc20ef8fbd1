//! One file that holds everything a run needs to go on, written beside and renamed: it is old or new, never half.

use crate::adam::Adam;
use crate::average::{Average, averaged_variable};
use crate::history::{Epoch, Sums};
use crate::loss::LossWeights;
use crate::network::NetworkConfig;
use crate::recipe::Recipe;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, path::Path};
use tch::{Tensor, nn::VarStore, no_grad};

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

const META: &str = "run_state_json";

/// Writes weights, their average, Adam's moments and the state of the run.
pub fn save(path: &Path, vs: &VarStore, average: &Average, adam: &Adam, state: &RunState) -> Result<()> {
    let json = serde_json::to_vec(state)?;
    let mut tensors: Vec<(String, Tensor)> = vs.variables().into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors.extend(adam.named_moments());
    tensors.extend(average.named());
    tensors.push((META.to_owned(), Tensor::from_slice(&json)));
    let tensors: Vec<(String, Tensor)> =
        tensors.into_iter().map(|(n, t)| (n, t.detach().to_device(tch::Device::Cpu))).collect();
    let part = path.with_extension("part");
    Tensor::write_safetensors(&tensors, &part).with_context(|| format!("cannot write {}", part.display()))?;
    // On the disk before it takes the old one's name: not even a power cut leaves half a checkpoint.
    std::fs::File::open(&part)?.sync_all().with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot rename to {}", path.display()))
}

/// A checkpoint in memory.
pub struct Checkpoint {
    /// State of the run.
    pub state: RunState,
    tensors: Vec<(String, Tensor)>,
}

impl Checkpoint {
    /// Reads a checkpoint.
    pub fn open(path: &Path) -> Result<Self> {
        let tensors = Tensor::read_safetensors(path).with_context(|| format!("{} is no checkpoint", path.display()))?;
        let Some((_, json)) = tensors.iter().find(|(name, _)| name == META) else {
            bail!("{}: the tensor {META} is missing: not a checkpoint of this trainer", path.display());
        };
        let json: Vec<u8> = json.try_into()?;
        let state = serde_json::from_slice(&json).with_context(|| format!("{}: {META}", path.display()))?;
        Ok(Checkpoint { state, tensors })
    }

    /// The averaged weights and statistics, by name: what is exported.
    pub fn averaged_weights(&self) -> HashMap<String, Tensor> {
        let averaged = |(name, tensor): &(String, Tensor)| {
            averaged_variable(name).map(|name| (name.to_owned(), tensor.shallow_clone()))
        };
        self.tensors.iter().filter_map(averaged).collect()
    }

    /// Puts the averaged weights into a store of a network of `state.network`.
    pub fn restore_average(&self, vs: &VarStore) -> Result<()> {
        copy_into(vs, &self.averaged_weights())
    }

    /// Puts the weights into a store of a network of `state.network`, and what belongs to them beside it.
    pub fn restore(&self, vs: &VarStore, average: &mut Average, adam: &mut Adam) -> Result<()> {
        let weights: HashMap<String, Tensor> =
            self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        copy_into(vs, &weights)?;
        average.start_over(); // for checkpoints from before there was an average
        average.restore(&self.tensors);
        for (name, value) in self.tensors.iter().filter(|(n, _)| n.starts_with("adam.")) {
            if !adam.set_moment(name, value) {
                bail!("checkpoint: {name} belongs to no weight of this network");
            }
        }
        adam.step = self.state.step;
        Ok(())
    }
}

fn copy_into(vs: &VarStore, values: &HashMap<String, Tensor>) -> Result<()> {
    for (name, mut variable) in vs.variables() {
        let Some(value) = values.get(&name) else { bail!("checkpoint: weight {name} is missing") };
        if value.size() != variable.size() {
            bail!("checkpoint: {name}: expected shape {:?}, got {:?}", variable.size(), value.size());
        }
        no_grad(|| variable.copy_(value));
    }
    Ok(())
}
