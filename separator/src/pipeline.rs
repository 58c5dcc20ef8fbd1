//! One hop of the mix in, one hop of every stem out: transform, network, masks, inverse, overlap-add.

use crate::{Runtime, SeparatorError, Stereo, denormals::DenormalsAreZero, network::Network};
use models::{Channel, Model};
use slicqt::{Complex, Design, OverlapAdd, Plan, Scratch, Slicer};
use std::sync::Arc;

/// Samples beyond this (120 dB over full scale) are limited before they enter the transform, so that no infinity can
/// arise in it.
const MAX_SAMPLE: f32 = 1e6;

/// The synchronous separation of a stream of hops at the model's sample rate.
pub struct Pipeline {
    plan: Arc<Plan>,
    network: Network,
    num_stems: usize,
    sample_rate_hz: u32,
    input_channels: Vec<Channel>,
    slicers: [Slicer; 2],
    /// `[stem][channel]`, of all stems but the last.
    overlap_adds: Vec<[OverlapAdd; 2]>,
    /// `[channel][sample]`, the newest hop of the mix.
    hop: Stereo,
    /// `[channel][sample]`, the hop before it: the mix that the stems coming out belong to.
    previous_hop: Stereo,
    slice: Vec<f32>,
    /// `[channel][coef]` of the mix.
    coefs: [Vec<Complex<f32>>; 2],
    /// `[coef]` of one stem and channel.
    masked: Vec<Complex<f32>>,
    /// `[input channel][coef]`.
    magnitudes: Vec<f32>,
    /// `[stem][channel][coef]`.
    masks: Vec<f32>,
    /// `[channel][coef]`: what the masks lack to 1, divided by the number of stems.
    shares: Vec<f32>,
    scratch: Scratch,
}

impl Pipeline {
    /// Opens the model's graph, checks it against the manifest, and warms it up.
    ///
    /// # Errors
    /// [`SeparatorError::Model`] names the field on which manifest, transform and graph disagree;
    /// [`SeparatorError::Graph`] if ONNX Runtime refuses the graph.
    ///
    /// # Realtime
    /// Not safe: reads files, allocates.
    pub fn new(runtime: &Arc<Runtime>, model: &Model) -> Result<Self, SeparatorError> {
        let manifest = &model.manifest;
        if manifest.look_ahead_slices != 0 {
            return Err(model.field_error("look_ahead_slices", 0, manifest.look_ahead_slices).into());
        }
        let plan = make_plan(model)?;
        let network = Network::open(runtime, model)?;
        let num_stems = manifest.stems.len();
        let (num_coefs, hop_len) = (plan.num_coefs(), plan.hop_len());
        let overlap_add = || OverlapAdd::new(&plan);
        let silence = || vec![0.0; hop_len];
        Ok(Pipeline {
            network,
            num_stems,
            sample_rate_hz: manifest.sample_rate_hz,
            input_channels: manifest.input.channels.clone(),
            slicers: [Slicer::new(&plan), Slicer::new(&plan)],
            overlap_adds: (1..num_stems).map(|_| [overlap_add(), overlap_add()]).collect(),
            hop: [silence(), silence()],
            previous_hop: [silence(), silence()],
            slice: plan.make_slice(),
            coefs: [plan.make_coefs(), plan.make_coefs()],
            masked: plan.make_coefs(),
            magnitudes: vec![0.0; manifest.input.channels.len() * num_coefs],
            masks: vec![0.0; num_stems * 2 * num_coefs],
            shares: vec![0.0; 2 * num_coefs],
            scratch: plan.make_scratch(),
            plan,
        })
    }

    /// Samples that go in and come out at a time.
    pub fn hop_len(&self) -> usize {
        self.plan.hop_len()
    }

    /// Number of stems, in the manifest's order.
    pub fn num_stems(&self) -> usize {
        self.num_stems
    }

    /// Sample rate of what goes in and comes out.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// By how many samples what comes out lags behind what goes in: one hop.
    pub fn delay_samples(&self) -> usize {
        self.plan.hop_len()
    }

    /// Takes a hop of the mix, `[channel][sample]`, and gives the stems of the hop before it, `[stem][channel][sample]`.
    /// The stems sum to that hop: what the masks lack to 1 is shared out equally, and the last stem is the mix less
    /// the others. Samples that are not finite count as 0.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime fails.
    ///
    /// # Panics
    /// If a length is not [`hop_len`](Self::hop_len), or the number of stems not [`num_stems`](Self::num_stems).
    ///
    /// # Realtime
    /// Worker only: ONNX Runtime allocates.
    pub fn process_hop(&mut self, hop: [&[f32]; 2], stems: &mut [Stereo]) -> Result<(), SeparatorError> {
        assert_eq!(stems.len(), self.num_stems, "number of stems");
        let _denormals = DenormalsAreZero::new();
        for channel in 0..2 {
            std::mem::swap(&mut self.hop[channel], &mut self.previous_hop[channel]);
            self.hop[channel].copy_from_slice(hop[channel]);
            sanitise(&mut self.hop[channel]);
            self.slicers[channel].slice_into(&self.plan, &self.hop[channel], &mut self.slice);
            self.plan.forward_into(&self.slice, &mut self.coefs[channel], &mut self.scratch);
        }
        self.measure_magnitudes();
        self.network.run_into(&self.magnitudes, &mut self.masks)?;
        self.share_remainder();
        self.synthesise(stems);
        Ok(())
    }

    /// Forgets everything that was heard: as if new.
    ///
    /// # Realtime
    /// Worker only: frees the network's state.
    pub fn reset(&mut self) {
        self.network.reset();
        for channel in 0..2 {
            self.slicers[channel].reset();
            self.hop[channel].fill(0.0);
        }
        self.overlap_adds.iter_mut().flatten().for_each(OverlapAdd::reset);
    }

    fn measure_magnitudes(&mut self) {
        let [left, right] = &self.coefs;
        let rows = self.magnitudes.chunks_exact_mut(self.plan.num_coefs());
        for (channel, row) in self.input_channels.iter().zip(rows) {
            for ((magnitude, l), r) in row.iter_mut().zip(left).zip(right) {
                let c = match channel {
                    Channel::Left => *l,
                    Channel::Right => *r,
                    Channel::Mid => (l + r) * 0.5,
                    Channel::Side => (l - r) * 0.5,
                };
                *magnitude = c.norm_sqr().sqrt();
            }
        }
    }

    fn share_remainder(&mut self) {
        let rest_of = |shares: &mut [f32], masks: &[f32]| {
            shares.fill(1.0);
            for stem in masks.chunks_exact(shares.len()) {
                shares.iter_mut().zip(stem).for_each(|(share, mask)| *share -= mask);
            }
        };
        rest_of(&mut self.shares, &self.masks);
        if !self.shares.iter().all(|share| share.is_finite()) {
            // A network that went astray would remember it for ever.
            self.network.reset();
            self.masks.fill(0.0);
            rest_of(&mut self.shares, &self.masks);
        }
        let per_stem = 1.0 / self.num_stems as f32;
        self.shares.iter_mut().for_each(|share| *share *= per_stem);
    }

    fn synthesise(&mut self, stems: &mut [Stereo]) {
        let num_coefs = self.plan.num_coefs();
        let Some((last, others)) = stems.split_last_mut() else { return };
        for channel in 0..2 {
            last[channel].copy_from_slice(&self.previous_hop[channel]);
        }
        let masks = self.masks.chunks_exact(2 * num_coefs);
        for ((stem, masks), overlap_adds) in others.iter_mut().zip(masks).zip(&mut self.overlap_adds) {
            for channel in 0..2 {
                let part = channel * num_coefs..(channel + 1) * num_coefs;
                let factors = masks[part.clone()].iter().zip(&self.shares[part]);
                for ((out, c), (mask, share)) in self.masked.iter_mut().zip(&self.coefs[channel]).zip(factors) {
                    *out = c * (mask + share);
                }
                self.plan.inverse_into(&self.masked, &mut self.slice, &mut self.scratch);
                overlap_adds[channel].add_into(&self.slice, &mut stem[channel]);
                last[channel].iter_mut().zip(&stem[channel]).for_each(|(last, stem)| *last -= stem);
            }
        }
    }
}

/// Samples that are not finite become 0, others are limited to [`MAX_SAMPLE`].
pub(crate) fn sanitise(samples: &mut [f32]) {
    for sample in samples {
        *sample = if sample.is_finite() { sample.clamp(-MAX_SAMPLE, MAX_SAMPLE) } else { 0.0 };
    }
}

fn make_plan(model: &Model) -> Result<Arc<Plan>, SeparatorError> {
    let m = &model.manifest;
    let design = Design {
        scale: match m.transform.scale {
            models::Scale::Bark => slicqt::Scale::Bark,
            models::Scale::Mel => slicqt::Scale::Mel,
        },
        num_bands: m.transform.num_bands,
        fmin_hz: m.transform.fmin_hz,
        sample_rate_hz: m.sample_rate_hz.into(),
    };
    let plan = Plan::new(&design)
        .map_err(|error| model.field_error("transform", "a transform that can be inverted", error))?;
    let facts = [
        ("transform.slice_len", plan.slice_len(), m.transform.slice_len),
        ("transform.transition_len", plan.transition_len(), m.transform.transition_len),
        ("transform.num_coefs", plan.num_coefs(), m.transform.num_coefs),
    ];
    match facts.iter().find(|(_, expected, actual)| expected != actual) {
        Some((field, expected, actual)) => Err(model.field_error(*field, expected, actual).into()),
        None => Ok(Arc::new(plan)),
    }
}
