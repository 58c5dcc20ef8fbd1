//! `first` as a graph of few, large operations, one slice per run.

use super::{FirstConfig, KERNEL, NUM_INPUTS, PADDING, STRIDE};
use crate::network::NUM_MASKS;
use crate::network::weights::{Weights, constant, constant_as_is};
use crate::transform::Transform;
use crate::transform::grid::{FLOOR, Grid, NUM_CELLS};
use anyhow::Result;
use models::onnx::{Attr, GraphBuilder, Value};
use std::iter;
use std::ops::Range;
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
    // Gather copies runs of the last axis: with the inputs there, a fourth of the calls for values one by one.
    let by_coef = g.node("Transpose", &[magnitudes], &[("perm", Attr::Ints(vec![1, 0]))]);
    let axes = g.ints(&[2], &[1]);
    let groups: Vec<Value> = groups_of_bins(grid)
        .into_iter()
        .map(|bins| {
            let cells = &grid.pooling[bins.start * NUM_CELLS..bins.end * NUM_CELLS];
            let widest = widest(cells);
            let (mut indices, mut factors) = (vec![0i64; cells.len() * widest], vec![0f32; cells.len() * widest]);
            for (cell, pooled) in cells.iter().enumerate() {
                for (i, (coef_idx, weight)) in pooled.iter().enumerate() {
                    indices[cell * widest + i] = i64::from(*coef_idx);
                    factors[cell * widest + i] = *weight;
                }
            }
            let shape = [cells.len() as i64, widest as i64];
            let (indices, factors) = (g.ints(&indices, &shape), g.floats(&factors, &shape));
            let gathered = g.node("Gather", &[&by_coef, &indices], &[("axis", Attr::Int(0))]);
            // The sum is over the last axis: ONNX Runtime is slow over others.
            let gathered = g.node("Transpose", &[&gathered], &[("perm", Attr::Ints(vec![2, 0, 1]))]);
            let weighted = g.node("Mul", &[&gathered, &factors], &[]);
            g.node("ReduceSum", &[&weighted, &axes], &[("keepdims", Attr::Int(0))])
        })
        .collect();
    let amplitudes = g.node("Concat", &groups.iter().collect::<Vec<_>>(), &[("axis", Attr::Int(1))]);
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

/// Most coefficients that one of these cells pools.
fn widest(cells: &[Vec<(u32, f32)>]) -> usize {
    cells.iter().map(Vec::len).max().unwrap_or(0)
}

/// Neighbouring bins whose cells are gathered together, with the least padding: bins of high frequencies have many more
/// frames than those of low ones, so that in one table for all (of bark-262) three entries of four would be padding.
fn groups_of_bins(grid: &Grid) -> Vec<Range<usize>> {
    const MAX_GROUPS: usize = 6;
    let widths: Vec<usize> = grid.pooling.chunks(NUM_CELLS).map(widest).collect();
    // `best[end]`: the least table of the bins before `end`, and where its groups end.
    let mut best: Vec<Option<(usize, Vec<usize>)>> = vec![None; widths.len() + 1];
    best[0] = Some((0, Vec::new()));
    for _ in 0..MAX_GROUPS {
        let mut with_one_more = best.clone();
        for (start, ends) in best.iter().enumerate().filter_map(|(start, best)| Some((start, best.as_ref()?))) {
            let mut width = 0;
            for end in start + 1..=widths.len() {
                width = width.max(widths[end - 1]);
                let size = ends.0 + (end - start) * width;
                if with_one_more[end].as_ref().is_none_or(|known| size < known.0) {
                    with_one_more[end] = Some((size, [&ends.1[..], &[end]].concat()));
                }
            }
        }
        best = with_one_more;
    }
    let ends = best.pop().flatten().map(|(_, ends)| ends).unwrap_or_default();
    let starts = iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| start..*end).collect()
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
    let (num_coefs, num_cells) = (lower.len() as i64, grid.len() as i64);
    let lower = g.ints(&lower, &[num_coefs]);
    // Written out for every mask: ONNX Runtime is four times slower where it repeats a number along a short last axis.
    let fraction: Vec<f32> = grid.fraction.iter().flat_map(|x| iter::repeat_n(*x, NUM_MASKS as usize)).collect();
    let fraction = g.floats(&fraction, &[num_coefs, NUM_MASKS]);
    // The masks last, as in `pool`.
    let swap = [("perm", Attr::Ints(vec![1, 0]))];
    let by_cell = g.node("Transpose", &[cells], &swap);
    let mut from_to = |from: i64, to: i64| {
        let (from, to, axis) = (g.ints(&[from], &[1]), g.ints(&[to], &[1]), g.ints(&[0], &[1]));
        g.node("Slice", &[&by_cell, &from, &to, &axis], &[])
    };
    let (next, cell) = (from_to(1, num_cells), from_to(0, num_cells - 1));
    let step = g.node("Sub", &[&next, &cell], &[]);
    let a = g.node("Gather", &[&by_cell, &lower], &[("axis", Attr::Int(0))]);
    let difference = g.node("Gather", &[&step, &lower], &[("axis", Attr::Int(0))]);
    let step = g.node("Mul", &[&difference, &fraction], &[]);
    let by_coef = g.node("Add", &[&a, &step], &[]);
    g.node("Transpose", &[&by_coef], &swap)
}
