//! Windows of a plan, read off the plan itself.

use anyhow::{Result, ensure};
use num_complex::Complex;
use slicqt::{Design, Plan};
use std::f64::consts::PI;

/// What the inverse in tensors needs to know of a transform beyond its plan; in f64.
pub struct Tables {
    /// `[coef]` in the order `[bin][k]`, k in FFT order: `(-1)^(p/2) g(k)`, the signed analysis windows.
    pub windows: Vec<f64>,
    /// `[q]` over all of the slice's spectrum: the frame diagonal `sum M g(q - p)^2`.
    pub diagonal: Vec<f64>,
}

impl Tables {
    /// Reads the windows off the transform of an impulse: its spectrum is 1 everywhere, so that the DFT of a bin's
    /// coefficients is the bin's window.
    ///
    /// # Errors
    /// If the design cannot be computed, or is a plain STFT, whose inverse needs none of this.
    pub fn new(design: &Design) -> Result<Self> {
        let plan = Plan::<f64>::new(design)?;
        ensure!(design.stft_lens().is_none(), "a plain STFT has no windows over its bins");
        let mut impulse = plan.make_slice();
        impulse[0] = 1.0;
        let mut coefs = plan.make_coefs();
        plan.forward_into(&impulse, &mut coefs, &mut plan.make_scratch());
        let (len, last) = (plan.slice_len(), plan.num_bins() - 1);
        let (mut windows, mut diagonal) = (Vec::with_capacity(coefs.len()), vec![0.0; len]);
        for (j, bin) in plan.bins().iter().enumerate() {
            let m = bin.num_frames;
            let frames = &coefs[bin.coef_offset..bin.coef_offset + m];
            let turns: Vec<Complex<f64>> =
                (0..m).map(|i| Complex::from_polar(1.0, -2.0 * PI * i as f64 / m as f64)).collect();
            for k in 0..m {
                let window: Complex<f64> = frames.iter().enumerate().map(|(i, c)| c * turns[i * k % m]).sum();
                let q = spectrum_index(bin.position, k, m, len);
                let energy = m as f64 * window.re * window.re;
                diagonal[q] += energy;
                if j != 0 && j != last {
                    diagonal[(len - q) % len] += energy;
                }
                windows.push(window.re);
            }
        }
        Ok(Tables { windows, diagonal })
    }
}

/// Place in the spectrum of a slice of `len` samples of offset `k` (FFT order) of a window of `m` at `position`.
pub fn spectrum_index(position: usize, k: usize, m: usize, len: usize) -> usize {
    if k < m / 2 { position + k } else { (position + len + k - m) % len }
}
