//! What a network remembers, and whether it learns.

use models::onnx::GraphBuilder;
use tch::Tensor;

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
    pub fn outputs(&self, graph: &mut GraphBuilder, next: &[models::onnx::Value]) -> Vec<models::StateSpec> {
        let output = |((name, value), next): (&(String, Tensor), &models::onnx::Value)| {
            let output = format!("{name}_next");
            graph.output(next, &output, &value.size());
            let shape = value.size().iter().map(|len| *len as usize).collect();
            models::StateSpec { input: name.clone(), output, shape }
        };
        self.tensors.iter().zip(next).map(output).collect()
    }
}
