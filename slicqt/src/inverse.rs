//! From coefficients to their slice.

use crate::{Plan, Sample, Scratch};
use num_complex::Complex;

impl<T: Sample> Plan<T> {
    /// The slice whose coefficients are `coefs` (`[bin][frame]`), by the dual frame. Coefficients that were changed
    /// and belong to no signal give the slice nearest to them in the frame's sense. It is not windowed again: slices
    /// are just added up ([`OverlapAdd`](crate::OverlapAdd)).
    ///
    /// # Panics
    /// If `slice` is not [`slice_len`](Self::slice_len) long, `coefs` not [`num_coefs`](Self::num_coefs), or the
    /// scratch was made for another plan.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock; a few hundred small FFTs.
    pub fn inverse_into(&self, coefs: &[Complex<T>], slice: &mut [T], scratch: &mut Scratch<T>) {
        assert_eq!(coefs.len(), self.num_coefs, "coefs must hold one slice");
        let Scratch { spectrum, frames, fft, .. } = scratch;
        if let Some(synthesis) = &self.synthesis {
            spectrum.copy_from_slice(coefs);
            // The spectrum of a real signal is real at DC and Nyquist.
            spectrum[0].im = T::zero();
            spectrum[self.slice_len / 2].im = T::zero();
            self.real_ffts.inverse.process_with_scratch(spectrum, slice, fft).expect("scratch was made for this plan");
            slice.iter_mut().zip(synthesis).for_each(|(x, w)| *x = *x * *w);
            return;
        }
        spectrum.fill(Complex::new(T::zero(), T::zero()));
        for (bucket, ffts) in self.buckets.iter().zip(&self.tables.bucket_ffts) {
            let coefs = &coefs[bucket.coefs.clone()];
            let frames = &mut frames[..coefs.len()];
            ffts.forward.process_immutable_with_scratch(coefs, frames, fft);
            let bins = &self.tables.bins[bucket.first_bin..bucket.first_bin + bucket.num_bins];
            for (frames, bin) in frames.chunks_exact(bucket.num_frames).zip(bins) {
                let window = &self.tables.windows[bin.window.clone()];
                let below = window.len() / 2;
                let (from_centre, below_centre) = window.split_at(window.len() - below);
                let (upper, lower) = frames.split_at(from_centre.len());
                multiply_add(upper, from_centre, bin.from_frames, &mut spectrum[bin.centre..][..upper.len()]);
                multiply_add(lower, below_centre, bin.from_frames, &mut spectrum[bin.centre - below..bin.centre]);
            }
        }
        self.fold_margins(spectrum);
        let low = self.tables.low_margin;
        let spectrum = &mut spectrum[low..=low + self.slice_len / 2];
        for (y, factor) in spectrum.iter_mut().zip(&self.tables.inverse_diagonal) {
            *y = Complex::new(y.re * *factor, y.im * *factor);
        }
        self.real_ffts.inverse.process_with_scratch(spectrum, slice, fft).expect("scratch was made for this plan");
    }

    /// Adds the conjugate mirror of every bin, where it lies in the half spectrum: of what reaches below DC or beyond
    /// Nyquist, and of DC and Nyquist themselves, which become real.
    fn fold_margins(&self, spectrum: &mut [Complex<T>]) {
        let (low, high) = (self.tables.low_margin, self.tables.high_margin);
        let nyquist = low + self.slice_len / 2;
        for i in 1..=low {
            spectrum[low + i] = spectrum[low + i] + spectrum[low - i].conj();
        }
        for i in 1..=high {
            spectrum[nyquist - i] = spectrum[nyquist - i] + spectrum[nyquist + i].conj();
        }
        for q in [low, nyquist] {
            spectrum[q] = spectrum[q] + spectrum[q].conj();
        }
    }
}

/// `sum += scale window x`, all of one length.
fn multiply_add<T: Sample>(x: &[Complex<T>], window: &[T], scale: T, sum: &mut [Complex<T>]) {
    for ((sum, x), g) in sum.iter_mut().zip(x).zip(window) {
        let factor = *g * scale;
        *sum = Complex::new(sum.re + x.re * factor, sum.im + x.im * factor);
    }
}
