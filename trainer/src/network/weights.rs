//! Trained tensors on their way into a graph.

use anyhow::{Context, Result};
use std::collections::HashMap;
use tch::Tensor;

/// Added to the variance by `nn::batch_norm2d`, and by the published networks.
pub const NORM_EPSILON: f64 = 1e-5;

/// Trained tensors by name, as the [`tch::nn::VarStore`] names them.
pub struct Weights(pub HashMap<String, Tensor>);

impl Weights {
    /// The tensor of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).with_context(|| format!("weight {name} is missing"))
    }
}
