//! From the coefficients of a slice to rows and columns.

use super::feed::{NUM_LEVELS, NUM_ROWS, SpectrumColumn, level_of, row_frequency_hz};
use slicqt::{Bin, Complex, Plan};
use std::ops::Range;

/// How long a column is, about.
const COLUMN_S: f64 = 0.012;

/// Adds up powers of one hop, in the middle of a slice, by rows and columns.
///
/// Each bin keeps its own width in time and in frequency: a frame fills the columns that are nearer to it than to
/// its neighbours, so bins with few frames give wide patches, and those with many are averaged.
pub(crate) struct Measure {
    /// Columns of a hop, or hops of a column: one of them is 1.
    num_columns: usize,
    hops_per_column: usize,
    num_hops: usize,
    hop_s: f64,
    /// `[bin]`
    bins: Vec<BinParts>,
    /// `[level][column][row]`, sums over the hops of a column.
    powers: Vec<f32>,
    /// `[channel][coef]`, the sum of the stems.
    mix: [Vec<Complex<f32>>; 2],
}

struct BinParts {
    /// `[column]`, among the coefficients of a slice.
    frames: Vec<Range<usize>>,
    /// `[column]`, from the sum of `|c|^2` over the frames to the mean power while the column lasts.
    scales: Vec<f32>,
    first_row: usize,
    /// `[row]`, from the first on: how much of the power is seen there.
    shares: Vec<f32>,
}

impl Measure {
    pub fn new(plan: &Plan, sample_rate_hz: f64) -> Self {
        let hop_s = plan.hop_len() as f64 / sample_rate_hz;
        let max_frames = plan.buckets().iter().map(|bucket| bucket.num_frames).max().unwrap_or(1);
        // Half of a slice's frames lie in its middle hop.
        let num_columns = ((hop_s / COLUMN_S).round() as usize).clamp(1, (max_frames / 2).max(1));
        let hops_per_column = ((COLUMN_S / hop_s).round() as usize).max(1);
        let is_stft = plan.synthesis_window().is_some();
        let parts = |idx| {
            let columns = (0..num_columns).map(|column| frames_of(plan, idx, column, num_columns, is_stft));
            let (frames, scales) = columns.unzip();
            let (first_row, shares) = rows_of(extent_hz(plan.bins(), idx, sample_rate_hz / 2.0));
            BinParts { frames, scales, first_row, shares }
        };
        Measure {
            num_columns,
            hops_per_column,
            num_hops: 0,
            hop_s,
            bins: (0..plan.num_bins()).map(parts).collect(),
            powers: vec![0.0; NUM_LEVELS * num_columns * NUM_ROWS],
            mix: [plan.make_coefs(), plan.make_coefs()],
        }
    }

    /// Adds the coefficients of a channel of a stem, which is the stem `stem_idx` of [`STEMS`](crate::STEMS).
    pub fn add_stem(&mut self, stem_idx: usize, channel: usize, coefs: &[Complex<f32>]) {
        self.mix[channel].iter_mut().zip(coefs).for_each(|(sum, c)| *sum += c);
        let level = stem_idx + 1;
        let powers = &mut self.powers[level * self.num_columns * NUM_ROWS..][..self.num_columns * NUM_ROWS];
        add_powers(&self.bins, coefs, powers);
    }

    /// A hop has been added, or was silence: gives the columns that it completes. `start_s` is where it begins.
    pub fn end_hop(&mut self, start_s: f64, give: &mut dyn FnMut(&SpectrumColumn)) {
        for channel in 0..2 {
            add_powers(&self.bins, &self.mix[channel], &mut self.powers[..self.num_columns * NUM_ROWS]);
            self.mix[channel].fill(Complex::default());
        }
        self.num_hops += 1;
        if self.num_hops < self.hops_per_column {
            return;
        }
        // The mean over the hops and over both channels.
        let scale = 0.5 / self.num_hops as f32;
        let start_s = start_s - (self.num_hops - 1) as f64 * self.hop_s;
        let len_s = self.hop_s * self.num_hops as f64 / self.num_columns as f64;
        for column in 0..self.num_columns {
            let power = |row: usize, level: usize| self.powers[(level * self.num_columns + column) * NUM_ROWS + row];
            give(&SpectrumColumn {
                start_s: start_s + column as f64 * len_s,
                len_s,
                levels: std::array::from_fn(|row| std::array::from_fn(|level| level_of(scale * power(row, level)))),
            });
        }
        self.forget();
    }

    /// Begins anew.
    pub fn forget(&mut self) {
        self.num_hops = 0;
        self.powers.fill(0.0);
        self.mix.iter_mut().for_each(|coefs| coefs.fill(Complex::default()));
    }
}

/// `powers: [column][row]`
fn add_powers(bins: &[BinParts], coefs: &[Complex<f32>], powers: &mut [f32]) {
    for bin in bins {
        for ((frames, scale), rows) in bin.frames.iter().zip(&bin.scales).zip(powers.chunks_exact_mut(NUM_ROWS)) {
            let power = scale * coefs[frames.clone()].iter().map(Complex::norm_sqr).sum::<f32>();
            rows[bin.first_row..].iter_mut().zip(&bin.shares).for_each(|(row, share)| *row += share * power);
        }
    }
}

/// The frames of a bin that a column of the slice's middle hop shows, and what makes their power of them.
fn frames_of(plan: &Plan, bin_idx: usize, column: usize, num_columns: usize, is_stft: bool) -> (Range<usize>, f32) {
    let bin = &plan.bins()[bin_idx];
    let column_len = plan.hop_len() as f64 / num_columns as f64;
    let start = (plan.slice_len() - plan.hop_len()) as f64 / 2.0 + column as f64 * column_len;
    let position = |frame: usize| plan.frame_position_samples(bin_idx, frame);
    let is_inside = |&frame: &usize| (start..start + column_len).contains(&position(frame));
    let first = (0..bin.num_frames).find(is_inside);
    let frames = match first {
        Some(first) => first..first + (first..bin.num_frames).take_while(is_inside).count(),
        None => {
            let distance = |frame: usize| (position(frame) - start - column_len / 2.0).abs();
            let nearest = (0..bin.num_frames).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(0);
            nearest..nearest + 1
        }
    };
    let weight = f64::from(plan.coef_energy_weights()[bin.coef_offset]);
    let window = plan.slicing_window();
    let scale = if is_stft {
        weight / window.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>()
    } else {
        // What the slicing window took away is given back.
        let at = |frame| f64::from(window[(position(frame) as usize).min(window.len() - 1)]);
        let window = frames.clone().map(|frame| at(frame).powi(2)).sum::<f64>();
        weight * bin.num_frames as f64 / plan.slice_len() as f64 / window.max(0.1)
    };
    (bin.coef_offset + frames.start..bin.coef_offset + frames.end, scale as f32)
}

/// From half-way to the bin below to half-way to the bin above.
fn extent_hz(bins: &[Bin], idx: usize, nyquist_hz: f64) -> Range<f64> {
    let between = |a: usize, b: usize| (bins[a].frequency_hz + bins[b].frequency_hz) / 2.0;
    let low = if idx == 0 { 0.0 } else { between(idx - 1, idx) };
    let high = if idx + 1 < bins.len() { between(idx, idx + 1) } else { nyquist_hz };
    low..high
}

/// The rows that a bin touches, and how much of its power each shows: its part, where rows are wider than bins. Where they
/// are narrower each shows all of it, or a tone would look the weaker the lower it is.
fn rows_of(bin_hz: Range<f64>) -> (usize, Vec<f32>) {
    let share = |row: usize| {
        let (low, high) = (row_frequency_hz(row), row_frequency_hz(row + 1));
        let common = high.min(bin_hz.end) - low.max(bin_hz.start);
        common / (high - low).min(bin_hz.end - bin_hz.start)
    };
    let touched: Vec<usize> = (0..NUM_ROWS).filter(|&row| share(row) > 0.0).collect();
    (touched.first().copied().unwrap_or(0), touched.into_iter().map(|row| share(row) as f32).collect())
}
