//! Networks that are one description ([`crate::layers`]): batch, stream and graph all come from it.

use super::{
    Channel, GraphBuilder, GraphOutput, InputKind, Layout, LookAhead, Mode, Network, OutputKind, State, Weights,
};
use crate::layers::{GraphOps, Ops, StateShape, TensorOps};
use crate::transform::grid::Grid;
use anyhow::{Result, bail, ensure};
use std::collections::HashMap;
use tch::{Device, Kind, Tensor};

/// A network, slice by slice.
pub trait Description: Send {
    /// As [`Network::input_channels`].
    fn input_channels(&self) -> Vec<Channel>;

    /// As [`Network::input_kind`].
    fn input_kind(&self) -> InputKind {
        InputKind::Magnitude
    }

    /// As [`Network::output_kind`].
    fn output_kind(&self) -> OutputKind {
        OutputKind::Mask
    }

    /// As [`Network::look_ahead`].
    fn look_ahead(&self) -> LookAhead {
        LookAhead::Slices(0)
    }

    /// The pooled grid, if that is what it sees.
    fn grid(&self) -> Option<&Grid> {
        None
    }

    /// Coefficients of a slice and channel.
    fn num_coefs(&self) -> i64;

    /// As [`Network::set_statistics`].
    fn set_statistics(&mut self, inputs: &Tensor);

    /// Where its weights lie.
    fn device(&self) -> Device;

    /// As [`Network::penalty`].
    fn penalty(&self) -> Option<(&'static str, Tensor)> {
        None
    }

    /// As [`Network::load_published`].
    fn load_published(&mut self, _tensors: &HashMap<String, Tensor>) -> Result<()> {
        bail!("there are no published weights for this network: expected cdae, or umx")
    }

    /// Masks `[S][B][stem][plane][position]` of `[S][B][input][position]`.
    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value;
}

/// A described network as a [`Network`].
pub struct Streamed<D> {
    description: D,
    states: Vec<StateShape>,
    macs_per_slice: u64,
}

impl<D: Description> Streamed<D> {
    /// Learns states and cost from a graph that is thrown away.
    pub fn new(description: D) -> Self {
        let mut graph = GraphBuilder::default();
        let (_, states, macs_per_slice) = write(&description, GraphOps::new(&mut graph), "inputs");
        Streamed { description, states, macs_per_slice }
    }
}

fn write<D: Description>(
    description: &D,
    mut ops: GraphOps<'_>,
    inputs: &str,
) -> (models::onnx::Value, Vec<StateShape>, u64) {
    let num_planes = description.input_channels().len() * description.input_kind().num_planes();
    let shape = [num_planes as i64, description.num_coefs()];
    let inputs = ops.input(inputs, &shape);
    let masks = match description.grid() {
        Some(grid) => {
            let pooled = ops.pool(&inputs, grid);
            let masks = description.masks(&mut ops, &pooled);
            ops.expand(&masks, grid)
        }
        None => description.masks(&mut ops, &inputs),
    };
    let (states, num_macs) = (std::mem::take(&mut ops.states), ops.num_macs);
    (GraphOps::name(masks), states, num_macs)
}

impl<D: Description> Network for Streamed<D> {
    fn layout(&self) -> Layout {
        if self.description.grid().is_some() { Layout::Grid } else { Layout::Coefs }
    }

    fn input_channels(&self) -> Vec<Channel> {
        self.description.input_channels()
    }

    fn input_kind(&self) -> InputKind {
        self.description.input_kind()
    }

    fn output_kind(&self) -> OutputKind {
        self.description.output_kind()
    }

    fn look_ahead(&self) -> LookAhead {
        self.description.look_ahead()
    }

    fn macs_per_slice(&self) -> u64 {
        self.macs_per_slice
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        self.description.set_statistics(inputs);
    }

    fn zero_state(&self, batch_size: i64) -> State {
        let options = (Kind::Float, self.description.device());
        let zeros = |state: &StateShape| {
            let [one, bands, hidden] = state.shape;
            (state.name.clone(), Tensor::zeros([one, bands * batch_size, hidden], options))
        };
        State { tensors: self.states.iter().map(zeros).collect() }
    }

    fn forward(&self, inputs: &Tensor, state: &State, mode: Mode) -> (Tensor, State) {
        let mut ops = TensorOps::new(state, mode);
        // Slices first: a recurrent layer then takes its input as it lies.
        let by_slice = inputs.transpose(0, 1).contiguous();
        let masks = self.description.masks(&mut ops, &by_slice);
        (masks.transpose(0, 1), ops.next)
    }

    fn penalty(&self) -> Option<(&'static str, Tensor)> {
        self.description.penalty()
    }

    fn load_published(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.description.load_published(tensors)
    }

    /// Writes its own weights, which are those of the store that it was built in.
    fn write_graph(&self, graph: &mut GraphBuilder, inputs: &str, _weights: &Weights) -> Result<GraphOutput> {
        ensure!(
            self.look_ahead() != LookAhead::Unbounded,
            "a layer runs backwards from the end of the song, so there is no graph for one slice: expected a causal network, or \
             blocks of slices (--block-slices)"
        );
        let (masks, states, _) = write(&self.description, GraphOps::new(graph), inputs);
        let states = states.into_iter().map(|state| models::StateSpec {
            output: format!("{}_next", state.name),
            input: state.name,
            shape: state.shape.iter().map(|len| *len as usize).collect(),
        });
        Ok(GraphOutput::new(masks, states.collect()))
    }

    fn write_block_graph(
        &self,
        graph: &mut GraphBuilder,
        inputs: &str,
        num_slices: usize,
    ) -> Result<models::onnx::Value> {
        let look_ahead = self.look_ahead();
        ensure!(
            look_ahead == LookAhead::Unbounded || look_ahead == LookAhead::Slices(0),
            "a network that looks ahead by some slices has no graph for blocks: export it slice by slice"
        );
        Ok(write(&self.description, GraphOps::of_block(graph, num_slices as i64), inputs).0)
    }
}
