//! From the mix's coefficients and the network's output to coefficients of every stem.

use super::{Slice, Wiener};
use models::{Manifest, OutputKind};
use slicqt::{Complex, Plan};

/// Masks beyond this mean that the network has diverged. With [`MAX_COEF`] it keeps all arithmetic finite.
const MAX_MASK: f32 = 1e6;
/// The same for coefficients: samples are at most 1e6, slices at most 4e6 samples long.
const MAX_COEF: f32 = 1e13;

/// The estimate of all stems' coefficients as a stage.
pub(crate) trait Estimator: Send {
    /// By how many slices estimates lag behind what is pushed.
    fn delay_slices(&self) -> usize;

    /// One step of time: a slice, or none before the network's first output and after its last.
    fn push(&mut self, slice: Option<Slice>);

    /// The estimate, `[coef]`, that is due after `slice` was pushed.
    fn estimate_into(&self, slice: Option<Slice>, stem_idx: usize, channel: usize, coefs: &mut [Complex<f32>]);

    /// The stream ends after this many slices.
    fn end(&mut self, num_slices: usize);

    /// Whether it still needs the network's output.
    fn needs_more(&self) -> bool;

    /// Whether it remembers anything of earlier slices.
    fn has_memory(&self) -> bool;

    /// Back to the initial state.
    fn reset(&mut self);
}

pub(crate) fn estimator_of(manifest: &Manifest, plan: &Plan) -> Box<dyn Estimator> {
    let (kind, num_stems) = (manifest.output.kind, manifest.stems.len());
    match manifest.offline.as_ref().and_then(|offline| offline.wiener_window_frames) {
        Some(window_len) => Box::new(Wiener::new(plan.buckets(), num_stems, window_len)),
        None => Box::new(Masking::new(kind, num_stems, plan.num_coefs())),
    }
}

/// Whether a network's output can be used: a recurrent network that has diverged does not recover by itself.
pub(crate) fn is_usable(kind: OutputKind, output: &[f32]) -> bool {
    let max = match kind {
        OutputKind::Mask | OutputKind::ComplexMask => MAX_MASK,
        OutputKind::Coefs => MAX_COEF,
    };
    // Counted rather than searched, which the compiler turns into vector instructions. False for NaN too.
    let num_usable = output.iter().map(|x| u32::from(x.abs() <= max)).sum::<u32>();
    num_usable as usize == output.len()
}

/// Masks times coefficients, or coefficients as they are; the residual (mix minus stems) is split equally between the stems.
pub struct Masking {
    kind: OutputKind,
    num_stems: usize,
    num_coefs: usize,
    /// `[plane][coef]`, what is added to every stem's planes: a part of the mask, or of the coefficient.
    shares: Vec<f32>,
    /// Coefficients of a silent slice are 0, whatever the network's output is.
    is_silent: bool,
}

impl Masking {
    /// For networks with this kind of output.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(kind: OutputKind, num_stems: usize, num_coefs: usize) -> Self {
        Masking { kind, num_stems, num_coefs, shares: vec![0.0; 2 * kind.num_planes() * num_coefs], is_silent: false }
    }

    /// Measures the residual of a slice. Call it before the slice's estimates.
    ///
    /// # Panics
    /// If a length does not fit.
    ///
    /// # Realtime
    /// Safe.
    pub fn measure_residual(&mut self, slice: Slice) {
        assert_eq!(slice.output.len(), self.num_stems * self.shares.len(), "a value per stem, plane and coefficient");
        let n = self.num_coefs;
        match self.kind {
            OutputKind::Mask => self.shares.fill(1.0),
            OutputKind::ComplexMask => {
                for planes in self.shares.chunks_exact_mut(2 * n) {
                    planes[..n].fill(1.0);
                    planes[n..].fill(0.0);
                }
            }
            OutputKind::Coefs => {
                for (planes, coefs) in self.shares.chunks_exact_mut(2 * n).zip(slice.mix) {
                    let (re, im) = planes.split_at_mut(n);
                    for ((re, im), c) in re.iter_mut().zip(im).zip(coefs) {
                        (*re, *im) = (c.re, c.im);
                    }
                }
                self.is_silent = self.shares.iter().all(|&x| x == 0.0);
            }
        }
        for stem in slice.output.chunks_exact(self.shares.len()) {
            self.shares.iter_mut().zip(stem).for_each(|(share, value)| *share -= value);
        }
        let per_stem = 1.0 / self.num_stems as f32;
        self.shares.iter_mut().for_each(|share| *share *= per_stem);
    }

    /// The coefficients of one stem and channel, `[coef]`. With those of all stems, of a slice whose residual was
    /// measured, they sum to the mix's.
    ///
    /// # Panics
    /// If a length does not fit.
    ///
    /// # Realtime
    /// Safe.
    pub fn estimate_into(&self, slice: Slice, stem_idx: usize, channel: usize, coefs: &mut [Complex<f32>]) {
        let part_len = self.kind.num_planes() * self.num_coefs;
        let values = &slice.output[(2 * stem_idx + channel) * part_len..][..part_len];
        let shares = &self.shares[channel * part_len..][..part_len];
        let mix = &slice.mix[channel][..self.num_coefs];
        assert_eq!(coefs.len(), self.num_coefs, "one estimate for every coefficient");
        if self.kind == OutputKind::Mask {
            for ((out, c), (mask, share)) in coefs.iter_mut().zip(mix).zip(values.iter().zip(shares)) {
                *out = c * (mask + share);
            }
            return;
        }
        let ((re, im), (share_re, share_im)) = (values.split_at(self.num_coefs), shares.split_at(self.num_coefs));
        let parts = re.iter().zip(share_re).zip(im.iter().zip(share_im));
        let values = parts.map(|((re, share_re), (im, share_im))| Complex::new(re + share_re, im + share_im));
        match self.kind {
            OutputKind::Coefs if self.is_silent => coefs.fill(Complex::default()),
            OutputKind::Coefs => coefs.iter_mut().zip(values).for_each(|(out, value)| *out = value),
            _ => coefs.iter_mut().zip(mix).zip(values).for_each(|((out, c), mask)| *out = c * mask),
        }
    }
}

impl Estimator for Masking {
    fn delay_slices(&self) -> usize {
        0
    }

    fn push(&mut self, slice: Option<Slice>) {
        if let Some(slice) = slice {
            self.measure_residual(slice);
        }
    }

    fn estimate_into(&self, slice: Option<Slice>, stem_idx: usize, channel: usize, coefs: &mut [Complex<f32>]) {
        match slice {
            Some(slice) => Masking::estimate_into(self, slice, stem_idx, channel, coefs),
            None => coefs.fill(Complex::default()),
        }
    }

    fn end(&mut self, _num_slices: usize) {}

    fn needs_more(&self) -> bool {
        true
    }

    fn has_memory(&self) -> bool {
        false
    }

    fn reset(&mut self) {}
}
