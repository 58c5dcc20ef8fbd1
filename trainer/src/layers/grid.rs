//! The pooled grid ([`Grid`]) as nodes, for graphs of networks that see it: training pools before the network.

use super::graph::{GraphOps, GraphValue};
use crate::transform::grid::{FLOOR, Grid, NUM_CELLS};
use models::onnx::{Attr, Value};
use std::{iter, ops::Range};

impl GraphOps<'_> {
    /// `|c|` `[S][1][input][coef]` to features `[S][1][input][bin * cell]`, as [`Grid::pool_into`] does it.
    pub fn pool(&mut self, magnitudes: &GraphValue, grid: &Grid) -> GraphValue {
        let num_inputs = magnitudes.shape[2];
        // Slices are but more inputs here.
        let num_rows = self.num_slices * num_inputs;
        let magnitudes = self.shaped(magnitudes, &[num_rows, magnitudes.shape[3]]);
        let g = &mut *self.graph;
        // Gather copies runs of the last axis: with the inputs there, a fourth of the calls for values one by one.
        let by_coef = g.node("Transpose", &[&magnitudes.name], &[("perm", Attr::Ints(vec![1, 0]))]);
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
        let name = g.node("Log", &[&amplitudes], &[]);
        let shape = vec![num_rows, grid.len() as i64];
        self.with_tail(&GraphValue { name, shape }, &[num_inputs, grid.len() as i64])
    }

    /// Masks of cells, `[S][1][stem][channel][bin * cell]`, to `[S * mask][coef]`, as [`Grid::expand_into`] does it.
    pub fn expand(&mut self, cells: &GraphValue, grid: &Grid) -> GraphValue {
        let num_masks: i64 = cells.shape.iter().product::<i64>() / grid.len() as i64;
        let cells = self.shaped(cells, &[num_masks, grid.len() as i64]);
        let lower: Vec<i64> = grid.lower.iter().map(|i| i64::from(*i)).collect();
        let upper: Vec<i64> = lower.iter().map(|i| i + 1).collect();
        let num_coefs = lower.len() as i64;
        let g = &mut *self.graph;
        let (lower, upper) = (g.ints(&lower, &[num_coefs]), g.ints(&upper, &[num_coefs]));
        let fraction = g.floats(&grid.fraction, &[num_coefs, 1]);
        // The masks last, as in `pool`.
        let swap = [("perm", Attr::Ints(vec![1, 0]))];
        let by_cell = g.node("Transpose", &[&cells.name], &swap);
        let a = g.node("Gather", &[&by_cell, &lower], &[("axis", Attr::Int(0))]);
        let b = g.node("Gather", &[&by_cell, &upper], &[("axis", Attr::Int(0))]);
        let difference = g.node("Sub", &[&b, &a], &[]);
        let step = g.node("Mul", &[&difference, &fraction], &[]);
        let by_coef = g.node("Add", &[&a, &step], &[]);
        GraphValue { name: g.node("Transpose", &[&by_coef], &swap), shape: vec![num_masks, num_coefs] }
    }
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
