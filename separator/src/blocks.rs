//! Networks that take many slices at once, for models that are for files: magnitudes wait until a block of slices is
//! full, and its masks are handed out slice by slice.
//!
//! With B slices to a block and L slices of silence that count as heard before the first, slice n of the stream is
//! number `(n + L) mod B` of its block. The first slice of a block waits for all others, so the masks that are handed
//! out are always those of the slice that came B - 1 slices ago: a constant delay.

use crate::{SeparatorError, graph::NetworkState};

/// The block that is being filled, and the masks of the one before.
pub(crate) struct Blocks {
    num_slices: usize,
    lead_slices: usize,
    /// `[slice][channel][coef]`
    magnitudes: Vec<f32>,
    /// `[slice][stem][left, right][coef]`
    masks: Vec<f32>,
    /// Slices of the block that have come.
    num_filled: usize,
}

impl Blocks {
    /// Blocks of `num_slices` slices, the first of which begins with `lead_slices` slices of silence; a slice has
    /// `num_magnitudes` magnitudes and `num_masks` masks.
    ///
    /// # Panics
    /// If the first block is nothing but silence.
    pub fn new(num_slices: usize, lead_slices: usize, num_magnitudes: usize, num_masks: usize) -> Self {
        assert!(lead_slices < num_slices, "a block has room for a slice");
        Blocks {
            num_slices,
            lead_slices,
            magnitudes: vec![0.0; num_slices * num_magnitudes],
            masks: vec![0.0; num_slices * num_masks],
            num_filled: lead_slices,
        }
    }

    /// By how many slices masks lag behind magnitudes.
    pub fn delay_slices(&self) -> usize {
        self.num_slices - 1
    }

    /// Takes the magnitudes of a slice, `[channel][coef]`, and gives the masks of the slice
    /// [`delay_slices`](Self::delay_slices) before it, `[stem][left, right][coef]`; 0 before the first.
    ///
    /// # Realtime
    /// Worker only: runs the network when the block is full.
    pub fn run_into(
        &mut self,
        network: &mut NetworkState,
        magnitudes: &[f32],
        masks: &mut [f32],
    ) -> Result<(), SeparatorError> {
        self.magnitudes[self.num_filled * magnitudes.len()..][..magnitudes.len()].copy_from_slice(magnitudes);
        self.num_filled += 1;
        if self.num_filled == self.num_slices {
            network.run_into(&self.magnitudes, &mut self.masks)?;
            self.num_filled = 0;
        }
        // Just after a block has become full this is its first slice, then the second, and so on.
        masks.copy_from_slice(&self.masks[self.num_filled * masks.len()..][..masks.len()]);
        Ok(())
    }

    /// As if new.
    pub fn reset(&mut self) {
        self.magnitudes.fill(0.0);
        self.masks.fill(0.0);
        self.num_filled = self.lead_slices;
    }
}
