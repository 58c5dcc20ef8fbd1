//! The transform of a run with everything that is computed from it once.

use crate::grid::Grid;
use anyhow::{Context, Result};
use slicqt::{Design, Plan};

/// A design, its plan, and the grid over it; share it in an `Arc`.
pub struct Transform {
    /// The design of that name.
    pub design: Design,
    /// Its tables.
    pub plan: Plan<f32>,
    /// The pooled grid, for networks of [`Layout::Grid`](crate::network::Layout::Grid).
    pub grid: Grid,
}

impl Transform {
    /// The transform that is written so (see [`Design`]'s grammar; `bark-262`, `mel-32`, `mel:64:80`, ...).
    ///
    /// # Errors
    /// If it is not written as one, or cannot be computed.
    pub fn new(name: &str) -> Result<Self> {
        Self::of_design(name, crate::train::design(name)?)
    }

    /// A transform of a design under a name.
    ///
    /// # Errors
    /// If it cannot be computed.
    pub fn of_design(name: &str, design: Design) -> Result<Self> {
        let plan = Plan::<f32>::new(&design).with_context(|| format!("transform {name}"))?;
        let grid = Grid::new(&plan);
        Ok(Transform { design, plan, grid })
    }
}
