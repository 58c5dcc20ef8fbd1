//! From hops of the mix to coefficients, and to what a network sees of them.

use models::{Channel, InputKind};
use slicqt::{Complex, Plan, Scratch, Slicer, Timing};
use std::sync::Arc;

/// Slices and transforms a stereo stream, hop by hop. It delays nothing: what slices wait for is counted by
/// [`Synthesis`](super::Synthesis).
pub struct Analysis {
    plan: Arc<Plan>,
    timing: Timing,
    /// `[channel]`
    slicers: [Slicer; 2],
    /// `[sample]`
    slice: Vec<f32>,
    scratch: Scratch,
}

impl Analysis {
    /// An analysis in its initial state: silence before the first hop. Give the same timing to the synthesis.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(plan: Arc<Plan>, timing: Timing) -> Self {
        let slicer = || Slicer::with_timing(&plan, timing);
        Analysis { slicers: [slicer(), slicer()], slice: plan.make_slice(), scratch: plan.make_scratch(), timing, plan }
    }

    /// The coefficients, `[channel][coef]`, of the slice that a hop, `[channel][sample]`, completes.
    ///
    /// # Panics
    /// If a length is not the plan's.
    ///
    /// # Realtime
    /// Safe.
    pub fn analyse_into(&mut self, hop: [&[f32]; 2], coefs: &mut [Vec<Complex<f32>>; 2]) {
        for channel in 0..2 {
            self.slicers[channel].slice_into(&self.plan, hop[channel], &mut self.slice);
            self.plan.forward_into(&self.slice, &mut coefs[channel], &mut self.scratch);
        }
    }

    /// How many slices after the one that a hop completes hold samples of it; so many slices after a gap hold a part of
    /// the gap.
    pub fn num_later_slices(&self) -> usize {
        self.plan.delay_samples(self.timing).div_ceil(self.plan.hop_len())
    }

    /// Back to the initial state.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.slicers.iter_mut().for_each(Slicer::reset);
    }
}

/// What a network sees of a slice: planes of real numbers, as [`models::Input`] has them.
pub struct Planes {
    kind: InputKind,
    channels: Vec<Channel>,
}

impl Planes {
    /// What a network of this kind sees of these channels.
    pub fn new(kind: InputKind, channels: Vec<Channel>) -> Self {
        Planes { kind, channels }
    }

    /// Planes of one slice.
    pub fn num_planes(&self) -> usize {
        self.kind.num_planes() * self.channels.len()
    }

    /// The planes of one slice, `[plane][coef]`, from the mix, `[channel][coef]`.
    ///
    /// # Panics
    /// If `planes` has not the length that follows.
    ///
    /// # Realtime
    /// Safe.
    pub fn write_into(&self, mix: &[Vec<Complex<f32>>; 2], planes: &mut [f32]) {
        let [left, right] = mix;
        assert_eq!(planes.len(), self.num_planes() * left.len(), "one value for every plane and coefficient");
        let per_channel = planes.chunks_exact_mut(self.kind.num_planes() * left.len());
        for (channel, planes) in self.channels.iter().zip(per_channel) {
            match channel {
                Channel::Left => self.write_channel(left.iter().copied(), planes),
                Channel::Right => self.write_channel(right.iter().copied(), planes),
                Channel::Mid => self.write_channel(left.iter().zip(right).map(|(l, r)| (l + r) * 0.5), planes),
                Channel::Side => self.write_channel(left.iter().zip(right).map(|(l, r)| (l - r) * 0.5), planes),
            }
        }
    }

    fn write_channel(&self, coefs: impl Iterator<Item = Complex<f32>>, planes: &mut [f32]) {
        match self.kind {
            InputKind::Magnitude => planes.iter_mut().zip(coefs).for_each(|(out, c)| *out = c.norm_sqr().sqrt()),
            InputKind::Complex => {
                let (re, im) = planes.split_at_mut(planes.len() / 2);
                for ((re, im), c) in re.iter_mut().zip(im).zip(coefs) {
                    (*re, *im) = (c.re, c.im);
                }
            }
        }
    }
}
