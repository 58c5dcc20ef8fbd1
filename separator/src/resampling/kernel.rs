//! The interpolation kernel: a Kaiser-windowed sinc, tabulated at every position that can occur.

use std::{
    f64::consts::PI,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Taps for every phase; share it between channels.
pub(crate) struct Kernel {
    /// `[phase][tap]`: tap `j` of phase `p` is for the input sample `j + 1 - half_width` from the one at or before
    /// the output, which lies `p / num_phases` after it.
    taps: Vec<f32>,
    half_width: usize,
}

/// Half width, number of phases, bits of the cutoff.
type Key = (usize, usize, u64);

/// Kernels in use.
static SHARED: Mutex<Vec<(Key, Weak<Kernel>)>> = Mutex::new(Vec::new());

impl Kernel {
    /// The kernel that [`new`](Self::new) makes, one for all who use it at the same time: at 44,056 Hz the two of a stream
    /// are 7 MB.
    pub fn shared(half_width: usize, num_phases: usize, cutoff: f64) -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|(_, kernel)| kernel.strong_count() > 0);
        let key = (half_width, num_phases, cutoff.to_bits());
        if let Some(kernel) = shared.iter().find(|(known, _)| *known == key).and_then(|(_, kernel)| kernel.upgrade()) {
            return kernel;
        }
        let kernel = Arc::new(Kernel::new(half_width, num_phases, cutoff));
        shared.push((key, Arc::downgrade(&kernel)));
        kernel
    }

    /// A kernel of `half_width` input samples on either side. `cutoff` is in cycles per input sample (0.5 is
    /// Nyquist): the middle of the transition, where the gain is 1/2.
    pub fn new(half_width: usize, num_phases: usize, cutoff: f64) -> Self {
        let mut taps = Vec::with_capacity(num_phases * 2 * half_width);
        for phase in 0..num_phases {
            let row: Vec<f64> = (0..2 * half_width)
                .map(|tap| {
                    let x = phase as f64 / num_phases as f64 + (half_width - 1) as f64 - tap as f64;
                    sinc(2.0 * cutoff * x) * kaiser(x / half_width as f64)
                })
                .collect();
            let sum: f64 = row.iter().sum();
            taps.extend(row.iter().map(|tap| (tap / sum) as f32));
        }
        Kernel { taps, half_width }
    }

    pub fn half_width(&self) -> usize {
        self.half_width
    }

    /// `[tap]`
    pub fn phase(&self, phase: usize) -> &[f32] {
        let num_taps = 2 * self.half_width;
        &self.taps[phase * num_taps..(phase + 1) * num_taps]
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Kaiser window on -1..=1 for a stop band of 110 dB: beta = 0.1102 (110 - 8.7).
fn kaiser(x: f64) -> f64 {
    const BETA: f64 = 0.1102 * (110.0 - 8.7);
    if x.abs() > 1.0 { 0.0 } else { bessel_i0(BETA * (1.0 - x * x).sqrt()) / bessel_i0(BETA) }
}

/// Modified Bessel function of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= (x / (2.0 * k as f64)).powi(2);
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_shared_while_they_are_in_use() {
        let kernel = || Kernel::shared(40, 147, 0.4321);
        let (first, second) = (kernel(), kernel());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &Kernel::shared(40, 147, 0.4322)));
        let weak = Arc::downgrade(&first);
        drop((first, second));
        assert!(weak.upgrade().is_none(), "nobody uses it");
    }
}
