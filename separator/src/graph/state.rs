//! The memory of one stream: inputs, outputs and recurrent states of its network.

use super::{Graph, Pointers, graph_error};
use crate::{DenormalsAreZero, SeparatorError};
use ort::{AsPointer, sys::OrtValue, value::Tensor};
use std::sync::Arc;

/// The inputs, outputs and recurrent states of one stream.
pub struct NetworkState {
    graph: Arc<Graph>,
    input: Tensor<f32>,
    output: Tensor<f32>,
    states: States,
    values_in: Pointers<OrtValue>,
    values_out: Pointers<OrtValue>,
}

impl NetworkState {
    pub(super) fn new(graph: &Arc<Graph>) -> Result<Self, SeparatorError> {
        let manifest = &graph.model.manifest;
        let num_values = 1 + manifest.states.len();
        Ok(NetworkState {
            graph: graph.clone(),
            input: graph.zeros(&manifest.input.shape)?,
            output: graph.zeros(&manifest.output.shape)?,
            states: States::new(graph, (0..manifest.states.len()).collect())?,
            values_in: Pointers(Vec::with_capacity(num_values)),
            values_out: Pointers(Vec::with_capacity(num_values)),
        })
    }

    /// The graph that it is a state of.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// What goes in with the next run, in the shape that the manifest says.
    ///
    /// # Realtime
    /// Worker only.
    pub fn input_mut(&mut self) -> &mut [f32] {
        self.input.extract_tensor_mut().1
    }

    /// What came out of the last run, in the shape that the manifest says.
    ///
    /// # Realtime
    /// Worker only.
    pub fn output(&self) -> &[f32] {
        self.output.extract_tensor().1
    }

    /// The same, to be changed.
    ///
    /// # Realtime
    /// Worker only.
    pub fn output_mut(&mut self) -> &mut [f32] {
        self.output.extract_tensor_mut().1
    }

    /// Whether the last run left the memory as it was, to the bit: the same input again would change nothing.
    ///
    /// # Realtime
    /// Worker only.
    pub fn is_settled(&self) -> bool {
        self.states.is_settled()
    }

    /// Runs the graph once, and moves on in time.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime fails, also if what comes out does not have the shape that the graph
    /// declares. The memory is then as before.
    ///
    /// # Realtime
    /// Worker only: ONNX Runtime allocates.
    pub fn run(&mut self) -> Result<(), SeparatorError> {
        let _denormals = DenormalsAreZero::new();
        self.values_in.0.clear();
        self.values_out.0.clear();
        self.values_in.0.push(self.input.ptr().cast_mut());
        self.values_out.0.push(self.output.ptr().cast_mut());
        self.states.push_pointers(&mut self.values_in, &mut self.values_out);
        let result = self.graph.run(&self.values_in.0, &mut self.values_out.0);
        result.map_err(|error| graph_error(&self.graph.model, error))?;
        self.states.swap();
        Ok(())
    }

    /// Input in, output out: [`input_mut`](Self::input_mut), [`run`](Self::run) and [`output`](Self::output) in one.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Panics
    /// If a length is not the manifest's.
    ///
    /// # Realtime
    /// Worker only: ONNX Runtime allocates.
    pub fn run_into(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), SeparatorError> {
        self.input_mut().copy_from_slice(input);
        self.run()?;
        output.copy_from_slice(self.output());
        Ok(())
    }

    /// The input has ended: what the network looks ahead to from now on is the end.
    ///
    /// # Realtime
    /// Worker only.
    pub fn end(&mut self) {
        self.states.end(&self.graph);
    }

    /// Back to the initial state.
    ///
    /// # Realtime
    /// Worker only.
    pub fn reset(&mut self) {
        self.states.reset();
    }
}

/// What one stream remembers, of all states or those of a part of the graph.
pub(super) struct States {
    /// Their indices in the manifest.
    indices: Vec<usize>,
    /// `[state]`, the present value and room for the next: they change places after every run.
    tensors: Vec<[Tensor<f32>; 2]>,
}

impl States {
    pub(super) fn new(graph: &Graph, indices: Vec<usize>) -> Result<States, SeparatorError> {
        let shapes = indices.iter().map(|&idx| &graph.model.manifest.states[idx].shape);
        let tensors = shapes.map(|shape| Ok([graph.zeros(shape)?, graph.zeros(shape)?]));
        Ok(States { tensors: tensors.collect::<Result<_, SeparatorError>>()?, indices })
    }

    pub(super) fn push_pointers(&self, values_in: &mut Pointers<OrtValue>, values_out: &mut Pointers<OrtValue>) {
        for [present, next] in &self.tensors {
            values_in.0.push(present.ptr().cast_mut());
            values_out.0.push(next.ptr().cast_mut());
        }
    }

    pub(super) fn swap(&mut self) {
        self.tensors.iter_mut().for_each(|state| state.swap(0, 1));
    }

    pub(super) fn is_settled(&self) -> bool {
        let is_same = |[present, former]: &[Tensor<f32>; 2]| {
            let (present, former) = (present.extract_tensor().1, former.extract_tensor().1);
            present.iter().zip(former).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        self.tensors.iter().all(is_same)
    }

    pub(super) fn end(&mut self, graph: &Graph) {
        let manifest = &graph.model.manifest;
        for ([present, _], &idx) in self.tensors.iter_mut().zip(&self.indices) {
            if let Some(values) = manifest.at_end.get(&manifest.states[idx].input) {
                present.extract_tensor_mut().1.copy_from_slice(values);
            }
        }
    }

    pub(super) fn reset(&mut self) {
        for [present, _] in &mut self.tensors {
            present.extract_tensor_mut().1.fill(0.0);
        }
    }
}
