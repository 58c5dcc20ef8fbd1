//! The network's own time grid, and what is pooled onto it.
//!
//! Every bin of a slice has its own number of frames (16 to 292 for bark-262). The network wants one grid: 16 cells
//! per slice, of which it sees those where the slicing window is not zero. Magnitudes are pooled onto the grid with
//! triangular weights, masks are interpolated from it with the same ones (the two are transposes of each other).

use num_complex::Complex;
use slicqt::Plan;

/// Cells of the grid per slice.
const CELLS_PER_SLICE: f64 = 16.0;
/// First cell that the network sees: before it (and after the mirror of it) the slicing window is zero.
const FIRST_CELL: usize = 3;
/// Cells per slice that the network sees.
pub const NUM_CELLS: usize = 11;
/// Added to the pooled amplitudes before the logarithm: -80 dB.
pub const FLOOR: f32 = 1e-4;

/// Tables that lead from the coefficients of a slice to the grid `[bin][cell]` and back.
pub struct Grid {
    /// Number of bins.
    pub num_bins: usize,
    /// `[coef]` Flat index `bin * NUM_CELLS + cell` of the cell at or before the coefficient.
    pub lower: Vec<u32>,
    /// `[coef]` How far the coefficient lies towards the next cell, 0..=1.
    pub fraction: Vec<f32>,
    /// `[bin][cell]` Coefficient indices that are pooled into the cell, with their weights, which also turn `|c|`
    /// into the amplitude of a sine (4 M / L, see `slicqt::Plan::forward_into`).
    pub pooling: Vec<Vec<(u32, f32)>>,
    /// `[coef]` Weights that turn `|c|^2` into energy.
    energy: Vec<f32>,
}

impl Grid {
    /// Tables for a plan.
    pub fn new(plan: &Plan<f32>) -> Self {
        let num_bins = plan.num_bins();
        let mut grid = Grid {
            num_bins,
            lower: Vec::with_capacity(plan.num_coefs()),
            fraction: Vec::with_capacity(plan.num_coefs()),
            pooling: vec![Vec::new(); num_bins * NUM_CELLS],
            energy: plan.coef_energy_weights().to_vec(),
        };
        for (bin_idx, bin) in plan.bins().iter().enumerate() {
            let amplitude = 4.0 * bin.num_frames as f32 / plan.slice_len() as f32;
            for m in 0..bin.num_frames {
                let at = m as f64 * CELLS_PER_SLICE / bin.num_frames as f64 - FIRST_CELL as f64;
                let clamped = at.clamp(0.0, (NUM_CELLS - 1) as f64);
                let lower = (clamped as usize).min(NUM_CELLS - 2);
                grid.lower.push((bin_idx * NUM_CELLS + lower) as u32);
                grid.fraction.push((clamped - lower as f64) as f32);
                for cell in 0..NUM_CELLS {
                    let weight = 1.0 - (at - cell as f64).abs();
                    if weight > 1e-9 {
                        let coef_idx = (bin.coef_offset + m) as u32;
                        grid.pooling[bin_idx * NUM_CELLS + cell].push((coef_idx, weight as f32));
                    }
                }
            }
            for cell in &mut grid.pooling[bin_idx * NUM_CELLS..(bin_idx + 1) * NUM_CELLS] {
                let sum: f32 = cell.iter().map(|(_, w)| w).sum();
                cell.iter_mut().for_each(|(_, w)| *w *= amplitude / sum);
            }
        }
        grid
    }

    /// Cells of one channel of a slice.
    pub fn len(&self) -> usize {
        self.num_bins * NUM_CELLS
    }

    /// Logarithm of the pooled amplitude: `magnitudes[coef]` to `features[bin][cell]`.
    pub fn pool_into(&self, magnitudes: &[f32], features: &mut [f32]) {
        for (out, cell) in features.iter_mut().zip(&self.pooling) {
            let amplitude: f32 = cell.iter().map(|(i, w)| magnitudes[*i as usize] * w).sum();
            *out = (amplitude + FLOOR).ln();
        }
    }

    /// Masks `[bin][cell]` on the grid to masks per coefficient.
    pub fn expand_into<T: slicqt::Sample>(&self, cells: &[T], masks: &mut [T]) {
        for ((out, lower), fraction) in masks.iter_mut().zip(&self.lower).zip(&self.fraction) {
            let (a, b) = (cells[*lower as usize], cells[*lower as usize + 1]);
            *out = a + cast::<T>(*fraction) * (b - a);
        }
    }

    /// The quadratic form of a squared error, see `batch::forms`: adds `w |x|^2` as a function of the mask cells.
    /// `diagonal[bin][cell]` and `neighbour[bin][cell]` (between a cell and the next).
    pub fn add_power(&self, x: &[Complex<f32>], diagonal: &mut [f32], neighbour: &mut [f32]) {
        for (i, x) in x.iter().enumerate() {
            let (cell, b) = (self.lower[i] as usize, self.fraction[i]);
            let power = self.energy[i] * x.norm_sqr();
            let a = 1.0 - b;
            diagonal[cell] += a * a * power;
            diagonal[cell + 1] += b * b * power;
            neighbour[cell] += a * b * power;
        }
    }

    /// Adds `w v(coef)`, spread on the mask cells, or as it is if the positions are coefficients.
    pub fn add_product(&self, on_grid: bool, product: impl Fn(usize) -> f32, linear: &mut [f32]) {
        if !on_grid {
            linear.iter_mut().zip(&self.energy).enumerate().for_each(|(i, (out, w))| *out += w * product(i));
            return;
        }
        for (i, w) in self.energy.iter().enumerate() {
            let (cell, b) = (self.lower[i] as usize, self.fraction[i]);
            let value = w * product(i);
            linear[cell] += (1.0 - b) * value;
            linear[cell + 1] += b * value;
        }
    }

    /// `[coef]` Weights that turn `|c|^2` into energy.
    pub fn energy_weights(&self) -> &[f32] {
        &self.energy
    }

    /// `sum w |y|^2`.
    pub fn energy(&self, y: &[Complex<f32>]) -> f64 {
        y.iter().zip(&self.energy).map(|(y, w)| (w * y.norm_sqr()) as f64).sum()
    }
}

fn cast<T: slicqt::Sample>(x: f32) -> T {
    T::from_f32(x).expect("every f32 is a sample")
}
