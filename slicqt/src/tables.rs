//! A plan's data about each bin, in the order in which the kernels read it.
//!
//! The small FFTs are most of the work, so what stands around them is laid out to stay out of their way:
//! - The spectrum of a slice has *margins*: it goes on below DC and beyond Nyquist as far as windows reach. So every
//!   window is two runs of neighbouring points, below and from its centre on, without a modulo, and the loops over
//!   them are vectorized by the compiler. The margins are filled (forward) or folded back (inverse) once per slice.
//! - Windows are written straight into the coefficients, and one call transforms all bins of a bucket in place.
//! - Neighbours with equal windows share one table, which then stays in the first cache; signs and powers of M are
//!   one factor per bin.
//! - The dual windows `g_j(k) / D(p_j + k)` need no table: the division by D comes after all bins are added up, once
//!   per point of the spectrum and together with the 1/L of the real FFT. D is the diagonal of the windows as rounded.

use crate::{Bucket, Sample, layout::Layout, sample::FftPair};
use std::ops::Range;

/// Windows and small FFTs of a plan.
pub(crate) struct Tables<T> {
    /// Windows `g(k) / M` in FFT order (offset 0 first), one after another; each is stored once.
    pub(crate) windows: Vec<T>,
    /// `[bin]`
    pub(crate) bins: Vec<BinTable<T>>,
    /// `[bucket]`
    pub(crate) bucket_ffts: Vec<FftPair<T>>,
    /// `[q]`, q = 0 ..= L/2: `1 / (L D(q))`, D the frame diagonal.
    pub(crate) inverse_diagonal: Vec<T>,
    /// Points of the spectrum that windows reach below DC.
    pub(crate) low_margin: usize,
    /// Points of the spectrum that windows reach beyond Nyquist.
    pub(crate) high_margin: usize,
}

/// One bin.
pub(crate) struct BinTable<T> {
    /// Its window among `Tables::windows`; as long as the bin has frames.
    pub(crate) window: Range<usize>,
    /// Index of its centre in a spectrum with margins.
    pub(crate) centre: usize,
    /// `(-1)^(p/2)`
    pub(crate) to_frames: T,
    /// `(-1)^(p/2) M^2`; half of that for DC and Nyquist, which are their own mirrors.
    pub(crate) from_frames: T,
}

impl<T: Sample> Tables<T> {
    /// For a plain STFT: its bins are those of the real FFT.
    pub(crate) fn none() -> Self {
        Tables {
            windows: Vec::new(),
            bins: Vec::new(),
            bucket_ffts: Vec::new(),
            inverse_diagonal: Vec::new(),
            low_margin: 0,
            high_margin: 0,
        }
    }

    /// `windows`: `[bin][offset + num_frames/2]`; `diagonal`: `[q]` over the whole FFT.
    pub(crate) fn new(layout: &Layout, buckets: &[Bucket], windows: &[Vec<f64>], diagonal: &[f64]) -> Self {
        let (len, last) = (layout.slice_len, layout.bins.len() - 1);
        let below = layout.bins.iter().map(|bin| (bin.num_frames / 2).saturating_sub(bin.position));
        let above = layout.bins.iter().map(|bin| {
            let above_centre = bin.num_frames - bin.num_frames / 2;
            (bin.position + above_centre).saturating_sub(len / 2 + 1)
        });
        let (low_margin, high_margin) = (below.max().unwrap_or(0), above.max().unwrap_or(0));
        assert!(low_margin <= len / 2 && high_margin <= len / 2, "no window is longer than a slice");

        let mut table = Vec::new();
        let mut window = 0..0;
        let bins = (0..=last).map(|j| {
            let (bin, m) = (&layout.bins[j], layout.bins[j].num_frames);
            if j == 0 || windows[j] != windows[j - 1] {
                window = table.len()..table.len() + m;
                table.extend((0..m).map(|k| cast::<T>(windows[j][(k + m / 2) % m] / m as f64)));
            }
            let sign = if bin.position / 2 % 2 == 0 { 1.0 } else { -1.0 };
            let mirrors = if j == 0 || j == last { 0.5 } else { 1.0 };
            BinTable {
                window: window.clone(),
                centre: low_margin + bin.position,
                to_frames: cast(sign),
                from_frames: cast(sign * (m * m) as f64 * mirrors),
            }
        });
        let bins = bins.collect();
        let bucket_lens: Vec<usize> = buckets.iter().map(|bucket| bucket.num_frames).collect();
        Tables {
            bins,
            windows: table,
            bucket_ffts: T::ffts(&bucket_lens),
            inverse_diagonal: diagonal[..=len / 2].iter().map(|d| cast(1.0 / (len as f64 * d))).collect(),
            low_margin,
            high_margin,
        }
    }
}

/// The nearest sample to a number.
pub(crate) fn cast<T: Sample>(x: f64) -> T {
    T::from_f64(x).expect("every f64 rounds to a sample type")
}
