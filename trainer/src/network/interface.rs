//! What a network is to the trainer.

use super::{Channel, GraphBuilder, State, Weights};
use crate::layers::Mode;
use crate::transform::Layout;
use anyhow::{Result, bail};
use models::{InputKind, OutputKind};
use std::collections::{BTreeMap, HashMap};
use tch::Tensor;

/// Masks per slice: stems times channels.
pub const NUM_MASKS: i64 = 8;

/// A network with its weights, which live in the [`nn::VarStore`] that it was built in.
///
/// `B` sequences of `S` slices go through it at a time. A *position* is what [`Network::layout`] says: a coefficient
/// of a slice, or a cell of the pooled grid.
pub trait Network: Send {
    /// Where inputs and masks lie. It decides what the loader makes of a mix.
    fn layout(&self) -> Layout;

    /// The channels that it sees, in order.
    fn input_channels(&self) -> Vec<Channel>;

    /// What it sees of them: magnitudes, or (where positions are coefficients) real and imaginary parts.
    fn input_kind(&self) -> InputKind {
        InputKind::Magnitude
    }

    /// What its masks are: real, or (where positions are coefficients) complex.
    fn output_kind(&self) -> OutputKind {
        OutputKind::Mask
    }

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
        bail!("there are no published weights for this network: expected cdae, or umx")
    }

    /// The memory before the first slice.
    fn zero_state(&self, batch_size: i64) -> State;

    /// Masks `[B][S][stem][plane][position]` of `inputs` `[B][S][input][position]`, going on from `state`; and the state
    /// after them. Planes are those of [`models::Output`]: left and right, or real and imaginary parts of each; inputs
    /// are the planes of [`models::Input`]. As a stream has it, the masks at `s` belong to slice `s - look_ahead`: with a look-ahead
    /// of n the first n masks after the zero state belong to no slice. (A network of [`LookAhead::Unbounded`] gives the
    /// masks of slice `s` at `s`, needs all slices of a song in one call, and has no state.)
    fn forward(&self, inputs: &Tensor, state: &State, mode: Mode) -> (Tensor, State);

    /// Something to be minimized beside the losses of the masks, with its name; already weighted.
    fn penalty(&self) -> Option<(&'static str, Tensor)> {
        None
    }

    /// Writes the network into a graph that takes one slice per run: from `inputs` `[input][coef]` to masks of any shape
    /// that holds `[stem][plane][coef]`. States are inputs and outputs of the graph, begin as zeros, and are
    /// declared here. `weights`
    /// are those to write, by the names of the network's variables.
    ///
    /// # Errors
    /// If a weight is missing, or the network cannot run slice by slice.
    fn write_graph(&self, graph: &mut GraphBuilder, inputs: &str, weights: &Weights) -> Result<GraphOutput>;

    /// Writes the network into a graph that takes a block of slices per run, with nothing before and after them: from `inputs`
    /// `[slice][input][coef]` to masks of any shape that holds `[slice][stem][plane][coef]`.
    ///
    /// # Errors
    /// If it cannot be written so.
    fn write_block_graph(
        &self,
        _graph: &mut GraphBuilder,
        _inputs: &str,
        _num_slices: usize,
    ) -> Result<models::onnx::Value> {
        bail!("this network has no graph for blocks of slices")
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

/// What [`Network::write_graph`] has written.
pub struct GraphOutput {
    /// Masks, `[stem][plane][coef]` in memory.
    pub masks: models::onnx::Value,
    /// Memory, declared in the graph.
    pub states: Vec<models::StateSpec>,
    /// What states become when the music ends ([`models::Manifest::at_end`]).
    pub at_end: BTreeMap<String, Vec<f32>>,
}

impl GraphOutput {
    /// Of a network to which the music's end means nothing.
    pub fn new(masks: models::onnx::Value, states: Vec<models::StateSpec>) -> Self {
        GraphOutput { masks, states, at_end: BTreeMap::new() }
    }
}
