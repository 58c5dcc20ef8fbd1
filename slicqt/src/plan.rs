//! Tables and FFTs of a design, and the transform of one slice.

use crate::{Design, DesignError, Sample, stft, windows};
use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use std::{ops::Range, sync::Arc};

/// One frequency of the scale (or DC, or Nyquist).
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// Centre frequency.
    pub frequency_hz: f64,
    /// Centre on the FFT grid of a slice; even.
    pub position: usize,
    /// Coefficients per slice. Frame `m` lies at sample `m * slice_len / num_frames` of the slice.
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
    slice_len: usize,
    hop_len: usize,
    transition_len: usize,
    num_coefs: usize,
    bins: Vec<Bin>,
    buckets: Vec<Bucket>,
    /// `[sample]`, the slicing window.
    pub(crate) slicing: Vec<T>,
    /// `[sample]`, a plain STFT's synthesis window over its FFT length; no other design has one.
    synthesis: Option<Vec<T>>,
    tables: Vec<BinTable<T>>,
    /// `[coef]`, see [`Plan::coef_energy_weights`].
    energy_weights: Vec<f32>,
    real_forward: Arc<dyn RealToComplex<T>>,
    real_inverse: Arc<dyn ComplexToReal<T>>,
}

/// Windows and FFTs of one bin. The windows carry the sign `(-1)^(p/2)` and the factor 1/M or M.
struct BinTable<T> {
    /// `[k]` in FFT order (offset 0 first): `(-1)^(p/2) g(k) / M`.
    analysis: Vec<T>,
    /// `[k]` in FFT order: `(-1)^(p/2) M g(k) / D(p + k)`.
    dual: Vec<T>,
    to_frames: Arc<dyn Fft<T>>,
    from_frames: Arc<dyn Fft<T>>,
}

/// Working memory of one thread for one plan; its contents do not matter.
pub struct Scratch<T = f32> {
    time: Vec<T>,
    spectrum: Vec<Complex<T>>,
    frames: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
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
        let windows = windows::analysis(&layout);
        let diagonal = windows::frame_diagonal(&layout, &windows);
        windows::check_frame(&layout, &windows, &diagonal)?;

        let len = layout.slice_len;
        let cast = |x: f64| T::from_f64(x).expect("every f64 rounds to a sample type");
        let (mut real_planner, mut planner) = (RealFftPlanner::<T>::new(), FftPlanner::<T>::new());
        let (mut bins, mut buckets, mut tables) = (Vec::new(), Vec::<Bucket>::new(), Vec::new());
        let mut energy_weights = Vec::new();
        let mut num_coefs = 0;
        for (j, (bin, window)) in layout.bins.iter().zip(&windows).enumerate() {
            let m = bin.num_frames;
            let sign = if bin.position / 2 % 2 == 0 { 1.0 } else { -1.0 };
            let (mut analysis, mut dual) = (vec![T::zero(); m], vec![T::zero(); m]);
            for (i, g) in window.iter().enumerate() {
                let k = (i + m - m / 2) % m;
                let q = (bin.position + i + len - m / 2) % len;
                analysis[k] = cast(sign * g / m as f64);
                dual[k] = cast(sign * g * m as f64 / diagonal[q]);
            }
            let is_band = j != 0 && j != layout.bins.len() - 1;
            let both_signs = if is_band { 2.0 } else { 1.0 };
            let energy: f64 = window.iter().map(|g| g * g).sum();
            let through_dual: f64 =
                window.iter().enumerate().map(|(i, g)| g * g / diagonal[(bin.position + i + len - m / 2) % len]).sum();
            let weight = both_signs * (m * m) as f64 * through_dual / (energy * len as f64);
            energy_weights.extend(std::iter::repeat_n(weight as f32, m));
            tables.push(BinTable {
                analysis,
                dual,
                to_frames: planner.plan_fft_inverse(m),
                from_frames: planner.plan_fft_forward(m),
            });
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
            slice_len: len,
            hop_len: len / 2,
            transition_len: layout.transition_len,
            num_coefs,
            bins,
            buckets,
            slicing: windows::slicing(len, layout.transition_len).into_iter().map(cast).collect(),
            synthesis: None,
            tables,
            energy_weights,
            real_forward: real_planner.plan_fft_forward(len),
            real_inverse: real_planner.plan_fft_inverse(len),
        })
    }

    /// One bucket of `fft_len / 2 + 1` bins with one frame each; the coefficients are the real FFT of a slice.
    fn new_stft(design: &Design, fft_len: usize, hop_len: usize) -> Result<Self, DesignError> {
        stft::check(design, fft_len, hop_len)?;
        let cast = |x: f64| T::from_f64(x).expect("every f64 rounds to a sample type");
        let window = stft::analysis(fft_len);
        let synthesis = stft::synthesis(&window, hop_len).into_iter().map(|x| cast(x / fft_len as f64));
        let mut planner = RealFftPlanner::<T>::new();
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
            slice_len: fft_len,
            hop_len,
            transition_len: fft_len / 2,
            num_coefs: num_bins,
            bins: (0..num_bins).map(bin).collect(),
            buckets: vec![Bucket { first_bin: 0, num_bins, num_frames: 1, coefs: 0..num_bins }],
            synthesis: Some(synthesis.collect()),
            slicing: window.into_iter().map(cast).collect(),
            tables: Vec::new(),
            energy_weights: (0..num_bins).map(weight).collect(),
            real_forward: planner.plan_fft_forward(fft_len),
            real_inverse: planner.plan_fft_inverse(fft_len),
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

    /// Memory for [`forward_into`](Self::forward_into) and [`inverse_into`](Self::inverse_into).
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn make_scratch(&self) -> Scratch<T> {
        let zero = Complex::new(T::zero(), T::zero());
        let max_frames = self.bins.iter().map(|b| b.num_frames).max().unwrap_or(0);
        let fft_len = self
            .tables
            .iter()
            .flat_map(|t| [t.to_frames.get_inplace_scratch_len(), t.from_frames.get_inplace_scratch_len()])
            .chain([self.real_forward.get_scratch_len(), self.real_inverse.get_scratch_len()])
            .max()
            .unwrap_or(0);
        Scratch {
            time: vec![T::zero(); self.slice_len],
            spectrum: vec![zero; self.slice_len / 2 + 1],
            frames: vec![zero; max_frames],
            fft: vec![zero; fft_len],
        }
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

    /// Coefficients `[bin][frame]` of a windowed slice (as [`Slicer`](crate::Slicer) makes it):
    /// `c_j[m] = (-1)^(p_j/2) 1/M_j sum_k g_j(k) X[p_j + k] e^(2 pi i k m / M_j)`. A sine of amplitude A at the
    /// centre of a bin gives `|c|` of about `A L / (4 M)`.
    ///
    /// # Panics
    /// If `slice` is not [`slice_len`](Self::slice_len) long, `coefs` not [`num_coefs`](Self::num_coefs), or the
    /// scratch was made for another plan.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock; a few hundred small FFTs.
    pub fn forward_into(&self, slice: &[T], coefs: &mut [Complex<T>], scratch: &mut Scratch<T>) {
        assert_eq!(coefs.len(), self.num_coefs, "coefs must hold one slice");
        scratch.time.copy_from_slice(slice);
        self.real_forward
            .process_with_scratch(&mut scratch.time, &mut scratch.spectrum, &mut scratch.fft)
            .expect("scratch was made for this plan");
        if self.synthesis.is_some() {
            coefs.copy_from_slice(&scratch.spectrum);
            return;
        }
        let spectrum = &scratch.spectrum;
        for (bin, table) in self.bins.iter().zip(&self.tables) {
            let m = bin.num_frames;
            let frames = &mut coefs[bin.coef_offset..bin.coef_offset + m];
            let (upper, lower) = frames.split_at_mut(m / 2);
            self.window_upper(spectrum, bin.position, &table.analysis[..m / 2], upper);
            self.window_lower(spectrum, bin.position, &table.analysis[m / 2..], lower);
            table.to_frames.process_with_scratch(frames, &mut scratch.fft);
        }
    }

    /// `out[k] = window[k] X[position + k]`, k = 0, 1, ...; beyond Nyquist the spectrum is mirrored.
    fn window_upper(&self, spectrum: &[Complex<T>], position: usize, window: &[T], out: &mut [Complex<T>]) {
        for (k, (out, g)) in out.iter_mut().zip(window).enumerate() {
            let q = position + k;
            let x = if q < spectrum.len() { spectrum[q] } else { spectrum[self.slice_len - q].conj() };
            *out = x * *g;
        }
    }

    /// `out[i] = window[i] X[position - len + i]`: the offsets below the centre; below DC the spectrum is mirrored.
    fn window_lower(&self, spectrum: &[Complex<T>], position: usize, window: &[T], out: &mut [Complex<T>]) {
        let len = window.len();
        for (i, (out, g)) in out.iter_mut().zip(window).enumerate() {
            let x =
                if position + i >= len { spectrum[position + i - len] } else { spectrum[len - position - i].conj() };
            *out = x * *g;
        }
    }

    /// The slice whose coefficients are `coefs` (`[bin][frame]`), by the dual frame. Coefficients that were changed
    /// and belong to no signal give the slice nearest to them in the frame's sense. It is not windowed again: slices
    /// are just added up ([`OverlapAdd`](crate::OverlapAdd)).
    ///
    /// # Panics
    /// If `slice` is not [`slice_len`](Self::slice_len) long, `coefs` not [`num_coefs`](Self::num_coefs), or the
    /// scratch was made for another plan.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock; a few hundred small FFTs.
    pub fn inverse_into(&self, coefs: &[Complex<T>], slice: &mut [T], scratch: &mut Scratch<T>) {
        assert_eq!(coefs.len(), self.num_coefs, "coefs must hold one slice");
        let zero = Complex::new(T::zero(), T::zero());
        if let Some(synthesis) = &self.synthesis {
            scratch.spectrum.copy_from_slice(coefs);
            self.invert_spectrum(slice, scratch);
            slice.iter_mut().zip(synthesis).for_each(|(x, w)| *x = *x * *w);
            return;
        }
        scratch.spectrum.fill(zero);
        let last = self.bins.len() - 1;
        for (j, (bin, table)) in self.bins.iter().zip(&self.tables).enumerate() {
            let m = bin.num_frames;
            let frames = &mut scratch.frames[..m];
            frames.copy_from_slice(&coefs[bin.coef_offset..bin.coef_offset + m]);
            table.from_frames.process_with_scratch(frames, &mut scratch.fft);
            self.add_bin(bin.position, j != 0 && j != last, frames, &table.dual, &mut scratch.spectrum);
        }
        self.invert_spectrum(slice, scratch);
        let scale = T::one() / T::from_usize(self.slice_len).expect("lengths fit the sample type");
        for x in slice.iter_mut() {
            *x = *x * scale;
        }
    }

    /// `slice = L irfft(spectrum)`, L the slice length.
    fn invert_spectrum(&self, slice: &mut [T], scratch: &mut Scratch<T>) {
        // The spectrum of a real signal is real at DC and Nyquist; rounding and masks leave a trace there.
        let nyquist = self.slice_len / 2;
        scratch.spectrum[0].im = T::zero();
        scratch.spectrum[nyquist].im = T::zero();
        self.real_inverse
            .process_with_scratch(&mut scratch.spectrum, slice, &mut scratch.fft)
            .expect("scratch was made for this plan");
    }

    /// Adds a bin's windowed spectrum `[k]` (FFT order) at `position`, and, for bands, its conjugate mirror: both
    /// matter in the half spectrum where a window reaches over DC or Nyquist.
    fn add_bin(&self, position: usize, mirror: bool, frames: &[Complex<T>], dual: &[T], spectrum: &mut [Complex<T>]) {
        let (m, len) = (frames.len(), self.slice_len);
        let inside = position >= m / 2 && position + m / 2 < spectrum.len();
        for (k, (c, gd)) in frames.iter().zip(dual).enumerate() {
            let value = *c * *gd;
            let q = if k < m / 2 { position + k } else { position + len + k - m } % len;
            if q < spectrum.len() {
                spectrum[q] = spectrum[q] + value;
            }
            if mirror && !(inside && q != 0) {
                let mirrored = (len - q) % len;
                if mirrored < spectrum.len() {
                    spectrum[mirrored] = spectrum[mirrored] + value.conj();
                }
            }
        }
    }
}

// A plan is shared by threads.
const _: () = {
    const fn shared<S: Send + Sync>() {}
    shared::<Plan<f32>>();
    shared::<Plan<f64>>();
};
