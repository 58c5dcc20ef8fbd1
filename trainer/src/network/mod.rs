//! What a network is to the trainer, and the list of those that it knows.
//!
//! A network turns magnitudes of a mix into masks, slice by slice, from an explicit state: [`Network`]. The trainer
//! makes its batches, asks for its losses, keeps its weights, validates it as a stream, writes its graph and compares
//! graph and network; all of that is the same for every architecture, and so are the tests in `tests.rs`, which every
//! entry of [`ARCHITECTURES`] has to pass.
//!
//! # Adding an architecture
//!
//! One new file in this folder, its `mod` line below, and its line in [`ARCHITECTURES`]. This is `example.rs`, a complete
//! one that the tests know as `gain`:
//!
//! ```ignore
#![doc = include_str!("example.rs")]
//! ```
//!
//! What the tests then check of it, with random weights: that masks of a slice do not move when a slice further ahead
//! than [`Network::look_ahead`] changes, and do when that slice changes (so the figure that hosts compensate is the
//! true one); that slices in two calls with the state handed on give what one call gives; that the state matters if
//! there is one; that the written graph, slice by slice through the engine that ships, gives the masks of `forward`
//! within 1e-4; that every trained weight gets a gradient.

mod band_gru;
mod bands;
mod cdae;
mod cdae_bucket;
mod cdae_graph;
#[cfg(test)]
mod cdae_tests;
#[cfg(test)]
mod example;
mod first;
mod first_graph;
mod lstm;
mod lstm_graph;
mod recurrent;
mod streamed;
mod weights;

#[cfg(test)]
mod tests;

pub use models::Channel;
pub use models::onnx::GraphBuilder;
pub use weights::Weights;

use crate::batch::Batch;
use crate::loss::{Losses, Objective};
use crate::transform::Transform;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    str::FromStr,
    sync::Arc,
};
use tch::{Kind, Tensor, nn};

/// Every architecture that `--network` takes.
pub const ARCHITECTURES: &[Architecture] = &[
    first::ARCHITECTURE,
    cdae::ARCHITECTURE,
    cdae::CAUSAL,
    lstm::ARCHITECTURE,
    band_gru::ARCHITECTURE,
    #[cfg(test)]
    example::ARCHITECTURE,
];

/// Masks per slice: stems times channels.
pub const NUM_MASKS: i64 = 8;

/// A network with its weights, which live in the [`nn::VarStore`] that it was built in.
///
/// `B` sequences of `S` slices go through it at a time. A *position* is what [`Network::layout`] says: a coefficient
/// of a slice, or a cell of the pooled grid.
pub trait Network: Send {
    /// Where inputs and masks lie. It decides what the loader makes of a mix.
    fn layout(&self) -> Layout;

    /// The channels whose magnitudes it sees, in order.
    fn input_channels(&self) -> Vec<Channel>;

    /// How far ahead of a slice it listens before it gives that slice's masks.
    fn look_ahead(&self) -> LookAhead;

    /// Multiply-accumulates of one slice, as a stream.
    fn macs_per_slice(&self) -> u64;

    /// Takes mean and deviation of its inputs `[B][S][input][position]` from some batches of a new run.
    fn set_statistics(&mut self, inputs: &Tensor);

    /// Takes the weights of a published state dict instead of random ones.
    ///
    /// # Errors
    /// If there are none for this architecture, or a tensor is missing or of another shape.
    fn load_published(&mut self, _tensors: &HashMap<String, Tensor>) -> Result<()> {
        bail!("there are no published weights for this network: expected cdae")
    }

    /// The memory before the first slice.
    fn zero_state(&self, batch_size: i64) -> State;

    /// Masks `[B][S][stem][channel][position]`, 0..=1, of `inputs` `[B][S][input][position]`, going on from `state`;
    /// and the state after them. As a stream has it, the masks at `s` belong to slice `s - look_ahead`: with a look-ahead
    /// of n the first n masks after the zero state belong to no slice. (A network of [`LookAhead::Unbounded`] gives the
    /// masks of slice `s` at `s`, needs all slices of a song in one call, and has no state.)
    fn forward(&self, inputs: &Tensor, state: &State, mode: Mode) -> (Tensor, State);

    /// Losses of a batch, from the zero state.
    fn losses(&self, batch: &Batch, mode: Mode, objective: &Objective) -> Losses {
        let (masks, _) = self.forward(&batch.inputs, &self.zero_state(batch.batch_size), mode);
        objective.losses(&masks, self.look_ahead(), batch, mode)
    }

    /// Writes the network into a graph that takes one slice per run: from `magnitudes` `[input][coef]` to masks of any
    /// shape that holds `[stem][channel][coef]`. States are inputs and outputs of the graph, begin as zeros, and are
    /// declared here: [`State::inputs`] and [`State::outputs`], if they are those of [`Network::zero_state`]. `weights`
    /// are those to write, by the names of the network's variables.
    ///
    /// # Errors
    /// If a weight is missing, or the network cannot run slice by slice.
    fn write_graph(&self, graph: &mut GraphBuilder, magnitudes: &str, weights: &Weights) -> Result<GraphOutput>;
}

/// Where the inputs of a network and its masks lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[bin][cell]` of [`Grid`](crate::grid::Grid): inputs are logarithms of pooled amplitudes, masks are
    /// interpolated. Few, even positions: cheap networks that see all bins as one image.
    Grid,
    /// `[coef]` of the slice (`[bin][frame]`): inputs are magnitudes `|c|`.
    Coefs,
}

impl Layout {
    /// Positions of a slice and channel.
    pub fn num_positions(self, transform: &Transform) -> usize {
        match self {
            Layout::Grid => transform.grid.len(),
            Layout::Coefs => transform.plan.num_coefs(),
        }
    }
}

/// What a network must hear of what comes after a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookAhead {
    /// So many slices; 0 is causal.
    Slices(usize),
    /// All of the song: it cannot be streamed.
    Unbounded,
}

/// Whether the network learns.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Batch norms follow the batch, and values are dropped as the seed has it (torch's own generator is one for the
    /// whole process: a run that resumes could not be repeated).
    Train {
        /// Changes with every step.
        dropout_seed: u64,
    },
    /// The network as it is shipped.
    Apply,
}

impl Mode {
    /// Whether batch norms follow the batch.
    pub fn is_train(self) -> bool {
        matches!(self, Mode::Train { .. })
    }
}

/// Memory of the past, as named tensors.
#[derive(Default)]
pub struct State {
    /// `(name, value)`; the graph gives the next value of `name` as `name_next`.
    pub tensors: Vec<(String, Tensor)>,
}

impl State {
    /// Declares the tensors as inputs of a graph.
    pub fn inputs(&self, graph: &mut GraphBuilder) -> Vec<models::onnx::Value> {
        self.tensors.iter().map(|(name, value)| graph.input(name, &value.size())).collect()
    }

    /// Gives their next values as the graph's outputs `NAME_next`.
    pub fn outputs(&self, graph: &mut GraphBuilder, next: &[models::onnx::Value]) -> Vec<models::State> {
        let output = |((name, value), next): (&(String, Tensor), &models::onnx::Value)| {
            let output = format!("{name}_next");
            graph.output(next, &output, &value.size());
            let shape = value.size().iter().map(|len| *len as usize).collect();
            models::State { input: name.clone(), output, shape }
        };
        self.tensors.iter().zip(next).map(output).collect()
    }
}

/// What [`Network::write_graph`] has written.
pub struct GraphOutput {
    /// Masks, `[stem][channel][coef]` in memory.
    pub masks: models::onnx::Value,
    /// Memory, declared in the graph.
    pub states: Vec<models::State>,
    /// What states become when the music ends ([`models::Manifest::at_end`]).
    pub at_end: BTreeMap<String, Vec<f32>>,
}

impl GraphOutput {
    /// Of a network to which the music's end means nothing.
    pub fn new(masks: models::onnx::Value, states: Vec<models::State>) -> Self {
        GraphOutput { masks, states, at_end: BTreeMap::new() }
    }
}

/// Settings of a network by name, as JSON.
pub type Settings = Map<String, Value>;

/// Makes a network in a variable store.
pub type Build = fn(&nn::Path, &Settings, &Arc<Transform>) -> Result<Box<dyn Network>>;

/// An entry of [`ARCHITECTURES`].
pub struct Architecture {
    /// Name for `--network`.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Every setting with its default for a transform.
    pub defaults: fn(&Transform) -> Settings,
    /// Makes a network with random weights from a complete set of settings.
    pub build: Build,
}

/// Which network, with what settings: stored in checkpoints, and written `NAME[:KEY=VALUE,...]` on command lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// Name of the architecture. Checkpoints from when there was only one do not have it.
    #[serde(default = "first_architecture")]
    pub architecture: String,
    /// Its settings.
    #[serde(flatten)]
    pub settings: Settings,
}

fn first_architecture() -> String {
    first::ARCHITECTURE.name.to_owned()
}

impl NetworkConfig {
    /// The same network with every setting that was left out at its default.
    ///
    /// # Errors
    /// If there is no such architecture or setting.
    pub fn complete(&self, transform: &Transform) -> Result<Self> {
        let mut settings = (self.find()?.defaults)(transform);
        for (key, value) in &self.settings {
            let Some(slot) = settings.get_mut(key) else {
                let known: Vec<&String> = settings.keys().collect();
                bail!("network {}: expected a setting out of {known:?}, got {key:?}", self.architecture);
            };
            *slot = value.clone();
        }
        Ok(NetworkConfig { architecture: self.architecture.clone(), settings })
    }

    /// A network with random weights, its variables in `vs`.
    ///
    /// # Errors
    /// If a setting is unknown or not what it should be.
    pub fn build(&self, vs: &nn::Path, transform: &Arc<Transform>) -> Result<Box<dyn Network>> {
        let complete = self.complete(transform)?;
        (self.find()?.build)(vs, &complete.settings, transform)
            .with_context(|| format!("network {}", self.architecture))
    }

    fn find(&self) -> Result<&'static Architecture> {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
        ARCHITECTURES
            .iter()
            .find(|a| a.name == self.architecture)
            .with_context(|| format!("network: expected one of {known:?}, got {:?}", self.architecture))
    }
}

impl FromStr for NetworkConfig {
    type Err = String;

    /// `NAME` or `NAME:KEY=VALUE,...`, a value as JSON; several values of one key are joined by `+`, as
    /// `first:channels=32+64+96+128,causal=true`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (architecture, settings) = text.split_once(':').unwrap_or((text, ""));
        let one = |value: &str| serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let settings = settings
            .split(',')
            .filter(|setting| !setting.is_empty())
            .map(|setting| {
                let (key, value) =
                    setting.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, got {setting:?}"))?;
                let value =
                    if value.contains('+') { Value::Array(value.split('+').map(one).collect()) } else { one(value) };
                Ok((key.to_owned(), value))
            })
            .collect::<Result<_, String>>()?;
        Ok(NetworkConfig { architecture: architecture.to_owned(), settings })
    }
}

impl fmt::Display for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.architecture)?;
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (i, (key, value)) in self.settings.iter().enumerate() {
            let value = match value {
                Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("+"),
                value => plain(value),
            };
            write!(f, "{}{key}={value}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// Every architecture with its line of explanation, for `--help`.
pub fn list() -> String {
    ARCHITECTURES.iter().map(|a| format!("  {:14} {}\n", a.name, a.about)).collect()
}

/// The fields of a config as settings.
///
/// # Panics
/// If the config is not a struct.
pub fn settings<C: Serialize>(config: &C) -> Settings {
    match serde_json::to_value(config) {
        Ok(Value::Object(settings)) => settings,
        _ => panic!("a network's config is a struct of plain values"),
    }
}

/// A config from its settings.
///
/// # Errors
/// If a setting is missing, unknown or of the wrong kind.
pub fn parse<C: DeserializeOwned>(settings: &Settings) -> Result<C> {
    Ok(serde_json::from_value(Value::Object(settings.clone()))?)
}

/// Number of trained values.
pub fn num_parameters(vs: &nn::VarStore) -> usize {
    vs.trainable_variables().iter().map(Tensor::numel).sum()
}

/// All variables in f32 on the CPU.
pub fn to_cpu(tensor: &Tensor) -> Tensor {
    tensor.to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous()
}
