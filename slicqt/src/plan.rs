//! Tables and FFTs of a design, and the transform of one slice.

use crate::{Design, DesignError, Sample, sample::RealFftPair, tables::Tables, tables::cast, windows};
use num_complex::Complex;
use std::ops::Range;

/// One frequency of the scale (or DC, or Nyquist).
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// Centre frequency.
    pub frequency_hz: f64,
    /// Centre on the FFT grid of a slice; even, but for a plain STFT.
    pub position: usize,
    /// Coefficients per slice. Frame `m` lies at sample `m * slice_len / num_frames` of the slice, and a plain
    /// STFT's only one in its middle.
    pub num_frames: usize,
    /// Index of the bin's frame 0 among the coefficients of a slice.
    pub coef_offset: usize,
}

/// A maximal run of neighbouring bins that share one number of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Index of its lowest bin.
    pub first_bin: usize,
    /// Number of bins.
    pub num_bins: usize,
    /// Frames of each of its bins.
    pub num_frames: usize,
    /// Its coefficients, `[bin][frame]`, among those of a slice.
    pub coefs: Range<usize>,
}

/// Everything about a design that does not change: share it in an `Arc` between channels, stems and threads.
pub struct Plan<T = f32> {
    pub(crate) slice_len: usize,
    pub(crate) hop_len: usize,
    pub(crate) transition_len: usize,
    pub(crate) num_coefs: usize,
    pub(crate) bins: Vec<Bin>,
    pub(crate) buckets: Vec<Bucket>,
    /// `[sample]`, the slicing window.
    pub(crate) slicing: Vec<T>,
    /// `[sample]`, a plain STFT's synthesis window over its FFT length; no other design has one.
    pub(crate) synthesis: Option<Vec<T>>,
    /// `[coef]`, see [`Plan::coef_energy_weights`].
    pub(crate) energy_weights: Vec<f32>,
    pub(crate) tables: Tables<T>,
    pub(crate) real_ffts: RealFftPair<T>,
}

impl<T: Sample> Plan<T> {
    /// Computes the tables of a design (in f64, then rounded).
    ///
    /// # Errors
    /// [`DesignError`] says which rule the design breaks.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(design: &Design) -> Result<Self, DesignError> {
        if let Some((fft_len, hop_len)) = design.stft_lens() {
            return Plan::new_stft(design, fft_len, hop_len);
        }
        let layout = design.layout()?;
        let mut windows = windows::analysis(&layout);
        for window in &mut windows {
            round_as_stored::<T>(window);
        }
        let diagonal = windows::frame_diagonal(&layout, &windows);
        windows::check_frame(&layout, &windows, &diagonal)?;

        let len = layout.slice_len;
        let (mut bins, mut buckets) = (Vec::new(), Vec::<Bucket>::new());
        let mut energy_weights = Vec::new();
        let mut num_coefs = 0;
        for (j, (bin, window)) in layout.bins.iter().zip(&windows).enumerate() {
            let m = bin.num_frames;
            let is_band = j != 0 && j != layout.bins.len() - 1;
            let both_signs = if is_band { 2.0 } else { 1.0 };
            let energy: f64 = window.iter().map(|g| g * g).sum();
            let through_dual: f64 =
                window.iter().enumerate().map(|(i, g)| g * g / diagonal[(bin.position + i + len - m / 2) % len]).sum();
            let weight = both_signs * (m * m) as f64 * through_dual / (energy * len as f64);
            energy_weights.extend(std::iter::repeat_n(weight as f32, m));
            match buckets.last_mut() {
                Some(bucket) if bucket.num_frames == m => {
                    bucket.num_bins += 1;
                    bucket.coefs.end += m;
                }
                _ => buckets.push(Bucket { first_bin: j, num_bins: 1, num_frames: m, coefs: num_coefs..num_coefs + m }),
            }
            bins.push(Bin {
                frequency_hz: bin.frequency_hz,
                position: bin.position,
                num_frames: m,
                coef_offset: num_coefs,
            });
            num_coefs += m;
        }
        Ok(Plan {
            tables: Tables::new(&layout, &buckets, &windows, &diagonal),
            slice_len: len,
            hop_len: len / 2,
            transition_len: layout.transition_len,
            num_coefs,
            bins,
            buckets,
            slicing: windows::slicing(len, layout.transition_len).into_iter().map(cast).collect(),
            synthesis: None,
            energy_weights,
            real_ffts: T::real_ffts(len),
        })
    }

    /// Samples of a slice.
    pub fn slice_len(&self) -> usize {
        self.slice_len
    }

    /// Samples from one slice to the next: half a slice, or a plain STFT's hop.
    pub fn hop_len(&self) -> usize {
        self.hop_len
    }

    /// Samples of the rise, and of the fall, of the slicing window.
    pub fn transition_len(&self) -> usize {
        self.transition_len
    }

    /// `[sample]` What a slice is multiplied with before its transform.
    pub fn slicing_window(&self) -> &[T] {
        &self.slicing
    }

    /// Bins, DC and Nyquist counted.
    pub fn num_bins(&self) -> usize {
        self.bins.len()
    }

    /// Coefficients of one slice of one channel.
    pub fn num_coefs(&self) -> usize {
        self.num_coefs
    }

    /// The bins from DC to Nyquist.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// The buckets from DC to Nyquist; together they hold every bin once.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// `[coef]` Factors that turn the sum of `|c|^2` over a slice into (nearly) the sum of the slice's squared
    /// samples: from `sum_m |c_jm|^2 = 1/M_j sum_k |g_j X|^2` and Parseval, with the spectrum taken as flat over a
    /// bin, `w_j = 2 M_j^2 / L (sum g_j^2 / D) / (sum g_j^2)`, D the frame diagonal; without the 2 for DC and Nyquist.
    pub fn coef_energy_weights(&self) -> &[f32] {
        &self.energy_weights
    }

    /// A slice of silence.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn make_slice(&self) -> Vec<T> {
        vec![T::zero(); self.slice_len]
    }

    /// The coefficients of a slice of silence, `[bin][frame]`.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn make_coefs(&self) -> Vec<Complex<T>> {
        vec![Complex::new(T::zero(), T::zero()); self.num_coefs]
    }
}

/// Rounds a window as the tables hold it, divided by its length, so that the frame diagonal is that of the windows in
/// use: their rounding cancels between analysis and synthesis.
fn round_as_stored<T: Sample>(window: &mut [f64]) {
    let m = window.len() as f64;
    for g in window {
        *g = m * cast::<T>(*g / m).to_f64().expect("every sample is a number");
    }
}

// A plan is shared by threads.
const _: () = {
    const fn shared<S: Send + Sync>() {}
    shared::<Plan<f32>>();
    shared::<Plan<f64>>();
};
