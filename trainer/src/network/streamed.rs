//! Networks that are one description ([`crate::layers`]): batch, stream and graph all come from it.

use super::{
    Channel, GraphBuilder, GraphOutput, InputKind, Layout, LookAhead, Mode, Network, OutputKind, State, Weights,
};
use crate::layers::{GraphOps, Ops, StateShape, TensorOps};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// A network of coefficients, slice by slice, without look-ahead.
pub trait Description: Send {
    /// As [`Network::input_channels`].
    fn input_channels(&self) -> Vec<Channel>;

    /// As [`Network::input_kind`].
    fn input_kind(&self) -> InputKind;

    /// As [`Network::output_kind`].
    fn output_kind(&self) -> OutputKind;

    /// Coefficients of a slice and channel.
    fn num_coefs(&self) -> i64;

    /// As [`Network::set_statistics`].
    fn set_statistics(&mut self, inputs: &Tensor);

    /// Where its weights lie.
    fn device(&self) -> Device;

    /// Masks `[S][B][stem][plane][coef]` of `[S][B][input][coef]`.
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
        let (_, states, macs_per_slice) = write(&description, &mut graph, "inputs");
        Streamed { description, states, macs_per_slice }
    }
}

fn write<D: Description>(
    description: &D,
    graph: &mut GraphBuilder,
    inputs: &str,
) -> (models::onnx::Value, Vec<StateShape>, u64) {
    let mut ops = GraphOps::new(graph);
    let num_planes = description.input_channels().len() * description.input_kind().num_planes();
    let shape = [num_planes as i64, description.num_coefs()];
    let inputs = ops.input(inputs, &shape);
    let masks = description.masks(&mut ops, &inputs);
    let (states, num_macs) = (std::mem::take(&mut ops.states), ops.num_macs);
    (GraphOps::name(masks), states, num_macs)
}

impl<D: Description> Network for Streamed<D> {
    fn layout(&self) -> Layout {
        Layout::Coefs
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
        LookAhead::Slices(0)
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

    /// Writes its own weights, which are those of the store that it was built in.
    fn write_graph(&self, graph: &mut GraphBuilder, inputs: &str, _weights: &Weights) -> Result<GraphOutput> {
        let (masks, states, _) = write(&self.description, graph, inputs);
        let states = states.into_iter().map(|state| models::StateSpec {
            output: format!("{}_next", state.name),
            input: state.name,
            shape: state.shape.iter().map(|len| *len as usize).collect(),
        });
        Ok(GraphOutput::new(masks, states.collect()))
    }
}
