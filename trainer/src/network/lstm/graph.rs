//! [`super`] as a graph, one slice per run.

use super::BucketLstm;
use crate::network::weights::{Weights, constant};
use anyhow::Result;
use models::onnx::{Attr, GraphBuilder, Value};

const STEMS: i64 = 4;

/// Masks and next states, see [`crate::network::Network::write_graph`].
pub fn write(
    g: &mut GraphBuilder,
    magnitudes: &str,
    states: &[String],
    weights: &Weights,
    network: &BucketLstm,
) -> Result<(Value, Vec<Value>)> {
    let plan = &network.transform.plan;
    let (hidden, num_coefs) = (network.config.hidden, plan.num_coefs() as i64);
    let lens: Vec<i64> = plan.buckets().iter().map(|b| b.coefs.len() as i64).collect();
    let groups = STEMS * lens.len() as i64;
    let of_groups = [groups, 1, hidden];

    let mean = constant(g, weights.get("input_mean")?, &[1, num_coefs]);
    let scale = constant(g, weights.get("input_scale")?, &[1, num_coefs]);
    let x = g.node("Add", &[&magnitudes.to_owned(), &mean], &[]);
    let x = g.node("Mul", &[&x, &scale], &[]);
    let split = g.ints(&lens, &[lens.len() as i64]);
    let parts = g.nodes("Split", &[&x, &split], lens.len(), &[("axis", Attr::Int(1))]);
    let flat = g.ints(&[1, -1], &[2]);
    let mut dense = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let row = g.node("Reshape", &[part, &flat], &[]);
        let weight = weights.constant(g, &format!("dense_in.{i}.weight"))?;
        dense.push(g.node("MatMul", &[&row, &weight], &[]));
    }
    let dense: Vec<&Value> = dense.iter().collect();
    let dense = g.node("Concat", &dense, &[("axis", Attr::Int(1))]);
    let shape = g.ints(&of_groups, &[3]);
    let dense = g.node("Reshape", &[&dense, &shape], &[]);
    let dense = norm(g, &dense, "norm_in", &of_groups, weights)?;
    let dense = g.node("Tanh", &[&dense], &[]);

    let mut below = dense.clone();
    let mut next = Vec::new();
    for (layer, state) in states.chunks_exact(2).enumerate() {
        let weight = |name: &str| format!("forwards.{layer}.{name}");
        let from_input = weights.constant(g, &weight("from_input"))?;
        let from_state = weights.constant(g, &weight("from_state"))?;
        let bias = weights.constant(g, &weight("bias"))?;
        let gates = g.node("MatMul", &[&below, &from_input], &[]);
        let recurrent = g.node("MatMul", &[&state[0], &from_state], &[]);
        let gates = g.node("Add", &[&gates, &recurrent], &[]);
        let gates = g.node("Add", &[&gates, &bias], &[]);
        let lens = g.ints(&[hidden; 4], &[4]);
        let gates = g.nodes("Split", &[&gates, &lens], 4, &[("axis", Attr::Int(2))]);
        let [input, forget, output] = [0, 1, 3].map(|i: usize| g.node("Sigmoid", &[&gates[i]], &[]));
        let candidate = g.node("Tanh", &[&gates[2]], &[]);
        let kept = g.node("Mul", &[&forget, &state[1]], &[]);
        let added = g.node("Mul", &[&input, &candidate], &[]);
        let c = g.node("Add", &[&kept, &added], &[]);
        let shown = g.node("Tanh", &[&c], &[]);
        below = g.node("Mul", &[&output, &shown], &[]);
        next.extend([below.clone(), c]);
    }

    let both = g.node("Concat", &[&dense, &below], &[("axis", Attr::Int(2))]);
    let weight = weights.constant(g, "dense_middle")?;
    let middle = g.node("MatMul", &[&both, &weight], &[]);
    let middle = norm(g, &middle, "norm_middle", &of_groups, weights)?;
    let middle = g.node("Relu", &[&middle], &[]);
    let split = g.ints(&vec![STEMS; lens.len()], &[lens.len() as i64]);
    let parts = g.nodes("Split", &[&middle, &split], lens.len(), &[("axis", Attr::Int(0))]);
    let mut logits = Vec::new();
    for (i, (part, len)) in parts.iter().zip(&lens).enumerate() {
        let weight = weights.constant(g, &format!("dense_out.{i}.weight"))?;
        let out = g.node("MatMul", &[part, &weight], &[]);
        let shape = g.ints(&[STEMS * 2, *len], &[2]);
        logits.push(g.node("Reshape", &[&out, &shape], &[]));
    }
    let logits: Vec<&Value> = logits.iter().collect();
    let logits = g.node("Concat", &logits, &[("axis", Attr::Int(1))]);
    let bias = weights.constant(g, "bias_out")?;
    let logits = g.node("Add", &[&logits, &bias], &[]);
    Ok((g.node("Sigmoid", &[&logits], &[]), next))
}

/// A batch norm over groups and their values.
fn norm(g: &mut GraphBuilder, x: &Value, path: &str, shape: &[i64], weights: &Weights) -> Result<Value> {
    let (scale, offset) = weights.norm(path)?;
    let (scale, offset) = (constant(g, &scale, shape), constant(g, &offset, shape));
    let x = g.node("Mul", &[x, &scale], &[]);
    Ok(g.node("Add", &[&x, &offset], &[]))
}
