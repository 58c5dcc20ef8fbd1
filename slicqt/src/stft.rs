//! The plain STFT as a plan: one bucket, one frame per slice.

use crate::{
    Bin, Bucket, Design, DesignError, Plan, Sample,
    layout::MAX_SLICE_LEN,
    tables::{Tables, cast},
};
use std::f64::consts::PI;

impl<T: Sample> Plan<T> {
    /// One bucket of `fft_len / 2 + 1` bins with one frame each; the coefficients are the real FFT of a slice.
    pub(crate) fn new_stft(design: &Design, fft_len: usize, hop_len: usize) -> Result<Self, DesignError> {
        check(design, fft_len, hop_len)?;
        let window = analysis(fft_len);
        // The inverse FFT multiplies by its length.
        let synthesis = synthesis(&window, hop_len).into_iter().map(|w| cast(w / fft_len as f64)).collect();
        let num_bins = fft_len / 2 + 1;
        let bin = |k: usize| Bin {
            frequency_hz: k as f64 * design.sample_rate_hz() / fft_len as f64,
            position: k,
            num_frames: 1,
            coef_offset: k,
        };
        // Parseval: exact here.
        let weight = |k: usize| if k == 0 || k == fft_len / 2 { 1.0 } else { 2.0 } / fft_len as f32;
        Ok(Plan {
            tables: Tables::none(),
            slice_len: fft_len,
            hop_len,
            transition_len: fft_len / 2,
            num_coefs: num_bins,
            bins: (0..num_bins).map(bin).collect(),
            buckets: vec![Bucket { first_bin: 0, num_bins, num_frames: 1, coefs: 0..num_bins }],
            slicing: window.into_iter().map(cast).collect(),
            synthesis: Some(synthesis),
            energy_weights: (0..num_bins).map(weight).collect(),
            real_ffts: T::real_ffts(fft_len),
        })
    }
}

impl<T: Sample> Plan<T> {
    /// `[sample]` A plain STFT's synthesis window: its slices, added up, are the inverse real FFTs (with 1/N) of the
    /// coefficients times this. No other design has one.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn synthesis_window(&self) -> Option<Vec<T>> {
        let fft_len = T::from_usize(self.slice_len).expect("every length is a number");
        self.synthesis.as_ref().map(|window| window.iter().map(|w| *w * fft_len).collect())
    }
}

/// Checks the lengths of a plain STFT.
fn check(design: &Design, fft_len: usize, hop_len: usize) -> Result<(), DesignError> {
    let sample_rate_hz = design.sample_rate_hz();
    if !(sample_rate_hz.is_finite() && sample_rate_hz > 0.0) {
        return Err(DesignError::SampleRate { sample_rate_hz });
    }
    if fft_len > MAX_SLICE_LEN {
        return Err(DesignError::TooLarge { what: "FFT length", actual: fft_len as f64, max: MAX_SLICE_LEN });
    }
    if !fft_len.is_multiple_of(2) || fft_len < 4 {
        return Err(DesignError::FftLen { fft_len });
    }
    // Hann squared vanishes at its ends: at least two windows must cover each sample.
    if hop_len == 0 || !fft_len.is_multiple_of(hop_len) || hop_len > fft_len / 2 {
        return Err(DesignError::HopLen { hop_len, fft_len });
    }
    for (what, len) in [("slice", design.slice_len()), ("transition", design.transition_len())] {
        if let Some(len) = len {
            return Err(DesignError::StftLens { what, len });
        }
    }
    Ok(())
}

/// `[sample]` Periodic Hann window: `0.5 - 0.5 cos(2 pi n / N)`.
fn analysis(fft_len: usize) -> Vec<f64> {
    (0..fft_len).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / fft_len as f64).cos()).collect()
}

/// `[sample]` Canonical dual of `window` at this hop, `w(n) / sum_s w(n - s hop)^2`: with it the slices are just added
/// up (Griffin and Lim 1984, equation 6).
fn synthesis(window: &[f64], hop_len: usize) -> Vec<f64> {
    let overlap: Vec<f64> = (0..hop_len).map(|n| window.iter().skip(n).step_by(hop_len).map(|w| w * w).sum()).collect();
    window.iter().enumerate().map(|(n, w)| w / overlap[n % hop_len]).collect()
}
