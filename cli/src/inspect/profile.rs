//! The windows of a design, measured on the transform itself.

use anyhow::Result;
use slicqt::{Complex, Design, Plan, Slicer};

/// What a transform does to impulses and to silence's opposite, so nothing here can differ from what it computes.
pub struct Profile {
    pub plan: Plan<f64>,
    pub sample_rate_hz: f64,
    /// `[bin][offset + num_frames / 2]`, in steps of the slice's FFT: how much a bin takes of a frequency; 1 at most.
    pub windows: Vec<Vec<f64>>,
    /// `[FFT bin]` from 0 Hz to half the rate: the frame operator's diagonal, `sum_j M_j g_j(q - p_j)^2` over the bins
    /// and the mirror images of the bands. The inverse divides by it.
    pub diagonal: Vec<f64>,
    /// `[sample]`, the slicing window.
    pub slicing: Vec<f64>,
}

impl Profile {
    /// Plans the design and measures it.
    ///
    /// # Errors
    /// The design breaks a rule.
    pub fn new(design: &Design) -> Result<Profile> {
        let plan = Plan::<f64>::new(design)?;
        let slice_len = plan.slice_len();
        // The spectrum of an impulse at sample 0 is 1 everywhere, so the spectrum of a bin's frames is its window.
        let (mut impulse, mut coefs) = (plan.make_slice(), plan.make_coefs());
        impulse[0] = 1.0;
        plan.forward_into(&impulse, &mut coefs, &mut plan.make_scratch());
        let windows: Vec<Vec<f64>> =
            plan.bins().iter().map(|bin| window(&coefs[bin.coef_offset..][..bin.num_frames])).collect();

        let last = plan.num_bins() - 1;
        let mut diagonal = vec![0.0; slice_len];
        for (bin_idx, (bin, window)) in plan.bins().iter().zip(&windows).enumerate() {
            for (offset, g) in window.iter().enumerate() {
                let energy = bin.num_frames as f64 * g * g;
                let at = (bin.position + slice_len + offset - bin.num_frames / 2) % slice_len;
                diagonal[at] += energy;
                if bin_idx != 0 && bin_idx != last {
                    diagonal[(slice_len - at) % slice_len] += energy;
                }
            }
        }
        diagonal.truncate(slice_len / 2 + 1);

        // A slicer that has heard only ones gives its window.
        let (mut slicer, mut slicing) = (Slicer::new(&plan), plan.make_slice());
        for _ in 0..slice_len.div_ceil(plan.hop_len()) {
            slicer.slice_into(&plan, &vec![1.0; plan.hop_len()], &mut slicing);
        }
        Ok(Profile { sample_rate_hz: design.sample_rate_hz(), windows, diagonal, slicing, plan })
    }

    /// Centre of a bin as computed: rounded to the slice's FFT.
    pub fn frequency_hz(&self, bin_idx: usize) -> f64 {
        self.plan.bins()[bin_idx].position as f64 * self.hz_per_step()
    }

    /// From one bin of the slice's FFT to the next.
    pub fn hz_per_step(&self) -> f64 {
        self.sample_rate_hz / self.plan.slice_len() as f64
    }

    /// Q as designs define it: centre frequency by the width of the whole window.
    pub fn q(&self, bin_idx: usize) -> f64 {
        let bin = &self.plan.bins()[bin_idx];
        bin.position as f64 / bin.num_frames as f64
    }

    /// From one frame of a bin to the next.
    pub fn step_ms(&self, num_frames: usize) -> f64 {
        let is_stft = num_frames == 1;
        let step = if is_stft { self.plan.hop_len() } else { self.plan.slice_len() };
        1000.0 * step as f64 / num_frames as f64 / self.sample_rate_hz
    }

    /// Largest by smallest value of the frame's diagonal: how unevenly the bins cover the spectrum, and by how much
    /// (in power) the inverse can amplify a change of one coefficient more than that of another. 1 is a tight frame.
    pub fn conditioning(&self) -> f64 {
        let min = self.diagonal.iter().copied().fold(f64::INFINITY, f64::min);
        self.diagonal.iter().copied().fold(0.0, f64::max) / min
    }
}

/// The magnitudes of the Fourier transform of `frames`, offset `-len / 2` first.
fn window(frames: &[Complex<f64>]) -> Vec<f64> {
    let len = frames.len();
    let turn = -std::f64::consts::TAU / len as f64;
    (0..len)
        .map(|i| {
            let k = i + len - len / 2;
            let term = |(m, c): (usize, &Complex<f64>)| c * Complex::from_polar(1.0, turn * (k * m % len) as f64);
            frames.iter().enumerate().map(term).sum::<Complex<f64>>().norm()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the formulas of the transform: Blackman-Harris windows, and a diagonal that spans 0.22 to 292.
    #[test]
    fn windows_and_diagonal_are_those_of_bark_262() {
        let profile = Profile::new(&Design::bark_262()).unwrap();
        let bin = &profile.plan.bins()[100];
        let len = bin.num_frames;
        for (i, g) in profile.windows[100].iter().enumerate() {
            let a = std::f64::consts::TAU * (i as f64 - (len / 2) as f64) / len as f64;
            let expected = 0.35872 + 0.48832 * a.cos() + 0.14128 * (2.0 * a).cos() + 0.01168 * (3.0 * a).cos();
            assert!((g - expected).abs() < 1e-9, "{i}: {g} instead of {expected}");
        }
        let min = profile.diagonal.iter().copied().fold(f64::INFINITY, f64::min);
        let max = profile.diagonal.iter().copied().fold(0.0, f64::max);
        assert!((min - 0.22).abs() < 0.01 && (max - 292.0).abs() < 1.0, "{min} to {max}");
        let half = profile.plan.hop_len();
        let sums = || (0..half).map(|i| profile.slicing[i] + profile.slicing[i + half]);
        assert!(sums().all(|sum| (sum - 1.0).abs() < 1e-12));
    }
}
