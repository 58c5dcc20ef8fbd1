//! Which samples slices cover.

use slicqt::Plan;

/// Samples of `num_slices` hops that slices cover in full: those that come back whole from the inverse.
pub fn num_whole_samples<T: slicqt::Sample>(plan: &Plan<T>, num_slices: usize) -> usize {
    (num_slices * plan.hop_len()).saturating_sub(plan.slice_len() - plan.hop_len())
}

/// Adds slice `s` to the samples that it lies over, of those that begin with the first hop.
pub fn add_slice<T: slicqt::Sample>(plan: &Plan<T>, slice: &[T], s: usize, samples: &mut [T]) {
    let end = (s + 1) * plan.hop_len();
    let from = plan.slice_len().saturating_sub(end);
    let start = (end + from) - plan.slice_len();
    for (out, x) in samples.iter_mut().skip(start).zip(&slice[from..]) {
        *out = *out + *x;
    }
}
