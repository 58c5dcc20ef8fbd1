//! From hops to slices and back, one hop at a time.

use crate::{Plan, Sample};

/// Cuts a stream of hops into windowed slices: each is what it still knows of the hops before and the new one, times
/// the slicing window.
pub struct Slicer<T = f32> {
    /// `[sample]`, the last `slice_len - hop_len` samples.
    past: Vec<T>,
}

impl<T: Sample> Slicer<T> {
    /// A slicer that has heard only silence.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: &Plan<T>) -> Self {
        Slicer { past: vec![T::zero(); plan.slice_len() - plan.hop_len()] }
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
        let (first, second) = slice.split_at_mut(self.past.len());
        let (past_window, hop_window) = plan.slicing.split_at(self.past.len());
        multiply_into(&self.past, past_window, first);
        multiply_into(hop, hop_window, second);
        self.past.copy_within(hop.len().., 0);
        let kept = self.past.len() - hop.len();
        self.past[kept..].copy_from_slice(hop);
    }

    /// Forgets what it has heard.
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
/// that slice, so a [`Slicer`] and an `OverlapAdd` together delay by `slice_len - hop_len` samples: one hop, but for
/// plain STFTs.
pub struct OverlapAdd<T = f32> {
    /// `[sample]`, what the slices so far add to the next `slice_len - hop_len` samples.
    carry: Vec<T>,
    hop_len: usize,
}

impl<T: Sample> OverlapAdd<T> {
    /// An overlap-add that has seen only silence.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: &Plan<T>) -> Self {
        OverlapAdd { carry: vec![T::zero(); plan.slice_len() - plan.hop_len()], hop_len: plan.hop_len() }
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
        assert!(hop.len() == hop_len && slice.len() == carry_len + hop_len, "lengths must be the plan's");
        for ((out, a), b) in hop.iter_mut().zip(&self.carry).zip(slice) {
            *out = *a + *b;
        }
        self.carry.copy_within(hop_len.., 0);
        let overlap = carry_len - hop_len;
        for (carry, x) in self.carry.iter_mut().zip(&slice[hop_len..carry_len]) {
            *carry = *carry + *x;
        }
        self.carry[overlap..].copy_from_slice(&slice[carry_len..]);
    }

    /// Forgets what it has seen.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.carry.fill(T::zero());
    }
}
