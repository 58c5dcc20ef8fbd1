//! Everything that a run holds in memory: the network, its average, its optimizer, and how far it has come.

use crate::batch::Batch;
use crate::batch::example::{Contents, ExampleMaker};
use crate::batch::loader::{BatchConfig, make_batch};
use crate::data::Song;
use crate::layers::tape;
use crate::loss::Objective;
use crate::network::{Mode, Network, num_parameters};
use crate::precision::{is_bf16, with_precision};
use crate::record::{RunState, parts};
use crate::run::adam::Adam;
use crate::run::average::Average;
use crate::run::checkpoint::{self, Checkpoint};
use crate::run::divergence::Divergence;
use crate::transform::Transform;
use anyhow::{Context, Result, bail};
use base::STEMS;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Tensor, nn};

/// Batches from which the mean and deviation of the features are taken.
const STATISTICS_BATCHES: u64 = 12;

/// A run in memory.
pub struct Session {
    /// Settings and progress.
    pub run: RunState,
    /// The transform of the run.
    pub transform: Arc<Transform>,
    /// The moving average, as a network of its own: what is judged and exported.
    pub averaged: Box<dyn Network>,
    /// Where it computes.
    pub device: Device,
    /// Bytes of a file beyond which a checkpoint is cut into parts.
    pub max_file_len: Option<u64>,
    vs: nn::VarStore,
    network: Box<dyn Network>,
    objective: Objective,
    adam: Adam,
    average: Average,
    divergence: Divergence,
}

/// What one step showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Parts of the loss by name, and `total`.
    pub losses: Vec<(String, f64)>,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate.
    pub learning_rate: f64,
}

impl Step {
    /// What was minimized.
    pub fn total(&self) -> f64 {
        self.losses.iter().find(|(name, _)| name == "total").map_or(f64::NAN, |(_, value)| *value)
    }
}

impl Session {
    /// A run with fresh weights, or with those of a checkpoint.
    ///
    /// # Errors
    /// If the transform or the network cannot be made, or the checkpoint does not fit them.
    pub fn new(mut run: RunState, checkpoint: Option<&Checkpoint>, device: Device) -> Result<Self> {
        let transform = Arc::new(Transform::new(&run.transform)?);
        run.network = run.network.complete(&transform)?;
        tch::manual_seed(run.seed as i64);
        let (vs, averaged_vs) = (nn::VarStore::new(device), nn::VarStore::new(device));
        let network = run.network.build(&vs.root(), &transform)?;
        let averaged = run.network.build(&averaged_vs.root(), &transform)?;
        let objective = Objective::new(run.loss.clone(), &transform, &*network, device)?;
        let mut adam = Adam::new(&vs);
        let mut average = Average::new(&vs, &averaged_vs);
        if let Some(checkpoint) = checkpoint {
            checkpoint.restore(&vs, &mut average, &mut adam)?;
        }
        let divergence = Divergence::default();
        Ok(Session {
            max_file_len: None,
            run,
            transform,
            averaged,
            device,
            vs,
            network,
            objective,
            adam,
            average,
            divergence,
        })
    }

    /// What its batches must hold.
    pub fn contents(&self) -> Contents {
        self.objective.contents(&*self.network)
    }

    /// Takes mean and deviation of the inputs from some batches that are never trained on. For new runs.
    ///
    /// # Errors
    /// If a song cannot be read.
    pub fn set_statistics(&mut self, songs: &[Song], config: BatchConfig) -> Result<()> {
        let mut maker = ExampleMaker::new(&self.transform, self.contents());
        let mut batch = |i| make_batch(songs, &self.transform, &mut maker, config, u64::MAX - i);
        let inputs =
            (0..STATISTICS_BATCHES).map(|i| Ok(batch(i)?.inputs.flatten(0, 1))).collect::<Result<Vec<Tensor>>>()?;
        self.network.set_statistics(&Tensor::cat(&inputs, 0).unsqueeze(0).to_device(self.device));
        self.average.start_over();
        Ok(())
    }

    /// Takes the averaged weights and statistics of a checkpoint of the same network, or the weights of a published state
    /// dict (.safetensors, or PyTorch's .pth) or of a folder of them, one for each stem, if the network knows such. For new runs.
    ///
    /// # Errors
    /// If it cannot be read, or is not for this network.
    pub fn start_from(&mut self, path: &Path) -> Result<()> {
        let tensors = if path.is_dir() { read_dir_of_stems(path)? } else { read_tensors(path)? };
        let loaded = if checkpoint::is_checkpoint(&tensors) {
            Checkpoint::open(path).and_then(|checkpoint| checkpoint.restore_average(&self.vs))
        } else {
            self.network.load_published(&tensors.into_iter().collect())
        };
        loaded.with_context(|| format!("{}: not for {}", path.display(), self.run.network.architecture))?;
        self.average.start_over();
        Ok(())
    }

    /// The size of the network, for people.
    pub fn size(&self) -> String {
        let macs_per_s = self.network.macs_per_slice() as f64 * 44_100.0 / self.transform.plan.hop_len() as f64;
        let num_parameters = num_parameters(&self.vs);
        format!("{num_parameters} parameters, {:.0} M multiply-accumulates per second", macs_per_s / 1e6)
    }

    /// One step down the gradient of some batches of equal size.
    ///
    /// # Errors
    /// If losses or gradient are not numbers (the weights are then as they were), or the run diverges.
    pub fn step(&mut self, batches: &[Batch]) -> Result<Step> {
        let run = &self.run;
        let share = 1.0 / batches.len() as f64;
        let mut named: Vec<(String, f64)> = Vec::new();
        for (i, batch) in batches.iter().enumerate() {
            let batch = batch.to_device(self.device);
            let count = run.step * batches.len() as u64 + i as u64;
            let mode = Mode::Train { dropout_seed: run.seed.rotate_left(32) ^ count };
            let bf16 = is_bf16(run.recipe.precision, self.device);
            let compute = || self.objective.losses_of(&*self.network, &batch, mode);
            let (losses, tape) = tape::record(|| with_precision(bf16, self.device, compute));
            self.adam.gather(&losses.total, share, tape);
            let parts = losses.parts.iter().map(|(name, part)| (*name, part)).chain([("total", &losses.total)]);
            for (name, part) in parts {
                let value = part.double_value(&[]) * share;
                match named.iter_mut().find(|(known, _)| known == name) {
                    Some((_, sum)) => *sum += value,
                    None => named.push((name.to_owned(), value)),
                }
            }
        }
        let factor = run.recipe.learning_rate_factor(run.step, run.progress(), &run.history);
        let learning_rate = run.learning_rate * factor;
        let gradient_norm = self.adam.apply(learning_rate, &run.recipe);
        self.divergence.check(run.step, &named, gradient_norm)?;
        self.run.step += 1;
        self.average.update(self.run.step, self.run.recipe.average_decay);
        Ok(Step { losses: named, gradient_norm, learning_rate })
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        checkpoint::save(path, &self.vs, &self.average, &self.adam, &self.run, self.max_file_len)
    }

    /// Every weight and statistic, by name.
    #[cfg(test)]
    pub fn values(&self) -> Vec<(String, Vec<f32>)> {
        let flat = |t: Tensor| Vec::<f32>::try_from(t.detach().reshape([-1]).to_kind(tch::Kind::Float)).unwrap();
        let mut values: Vec<_> = self.vs.variables().into_iter().map(|(n, t)| (n, flat(t))).collect();
        values.extend(self.average.named().into_iter().map(|(n, t)| (n, flat(t))));
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }
}

fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let is_safetensors = path.extension().is_some_and(|e| e == "safetensors");
    let (file, _kept) = parts::in_one_file(path)?;
    let read = if is_safetensors { Tensor::read_safetensors(file) } else { Tensor::loadz_multi(file) };
    read.with_context(|| format!("{}: expected a checkpoint or a state dict", path.display()))
}

/// State dicts of a folder, their names behind that of the stem that their file begins with (`vocals-b62c91ce.pth`).
fn read_dir_of_stems(dir: &Path) -> Result<Vec<(String, Tensor)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        files.push(entry.with_context(|| format!("cannot list {}", dir.display()))?.path());
    }
    files.sort();
    let mut tensors = Vec::new();
    for stem in STEMS {
        let is_of = |file: &&PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let is_weights = name.ends_with(".pth") || name.ends_with(".safetensors");
            is_weights && name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['-', '.', '_']))
        };
        let mut of_stem = files.iter().filter(is_of);
        let (Some(file), None) = (of_stem.next(), of_stem.next()) else {
            bail!("{}: expected one file {stem}-....pth or .safetensors", dir.display());
        };
        tensors.extend(read_tensors(file)?.into_iter().map(|(name, tensor)| (format!("{stem}.{name}"), tensor)));
    }
    Ok(tensors)
}
