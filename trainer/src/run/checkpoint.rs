//! One file that holds everything a run needs to go on, written beside and renamed: it is old or new, never half. It may be
//! cut into parts ([`parts`]).

use crate::network::Network;
use crate::record::{RunState, parts};
use crate::run::adam::Adam;
use crate::run::average::{Average, averaged_variable};
use crate::transform::Transform;
use anyhow::{Context, Result, bail};
use std::{collections::HashMap, path::Path, sync::Arc};
use tch::{Device, Tensor, nn::VarStore, no_grad};

const META: &str = "run_state_json";

/// Writes weights, their average, Adam's moments and the state of the run; in parts if it is longer than `max_len` bytes.
pub fn save(
    path: &Path,
    vs: &VarStore,
    average: &Average,
    adam: &Adam,
    state: &RunState,
    max_len: Option<u64>,
) -> Result<()> {
    let json = serde_json::to_vec(state)?;
    let mut tensors: Vec<(String, Tensor)> = vs.variables().into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors.extend(adam.named_moments());
    tensors.extend(average.named());
    tensors.push((META.to_owned(), Tensor::from_slice(&json)));
    let tensors: Vec<(String, Tensor)> =
        tensors.into_iter().map(|(n, t)| (n, t.detach().to_device(Device::Cpu))).collect();
    let part = path.with_extension("part");
    Tensor::write_safetensors(&tensors, &part).with_context(|| format!("cannot write {}", part.display()))?;
    parts::put_in_place(&part, path, max_len)
}

/// Whether tensors are those of a checkpoint.
pub fn is_checkpoint(tensors: &[(String, Tensor)]) -> bool {
    tensors.iter().any(|(name, _)| name == META)
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
        let (file, _kept) = parts::in_one_file(path)?;
        let tensors = Tensor::read_safetensors(file).with_context(|| format!("{} is no checkpoint", path.display()))?;
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

    /// The network, with the averaged weights.
    ///
    /// # Errors
    /// If the checkpoint does not fit its own network.
    pub fn open_network(&self, transform: &Arc<Transform>) -> Result<Box<dyn Network>> {
        let vs = VarStore::new(Device::Cpu);
        let network = self.state.network.build(&vs.root(), transform)?;
        self.restore_average(&vs)?;
        Ok(network)
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
