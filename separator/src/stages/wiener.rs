//! The multichannel Wiener filter after the masks, for models that are for files: one step of expectation and
//! maximization per bucket, over windows of frames (Nugraha, Liutkus, Vincent, "Multichannel audio source separation
//! with deep neural networks", 2016; with the constants of the published models).
//!
//! With masks `m_j`, the mix `c` (a vector of two channels) and `y_j = m_j c`, everything divided by
//! `u = max(1, 0.1 max |c|)` over the window:
//! `v_j(f, n)` = mean over channels of `|y_j|^2`; `R_j(f) = sum_n y_j y_j^H / (sum_n v_j + e)`;
//! `C = sum_j v_j R_j + sqrt(e) I`; the estimate is `v_j R_j C^-1 c`, e = 1.19e-7.
//!
//! `R_j` needs the whole window before the first estimate, which needs no more than itself, its mask and `R_j`: slices
//! wait, as coefficients and masks, until all windows that they lie in are complete.

use super::{Estimator, Slice as MixSlice};
use slicqt::{Bucket, Complex};
use std::collections::VecDeque;

/// The published filter's epsilon: that of f32.
const EPSILON: f64 = f32::EPSILON as f64;

type C64 = Complex<f64>;

/// A Wiener filter that delays by a fixed number of slices.
pub struct Wiener {
    buckets: Vec<Bucket>,
    num_stems: usize,
    num_coefs: usize,
    /// Frames of a window.
    window_len: usize,
    delay_slices: usize,
    /// `[slice]`, the oldest first.
    waiting: VecDeque<Slice>,
    /// Slices whose memory can be used again.
    spare: Vec<Slice>,
    /// `[bucket]`
    statistics: Vec<BucketStatistics>,
    num_pushed: usize,
    /// So many will be pushed, once it is known.
    num_slices: Option<usize>,
    num_steps: usize,
    /// Index of the oldest of `waiting`.
    first_waiting: usize,
    /// `[stem][channel][coef]` of the slice that was pulled last; zeros if none was due.
    estimates: Vec<Complex<f32>>,
}

struct Slice {
    /// `[channel][coef]`
    coefs: [Vec<Complex<f32>>; 2],
    /// `[stem][channel][coef]`
    masks: Vec<f32>,
}

struct BucketStatistics {
    /// The window that is being filled.
    open: Window,
    /// Complete ones that slices wait for, the oldest first.
    complete: VecDeque<Window>,
    /// Index of the first of `complete`.
    first_complete: usize,
}

/// A window's statistics of its stems: sums at first, then `R`.
#[derive(Clone)]
struct Window {
    /// `max |c|^2`
    peak: f64,
    /// `[bin][stem]`
    stems: Vec<Covariance>,
}

/// `sum y y^H`, Hermitian, and `sum v`.
#[derive(Clone, Copy, Default)]
struct Covariance {
    left: f64,
    right: f64,
    /// Of `y_left conj(y_right)`.
    cross: C64,
    power: f64,
}

impl Wiener {
    /// A filter for a transform with these buckets; windows have `window_len` frames, the last one what is left.
    ///
    /// # Realtime
    /// Not safe, like everything here: allocates.
    pub fn new(buckets: &[Bucket], num_stems: usize, window_len: usize) -> Self {
        let num_coefs = buckets.iter().map(|bucket| bucket.coefs.end).max().unwrap_or(0);
        let min_frames = buckets.iter().map(|bucket| bucket.num_frames).min().unwrap_or(1);
        let statistics = buckets.iter().map(|bucket| BucketStatistics {
            open: Window::new(bucket.num_bins * num_stems),
            complete: VecDeque::new(),
            first_complete: 0,
        });
        Wiener {
            statistics: statistics.collect(),
            buckets: buckets.to_vec(),
            num_stems,
            num_coefs,
            window_len,
            // The last frame of a slice may be the first of a window.
            delay_slices: window_len.div_ceil(min_frames),
            waiting: VecDeque::new(),
            spare: Vec::new(),
            num_pushed: 0,
            num_slices: None,
            num_steps: 0,
            first_waiting: 0,
            estimates: vec![Complex::default(); num_stems * 2 * num_coefs],
        }
    }

    /// By how many slices estimates lag behind what is pushed.
    pub fn delay_slices(&self) -> usize {
        self.delay_slices
    }

    /// Slices pushed since the reset.
    pub fn num_pushed(&self) -> usize {
        self.num_pushed
    }

    /// Takes a slice of the mix, `[channel][coef]`, and its masks, `[stem][channel][coef]`.
    ///
    /// # Panics
    /// If a length is not that of the transform.
    pub fn push(&mut self, coefs: &[Vec<Complex<f32>>; 2], masks: &[f32]) {
        assert_eq!(masks.len(), self.num_stems * 2 * self.num_coefs, "one mask per stem, channel and coefficient");
        let mut slice = self.spare.pop().unwrap_or_else(|| Slice {
            coefs: [vec![Complex::default(); self.num_coefs], vec![Complex::default(); self.num_coefs]],
            masks: vec![0.0; masks.len()],
        });
        slice.coefs.iter_mut().zip(coefs).for_each(|(to, from)| to.copy_from_slice(from));
        slice.masks.copy_from_slice(masks);
        for (bucket, statistics) in self.buckets.iter().zip(&mut self.statistics) {
            let mut frame = 0;
            while frame < bucket.num_frames {
                let position = (self.num_pushed * bucket.num_frames + frame) % self.window_len;
                let end = bucket.num_frames.min(frame + self.window_len - position);
                for bin in 0..bucket.num_bins {
                    for m in frame..end {
                        let coef = bucket.coefs.start + bin * bucket.num_frames + m;
                        statistics.open.add(bin, self.num_stems, &slice, coef);
                    }
                }
                if position + (end - frame) == self.window_len {
                    statistics.close();
                }
                frame = end;
            }
        }
        self.waiting.push_back(slice);
        self.num_pushed += 1;
    }

    /// Nothing will be pushed any more: the windows at hand are complete. Calls after the first do nothing.
    pub fn end(&mut self) {
        for (bucket, statistics) in self.buckets.iter().zip(&mut self.statistics) {
            let num_windows = (self.num_pushed * bucket.num_frames).div_ceil(self.window_len);
            if statistics.first_complete + statistics.complete.len() < num_windows {
                statistics.close();
            }
        }
    }

    /// One step of time: estimates the slice that was pushed [`delay_slices`](Self::delay_slices) steps ago (the first
    /// step belongs to the first push). Call it once per slice, also before the first push and after the last.
    pub fn pull(&mut self) {
        self.num_steps += usize::from(self.num_pushed > 0);
        self.estimates.fill(Complex::default());
        if self.num_steps <= self.delay_slices {
            return;
        }
        let Some(slice) = self.waiting.pop_front() else { return };
        for (bucket, statistics) in self.buckets.iter().zip(&mut self.statistics) {
            for m in 0..bucket.num_frames {
                let window_idx = (self.first_waiting * bucket.num_frames + m) / self.window_len;
                while statistics.first_complete < window_idx {
                    statistics.complete.pop_front();
                    statistics.first_complete += 1;
                }
                let Some(window) = statistics.complete.front() else { continue };
                for bin in 0..bucket.num_bins {
                    let coef = bucket.coefs.start + bin * bucket.num_frames + m;
                    let stems = &window.stems[bin * self.num_stems..(bin + 1) * self.num_stems];
                    estimate(stems, window.scale(), &slice, coef, &mut self.estimates);
                }
            }
        }
        self.first_waiting += 1;
        self.spare.push(slice);
    }

    /// The estimate of a stem of the slice that was pulled last, `[coef]`.
    ///
    /// # Panics
    /// If there is no such stem or channel.
    pub fn estimate_into(&self, stem_idx: usize, channel: usize, coefs: &mut [Complex<f32>]) {
        let start = (stem_idx * 2 + channel) * self.num_coefs;
        coefs.copy_from_slice(&self.estimates[start..start + self.num_coefs]);
    }

    /// As if new.
    pub fn reset(&mut self) {
        *self = Wiener::new(&self.buckets, self.num_stems, self.window_len);
    }
}

impl Estimator for Wiener {
    fn delay_slices(&self) -> usize {
        self.delay_slices
    }

    fn push(&mut self, slice: Option<MixSlice>) {
        if let Some(slice) = slice {
            Wiener::push(self, slice.mix, slice.output);
        }
        if self.num_slices == Some(self.num_pushed) {
            Wiener::end(self);
        }
        self.pull();
    }

    fn estimate_into(&self, _slice: Option<MixSlice>, stem_idx: usize, channel: usize, coefs: &mut [Complex<f32>]) {
        Wiener::estimate_into(self, stem_idx, channel, coefs);
    }

    fn end(&mut self, num_slices: usize) {
        self.num_slices = Some(num_slices);
    }

    fn needs_more(&self) -> bool {
        self.num_slices.is_none_or(|num_slices| self.num_pushed < num_slices)
    }

    fn has_memory(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        Wiener::reset(self);
    }
}

impl BucketStatistics {
    fn close(&mut self) {
        let empty = Window::new(self.open.stems.len());
        let mut window = std::mem::replace(&mut self.open, empty);
        let per_square = 1.0 / window.scale().powi(2);
        for stem in &mut window.stems {
            let factor = per_square / (stem.power * per_square + EPSILON);
            *stem = Covariance {
                left: stem.left * factor,
                right: stem.right * factor,
                cross: stem.cross * factor,
                power: stem.power,
            };
        }
        self.complete.push_back(window);
    }
}

impl Window {
    fn new(num_covariances: usize) -> Self {
        Window { peak: 0.0, stems: vec![Covariance::default(); num_covariances] }
    }

    /// u
    fn scale(&self) -> f64 {
        (0.1 * self.peak.sqrt()).max(1.0)
    }

    fn add(&mut self, bin: usize, num_stems: usize, slice: &Slice, coef: usize) {
        let c = mix_at(slice, coef);
        self.peak = self.peak.max(c[0].norm_sqr()).max(c[1].norm_sqr());
        for (stem_idx, sums) in self.stems[bin * num_stems..(bin + 1) * num_stems].iter_mut().enumerate() {
            let y = masked_at(slice, c, stem_idx, coef);
            sums.left += y[0].norm_sqr();
            sums.right += y[1].norm_sqr();
            sums.cross += y[0] * y[1].conj();
            sums.power += power(y);
        }
    }
}

fn mix_at(slice: &Slice, coef: usize) -> [C64; 2] {
    slice.coefs.each_ref().map(|coefs| C64::new(coefs[coef].re.into(), coefs[coef].im.into()))
}

/// y of a stem.
fn masked_at(slice: &Slice, c: [C64; 2], stem_idx: usize, coef: usize) -> [C64; 2] {
    let num_coefs = slice.coefs[0].len();
    let mask = |channel: usize| f64::from(slice.masks[(stem_idx * 2 + channel) * num_coefs + coef]);
    [c[0] * mask(0), c[1] * mask(1)]
}

/// v of a stem, from its y.
fn power(y: [C64; 2]) -> f64 {
    0.5 * (y[0].norm_sqr() + y[1].norm_sqr())
}

/// `v_j R_j C^-1 c` of all stems at one coefficient; `stems` hold `R_j(f)`, `scale` is u.
fn estimate(stems: &[Covariance], scale: f64, slice: &Slice, coef: usize, estimates: &mut [Complex<f32>]) {
    let num_coefs = slice.coefs[0].len();
    let c = mix_at(slice, coef);
    let power_of = |stem_idx| power(masked_at(slice, c, stem_idx, coef)) / (scale * scale);
    // C = [[left, cross], [conj cross, right]]
    let (mut left, mut right, mut cross) = (EPSILON.sqrt(), EPSILON.sqrt(), C64::default());
    for (stem_idx, r) in stems.iter().enumerate() {
        let v = power_of(stem_idx);
        left += v * r.left;
        right += v * r.right;
        cross += r.cross * v;
    }
    let determinant = left * right - cross.norm_sqr();
    let z = [(c[0] * right - cross * c[1]) / determinant, (c[1] * left - cross.conj() * c[0]) / determinant];
    for (stem_idx, r) in stems.iter().enumerate() {
        let v = power_of(stem_idx);
        let y = [(z[0] * r.left + r.cross * z[1]) * v, (r.cross.conj() * z[0] + z[1] * r.right) * v];
        for (channel, y) in y.iter().enumerate() {
            estimates[(stem_idx * 2 + channel) * num_coefs + coef] = Complex::new(y.re as f32, y.im as f32);
        }
    }
}
