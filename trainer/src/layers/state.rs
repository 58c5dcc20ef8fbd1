//! What a network remembers, and whether it learns.

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
