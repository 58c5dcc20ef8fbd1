//! From hops to slices and back, one hop at a time.

use crate::{Plan, Sample, Timing};

/// Cuts a stream of hops into windowed slices: each is what it still knows of the hops before and the new one, times
/// the slicing window.
pub struct Slicer<T = f32> {
    /// `[sample]`, the samples before the hop that a slice needs.
    past: Vec<T>,
    /// Samples at the end of a slice that it does not wait for.
    lead: usize,
}

impl<T: Sample> Slicer<T> {
    /// A slicer in its initial state: silence before the first hop.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: &Plan<T>) -> Self {
        Slicer::with_timing(plan, Timing::Whole)
    }

    /// The same with another [`Timing`].
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn with_timing(plan: &Plan<T>, timing: Timing) -> Self {
        let lead = if timing == Timing::Whole { 0 } else { plan.margin_samples() };
        Slicer { past: vec![T::zero(); plan.slice_len() - plan.hop_len() - lead], lead }
    }

    /// Takes one hop and makes the slice that it completes.
    ///
    /// # Panics
    /// If `hop` or `slice` have not the plan's lengths.
    ///
    /// # Realtime
    /// Safe.
    pub fn slice_into(&mut self, plan: &Plan<T>, hop: &[T], slice: &mut [T]) {
        assert!(hop.len() == plan.hop_len() && slice.len() == plan.slice_len(), "lengths must be the plan's");
        let (heard, to_come) = slice.split_at_mut(plan.slice_len() - self.lead);
        let (first, second) = heard.split_at_mut(self.past.len());
        let (past_window, hop_window) = plan.slicing[..plan.slice_len() - self.lead].split_at(self.past.len());
        multiply_into(&self.past, past_window, first);
        multiply_into(hop, hop_window, second);
        to_come.fill(T::zero());
        if self.past.len() > hop.len() {
            self.past.copy_within(hop.len().., 0);
        }
        let kept = self.past.len().saturating_sub(hop.len());
        let new = hop.len().min(self.past.len());
        self.past[kept..].copy_from_slice(&hop[hop.len() - new..]);
    }

    /// Back to the initial state.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.past.fill(T::zero());
    }
}

fn multiply_into<T: Sample>(a: &[T], b: &[T], out: &mut [T]) {
    assert!(a.len() == out.len() && b.len() == out.len(), "lengths must be the plan's");
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = *a * *b;
    }
}

/// Adds overlapping slices up to hops. The hop that comes out when a slice goes in is the first `hop_len` samples of
/// that slice, so a [`Slicer`] and an `OverlapAdd` together delay by `slice_len - hop_len` samples (one hop, but for
/// plain STFTs), or by what another [`Timing`] says.
pub struct OverlapAdd<T = f32> {
    /// `[sample]`, what the slices so far add to the samples after the hop.
    carry: Vec<T>,
    hop_len: usize,
    /// Samples at both ends of a slice that are left out.
    trim: usize,
}

impl<T: Sample> OverlapAdd<T> {
    /// An overlap-add that has seen only silence.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: &Plan<T>) -> Self {
        OverlapAdd::with_timing(plan, Timing::Whole)
    }

    /// The same with another [`Timing`].
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn with_timing(plan: &Plan<T>, timing: Timing) -> Self {
        let trim = if timing == Timing::Trimmed { plan.margin_samples() } else { 0 };
        let carry_len = plan.slice_len() - 2 * trim - plan.hop_len();
        OverlapAdd { carry: vec![T::zero(); carry_len], hop_len: plan.hop_len(), trim }
    }

    /// Adds one slice and gives the hop that it completes.
    ///
    /// # Panics
    /// If `slice` or `hop` have not the plan's lengths.
    ///
    /// # Realtime
    /// Safe.
    pub fn add_into(&mut self, slice: &[T], hop: &mut [T]) {
        let (carry_len, hop_len) = (self.carry.len(), self.hop_len);
        let fits = hop.len() == hop_len && slice.len() == carry_len + hop_len + 2 * self.trim;
        assert!(fits, "lengths must be the plan's");
        let slice = &slice[self.trim..slice.len() - self.trim];
        let overlap = carry_len.min(hop_len);
        for ((out, a), b) in hop.iter_mut().zip(&self.carry).zip(slice) {
            *out = *a + *b;
        }
        hop[overlap..].copy_from_slice(&slice[overlap..hop_len]);
        // What the carry knows of the samples after this hop moves to its front, and the slice is added to it.
        self.carry.copy_within(overlap.., 0);
        let known = carry_len - overlap;
        for (carry, x) in self.carry[..known].iter_mut().zip(&slice[hop_len..]) {
            *carry = *carry + *x;
        }
        self.carry[known..].copy_from_slice(&slice[hop_len + known..]);
    }

    /// Forgets what it has seen.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.carry.fill(T::zero());
    }
}
