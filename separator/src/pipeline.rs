//! One hop of the mix in, one hop of every stem out: transform, network, masks, inverse, overlap-add.

use crate::{
    DenormalsAreZero, Graph, NetworkState, Runtime, SeparatorError, Stereo, blocks::Blocks, latency::pipeline_delay,
    wiener::Wiener,
};
use models::{Channel, Model};
use slicqt::{Complex, OverlapAdd, Plan, Scratch, Slicer};
use std::{collections::VecDeque, sync::Arc};

/// Samples beyond this (120 dB over full scale) are limited before they enter the transform, so that no infinity can
/// arise in it.
const MAX_SAMPLE: f32 = 1e6;

/// The synchronous separation of a stream of hops at the model's sample rate.
pub struct Pipeline {
    plan: Arc<Plan>,
    network: NetworkState,
    num_stems: usize,
    sample_rate_hz: u32,
    /// By how many slices masks lag behind coefficients: what the network looks ahead, or what fills a block.
    mask_delay_slices: usize,
    input_channels: Vec<Channel>,
    slicers: [Slicer; 2],
    /// `[stem][channel]`, of all stems but the last.
    overlap_adds: Vec<[OverlapAdd; 2]>,
    /// `[hop][channel][sample]` of the mix: the first is the one that the stems coming out belong to, the last is new.
    hops: VecDeque<Stereo>,
    slice: Vec<f32>,
    /// `[slice][channel][coef]` of the mix: the first is the one that the masks belong to, the last is new.
    coefs: VecDeque<[Vec<Complex<f32>>; 2]>,
    /// `[coef]` of one stem and channel.
    masked: Vec<Complex<f32>>,
    /// `[input channel][coef]`.
    magnitudes: Vec<f32>,
    /// `[stem][channel][coef]`.
    masks: Vec<f32>,
    /// `[channel][coef]`: what the masks lack to 1, divided by the number of stems.
    shares: Vec<f32>,
    /// For networks that take many slices at once.
    blocks: Option<Blocks>,
    /// Instead of masks, for models that are for files.
    wiener: Option<Wiener>,
    /// Slices since the reset.
    num_slices: usize,
    /// How many of them hold the song, once [`end`](Self::end) has told it.
    num_song_slices: Option<usize>,
    scratch: Scratch,
}

impl Pipeline {
    /// Opens the model's graph, or shares it if it is open: [`Graph::open`] and [`with_graph`](Self::with_graph).
    ///
    /// # Errors
    /// [`SeparatorError::Model`] names the field on which manifest, transform and graph disagree;
    /// [`SeparatorError::Graph`] if ONNX Runtime refuses the graph.
    ///
    /// # Realtime
    /// Not safe: reads files, allocates.
    pub fn new(runtime: &Arc<Runtime>, model: &Model) -> Result<Self, SeparatorError> {
        Pipeline::with_graph(&Graph::open(runtime, model)?)
    }

    /// A new stream through a graph.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime makes no tensors.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn with_graph(graph: &Arc<Graph>) -> Result<Self, SeparatorError> {
        let manifest = &graph.model().manifest;
        let plan = graph.plan().clone();
        let network = graph.make_state()?;
        let num_stems = manifest.stems.len();
        let (num_coefs, hop_len) = (plan.num_coefs(), plan.hop_len());
        let overlap_add = || OverlapAdd::new(&plan);
        let silence = || [vec![0.0; hop_len], vec![0.0; hop_len]];
        let (num_magnitudes, num_masks) = (manifest.input.channels.len() * num_coefs, num_stems * 2 * num_coefs);
        let offline = manifest.offline.clone().unwrap_or_default();
        let blocks = offline.block_slices;
        let blocks = blocks.map(|len| Blocks::new(len, offline.lead_slices, num_magnitudes, num_masks));
        let wiener = offline.wiener_window_frames;
        let wiener = wiener.map(|window_len| Wiener::new(plan.buckets(), num_stems, window_len));
        let block_delay = blocks.as_ref().map_or(0, Blocks::delay_slices);
        let later_slices = block_delay + wiener.as_ref().map_or(0, Wiener::delay_slices);
        let delay = pipeline_delay(manifest) + later_slices * hop_len;
        let mask_delay_slices = manifest.look_ahead_slices + block_delay;
        Ok(Pipeline {
            network,
            num_stems,
            sample_rate_hz: manifest.sample_rate_hz,
            mask_delay_slices,
            input_channels: manifest.input.channels.clone(),
            slicers: [Slicer::new(&plan), Slicer::new(&plan)],
            overlap_adds: (1..num_stems).map(|_| [overlap_add(), overlap_add()]).collect(),
            hops: (0..=delay / hop_len).map(|_| silence()).collect(),
            slice: plan.make_slice(),
            coefs: (0..=mask_delay_slices).map(|_| [plan.make_coefs(), plan.make_coefs()]).collect(),
            masked: plan.make_coefs(),
            magnitudes: vec![0.0; num_magnitudes],
            masks: vec![0.0; num_masks],
            shares: vec![0.0; 2 * num_coefs],
            blocks,
            wiener,
            num_slices: 0,
            num_song_slices: None,
            scratch: plan.make_scratch(),
            plan,
        })
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &Arc<Graph> {
        self.network.graph()
    }

    /// Samples that go in and come out at a time.
    pub fn hop_len(&self) -> usize {
        self.plan.hop_len()
    }

    /// The model's transform.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Number of stems, in the manifest's order.
    pub fn num_stems(&self) -> usize {
        self.num_stems
    }

    /// Sample rate of what goes in and comes out.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// By how many samples what comes out lags behind what goes in, a whole number of hops: the slice that completes
    /// it, the slices that the network looks ahead, and, for models that are for files, a block of slices and a window
    /// of the Wiener filter.
    pub fn delay_samples(&self) -> usize {
        (self.hops.len() - 1) * self.plan.hop_len()
    }

    /// Takes a hop of the mix, `[channel][sample]`, and gives the stems of the hop that lies
    /// [`delay_samples`](Self::delay_samples) before it, `[stem][channel][sample]`. The stems sum to that hop: what the
    /// masks lack to 1 is shared out equally, and the last stem is the mix less the others. Samples that are not finite
    /// count as 0.
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
        self.hops.rotate_left(1);
        self.coefs.rotate_left(1);
        let (newest, coefs) = (self.hops.back_mut(), self.coefs.back_mut());
        let (newest, coefs) = (newest.expect("never empty"), coefs.expect("never empty"));
        for channel in 0..2 {
            newest[channel].copy_from_slice(hop[channel]);
            sanitise(&mut newest[channel]);
            self.slicers[channel].slice_into(&self.plan, &newest[channel], &mut self.slice);
            self.plan.forward_into(&self.slice, &mut coefs[channel], &mut self.scratch);
        }
        // With the song over and its masks known, the network has nothing more to say.
        let num_masks = self.num_song_slices.map_or(usize::MAX, |num_slices| num_slices + self.mask_delay_slices);
        let is_needed = self.wiener.is_none() || self.num_slices < num_masks;
        if is_needed {
            self.measure_magnitudes();
            match &mut self.blocks {
                Some(blocks) => blocks.run_into(&mut self.network, &self.magnitudes, &mut self.masks)?,
                None => self.network.run_into(&self.magnitudes, &mut self.masks)?,
            }
            self.share_remainder();
        }
        self.num_slices += 1;
        if let Some(wiener) = &mut self.wiener {
            // The masks belong to a slice before the stream as long as the network has not looked ahead far enough.
            if is_needed && self.num_slices > self.mask_delay_slices {
                wiener.push(&self.coefs[0], &self.masks);
            }
            if self.num_song_slices.is_some_and(|num_slices| wiener.num_pushed() == num_slices) {
                wiener.end();
            }
        }
        self.synthesise(stems);
        Ok(())
    }

    /// Tells that the song has ended: all slices that hold a sample of it have gone in. What follows until its last
    /// stems are out is silence. It matters to networks that know where a song ends, and to windows that end with it.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime fails.
    ///
    /// # Realtime
    /// Worker only: ONNX Runtime allocates.
    pub fn end(&mut self) -> Result<(), SeparatorError> {
        self.num_song_slices = Some(self.num_slices);
        self.network.end();
        Ok(())
    }

    /// Forgets everything that was heard: as if new.
    ///
    /// # Realtime
    /// Worker only: frees the network's state.
    pub fn reset(&mut self) {
        self.network.reset();
        self.slicers.iter_mut().for_each(Slicer::reset);
        self.hops.iter_mut().flatten().for_each(|samples| samples.fill(0.0));
        self.coefs.iter_mut().flatten().for_each(|coefs| coefs.fill(Complex::default()));
        self.overlap_adds.iter_mut().flatten().for_each(OverlapAdd::reset);
        if let Some(blocks) = &mut self.blocks {
            blocks.reset();
        }
        if let Some(wiener) = &mut self.wiener {
            wiener.reset();
        }
        (self.num_slices, self.num_song_slices) = (0, None);
    }

    fn measure_magnitudes(&mut self) {
        let Some([left, right]) = self.coefs.back() else { return };
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
            last[channel].copy_from_slice(&self.hops[0][channel]);
        }
        if let Some(wiener) = &mut self.wiener {
            wiener.pull();
        }
        let masks = self.masks.chunks_exact(2 * num_coefs);
        for (stem_idx, ((stem, masks), overlap_adds)) in
            others.iter_mut().zip(masks).zip(&mut self.overlap_adds).enumerate()
        {
            for channel in 0..2 {
                if let Some(wiener) = &self.wiener {
                    wiener.estimate_into(stem_idx, channel, &mut self.masked);
                } else {
                    let part = channel * num_coefs..(channel + 1) * num_coefs;
                    let factors = masks[part.clone()].iter().zip(&self.shares[part]);
                    for ((out, c), (mask, share)) in self.masked.iter_mut().zip(&self.coefs[0][channel]).zip(factors) {
                        *out = c * (mask + share);
                    }
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

/// The transform of a model, if it is what the manifest says.
pub(crate) fn make_plan(model: &Model) -> Result<Arc<Plan>, SeparatorError> {
    let m = &model.manifest;
    let plan = Plan::new(&m.transform.design)
        .map_err(|error| model.field_error("transform.design", "a transform that can be inverted", error))?;
    let facts = [
        ("transform.slice_len", plan.slice_len(), m.transform.slice_len),
        ("hop_len", plan.hop_len(), m.hop_len),
        ("transform.transition_len", plan.transition_len(), m.transform.transition_len),
        ("transform.num_coefs", plan.num_coefs(), m.transform.num_coefs),
    ];
    match facts.iter().find(|(_, expected, actual)| expected != actual) {
        Some((field, expected, actual)) => Err(model.field_error(*field, expected, actual).into()),
        None => Ok(Arc::new(plan)),
    }
}
