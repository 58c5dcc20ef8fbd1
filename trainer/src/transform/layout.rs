//! Where networks see a slice.

use super::Transform;

/// Where the inputs of a network and its masks lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[bin][cell]` of [`Grid`](super::grid::Grid): inputs are logarithms of pooled amplitudes, masks are
    /// interpolated. Few, even positions: cheap networks that see all bins as one image.
    Grid,
    /// `[coef]` of the slice (`[bin][frame]`): inputs are magnitudes `|c|`.
    Coefs,
}

impl Layout {
    /// Positions of a slice and channel.
    pub fn num_positions(self, transform: &Transform) -> usize {
        match self {
            Layout::Grid => transform.grid.len(),
            Layout::Coefs => transform.plan.num_coefs(),
        }
    }

    /// Inputs `[input][position]` of planes `[input][coef]`.
    pub fn pool_planes_into(self, transform: &Transform, planes: &[f32], inputs: &mut [f32]) {
        let rows = planes.chunks_exact(transform.plan.num_coefs());
        for (plane, inputs) in rows.zip(inputs.chunks_exact_mut(self.num_positions(transform))) {
            self.pool_into(transform, plane, inputs);
        }
    }

    /// Inputs `[position]` of the magnitudes `[coef]` of one channel.
    pub fn pool_into(self, transform: &Transform, magnitudes: &[f32], inputs: &mut [f32]) {
        match self {
            Layout::Grid => transform.grid.pool_into(magnitudes, inputs),
            Layout::Coefs => inputs.copy_from_slice(magnitudes),
        }
    }

    /// Masks `[coef]` of the masks `[position]` of one channel.
    pub fn expand_into(self, transform: &Transform, masks: &[f32], out: &mut [f32]) {
        match self {
            Layout::Grid => transform.grid.expand_into(masks, out),
            Layout::Coefs => out.copy_from_slice(masks),
        }
    }
}
