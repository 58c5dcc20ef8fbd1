//! Windows in frequency (analysis, dual) and in time (slicing), all in f64.

use crate::{
    DesignError,
    layout::{Layout, LayoutBin},
};
use std::f64::consts::PI;

/// Blackman-Harris window of `len` points, index 0 at offset `-len/2`: 1 at the centre, 0 at the first point.
fn blackman_harris(len: usize) -> Vec<f64> {
    (0..len)
        .map(|i| {
            let a = 2.0 * PI * (i as f64 - (len / 2) as f64) / len as f64;
            0.35872 + 0.48832 * a.cos() + 0.14128 * (2.0 * a).cos() + 0.01168 * (3.0 * a).cos()
        })
        .collect()
}

/// Plateau of `len - slope_len` points with raised-cosine slopes, index 0 at offset `-len/2`.
fn plateau(len: usize, slope_len: usize) -> Vec<f64> {
    let flat = (len - slope_len) as f64 / 2.0;
    (0..len)
        .map(|i| {
            let k = (i as f64 - (len / 2) as f64).abs();
            if k <= flat { 1.0 } else { 0.5 + 0.5 * (2.0 * PI * (k - flat) / slope_len as f64).cos() }
        })
        .collect()
}

/// Blackman-Harris below and above the centre, each side of its own width; index 0 at offset `-max/2`.
fn two_slopes(lower_len: usize, upper_len: usize) -> Vec<f64> {
    let len = lower_len.max(upper_len);
    let mut window = vec![0.0; len];
    let (lower, upper) = (blackman_harris(lower_len), blackman_harris(upper_len));
    window[len / 2 - lower_len / 2..len / 2].copy_from_slice(&lower[..lower_len / 2]);
    window[len / 2..len / 2 + upper_len / 2].copy_from_slice(&upper[upper_len / 2..]);
    window
}

/// The form of a bin's window in frequency.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    BlackmanHarris,
    /// 1 in the middle, raised cosines of together `slope_len` points at the sides: DC and Nyquist when they are wider
    /// than their neighbour (Velasco et al. 2011, section 3).
    Plateau {
        slope_len: usize,
    },
    /// Half a Blackman-Harris window of `lower_len` points below the centre, half of one of `upper_len` above.
    TwoSlopes {
        lower_len: usize,
        upper_len: usize,
    },
}

/// Analysis windows `[bin][offset + num_frames/2]`.
pub(crate) fn analysis(layout: &Layout) -> Vec<Vec<f64>> {
    let window = |bin: &LayoutBin| match bin.shape {
        Shape::BlackmanHarris => blackman_harris(bin.num_frames),
        Shape::Plateau { slope_len } => plateau(bin.num_frames, slope_len),
        Shape::TwoSlopes { lower_len, upper_len } => two_slopes(lower_len, upper_len),
    };
    layout.bins.iter().map(window).collect()
}

/// Diagonal of the frame operator over the whole FFT, `D(q) = sum_j M_j g_j(q - p_j)^2`, over the bins and the
/// mirrors of the bands at negative frequencies.
pub(crate) fn frame_diagonal(layout: &Layout, windows: &[Vec<f64>]) -> Vec<f64> {
    let len = layout.slice_len;
    let last = layout.bins.len() - 1;
    let mut diagonal = vec![0.0; len];
    for (j, (bin, window)) in layout.bins.iter().zip(windows).enumerate() {
        for (i, g) in window.iter().enumerate() {
            let energy = bin.num_frames as f64 * g * g;
            let q = (bin.position + i + len - bin.num_frames / 2) % len;
            diagonal[q] += energy;
            if j != 0 && j != last {
                diagonal[(len - q) % len] += energy;
            }
        }
    }
    diagonal
}

/// Largest gain of the inverse for an error in one coefficient.
const MAX_GAIN_DB: f64 = 30.0;

/// Refuses a frame whose inverse would amplify rounding: where all windows are small, the dual windows are large.
pub(crate) fn check_frame(layout: &Layout, windows: &[Vec<f64>], diagonal: &[f64]) -> Result<(), DesignError> {
    let len = layout.slice_len;
    for (bin, window) in layout.bins.iter().zip(windows) {
        let m = bin.num_frames;
        for (i, g) in window.iter().enumerate().filter(|(_, g)| **g != 0.0) {
            let gain_db = 20.0 * (m as f64 * g / diagonal[(bin.position + i + len - m / 2) % len]).log10();
            if gain_db > MAX_GAIN_DB {
                return Err(DesignError::Gap { frequency_hz: bin.frequency_hz, gain_db, max_gain_db: MAX_GAIN_DB });
            }
        }
    }
    match diagonal.iter().position(|d| *d == 0.0) {
        Some(q) => Err(DesignError::Gap {
            frequency_hz: q.min(len - q) as f64 * 2.0 * layout.bins[layout.bins.len() - 1].frequency_hz / len as f64,
            gain_db: f64::INFINITY,
            max_gain_db: MAX_GAIN_DB,
        }),
        None => Ok(()),
    }
}

/// Slicing window of `slice_len` samples: zero, rise, flat, fall, zero; `w[i] + w[i + slice_len/2] = 1`, so slices
/// are simply added up after the inverse (Holighaus et al. 2013, section III).
pub(crate) fn slicing(slice_len: usize, transition_len: usize) -> Vec<f64> {
    let rise = slice_len / 4 - transition_len / 2;
    let fall = 3 * slice_len / 4 - transition_len / 2;
    let cosine = |i: usize| 0.5 * (PI * i as f64 / transition_len as f64).cos();
    (0..slice_len)
        .map(|i| match i {
            i if i < rise => 0.0,
            i if i < rise + transition_len => 0.5 - cosine(i - rise),
            i if i < fall => 1.0,
            i if i < fall + transition_len => 0.5 + cosine(i - fall),
            _ => 0.0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_bin_is_a_gap() {
        let bin = |position: usize| LayoutBin {
            frequency_hz: position as f64,
            position,
            num_frames: 16,
            shape: Shape::BlackmanHarris,
        };
        let check = |positions: &mut dyn Iterator<Item = usize>| {
            let layout = Layout { slice_len: 128, transition_len: 32, bins: positions.map(bin).collect() };
            let windows = analysis(&layout);
            check_frame(&layout, &windows, &frame_diagonal(&layout, &windows))
        };
        assert_eq!(check(&mut (0..=64).step_by(8)), Ok(()));
        let error = check(&mut (0..=64).step_by(8).filter(|p| *p != 32)).unwrap_err().to_string();
        assert!(error.starts_with("the bins leave a gap at") && error.contains("30 dB allowed"), "{error}");
    }
}
