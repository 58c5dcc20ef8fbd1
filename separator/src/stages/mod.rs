//! The parts of a [`Pipeline`](crate::Pipeline), each with its own delay, from which the pipeline's is summed:
//!
//! | stage | from | to | delays by |
//! |---|---|---|---|
//! | [`Analysis`] | a hop of the mix | the coefficients of a slice | nothing |
//! | [`Planes`] | coefficients | what the network sees of them | nothing |
//! | masker | planes | the network's output for each stem | its look-ahead, or a block of slices |
//! | estimator: [`Masking`], [`Wiener`] | coefficients, network output | coefficients of every stem | nothing, or a window |
//! | sensitivity | coefficients of every stem | the same, sharper or softer | nothing |
//! | [`Synthesis`] | coefficients of every stem, the mix | a hop of every stem | what slices overlap |
//!
//! All but the masker work without a graph, so that a trainer computes with them what the engine will compute:
//!
//! ```
//! use models::{Channel, InputKind, OutputKind};
//! use separator::stages::{Analysis, Masking, Planes, Slice, Synthesis};
//! use slicqt::{Design, Plan, Timing};
//! use std::sync::Arc;
//!
//! let plan = Arc::new(Plan::new(&Design::stft(1024, 256, 44_100.0)).unwrap());
//! let mut analysis = Analysis::new(plan.clone(), Timing::Whole);
//! let planes = Planes::new(InputKind::Magnitude, vec![Channel::Left, Channel::Right]);
//! let mut masking = Masking::new(OutputKind::Mask, 2, plan.num_coefs());
//! let mut synthesis = Synthesis::new(plan.clone(), Timing::Whole, 2, 0);
//!
//! let hop = [vec![0.5; 256], vec![0.25; 256]];
//! let mut coefs = [plan.make_coefs(), plan.make_coefs()];
//! let mut input = vec![0.0; planes.num_planes() * plan.num_coefs()];
//! let mut stems = vec![hop.clone(); 2];
//! for _ in 0..8 {
//!     analysis.analyse_into([&hop[0], &hop[1]], &mut coefs);
//!     planes.write_into(&coefs, &mut input);
//!     let output = vec![0.5; 2 * 2 * plan.num_coefs()]; // a network's masks, `[stem][left, right][coef]`
//!     let slice = Slice { mix: &coefs, output: &output };
//!     masking.measure_residual(slice);
//!     let mut estimate = |stem, channel, coefs: &mut [_]| masking.estimate_into(slice, stem, channel, coefs);
//!     synthesis.synthesize_into([&hop[0], &hop[1]], &mut estimate, &mut stems);
//! }
//! assert!((stems[0][0][0] - 0.25).abs() < 1e-6 && (stems[1][1][0] - 0.125).abs() < 1e-6);
//! ```

mod analysis;
mod blocks;
mod estimator;
mod masker;
mod sensitivity;
mod synthesis;
mod wiener;

pub use analysis::{Analysis, Planes};
pub use estimator::Masking;
pub(crate) use estimator::{Estimator, estimator_of, is_usable};
pub(crate) use masker::{Masker, masker_of};
pub(crate) use sensitivity::Sensitivity;
pub use synthesis::{Estimate, Synthesis};
pub use wiener::Wiener;

use slicqt::Complex;

/// A slice of the mix, and the network's output for it.
#[derive(Clone, Copy)]
pub struct Slice<'a> {
    /// `[channel][coef]`
    pub mix: &'a [Vec<Complex<f32>>; 2],
    /// `[stem][plane][coef]`, planes as [`models::Output`] has them.
    pub output: &'a [f32],
}
