//! From a gradient by samples to the gradient by coefficients.

use crate::{Plan, Sample, Scratch};
use num_complex::Complex;

impl<T: Sample> Plan<T> {
    /// The adjoint of [`inverse_into`](Self::inverse_into): `[bin][frame]` coefficients `a` with
    /// `sum_n v[n] inverse(c)[n] = sum_i Re(conj(a_i) c_i)` for every `c`. So if `v` is the gradient of a loss by the
    /// samples of a slice, `a_i = dloss/dRe(c_i) + i dloss/dIm(c_i)`; and with `c = mask x` the gradient by the mask is
    /// `Re(conj(a) x)`.
    ///
    /// The inverse is `irfft D^-1 G*` (G* the windows, D the frame diagonal), so this is `G D^-1 rfft`: the forward
    /// transform with the dual windows, `mu_j M_j^2` times as large, where mu is 2 for bands, which stand for their
    /// mirrors too, and 1 for DC and Nyquist.
    ///
    /// # Panics
    /// If `slice` is not [`slice_len`](Self::slice_len) long, `coefs` not [`num_coefs`](Self::num_coefs), or the
    /// scratch was made for another plan.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock; a few hundred small FFTs.
    pub fn adjoint_into(&self, slice: &[T], coefs: &mut [Complex<T>], scratch: &mut Scratch<T>) {
        assert_eq!(coefs.len(), self.num_coefs, "coefs must hold one slice");
        let Scratch { time, spectrum, fft, .. } = scratch;
        time.copy_from_slice(slice);
        if let Some(synthesis) = &self.synthesis {
            time.iter_mut().zip(synthesis).for_each(|(v, w)| *v = *v * *w);
        }
        let (low, half) = (self.tables.low_margin, self.slice_len / 2);
        let inner = &mut spectrum[low..=low + half];
        self.real_ffts.forward.process_with_scratch(time, inner, fft).expect("scratch was made for this plan");
        let two = T::one() + T::one();
        if self.synthesis.is_some() {
            coefs.copy_from_slice(inner);
            // All but DC and Nyquist stand for their mirrors too.
            coefs[1..half].iter_mut().for_each(|c| *c = Complex::new(c.re * two, c.im * two));
            return;
        }
        for (x, factor) in inner.iter_mut().zip(&self.tables.inverse_diagonal) {
            *x = Complex::new(x.re * *factor, x.im * *factor);
        }
        self.analyse(spectrum, coefs, fft, |bin| bin.from_frames * two);
    }
}
