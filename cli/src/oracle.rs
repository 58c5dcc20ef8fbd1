//! What a mask could reach at best: separators that know the true stems. They bound what a network on the same
//! transform can do, since it too does no more than to scale the coefficients of the mix.
//!
//! [`StemSpectra`] transforms the true stems hop by hop, [`MaskedMix`] makes estimates of one kind out of them, and
//! [`Oracle`] is both in one. Any [`Plan`] will do.

use std::sync::Arc;

use slicqt::{Complex, OverlapAdd, Plan, Scratch, Slicer};

/// How an oracle scales a coefficient `x = sum_k s_k` of the mix, knowing the stems' coefficients `s_k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OracleMask {
    /// Ideal ratio mask of magnitudes, `|s_j| / sum_k |s_k|`: IRM1 of SiSEC 2018 (Stöter, Liutkus, Ito 2018).
    IdealRatio1,
    /// Ideal ratio mask of powers, `|s_j|^2 / sum_k |s_k|^2`: IRM2 of SiSEC 2018, the Wiener filter of known spectra.
    IdealRatio2,
    /// The true magnitude with the phase of the mix, `|s_j| x / |x|` ("mix-phase inversion" of xumx-sliCQ). Its factor
    /// exceeds 1 where stems cancel in the mix, so no mask in 0..=1 can do the same.
    MixPhase,
    /// Truncated phase-sensitive mask, `Re(s_j x*) / |x|^2` held within 0..=1 (Erdogan, Hershey, Watanabe, Le Roux
    /// 2015): of all masks in 0..=1 the one whose coefficients lie nearest to the stem's, so the bound of our networks.
    PhaseSensitive,
}

impl OracleMask {
    /// Every kind.
    pub const ALL: [OracleMask; 4] =
        [OracleMask::IdealRatio1, OracleMask::IdealRatio2, OracleMask::MixPhase, OracleMask::PhaseSensitive];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            OracleMask::IdealRatio1 => "IRM1",
            OracleMask::IdealRatio2 => "IRM2",
            OracleMask::MixPhase => "mix phase",
            OracleMask::PhaseSensitive => "phase-sensitive",
        }
    }

    /// The factor for the mix's coefficient `x` that estimates `s`. `total` is the sum over all stems of what
    /// [`share`](Self::share) says. A coefficient of zero stays zero whatever the factor.
    fn factor(self, s: Complex<f32>, x: Complex<f32>, total: f32) -> f32 {
        let power = x.norm_sqr();
        let ratio = |part: f32, whole: f32| if whole >= f32::MIN_POSITIVE { part / whole } else { 0.0 };
        match self {
            OracleMask::IdealRatio1 | OracleMask::IdealRatio2 => ratio(self.share(s), total),
            OracleMask::MixPhase => ratio(s.norm_sqr(), power).sqrt(),
            OracleMask::PhaseSensitive => ratio(s.re * x.re + s.im * x.im, power).clamp(0.0, 1.0),
        }
    }

    /// What a ratio mask sums over the stems; 0 for masks that need no sum.
    fn share(self, s: Complex<f32>) -> f32 {
        match self {
            OracleMask::IdealRatio1 => s.norm_sqr().sqrt(),
            OracleMask::IdealRatio2 => s.norm_sqr(),
            OracleMask::MixPhase | OracleMask::PhaseSensitive => 0.0,
        }
    }
}

/// Coefficients of the true stems and of their sum, one slice after another.
pub struct StemSpectra {
    plan: Arc<Plan>,
    /// `[stem][channel]`
    slicers: Vec<[Slicer; 2]>,
    /// `[stem][channel][coef]` of the newest slice.
    stems: Vec<[Vec<Complex<f32>>; 2]>,
    /// `[channel][coef]`, the sum of `stems`.
    mix: [Vec<Complex<f32>>; 2],
    slice: Vec<f32>,
    scratch: Scratch,
}

impl StemSpectra {
    /// Spectra of silence.
    pub fn new(plan: Arc<Plan>, num_stems: usize) -> StemSpectra {
        StemSpectra {
            slicers: (0..num_stems).map(|_| [Slicer::new(&plan), Slicer::new(&plan)]).collect(),
            stems: (0..num_stems).map(|_| [plan.make_coefs(), plan.make_coefs()]).collect(),
            mix: [plan.make_coefs(), plan.make_coefs()],
            slice: plan.make_slice(),
            scratch: plan.make_scratch(),
            plan,
        }
    }

    /// Transforms the slice that the next hop completes.
    ///
    /// # Panics
    /// If `stems`, `[stem][channel][sample]`, are not as many as announced, or not one hop each.
    pub fn process_hop(&mut self, stems: &[[Vec<f32>; 2]]) {
        assert_eq!(stems.len(), self.slicers.len(), "as many stems as the oracle was made for");
        for channel_idx in 0..2 {
            let mix = &mut self.mix[channel_idx];
            mix.fill(Complex::default());
            for ((stem, slicers), coefs) in stems.iter().zip(&mut self.slicers).zip(&mut self.stems) {
                let coefs = &mut coefs[channel_idx];
                slicers[channel_idx].slice_into(&self.plan, &stem[channel_idx], &mut self.slice);
                self.plan.forward_into(&self.slice, coefs, &mut self.scratch);
                mix.iter_mut().zip(coefs).for_each(|(mix, c)| *mix += *c);
            }
        }
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.slicers.iter_mut().flatten().for_each(Slicer::reset);
    }
}

/// Estimates of every stem: masks of one kind times the coefficients of the mix, and back to samples.
pub struct MaskedMix {
    plan: Arc<Plan>,
    mask: OracleMask,
    /// `[stem][channel]`
    overlap_adds: Vec<[OverlapAdd; 2]>,
    /// `[stem][channel][sample]`, one hop.
    estimates: Vec<[Vec<f32>; 2]>,
    /// `[coef]`, what a ratio mask divides by.
    totals: Vec<f32>,
    masked: Vec<Complex<f32>>,
    slice: Vec<f32>,
    scratch: Scratch,
}

impl MaskedMix {
    /// Estimates in their initial state.
    pub fn new(plan: Arc<Plan>, num_stems: usize, mask: OracleMask) -> MaskedMix {
        let hop = || vec![0.0; plan.hop_len()];
        MaskedMix {
            mask,
            overlap_adds: (0..num_stems).map(|_| [OverlapAdd::new(&plan), OverlapAdd::new(&plan)]).collect(),
            estimates: (0..num_stems).map(|_| [hop(), hop()]).collect(),
            totals: vec![0.0; plan.num_coefs()],
            masked: plan.make_coefs(),
            slice: plan.make_slice(),
            scratch: plan.make_scratch(),
            plan,
        }
    }

    /// The hop of every stem, `[stem][channel][sample]`, that the newest slice completes: see
    /// [`delay_samples`](Oracle::delay_samples).
    ///
    /// # Panics
    /// If `spectra` are of another number of stems or another plan.
    pub fn process_slice(&mut self, spectra: &StemSpectra) -> &[[Vec<f32>; 2]] {
        assert_eq!(spectra.stems.len(), self.estimates.len(), "as many stems as the oracle was made for");
        for channel_idx in 0..2 {
            self.totals.fill(0.0);
            for stem in &spectra.stems {
                self.totals.iter_mut().zip(&stem[channel_idx]).for_each(|(total, s)| *total += self.mask.share(*s));
            }
            let mix = &spectra.mix[channel_idx];
            for (stem_idx, stem) in spectra.stems.iter().enumerate() {
                let known = stem[channel_idx].iter().zip(mix).zip(&self.totals);
                for (masked, ((s, x), total)) in self.masked.iter_mut().zip(known) {
                    *masked = x * self.mask.factor(*s, *x, *total);
                }
                self.plan.inverse_into(&self.masked, &mut self.slice, &mut self.scratch);
                let estimate = &mut self.estimates[stem_idx][channel_idx];
                self.overlap_adds[stem_idx][channel_idx].add_into(&self.slice, estimate);
            }
        }
        &self.estimates
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.overlap_adds.iter_mut().flatten().for_each(OverlapAdd::reset);
    }
}

/// A separator that gets the true stems: true stems in, the estimates of one kind of mask out, hop by hop.
pub struct Oracle {
    spectra: StemSpectra,
    masked: MaskedMix,
}

impl Oracle {
    /// An oracle in its initial state.
    pub fn new(plan: Arc<Plan>, num_stems: usize, mask: OracleMask) -> Oracle {
        let spectra = StemSpectra::new(Arc::clone(&plan), num_stems);
        Oracle { spectra, masked: MaskedMix::new(plan, num_stems, mask) }
    }

    /// Takes one hop ([`Plan::hop_len`]) of every true stem, `[stem][channel][sample]`, and gives one of every
    /// estimate, [`delay_samples`](Self::delay_samples) late. At the end of a song, fill the last hop up with zeros
    /// and continue with silence until the delay is over.
    ///
    /// # Panics
    /// If `stems` are not as many as announced, or not one hop each.
    pub fn process_hop(&mut self, stems: &[[Vec<f32>; 2]]) -> &[[Vec<f32>; 2]] {
        self.spectra.process_hop(stems);
        self.masked.process_slice(&self.spectra)
    }

    /// Samples by which the estimates come later than the stems: a sample is complete with the last slice that it is
    /// part of.
    pub fn delay_samples(&self) -> usize {
        delay_samples(&self.masked.plan)
    }

    /// Forgets the past: as new.
    pub fn reset(&mut self) {
        self.spectra.reset();
        self.masked.reset();
    }
}

/// The delay of a slicer and an overlap-add together: what a slice has beyond its hop.
pub fn delay_samples(plan: &Plan) -> usize {
    plan.slice_len() - plan.hop_len()
}

#[cfg(test)]
mod tests;
