//! The network as a stage, slice by slice.

use super::blocks::Blocks;
use crate::{Graph, NetworkState, SeparatorError};
use std::sync::Arc;

/// The network as a stage: planes of a slice in, planes of an earlier slice out.
pub(crate) trait Masker: Send {
    /// By how many slices what comes out lags behind what goes in.
    fn delay_slices(&self) -> usize;

    /// `[plane][coef]` of the next slice, to be filled in before [`run`](Self::run).
    fn input_mut(&mut self) -> &mut [f32];

    /// Takes the slice that was filled in.
    fn run(&mut self) -> Result<(), SeparatorError>;

    /// `[stem][plane][coef]` of the slice that went in [`delay_slices`](Self::delay_slices) runs before the last one.
    fn output(&self) -> &[f32];

    /// The same, to be changed.
    fn output_mut(&mut self) -> &mut [f32];

    /// Whether another slice of silence would change nothing that it remembers.
    fn is_settled(&self) -> bool;

    /// The input has ended.
    fn end(&mut self);

    /// Back to the initial state.
    fn reset(&mut self);
}

/// The masker of a graph: one that takes slices as they come, or whole blocks.
pub(crate) fn masker_of(graph: &Arc<Graph>) -> Result<Box<dyn Masker>, SeparatorError> {
    let manifest = &graph.model().manifest;
    let state = graph.make_state()?;
    let offline = manifest.offline.clone().unwrap_or_default();
    Ok(match offline.block_slices {
        Some(num_slices) => Box::new(Blocks::new(state, num_slices, offline.lead_slices, offline.margin_slices)),
        None => Box::new(SliceBySlice { state, look_ahead_slices: manifest.look_ahead_slices }),
    })
}

/// A network that takes one slice at a time, and may answer some slices later.
struct SliceBySlice {
    state: NetworkState,
    look_ahead_slices: usize,
}

impl Masker for SliceBySlice {
    fn delay_slices(&self) -> usize {
        self.look_ahead_slices
    }

    fn input_mut(&mut self) -> &mut [f32] {
        self.state.input_mut()
    }

    fn run(&mut self) -> Result<(), SeparatorError> {
        self.state.run()
    }

    fn output(&self) -> &[f32] {
        self.state.output()
    }

    fn output_mut(&mut self) -> &mut [f32] {
        self.state.output_mut()
    }

    fn is_settled(&self) -> bool {
        self.state.is_settled()
    }

    fn end(&mut self) {
        self.state.end();
    }

    fn reset(&mut self) {
        self.state.reset();
    }
}
