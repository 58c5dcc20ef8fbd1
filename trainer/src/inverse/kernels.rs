//! The inverse and its adjoint on worker threads of the CPU.

use crate::transform::Layout;
use crate::transform::grid::Grid;
use crate::transform::{add_slice, num_whole_samples};
use crate::workers;
use num_complex::Complex;
use slicqt::{Plan, Sample, Scratch};
use std::ops::Range;

/// A sum of stems of one example. As the inverse is linear, it costs as much as one stem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StemSum {
    /// Index of the example in its batch.
    pub example: usize,
    /// Indices of its stems.
    pub stems: Vec<usize>,
}

/// Masks times mix to samples, and gradients by samples to gradients by masks; in f32, or f64 for tests.
pub struct Kernels<T> {
    plan: Plan<T>,
    layout: Layout,
    /// Cells of a slice and channel.
    num_cells: usize,
    /// `[coef]` as in [`Grid`].
    lower: Vec<u32>,
    fraction: Vec<T>,
    /// Neighbouring coefficients that lie between the same two cells, with the lower of the cells.
    runs: Vec<(Range<usize>, usize)>,
}

/// Working memory of a thread.
struct Memory<T> {
    scratch: Scratch<T>,
    slice: Vec<T>,
    coefs: Vec<Complex<T>>,
    /// `[position]` Sum of the masks of several stems.
    masks: Vec<T>,
    /// `[coef]`
    by_coefs: Vec<T>,
    /// Samples with silence before and after them, so that every slice lies in it whole.
    padded: Vec<T>,
}

impl<T: Sample> Kernels<T> {
    /// For masks of a layout; `grid` belongs to the same design as `plan`.
    pub fn new(plan: Plan<T>, grid: &Grid, layout: Layout) -> Self {
        let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
        for (i, cell) in grid.lower.iter().enumerate() {
            match runs.last_mut() {
                Some((coefs, lower)) if *lower == *cell as usize => coefs.end = i + 1,
                _ => runs.push((i..i + 1, *cell as usize)),
            }
        }
        let cast = |x: &f32| T::from_f32(*x).expect("every f32 is a sample");
        Kernels {
            plan,
            layout,
            num_cells: grid.len(),
            lower: grid.lower.clone(),
            fraction: grid.fraction.iter().map(cast).collect(),
            runs,
        }
    }

    /// Positions of a slice and channel.
    pub fn num_positions(&self) -> usize {
        if self.layout == Layout::Grid { self.num_cells } else { self.plan.num_coefs() }
    }

    /// Samples `[sum][channel][sample]` of `masks` `[B][S][stem][channel][position]` times the mixes `mix` (`[B]`, each
    /// `[slice][channel][coef]` of at least `S = num_slices` slices).
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn samples(&self, mix: &[&[Complex<T>]], masks: &[T], num_slices: usize, sums: &[StemSum]) -> Vec<T> {
        let num_samples = num_whole_samples(&self.plan, num_slices);
        let (num_coefs, positions) = (self.plan.num_coefs(), self.num_positions());
        let mut samples = vec![T::zero(); sums.len() * 2 * num_samples];
        let items = samples.chunks_exact_mut(num_samples.max(1)).enumerate();
        workers::for_each(
            items,
            || self.memory(0),
            |memory, (item, out)| {
                let (sum, channel) = (&sums[item / 2], item % 2);
                for s in 0..num_slices {
                    let x = &mix[sum.example][(s * 2 + channel) * num_coefs..][..num_coefs];
                    let masks_of = |stem: usize| {
                        let at = ((sum.example * num_slices + s) * 4 + stem) * 2 + channel;
                        &masks[at * positions..][..positions]
                    };
                    let masks = match sum.stems.as_slice() {
                        [stem] => masks_of(*stem),
                        stems => {
                            memory.masks.copy_from_slice(masks_of(stems[0]));
                            for stem in &stems[1..] {
                                memory.masks.iter_mut().zip(masks_of(*stem)).for_each(|(sum, m)| *sum = *sum + *m);
                            }
                            &memory.masks
                        }
                    };
                    self.mask_into(x, masks, &mut memory.coefs);
                    self.plan.inverse_into(&memory.coefs, &mut memory.slice, &mut memory.scratch);
                    add_slice(&self.plan, &memory.slice, s, out);
                }
            },
        );
        samples
    }

    /// Gradient by the masks, `[B][S][stem][channel][position]`. `by_samples(sum, channel, out)` adds the gradient by the
    /// samples `[sample]` of a sum and channel to zeros.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn mask_gradient(
        &self,
        mix: &[&[Complex<T>]],
        num_slices: usize,
        sums: &[StemSum],
        by_samples: impl Fn(usize, usize, &mut [T]) + Sync,
    ) -> Vec<T> {
        let (num_coefs, positions) = (self.plan.num_coefs(), self.num_positions());
        let (slice_len, hop_len) = (self.plan.slice_len(), self.plan.hop_len());
        let num_samples = num_whole_samples(&self.plan, num_slices);
        // [sum][channel][slice][position]
        let mut by_sums = vec![T::zero(); sums.len() * 2 * num_slices * positions];
        workers::for_each(
            by_sums.chunks_exact_mut((num_slices * positions).max(1)).enumerate(),
            || self.memory(num_slices),
            |memory, (item, out)| {
                let (sum, channel) = (item / 2, item % 2);
                let samples = &mut memory.padded[slice_len - hop_len..][..num_samples];
                samples.fill(T::zero());
                by_samples(sum, channel, samples);
                for (s, out) in out.chunks_exact_mut(positions).enumerate() {
                    // The transpose of `add_slice`.
                    let slice = &memory.padded[s * hop_len..][..slice_len];
                    self.plan.adjoint_into(slice, &mut memory.coefs, &mut memory.scratch);
                    let x = &mix[sums[sum].example][(s * 2 + channel) * num_coefs..][..num_coefs];
                    let by_coefs = if self.layout == Layout::Grid { &mut memory.by_coefs[..] } else { &mut *out };
                    for ((by_coef, c), x) in by_coefs.iter_mut().zip(&memory.coefs).zip(x) {
                        *by_coef = x.re * c.re + x.im * c.im;
                    }
                    if self.layout == Layout::Grid {
                        self.collect(&memory.by_coefs, out);
                    }
                }
            },
        );
        let mut gradient = vec![T::zero(); mix.len() * num_slices * 8 * positions];
        let examples = gradient.chunks_exact_mut((num_slices * 8 * positions).max(1)).enumerate();
        workers::for_each(
            examples,
            || (),
            |_, (example, gradient)| {
                let items = by_sums.chunks_exact(num_slices * positions).enumerate();
                for (item, by_sum) in items.filter(|(item, _)| sums[item / 2].example == example) {
                    for (s, by_sum) in by_sum.chunks_exact(positions).enumerate() {
                        for stem in &sums[item / 2].stems {
                            let out = &mut gradient[((s * 4 + stem) * 2 + item % 2) * positions..][..positions];
                            out.iter_mut().zip(by_sum).for_each(|(out, g)| *out = *out + *g);
                        }
                    }
                }
            },
        );
        gradient
    }

    /// `out = mask x`, masks interpolated where they lie on the grid.
    fn mask_into(&self, x: &[Complex<T>], masks: &[T], out: &mut [Complex<T>]) {
        if self.layout == Layout::Coefs {
            for ((out, x), m) in out.iter_mut().zip(x).zip(masks) {
                *out = *x * *m;
            }
            return;
        }
        for (((out, x), lower), fraction) in out.iter_mut().zip(x).zip(&self.lower).zip(&self.fraction) {
            let (a, b) = (masks[*lower as usize], masks[*lower as usize + 1]);
            *out = *x * (a + *fraction * (b - a));
        }
    }

    /// The transpose of the interpolation: adds values per coefficient to the two cells that each lies between.
    fn collect(&self, by_coefs: &[T], cells: &mut [T]) {
        for (coefs, lower) in &self.runs {
            let (mut all, mut upper) = (T::zero(), T::zero());
            for (value, fraction) in by_coefs[coefs.clone()].iter().zip(&self.fraction[coefs.clone()]) {
                all = all + *value;
                upper = upper + *fraction * *value;
            }
            cells[*lower] = cells[*lower] + (all - upper);
            cells[*lower + 1] = cells[*lower + 1] + upper;
        }
    }

    /// Working memory of a thread, with room for the samples of so many slices.
    fn memory(&self, num_slices: usize) -> Memory<T> {
        let (slice_len, hop_len) = (self.plan.slice_len(), self.plan.hop_len());
        Memory {
            scratch: self.plan.make_scratch(),
            slice: self.plan.make_slice(),
            coefs: self.plan.make_coefs(),
            masks: vec![T::zero(); self.num_positions()],
            by_coefs: vec![T::zero(); self.plan.num_coefs()],
            padded: vec![T::zero(); num_slices * hop_len + slice_len - hop_len],
        }
    }
}
