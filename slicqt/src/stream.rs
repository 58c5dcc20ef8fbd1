//! From hops to slices and back, one hop at a time.

use crate::{Plan, Sample};

/// Cuts a stream of hops into windowed slices: each is the previous hop and the new one, times the slicing window.
pub struct Slicer<T = f32> {
    /// `[sample]`, the previous hop.
    previous: Vec<T>,
}

impl<T: Sample> Slicer<T> {
    /// A slicer that has heard only silence.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: &Plan<T>) -> Self {
        Slicer { previous: vec![T::zero(); plan.hop_len()] }
    }

    /// Takes one hop and makes the slice that it completes.
    ///
    /// # Panics
    /// If `hop` or `slice` have not the plan's lengths.
    ///
    /// # Realtime
    /// Safe.
    pub fn slice_into(&mut self, plan: &Plan<T>, hop: &[T], slice: &mut [T]) {
        let (first, second) = slice.split_at_mut(plan.hop_len());
        let (rise, fall) = plan.slicing.split_at(plan.hop_len());
        multiply_into(&self.previous, rise, first);
        multiply_into(hop, fall, second);
        self.previous.copy_from_slice(hop);
    }

    /// Forgets what it has heard.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.previous.fill(T::zero());
    }
}

fn multiply_into<T: Sample>(a: &[T], b: &[T], out: &mut [T]) {
    assert!(a.len() == out.len() && b.len() == out.len(), "lengths must be the plan's");
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = *a * *b;
    }
}

/// Adds overlapping slices up to hops. The hop that comes out when slice `s` goes in is the first half of that
/// slice: the hop before the newest one, so a [`Slicer`] and an `OverlapAdd` together delay by one hop.
pub struct OverlapAdd<T = f32> {
    /// `[sample]`, the second half of the last slice.
    carry: Vec<T>,
}

impl<T: Sample> OverlapAdd<T> {
    /// An overlap-add that has seen only silence.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: &Plan<T>) -> Self {
        OverlapAdd { carry: vec![T::zero(); plan.hop_len()] }
    }

    /// Adds one slice and gives the hop that it completes.
    ///
    /// # Panics
    /// If `slice` or `hop` have not the plan's lengths.
    ///
    /// # Realtime
    /// Safe.
    pub fn add_into(&mut self, slice: &[T], hop: &mut [T]) {
        let (first, second) = slice.split_at(self.carry.len());
        assert!(hop.len() == first.len() && second.len() == first.len(), "lengths must be the plan's");
        for ((out, a), b) in hop.iter_mut().zip(&self.carry).zip(first) {
            *out = *a + *b;
        }
        self.carry.copy_from_slice(second);
    }

    /// Forgets what it has seen.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.carry.fill(T::zero());
    }
}
