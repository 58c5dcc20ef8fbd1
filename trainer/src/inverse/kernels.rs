//! The inverse and its adjoint on worker threads of the CPU.

use super::Tables;
use crate::example::{add_slice, num_whole_samples};
use crate::grid::Grid;
use crate::network::Layout;
use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use slicqt::{Plan, Sample};
use std::sync::Arc;
use std::thread;

/// Masks times mix to samples, and gradients by samples to gradients by masks; in f32, or f64 for tests.
pub struct Kernels<T> {
    plan: Plan<T>,
    grid: Grid,
    layout: Layout,
    /// `[q]` over the half spectrum: one over the frame diagonal, and over the slice length for the FFT back.
    filter: Vec<T>,
    /// `[bin]` What the forward transform's coefficients are multiplied with.
    factors: Vec<T>,
    forward: Arc<dyn RealToComplex<T>>,
    inverse: Arc<dyn ComplexToReal<T>>,
}

/// Working memory of a thread.
struct Memory<T> {
    scratch: slicqt::Scratch<T>,
    slice: Vec<T>,
    coefs: Vec<Complex<T>>,
    masks: Vec<T>,
    spectrum: Vec<Complex<T>>,
}

impl<T: Sample> Kernels<T> {
    /// For masks of a layout; `grid` belongs to the same design as `plan`.
    pub fn new(plan: Plan<T>, grid: Grid, tables: &Tables, layout: Layout) -> Self {
        let cast = |x: f64| T::from_f64(x).expect("every f64 rounds to a sample type");
        let (len, last) = (plan.slice_len(), plan.num_bins() - 1);
        let factors = plan.bins().iter().enumerate().map(|(j, bin)| {
            // A band stands for its mirror on the negative side too.
            let sides = if j == 0 || j == last { 1.0 } else { 2.0 };
            cast(sides * (bin.num_frames * bin.num_frames) as f64 / len as f64)
        });
        let mut planner = RealFftPlanner::<T>::new();
        Kernels {
            factors: factors.collect(),
            filter: tables.diagonal[..len / 2 + 1].iter().map(|d| cast(1.0 / (d * len as f64))).collect(),
            forward: planner.plan_fft_forward(len),
            inverse: planner.plan_fft_inverse(len),
            plan,
            grid,
            layout,
        }
    }

    /// Positions of a slice and channel.
    pub fn num_positions(&self) -> usize {
        if self.layout == Layout::Grid { self.grid.len() } else { self.plan.num_coefs() }
    }

    /// Samples `[B][stem][channel][sample]` of `masks` `[B][S][stem][channel][position]` times `mix`, of which example
    /// `b` begins at `b * mix_slices` slices of `[channel][coef]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn samples(&self, mix: &[Complex<T>], mix_slices: usize, masks: &[T], num_slices: usize) -> Vec<T> {
        let (num_coefs, positions) = (self.plan.num_coefs(), self.num_positions());
        let num_items = masks.len() / (num_slices * positions);
        let mut samples = vec![T::zero(); num_items * num_whole_samples(&self.plan, num_slices)];
        self.for_each_item(&mut samples, num_items, |memory, item, out| {
            let (b, channel) = (item / 8, item % 2);
            for s in 0..num_slices {
                let x = &mix[((b * mix_slices + s) * 2 + channel) * num_coefs..][..num_coefs];
                let masks = &masks[((b * num_slices + s) * 8 + item % 8) * positions..][..positions];
                let masks = match self.layout {
                    Layout::Coefs => masks,
                    Layout::Grid => {
                        self.grid.expand_into(masks, &mut memory.masks);
                        &memory.masks
                    }
                };
                for ((out, x), m) in memory.coefs.iter_mut().zip(x).zip(masks) {
                    *out = *x * *m;
                }
                self.plan.inverse_into(&memory.coefs, &mut memory.slice, &mut memory.scratch);
                add_slice(&self.plan, &memory.slice, s, out);
            }
        });
        samples
    }

    /// Gradient by the masks, `[B][stem][channel][S][position]`, from that by the samples `[B][stem][channel][sample]`.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn mask_gradient(&self, mix: &[Complex<T>], mix_slices: usize, by_samples: &[T], num_slices: usize) -> Vec<T> {
        let (num_coefs, positions) = (self.plan.num_coefs(), self.num_positions());
        let num_samples = num_whole_samples(&self.plan, num_slices);
        let num_items = by_samples.len() / num_samples.max(1);
        let mut gradient = vec![T::zero(); num_items * num_slices * positions];
        self.for_each_item(&mut gradient, num_items, |memory, item, out| {
            let (b, channel) = (item / 8, item % 2);
            let by_samples = &by_samples[item * num_samples..(item + 1) * num_samples];
            for (s, out) in out.chunks_exact_mut(positions).enumerate() {
                self.adjoint(by_samples, s, memory);
                let x = &mix[((b * mix_slices + s) * 2 + channel) * num_coefs..][..num_coefs];
                for (bin, factor) in self.plan.bins().iter().zip(&self.factors) {
                    let frames = bin.coef_offset..bin.coef_offset + bin.num_frames;
                    for ((out, c), x) in
                        memory.masks[frames.clone()].iter_mut().zip(&memory.coefs[frames.clone()]).zip(&x[frames])
                    {
                        *out = *factor * (x.re * c.re + x.im * c.im);
                    }
                }
                match self.layout {
                    Layout::Coefs => out.copy_from_slice(&memory.masks),
                    Layout::Grid => self.grid.collect_into(&memory.masks, out),
                }
            }
        });
        gradient
    }

    /// Leaves `F D^-1` of what slice `s` adds to the samples in `memory.coefs`.
    fn adjoint(&self, by_samples: &[T], s: usize, memory: &mut Memory<T>) {
        // The transpose of `add_slice`.
        let end = (s + 1) * self.plan.hop_len();
        let from = self.plan.slice_len().saturating_sub(end);
        let start = end + from - self.plan.slice_len();
        memory.slice.fill(T::zero());
        for (out, v) in memory.slice[from..].iter_mut().zip(by_samples.iter().skip(start)) {
            *out = *v;
        }
        let fits = "made for this length";
        self.forward.process(&mut memory.slice, &mut memory.spectrum).expect(fits);
        for (x, f) in memory.spectrum.iter_mut().zip(&self.filter) {
            *x = *x * *f;
        }
        let nyquist = memory.spectrum.len() - 1;
        memory.spectrum[0].im = T::zero();
        memory.spectrum[nyquist].im = T::zero();
        self.inverse.process(&mut memory.spectrum, &mut memory.slice).expect(fits);
        self.plan.forward_into(&memory.slice, &mut memory.coefs, &mut memory.scratch);
    }

    /// Runs `work` for each of `num_items` equal parts of `out`, on as many threads as torch computes with.
    fn for_each_item(&self, out: &mut [T], num_items: usize, work: impl Fn(&mut Memory<T>, usize, &mut [T]) + Sync) {
        let item_len = (out.len() / num_items.max(1)).max(1);
        let num_threads = (tch::get_num_threads().max(1) as usize).min(num_items.max(1));
        let per_thread = num_items.div_ceil(num_threads);
        thread::scope(|scope| {
            for (t, part) in out.chunks_mut(per_thread * item_len).enumerate() {
                let work = &work;
                scope.spawn(move || {
                    let mut memory = Memory {
                        scratch: self.plan.make_scratch(),
                        slice: self.plan.make_slice(),
                        coefs: self.plan.make_coefs(),
                        masks: vec![T::zero(); self.plan.num_coefs()],
                        spectrum: self.forward.make_output_vec(),
                    };
                    for (i, out) in part.chunks_mut(item_len).enumerate() {
                        work(&mut memory, t * per_thread + i, out);
                    }
                });
            }
        });
    }
}
