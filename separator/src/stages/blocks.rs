//! Networks that take many slices at once, for models that are for files: slices wait until a block is full, and then
//! the network's output is handed out slice by slice.
//!
//! With B slices to a block and L slices of silence in front of the first, slice n of the stream is
//! number `(n + L) mod B` of its block. The first slice of a block waits for all others, so what is handed out always
//! belongs to the slice that came B - 1 slices ago: a constant delay.

use super::Masker;
use crate::{NetworkState, SeparatorError};

/// The block that is being filled, and the output for the previous one: both lie in the network's own tensors.
pub(crate) struct Blocks {
    state: NetworkState,
    num_slices: usize,
    lead_slices: usize,
    /// Slices of the block that have come.
    num_filled: usize,
}

impl Blocks {
    /// Blocks of `num_slices` slices, the first of which begins with `lead_slices` slices of silence.
    ///
    /// # Panics
    /// If the first block is nothing but silence.
    pub fn new(state: NetworkState, num_slices: usize, lead_slices: usize) -> Self {
        assert!(lead_slices < num_slices, "a block has room for a slice");
        Blocks { state, num_slices, lead_slices, num_filled: lead_slices }
    }
}

impl Masker for Blocks {
    fn delay_slices(&self) -> usize {
        self.num_slices - 1
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
            self.num_filled = 0;
        }
        Ok(())
    }

    /// Just after a block has become full this is its first slice, then the second, and so on; 0 before the first.
    fn output(&self) -> &[f32] {
        let block = self.state.output();
        let len = block.len() / self.num_slices;
        &block[self.num_filled * len..][..len]
    }

    fn output_mut(&mut self) -> &mut [f32] {
        let (num_slices, num_filled) = (self.num_slices, self.num_filled);
        let block = self.state.output_mut();
        let len = block.len() / num_slices;
        &mut block[num_filled * len..][..len]
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
        self.num_filled = self.lead_slices;
    }
}
