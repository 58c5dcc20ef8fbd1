//! Trained tensors on their way into a graph.

use crate::precision::to_cpu;
use anyhow::{Context, Result};
use models::onnx::{GraphBuilder, Value};
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

    /// The tensor of that name as a constant of the graph, in its own shape.
    ///
    /// # Errors
    /// If there is none.
    pub fn constant(&self, graph: &mut GraphBuilder, name: &str) -> Result<Value> {
        Ok(constant_as_is(graph, self.get(name)?))
    }

    /// Factor and offset `[channel]` that a batch norm in evaluation amounts to.
    ///
    /// # Errors
    /// If one of its tensors is missing.
    pub fn norm(&self, path: &str) -> Result<(Tensor, Tensor)> {
        let norm = |name: &str| self.get(&format!("{path}.{name}"));
        let scale = norm("weight")? / (norm("running_var")? + NORM_EPSILON).sqrt();
        let offset = norm("bias")? - norm("running_mean")? * &scale;
        Ok((scale, offset))
    }

    /// Weight and bias of a convolution (`PATH.conv`) with the batch norm behind it (`PATH.norm`) folded in; outputs
    /// along `dim`.
    ///
    /// # Errors
    /// If one of their tensors is missing.
    pub fn folded(&self, path: &str, dim: i64) -> Result<(Tensor, Tensor)> {
        let weight = self.get(&format!("{path}.conv.weight"))?;
        let (scale, bias) = self.norm(&format!("{path}.norm"))?;
        let mut shape = [1i64; 4];
        shape[dim as usize] = -1;
        Ok((weight * scale.reshape(shape), bias))
    }
}

/// A constant of the graph, in another shape.
pub fn constant(graph: &mut GraphBuilder, tensor: &Tensor, shape: &[i64]) -> Value {
    let values: Vec<f32> = to_cpu(tensor).reshape([-1]).try_into().expect("a flat f32 tensor");
    graph.floats(&values, shape)
}

/// A constant of the graph.
pub fn constant_as_is(graph: &mut GraphBuilder, tensor: &Tensor) -> Value {
    constant(graph, tensor, &tensor.size())
}
