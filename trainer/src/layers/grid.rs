//! The pooled grid ([`Grid`]) as nodes, for graphs of networks that see it: training pools before the network.

use super::graph::{GraphOps, GraphValue};
use crate::transform::grid::{FLOOR, Grid};
use models::onnx::Attr;

impl GraphOps<'_> {
    /// `|c|` `[1][1][input][coef]` to features `[1][1][input][bin * cell]`, as [`Grid::pool_into`] does it.
    pub fn pool(&mut self, magnitudes: &GraphValue, grid: &Grid) -> GraphValue {
        let num_inputs = magnitudes.shape[2];
        let magnitudes = self.shaped(magnitudes, &magnitudes.shape[2..]);
        let widest = grid.pooling.iter().map(Vec::len).max().unwrap_or(0);
        let (mut indices, mut factors) = (vec![0i64; grid.len() * widest], vec![0f32; grid.len() * widest]);
        for (cell, pooled) in grid.pooling.iter().enumerate() {
            for (i, (coef_idx, weight)) in pooled.iter().enumerate() {
                indices[cell * widest + i] = i64::from(*coef_idx);
                factors[cell * widest + i] = *weight;
            }
        }
        let shape = [grid.len() as i64, widest as i64];
        let g = &mut *self.graph;
        let (indices, factors) = (g.ints(&indices, &shape), g.floats(&factors, &shape));
        // Gather copies runs of the last axis: with the inputs there, a fourth of the calls for values one by one.
        let by_coef = g.node("Transpose", &[&magnitudes.name], &[("perm", Attr::Ints(vec![1, 0]))]);
        let gathered = g.node("Gather", &[&by_coef, &indices], &[("axis", Attr::Int(0))]);
        let gathered = g.node("Transpose", &[&gathered], &[("perm", Attr::Ints(vec![2, 0, 1]))]);
        let weighted = g.node("Mul", &[&gathered, &factors], &[]);
        let axes = g.ints(&[2], &[1]);
        let amplitudes = g.node("ReduceSum", &[&weighted, &axes], &[("keepdims", Attr::Int(0))]);
        let floor = g.floats(&[FLOOR], &[1]);
        let amplitudes = g.node("Add", &[&amplitudes, &floor], &[]);
        let name = g.node("Log", &[&amplitudes], &[]);
        let shape = vec![num_inputs, grid.len() as i64];
        self.shaped(&GraphValue { name, shape }, &[1, 1, num_inputs, grid.len() as i64])
    }

    /// Masks of cells, `[1][1][stem][channel][bin * cell]`, to `[mask][coef]`, as [`Grid::expand_into`] does it.
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
