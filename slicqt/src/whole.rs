//! Whole signals at once: written from the formulas, not from the stream, so that each can test the other.

use crate::{Plan, Sample};
use num_complex::Complex;

/// Coefficients `[slice][bin][frame]` of a whole signal. Slice `s` is `x[(s+1) h - L + i] w(i)`, h the hop, zeros
/// outside the signal, for `s = 0 .. ceil(N/h) + L/h - 1`: from the first that holds a sample to the last.
///
/// # Realtime
/// Not safe: allocates.
pub fn forward_whole<T: Sample>(plan: &Plan<T>, signal: &[T]) -> Vec<Complex<T>> {
    let hop = plan.hop_len();
    let past = plan.slice_len() - hop;
    let num_slices = signal.len().div_ceil(hop) + past / hop;
    let zero = Complex::new(T::zero(), T::zero());
    let mut coefs = vec![zero; num_slices * plan.num_coefs()];
    let (mut slice, mut scratch) = (plan.make_slice(), plan.make_scratch());
    for (s, coefs) in coefs.chunks_exact_mut(plan.num_coefs()).enumerate() {
        for (i, (out, w)) in slice.iter_mut().zip(&plan.slicing).enumerate() {
            let x = (s * hop + i).checked_sub(past).and_then(|n| signal.get(n)).copied().unwrap_or(T::zero());
            *out = x * *w;
        }
        plan.forward_into(&slice, coefs, &mut scratch);
    }
    coefs
}

/// The signal of `num_samples` whose coefficients are `coefs`, `[slice][bin][frame]` as from [`forward_whole`].
///
/// # Panics
/// If `coefs` are not whole slices, or too few for `num_samples`.
///
/// # Realtime
/// Not safe: allocates.
pub fn inverse_whole<T: Sample>(plan: &Plan<T>, coefs: &[Complex<T>], num_samples: usize) -> Vec<T> {
    let hop = plan.hop_len();
    let past = plan.slice_len() - hop;
    assert_eq!(coefs.len() % plan.num_coefs(), 0, "coefs must be whole slices");
    let num_slices = coefs.len() / plan.num_coefs();
    assert!(num_slices * hop >= num_samples, "too few slices for {num_samples} samples");
    let mut signal = vec![T::zero(); num_slices * hop + past];
    let (mut slice, mut scratch) = (plan.make_slice(), plan.make_scratch());
    for (s, coefs) in coefs.chunks_exact(plan.num_coefs()).enumerate() {
        plan.inverse_into(coefs, &mut slice, &mut scratch);
        for (sum, x) in signal[s * hop..].iter_mut().zip(&slice) {
            *sum = *sum + *x;
        }
    }
    signal.drain(..past);
    signal.truncate(num_samples);
    signal
}
