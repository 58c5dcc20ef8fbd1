//! Windows in frequency (analysis, dual) and in time (slicing), all in f64.

use crate::design::{DesignError, Layout};
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

/// Analysis windows `[bin][offset + num_frames/2]`. DC and Nyquist get a plateau when they are wider than their
/// neighbour (Velasco et al. 2011, section 3).
pub(crate) fn analysis(layout: &Layout) -> Vec<Vec<f64>> {
    let bins = &layout.bins;
    let last = bins.len() - 1;
    (0..bins.len())
        .map(|j| {
            let len = bins[j].num_frames;
            let neighbour = match j {
                0 => bins[1].num_frames,
                j if j == last => bins[last - 1].num_frames,
                _ => len,
            };
            if len > neighbour { plateau(len, neighbour) } else { blackman_harris(len) }
        })
        .collect()
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

/// Refuses a frame whose diagonal (nearly) vanishes somewhere: it has no stable inverse.
pub(crate) fn check_frame(diagonal: &[f64], sample_rate_hz: f64) -> Result<(), DesignError> {
    let max = diagonal.iter().copied().fold(0.0, f64::max);
    let half = &diagonal[..=diagonal.len() / 2];
    match half.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)) {
        Some((q, d)) if d / max < 1e-6 => {
            Err(DesignError::Gap { frequency_hz: q as f64 * sample_rate_hz / diagonal.len() as f64, diagonal: d / max })
        }
        _ => Ok(()),
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
