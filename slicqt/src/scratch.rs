//! Working memory.

use crate::{Plan, Sample};
use num_complex::Complex;

/// Working memory of one thread for one plan; its contents do not matter.
pub struct Scratch<T = f32> {
    /// `[sample]`, a slice that the real FFT may spoil.
    pub(crate) time: Vec<T>,
    /// `[q]`, q = -low_margin ..= L/2 + high_margin: half a spectrum and its continuation as far as windows reach.
    pub(crate) spectrum: Vec<Complex<T>>,
    /// `[bin][k]` of the largest bucket.
    pub(crate) frames: Vec<Complex<T>>,
    /// For the FFTs' own use.
    pub(crate) fft: Vec<Complex<T>>,
}

impl<T: Sample> Plan<T> {
    /// Memory for [`forward_into`](Self::forward_into), [`inverse_into`](Self::inverse_into) and
    /// [`adjoint_into`](Self::adjoint_into).
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn make_scratch(&self) -> Scratch<T> {
        let zeros = |len: usize| vec![Complex::new(T::zero(), T::zero()); len];
        let small_ffts = self
            .tables
            .bucket_ffts
            .iter()
            .flat_map(|ffts| [ffts.inverse.get_inplace_scratch_len(), ffts.forward.get_immutable_scratch_len()]);
        let real_ffts = [self.real_ffts.forward.get_scratch_len(), self.real_ffts.inverse.get_scratch_len()];
        Scratch {
            time: self.make_slice(),
            spectrum: zeros(self.tables.low_margin + self.slice_len / 2 + 1 + self.tables.high_margin),
            frames: zeros(self.buckets.iter().map(|bucket| bucket.coefs.len()).max().unwrap_or(0)),
            fft: zeros(small_ffts.chain(real_ffts).max().unwrap_or(0)),
        }
    }
}
