//! Networks that are one description ([`crate::layers`]): batch, stream and graph all come from it.

use super::{Channel, GraphBuilder, GraphOutput, Layout, LookAhead, Mode, Network, State, Weights};
use crate::layers::{GraphOps, Ops, StateShape, TensorOps};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// A network of coefficients, slice by slice, without look-ahead.
pub trait Description: Send {
    /// The channels whose magnitudes it sees.
    fn input_channels(&self) -> Vec<Channel>;

    /// Coefficients of a slice and channel.
    fn num_coefs(&self) -> i64;

    /// As [`Network::set_statistics`].
    fn set_statistics(&mut self, inputs: &Tensor);

    /// Where its weights lie.
    fn device(&self) -> Device;

    /// Masks `[S][B][stem][channel][coef]` of magnitudes `[S][B][input][coef]`.
    fn masks<O: Ops>(&self, ops: &mut O, magnitudes: &O::Value) -> O::Value;
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
        let (_, states, macs_per_slice) = write(&description, &mut graph, "magnitudes");
        Streamed { description, states, macs_per_slice }
    }
}

fn write<D: Description>(
    description: &D,
    graph: &mut GraphBuilder,
    magnitudes: &str,
) -> (models::onnx::Value, Vec<StateShape>, u64) {
    let mut ops = GraphOps::new(graph);
    let shape = [description.input_channels().len() as i64, description.num_coefs()];
    let magnitudes = ops.input(magnitudes, &shape);
    let masks = description.masks(&mut ops, &magnitudes);
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
        let magnitudes = inputs.transpose(0, 1).contiguous();
        let masks = self.description.masks(&mut ops, &magnitudes);
        (masks.transpose(0, 1), ops.next)
    }

    /// Writes its own weights, which are those of the store that it was built in.
    fn write_graph(&self, graph: &mut GraphBuilder, magnitudes: &str, _weights: &Weights) -> Result<GraphOutput> {
        let (masks, states, _) = write(&self.description, graph, magnitudes);
        let states = states.into_iter().map(|state| models::State {
            output: format!("{}_next", state.name),
            input: state.name,
            shape: state.shape.iter().map(|len| *len as usize).collect(),
        });
        Ok(GraphOutput::new(masks, states.collect()))
    }
}
