//! Networks that take many slices at once, for models that are for files: slices wait until a block is full, and then
//! the network's output is handed out slice by slice.
//!
//! With B slices to a block, of which M at either end are there to be heard only, and L slices of silence in front of the
//! first, the output for slice n of the stream is number `M + (n + L) mod (B - 2 M)` of its block's. Blocks overlap by 2 M
//! slices. The first output of a block waits for all slices of it, so what is handed out always belongs to the slice that
//! came B - 1 - M slices ago: a constant delay.

use super::Masker;
use crate::{NetworkState, SeparatorError};

/// The block that is being filled, and the output for the previous one: both lie in the network's own tensors.
pub(crate) struct Blocks {
    state: NetworkState,
    num_slices: usize,
    lead_slices: usize,
    margin_slices: usize,
    /// Slices of the block that have come.
    num_filled: usize,
}

impl Blocks {
    /// The blocks that a manifest asks for.
    ///
    /// # Panics
    /// If the first block is nothing but silence, or a block nothing but margins.
    pub fn new(state: NetworkState, num_slices: usize, lead_slices: usize, margin_slices: usize) -> Self {
        assert!(lead_slices + 2 * margin_slices < num_slices, "a block has room for a slice");
        Blocks { state, num_slices, lead_slices, margin_slices, num_filled: lead_slices + margin_slices }
    }
}

impl Masker for Blocks {
    fn delay_slices(&self) -> usize {
        self.num_slices - 1 - self.margin_slices
    }

    fn input_mut(&mut self) -> &mut [f32] {
        let (num_slices, num_filled) = (self.num_slices, self.num_filled);
        let block = self.state.input_mut();
        let len = block.len() / num_slices;
        &mut block[num_filled * len..][..len]
    }

    fn run(&mut self) -> Result<(), SeparatorError> {
        self.num_filled += 1;
        if self.num_filled == self.num_slices {
            self.state.run()?;
            // What the next block hears again.
            let num_kept = 2 * self.margin_slices;
            let block = self.state.input_mut();
            let len = block.len() / self.num_slices;
            block.copy_within((self.num_slices - num_kept) * len.., 0);
            self.num_filled = num_kept;
        }
        Ok(())
    }

    /// Just after a block has become full this is the first slice behind the margin, then the second, and so on; 0 before
    /// the first.
    fn output(&self) -> &[f32] {
        let block = self.state.output();
        let len = block.len() / self.num_slices;
        &block[(self.num_filled - self.margin_slices) * len..][..len]
    }

    fn output_mut(&mut self) -> &mut [f32] {
        let (num_slices, slice_idx) = (self.num_slices, self.num_filled - self.margin_slices);
        let block = self.state.output_mut();
        let len = block.len() / num_slices;
        &mut block[slice_idx * len..][..len]
    }

    /// What waits in the block counts too.
    fn is_settled(&self) -> bool {
        false
    }

    fn end(&mut self) {
        self.state.end();
    }

    fn reset(&mut self) {
        self.state.reset();
        self.state.input_mut().fill(0.0);
        self.state.output_mut().fill(0.0);
        self.num_filled = self.lead_slices + self.margin_slices;
    }
}
