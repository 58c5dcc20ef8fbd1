//! From coefficients of every stem to hops that sum to the mix.

use crate::Stereo;
use slicqt::{Complex, OverlapAdd, Plan, Scratch, Timing};
use std::{collections::VecDeque, sync::Arc};

/// Writes the coefficients of a stem and channel, `[coef]`: `estimate(stem, channel, coefs)`.
pub type Estimate<'a> = dyn FnMut(usize, usize, &mut [Complex<f32>]) + 'a;

/// Transforms back and adds up the slices of all stems but the last, which is the mix minus the others: so the stems sum
/// to the mix, whatever the transform's rounding is.
pub struct Synthesis {
    plan: Arc<Plan>,
    delay_samples: usize,
    num_earlier_slices: usize,
    /// `[stem][channel]`, of all stems but the last.
    overlap_adds: Vec<[OverlapAdd; 2]>,
    /// `[channel][sample]` of the mix, the last [`delay_samples`](Self::delay_samples) before the next hop.
    mix: [VecDeque<f32>; 2],
    /// `[coef]` of one stem and channel.
    coefs: Vec<Complex<f32>>,
    /// `[sample]`
    slice: Vec<f32>,
    scratch: Scratch,
}

impl Synthesis {
    /// A synthesis in its initial state, of estimates that lag `late_slices` behind the mix. Timing is that of
    /// the analysis.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: Arc<Plan>, timing: Timing, num_stems: usize, late_slices: usize) -> Self {
        let overlap_add = || OverlapAdd::with_timing(&plan, timing);
        let delay_samples = plan.delay_samples(timing) + late_slices * plan.hop_len();
        let silence = || {
            let mut line = VecDeque::with_capacity(delay_samples + plan.hop_len());
            line.resize(delay_samples, 0.0);
            line
        };
        Synthesis {
            delay_samples,
            num_earlier_slices: plan.delay_samples(timing).div_ceil(plan.hop_len()),
            overlap_adds: (1..num_stems).map(|_| [overlap_add(), overlap_add()]).collect(),
            mix: [silence(), silence()],
            coefs: plan.make_coefs(),
            slice: plan.make_slice(),
            scratch: plan.make_scratch(),
            plan,
        }
    }

    /// By how many samples what comes out lags behind the mix: what analysis and synthesis wait for together, and a hop
    /// for every slice by which the estimates are late.
    pub fn delay_samples(&self) -> usize {
        self.delay_samples
    }

    /// So many slices before the newest one add to the hop that comes out with it.
    pub fn num_earlier_slices(&self) -> usize {
        self.num_earlier_slices
    }

    /// Takes the newest hop of the mix, `[channel][sample]`, and gives a hop of every stem, `[stem][channel][sample]`.
    ///
    /// # Panics
    /// If a length is not the plan's.
    ///
    /// # Realtime
    /// Safe, if `estimate` is.
    pub fn synthesize_into(&mut self, mix: [&[f32]; 2], estimate: &mut Estimate, stems: &mut [Stereo]) {
        assert_eq!(stems.len(), self.overlap_adds.len() + 1, "number of stems");
        let Some((last, others)) = stems.split_last_mut() else { return };
        for channel in 0..2 {
            let (line, delayed) = (&mut self.mix[channel], &mut last[channel]);
            assert!(mix[channel].len() == self.plan.hop_len() && delayed.len() == mix[channel].len(), "a hop");
            line.extend(mix[channel]);
            delayed.iter_mut().zip(line.drain(..mix[channel].len())).for_each(|(out, sample)| *out = sample);
        }
        for (stem_idx, (stem, overlap_adds)) in others.iter_mut().zip(&mut self.overlap_adds).enumerate() {
            for channel in 0..2 {
                estimate(stem_idx, channel, &mut self.coefs);
                self.plan.inverse_into(&self.coefs, &mut self.slice, &mut self.scratch);
                overlap_adds[channel].add_into(&self.slice, &mut stem[channel]);
                last[channel].iter_mut().zip(&stem[channel]).for_each(|(last, stem)| *last -= stem);
            }
        }
    }

    /// Lends out its buffer of coefficients, which holds nothing from hop to hop.
    pub(crate) fn with_scratch(&mut self, use_it: impl FnOnce(&mut [Complex<f32>])) {
        use_it(&mut self.coefs);
    }

    /// Back to the initial state.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.overlap_adds.iter_mut().flatten().for_each(OverlapAdd::reset);
        self.mix.iter_mut().flatten().for_each(|sample| *sample = 0.0);
    }
}
