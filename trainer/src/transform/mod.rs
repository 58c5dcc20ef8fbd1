//! The transform of a run with everything that is computed from it once.

pub mod grid;
mod layout;
mod slices;

pub use layout::Layout;
pub use slices::{add_slice, num_whole_samples};

use anyhow::{Context, Result, ensure};
use grid::Grid;
use slicqt::{Design, Plan};
use std::sync::Arc;

/// A design, its plan, and the grid over it; share it in an `Arc`.
pub struct Transform {
    /// The design of that name.
    pub design: Design,
    /// Its tables.
    pub plan: Arc<Plan<f32>>,
    /// The pooled grid, for networks of [`Layout::Grid`].
    pub grid: Grid,
}

impl Transform {
    /// The transform that is written so (see [`Design`]'s grammar; `bark-262`, `mel-32`, `mel:64:80`, ...).
    ///
    /// # Errors
    /// If it is not written as one, or cannot be computed.
    pub fn new(name: &str) -> Result<Self> {
        Self::of_design(name, design(name)?)
    }

    /// A transform of a design under a name.
    ///
    /// # Errors
    /// If it cannot be computed.
    pub fn of_design(name: &str, design: Design) -> Result<Self> {
        let plan = Arc::new(Plan::<f32>::new(&design).with_context(|| format!("transform {name}"))?);
        let grid = Grid::new(&plan);
        Ok(Transform { design, plan, grid })
    }

    /// For networks whose slices are frames.
    ///
    /// # Errors
    /// If it is not a plain STFT.
    pub fn require_plain_stft(&self) -> Result<()> {
        ensure!(
            self.plan.bins().iter().all(|bin| bin.num_frames == 1),
            "expected a plain STFT, as --transform stft:2048:512, got {}",
            self.design
        );
        Ok(())
    }
}

/// The sample rate of all that is trained.
pub const SAMPLE_RATE_HZ: u32 = 44_100;

/// The transform of that name, or of a specification (see [`Design`]).
///
/// # Errors
/// If it is neither.
pub fn design(name: &str) -> Result<Design> {
    let design: Design = name.parse().with_context(|| format!("transform {name}"))?;
    let rate_hz = design.sample_rate_hz();
    ensure!(rate_hz == f64::from(SAMPLE_RATE_HZ), "transform {name}: expected {SAMPLE_RATE_HZ} Hz, got {rate_hz} Hz");
    Ok(design)
}
