//! How long the stream waits, and how far it looks ahead.

use crate::{Plan, Sample};

/// When a stream cuts its slices and lets samples go: give the same one to [`Slicer`](crate::Slicer) and
/// [`OverlapAdd`](crate::OverlapAdd).
///
/// The slicing window is zero over its first and last `L/4 - tr/2` samples ([`Plan::margin_samples`]), L the slice
/// length and tr the transition length. So a slice is complete that many samples before its end has been heard; and
/// if nobody changed its coefficients, its inverse is zero there too.
///
/// | | delay of slicer and overlap-add | output |
/// |---|---|---|
/// | `Whole` | L/2 | as [`inverse_whole`](crate::inverse_whole) |
/// | `Early` | L/4 + tr/2 | the same: slices lie a margin further on, nothing else changes |
/// | `Trimmed` | tr | the same for unchanged coefficients; of changed ones it drops what spreads into the margins |
///
/// A plain STFT has no margins: its timings are all alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// Slices end with the hop that they were given.
    #[default]
    Whole,
    /// Slices end a margin after the hop that they were given.
    Early,
    /// As `Early`; and samples go out as soon as only margins of later slices could still add to them.
    Trimmed,
}

impl<T: Sample> Plan<T> {
    /// Samples at each end of a slice where the slicing window is zero.
    ///
    /// # Realtime
    /// Safe.
    pub fn margin_samples(&self) -> usize {
        if self.synthesis.is_some() { 0 } else { self.slice_len / 4 - self.transition_len / 2 }
    }

    /// By how much a [`Slicer`](crate::Slicer) and an [`OverlapAdd`](crate::OverlapAdd) of this timing together delay: what
    /// comes out with a hop is so many samples older than the hop. Who collects hops from shorter blocks waits for
    /// another `hop_len`.
    ///
    /// # Realtime
    /// Safe.
    pub fn delay_samples(&self, timing: Timing) -> usize {
        let margins = match timing {
            Timing::Whole => 0,
            Timing::Early => 1,
            Timing::Trimmed => 2,
        };
        self.slice_len - self.hop_len - margins * self.margin_samples()
    }

    /// How far after a sample's own time the input can influence the output there, when coefficients are changed in
    /// any way that looks at no later slice. No output sample depends on input further ahead; some depend on it.
    ///
    /// # Realtime
    /// Safe.
    pub fn lookahead_samples(&self, timing: Timing) -> usize {
        // From the first sample of a slice that goes out to the last that comes in with a weight. The first sample of a
        // plain STFT's windows weighs nothing.
        let first_out = match timing {
            _ if self.synthesis.is_some() => 1,
            Timing::Trimmed => self.margin_samples(),
            _ => 0,
        };
        self.slice_len - 1 - self.margin_samples() - first_out
    }

    /// Where in the slice a frame of a bin lies, in samples from the slice's start: `m L / M`, and the middle of the
    /// slice for a plain STFT. Not a whole number in general.
    ///
    /// # Panics
    /// If there is no such bin.
    ///
    /// # Realtime
    /// Safe.
    pub fn frame_position_samples(&self, bin_idx: usize, frame_idx: usize) -> f64 {
        match &self.synthesis {
            Some(_) => self.slice_len as f64 / 2.0,
            None => frame_idx as f64 * self.slice_len as f64 / self.bins[bin_idx].num_frames as f64,
        }
    }

    /// How far after the time of a frame the input can influence it: to the last sample with a weight in the slice.
    /// (Most of the influence is much nearer: within about `4 L / M` samples, half the main lobe of the bin's window.)
    ///
    /// # Panics
    /// If there is no such bin.
    ///
    /// # Realtime
    /// Safe.
    pub fn frame_lookahead_samples(&self, bin_idx: usize, frame_idx: usize) -> usize {
        let last_heard = self.slice_len - 1 - self.margin_samples();
        last_heard.saturating_sub(self.frame_position_samples(bin_idx, frame_idx).floor() as usize)
    }
}
