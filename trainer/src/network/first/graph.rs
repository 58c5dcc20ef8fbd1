//! `first` as a graph of few, large operations, one slice per run.

use super::{FirstConfig, KERNEL, NUM_INPUTS, PADDING, STRIDE};
use crate::network::NUM_MASKS;
use crate::network::weights::{Weights, constant, constant_as_is};
use crate::transform::Transform;
use crate::transform::grid::{FLOOR, Grid, NUM_CELLS};
use anyhow::Result;
use models::onnx::{Attr, GraphBuilder, Value};
use tch::Tensor;

/// Masks and next states, see [`crate::network::Network::write_graph`].
pub fn write(
    g: &mut GraphBuilder,
    magnitudes: &str,
    states: &[String],
    weights: &Weights,
    config: &FirstConfig,
    transform: &Transform,
) -> Result<(Value, Vec<Value>)> {
    let features = pool(g, &magnitudes.to_owned(), &transform.grid, weights, config)?;
    let (bottom, skips) = encode(g, &features, weights)?;
    let (recalled, next) = remember(g, &bottom, states, weights, config)?;
    let top = g.node("Add", &[&bottom, &recalled], &[]);
    let cells = decode(g, &top, &skips, weights, config)?;
    let masks = expand(g, &cells, &transform.grid);
    Ok((masks, next))
}

/// `|c|` `[input][coef]` to normalized features `[1][input][padded bin][cell]`, as [`Grid::pool_into`] does it.
fn pool(
    g: &mut GraphBuilder,
    magnitudes: &Value,
    grid: &Grid,
    weights: &Weights,
    config: &FirstConfig,
) -> Result<Value> {
    let widest = grid.pooling.iter().map(Vec::len).max().unwrap_or(0);
    let (mut indices, mut factors) = (vec![0i64; grid.len() * widest], vec![0f32; grid.len() * widest]);
    for (cell, pooled) in grid.pooling.iter().enumerate() {
        for (i, (coef_idx, weight)) in pooled.iter().enumerate() {
            indices[cell * widest + i] = i64::from(*coef_idx);
            factors[cell * widest + i] = *weight;
        }
    }
    let shape = [grid.len() as i64, widest as i64];
    let (indices, factors) = (g.ints(&indices, &shape), g.floats(&factors, &shape));
    // Gather copies runs of the last axis: with the inputs there, a fourth of the calls for values one by one.
    let by_coef = g.node("Transpose", &[magnitudes], &[("perm", Attr::Ints(vec![1, 0]))]);
    let gathered = g.node("Gather", &[&by_coef, &indices], &[("axis", Attr::Int(0))]);
    let gathered = g.node("Transpose", &[&gathered], &[("perm", Attr::Ints(vec![2, 0, 1]))]);
    let weighted = g.node("Mul", &[&gathered, &factors], &[]);
    let axes = g.ints(&[2], &[1]);
    let amplitudes = g.node("ReduceSum", &[&weighted, &axes], &[("keepdims", Attr::Int(0))]);
    let floor = g.floats(&[FLOOR], &[1]);
    let amplitudes = g.node("Add", &[&amplitudes, &floor], &[]);
    let logarithms = g.node("Log", &[&amplitudes], &[]);
    let shape = g.ints(&[1, NUM_INPUTS as i64, grid.num_bins as i64, NUM_CELLS as i64], &[4]);
    let logarithms = g.node("Reshape", &[&logarithms, &shape], &[]);
    let mean = weights.constant(g, "feature_mean")?;
    let scale = weights.constant(g, "feature_scale")?;
    let centred = g.node("Sub", &[&logarithms, &mean], &[]);
    let normalized = g.node("Mul", &[&centred, &scale], &[]);
    let pads = g.ints(&[0, 0, 0, 0, 0, 0, (config.padded_bins() - config.num_bins) as i64, 0], &[8]);
    Ok(g.node("Pad", &[&normalized, &pads], &[]))
}

fn conv_attributes() -> [(&'static str, Attr); 3] {
    [
        ("kernel_shape", Attr::Ints(KERNEL.to_vec())),
        ("strides", Attr::Ints(STRIDE.to_vec())),
        ("pads", Attr::Ints([PADDING, PADDING].concat())),
    ]
}

fn encode(g: &mut GraphBuilder, features: &Value, weights: &Weights) -> Result<(Value, Vec<Value>)> {
    let mut x = features.clone();
    let mut skips = Vec::new();
    for i in 0..4 {
        let (weight, bias) = weights.folded(&format!("encoder.{i}"), 0)?;
        let (weight, bias) = (constant_as_is(g, &weight), constant_as_is(g, &bias));
        let conv = g.node("Conv", &[&x, &weight, &bias], &conv_attributes());
        x = g.node("Relu", &[&conv], &[]);
        skips.push(x.clone());
    }
    Ok((x, skips))
}

/// The recurrent middle over the cells of the slice: what it recalls, shaped like its input, and the states after.
fn remember(
    g: &mut GraphBuilder,
    bottom: &Value,
    states: &[String],
    weights: &Weights,
    config: &FirstConfig,
) -> Result<(Value, Vec<Value>)> {
    let (cells, channels, bins) = (NUM_CELLS as i64, config.channels[3] as i64, config.padded_bins() as i64 / 16);
    let (projection, hidden) = (config.projection_len as i64, config.hidden_len as i64);
    let sequence = g.node("Transpose", &[bottom], &[("perm", Attr::Ints(vec![0, 3, 1, 2]))]);
    let shape = g.ints(&[cells, channels * bins], &[2]);
    let sequence = g.node("Reshape", &[&sequence, &shape], &[]);
    let projected = linear(g, &sequence, "project", weights)?;
    let projected = g.node("Relu", &[&projected], &[]);
    let mut x = projected;
    let mut next = Vec::new();
    for (layer, state) in states.chunks_exact(2).enumerate() {
        let input_len = if layer == 0 { projection } else { hidden };
        let shape = g.ints(&[cells, 1, input_len], &[3]);
        let sequence = g.node("Reshape", &[&x, &shape], &[]);
        // torch orders the gates i f g o, ONNX i o f c.
        let gates = |name: &str| -> Result<Tensor> {
            let parts = weights.get(&format!("lstm.{name}_l{layer}"))?.chunk(4, 0);
            Ok(Tensor::cat(&[&parts[0], &parts[3], &parts[1], &parts[2]], 0))
        };
        let w = constant(g, &gates("weight_ih")?, &[1, 4 * hidden, input_len]);
        let r = constant(g, &gates("weight_hh")?, &[1, 4 * hidden, hidden]);
        let bias = Tensor::cat(&[gates("bias_ih")?, gates("bias_hh")?], 0);
        let b = constant(g, &bias, &[1, 8 * hidden]);
        let none = Value::new();
        let inputs = [&sequence, &w, &r, &b, &none, &state[0], &state[1]];
        let outputs = g.nodes("LSTM", &inputs, 3, &[("hidden_size", Attr::Int(hidden))]);
        x = outputs[0].clone();
        next.extend([outputs[1].clone(), outputs[2].clone()]);
    }
    let shape = g.ints(&[cells, hidden], &[2]);
    let remembered = g.node("Reshape", &[&x, &shape], &[]);
    let recalled = linear(g, &remembered, "unproject", weights)?;
    let shape = g.ints(&[1, cells, channels, bins], &[4]);
    let recalled = g.node("Reshape", &[&recalled, &shape], &[]);
    let recalled = g.node("Transpose", &[&recalled], &[("perm", Attr::Ints(vec![0, 2, 3, 1]))]);
    Ok((recalled, next))
}

fn linear(g: &mut GraphBuilder, x: &Value, path: &str, weights: &Weights) -> Result<Value> {
    let weight = constant_as_is(g, &weights.get(&format!("{path}.weight"))?.transpose(0, 1));
    let bias = weights.constant(g, &format!("{path}.bias"))?;
    Ok(g.node("Gemm", &[x, &weight, &bias], &[]))
}

/// Masks `[stem * channel][bin * cell]`.
fn decode(
    g: &mut GraphBuilder,
    top: &Value,
    skips: &[Value],
    weights: &Weights,
    config: &FirstConfig,
) -> Result<Value> {
    let mut x = top.clone();
    for i in 0..3 {
        let (weight, bias) = weights.folded(&format!("decoder.{i}"), 1)?;
        let (weight, bias) = (constant_as_is(g, &weight), constant_as_is(g, &bias));
        let conv = g.node("ConvTranspose", &[&x, &weight, &bias], &conv_attributes());
        let relu = g.node("Relu", &[&conv], &[]);
        x = g.node("Add", &[&relu, &skips[2 - i]], &[]);
    }
    let weight = weights.constant(g, "decoder.3.conv.weight")?;
    let bias = weights.constant(g, "decoder.3.conv.bias")?;
    let logits = g.node("ConvTranspose", &[&x, &weight, &bias], &conv_attributes());
    let (starts, ends, axes) = (g.ints(&[0], &[1]), g.ints(&[config.num_bins as i64], &[1]), g.ints(&[2], &[1]));
    let logits = g.node("Slice", &[&logits, &starts, &ends, &axes], &[]);
    let masks = g.node("Sigmoid", &[&logits], &[]);
    let shape = g.ints(&[NUM_MASKS, (config.num_bins * NUM_CELLS) as i64], &[2]);
    Ok(g.node("Reshape", &[&masks, &shape], &[]))
}

/// Masks on the grid to masks per coefficient, as [`Grid::expand_into`] does it.
fn expand(g: &mut GraphBuilder, cells: &Value, grid: &Grid) -> Value {
    let lower: Vec<i64> = grid.lower.iter().map(|i| i64::from(*i)).collect();
    let upper: Vec<i64> = lower.iter().map(|i| i + 1).collect();
    let num_coefs = lower.len() as i64;
    let (lower, upper) = (g.ints(&lower, &[num_coefs]), g.ints(&upper, &[num_coefs]));
    let fraction = g.floats(&grid.fraction, &[num_coefs, 1]);
    // The masks last, as in `pool`.
    let swap = [("perm", Attr::Ints(vec![1, 0]))];
    let by_cell = g.node("Transpose", &[cells], &swap);
    let a = g.node("Gather", &[&by_cell, &lower], &[("axis", Attr::Int(0))]);
    let b = g.node("Gather", &[&by_cell, &upper], &[("axis", Attr::Int(0))]);
    let difference = g.node("Sub", &[&b, &a], &[]);
    let step = g.node("Mul", &[&difference, &fraction], &[]);
    let by_coef = g.node("Add", &[&a, &step], &[]);
    g.node("Transpose", &[&by_coef], &swap)
}
