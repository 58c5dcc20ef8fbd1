//! From a slice to its coefficients.

use crate::{Plan, Sample, Scratch, tables::BinTable};
use num_complex::Complex;

impl<T: Sample> Plan<T> {
    /// Coefficients `[bin][frame]` of a windowed slice (as [`Slicer`](crate::Slicer) makes it):
    /// `c_j[m] = (-1)^(p_j/2) 1/M_j sum_k g_j(k) X[p_j + k] e^(2 pi i k m / M_j)`. A sine of amplitude A at the
    /// centre of a bin gives `|c|` of about `A L / (4 M)`.
    ///
    /// # Panics
    /// If `slice` is not [`slice_len`](Self::slice_len) long, `coefs` not [`num_coefs`](Self::num_coefs), or the
    /// scratch was made for another plan.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock; a few hundred small FFTs.
    pub fn forward_into(&self, slice: &[T], coefs: &mut [Complex<T>], scratch: &mut Scratch<T>) {
        assert_eq!(coefs.len(), self.num_coefs, "coefs must hold one slice");
        let Scratch { time, spectrum, fft, .. } = scratch;
        time.copy_from_slice(slice);
        let (low, half) = (self.tables.low_margin, self.slice_len / 2);
        self.real_ffts
            .forward
            .process_with_scratch(time, &mut spectrum[low..=low + half], fft)
            .expect("scratch was made for this plan");
        if self.synthesis.is_some() {
            coefs.copy_from_slice(spectrum);
            return;
        }
        self.analyse(spectrum, coefs, fft, |bin| bin.to_frames);
    }

    /// Coefficients of the half spectrum inside `spectrum`: continued into the margins, windowed bin by bin, each window
    /// times `factor`, and transformed to frames.
    pub(crate) fn analyse(
        &self,
        spectrum: &mut [Complex<T>],
        coefs: &mut [Complex<T>],
        fft: &mut [Complex<T>],
        factor: impl Fn(&BinTable<T>) -> T,
    ) {
        self.mirror_into_margins(spectrum);
        for (bucket, ffts) in self.buckets.iter().zip(&self.tables.bucket_ffts) {
            let coefs = &mut coefs[bucket.coefs.clone()];
            let bins = &self.tables.bins[bucket.first_bin..bucket.first_bin + bucket.num_bins];
            for (frames, bin) in coefs.chunks_exact_mut(bucket.num_frames).zip(bins) {
                let window = &self.tables.windows[bin.window.clone()];
                let (below, scale) = (window.len() / 2, factor(bin));
                let (from_centre, below_centre) = window.split_at(window.len() - below);
                let (upper, lower) = frames.split_at_mut(from_centre.len());
                multiply_into(&spectrum[bin.centre..][..upper.len()], from_centre, scale, upper);
                multiply_into(&spectrum[bin.centre - below..bin.centre], below_centre, scale, lower);
            }
            ffts.inverse.process_with_scratch(coefs, fft);
        }
    }

    /// The spectrum of a real signal, continued below DC and beyond Nyquist as far as windows reach.
    fn mirror_into_margins(&self, spectrum: &mut [Complex<T>]) {
        let (low, high) = (self.tables.low_margin, self.tables.high_margin);
        let nyquist = low + self.slice_len / 2;
        for i in 1..=low {
            spectrum[low - i] = spectrum[low + i].conj();
        }
        for i in 1..=high {
            spectrum[nyquist + i] = spectrum[nyquist - i].conj();
        }
    }
}

/// `out = scale window x`, all of one length.
fn multiply_into<T: Sample>(x: &[Complex<T>], window: &[T], scale: T, out: &mut [Complex<T>]) {
    for ((out, x), g) in out.iter_mut().zip(x).zip(window) {
        let factor = *g * scale;
        *out = Complex::new(x.re * factor, x.im * factor);
    }
}
