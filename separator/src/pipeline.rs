//! One hop of the mix in, one hop of every stem out: the stages in their order.

use crate::{
    DenormalsAreZero, Graph, Runtime, SeparatorError, SpectrumFeed, Stereo,
    realtime::stem_map,
    silence::Silence,
    spectra::SpectrumTap,
    stages::{Analysis, Estimator, Masker, Planes, Sensitivity, Slice, Synthesis, estimator_of, is_usable, masker_of},
};
use models::{Model, OutputKind};
use slicqt::{Complex, Plan};
use std::{collections::VecDeque, sync::Arc};

/// Samples beyond this (120 dB over full scale) are limited before they enter the transform, so that no infinity can
/// arise in it.
const MAX_SAMPLE: f32 = 1e6;

/// The synchronous separation of a stream of hops at the model's sample rate.
pub struct Pipeline {
    graph: Arc<Graph>,
    analysis: Analysis,
    planes: Planes,
    masker: Box<dyn Masker>,
    estimator: Box<dyn Estimator>,
    sensitivity: Sensitivity,
    /// `[stem]`, of the next hop.
    next_sensitivities: Vec<f32>,
    synthesis: Synthesis,
    output_kind: OutputKind,
    num_stems: usize,
    /// `[channel][sample]`
    hop: Stereo,
    /// `[slice][channel][coef]` of the mix: the first is the one that the masker answers, the last is new.
    coefs: VecDeque<[Vec<Complex<f32>>; 2]>,
    /// Slices since the reset.
    num_slices: usize,
    silence: Silence,
    is_settled: bool,
    /// None: nobody will ever look.
    tap: Option<SpectrumTap>,
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
        let (plan, timing, num_stems) = (graph.plan(), manifest.transform.timing, manifest.stems.len());
        let masker = masker_of(graph)?;
        let estimator = estimator_of(manifest, plan);
        let late_slices = masker.delay_slices() + estimator.delay_slices();
        let silence = || vec![0.0; plan.hop_len()];
        let mut pipeline = Pipeline {
            analysis: Analysis::new(plan.clone(), timing),
            planes: Planes::new(manifest.input.kind, manifest.input.channels.clone()),
            sensitivity: Sensitivity::new(plan, timing, num_stems, late_slices),
            next_sensitivities: vec![0.0; num_stems],
            synthesis: Synthesis::new(plan.clone(), timing, num_stems, late_slices),
            output_kind: manifest.output.kind,
            num_stems,
            hop: [silence(), silence()],
            coefs: (0..=masker.delay_slices()).map(|_| [plan.make_coefs(), plan.make_coefs()]).collect(),
            num_slices: 0,
            silence: Silence::default(),
            is_settled: false,
            tap: None,
            masker,
            estimator,
            graph: graph.clone(),
        };
        pipeline.silence = Silence::new(pipeline.preroll_hops(), plan.hop_len(), manifest.sample_rate_hz);
        Ok(pipeline)
    }

    /// From now on spectra of the stems go to `feed` while somebody looks, timed from `origin_s`, where the stream
    /// begins.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn publish_spectra(&mut self, feed: Arc<SpectrumFeed>, origin_s: f64) {
        let manifest = &self.graph.model().manifest;
        let late_slices = self.masker.delay_slices() + self.estimator.delay_slices();
        let (timing, rate_hz) = (manifest.transform.timing, f64::from(manifest.sample_rate_hz));
        let stem_map = stem_map(&manifest.stems);
        let mut tap = SpectrumTap::new(feed, self.plan().clone(), rate_hz, timing, late_slices, stem_map);
        tap.restart(origin_s, 0);
        self.tap = Some(tap);
    }

    /// The next hop is the one with this index: see [`reset`](Self::reset).
    pub(crate) fn set_hop_idx(&mut self, hop_idx: i64) {
        if let Some(tap) = &mut self.tap {
            tap.restart(tap.origin_s(), hop_idx);
        }
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Samples that go in and come out at a time.
    pub fn hop_len(&self) -> usize {
        self.plan().hop_len()
    }

    /// The model's transform.
    pub fn plan(&self) -> &Arc<Plan> {
        self.graph.plan()
    }

    /// Number of stems, in the manifest's order.
    pub fn num_stems(&self) -> usize {
        self.num_stems
    }

    /// Sample rate of what goes in and comes out.
    pub fn sample_rate_hz(&self) -> u32 {
        self.graph.model().manifest.sample_rate_hz
    }

    /// By how many samples what comes out lags behind what goes in: the sum of what the stages wait for, which is the rest
    /// of a slice, the slices that the network looks ahead, and, for models that are for files, a block of slices and a
    /// window of the Wiener filter. Not a whole number of hops if slices are trimmed.
    pub fn delay_samples(&self) -> usize {
        self.synthesis.delay_samples()
    }

    /// How many hops after a gap come out wrong: the slices that hold a part of the gap, those that the network looks
    /// ahead, and the hops to which these slices add. (What the network remembers is not counted.)
    pub fn preroll_hops(&self) -> usize {
        let late_slices = self.masker.delay_slices() + self.estimator.delay_slices();
        self.analysis.num_later_slices() + late_slices + self.synthesis.num_earlier_slices()
    }

    /// Slices after the one that a hop completes that hold samples of it.
    pub(crate) fn num_later_slices(&self) -> usize {
        self.analysis.num_later_slices()
    }

    /// How much each stem takes of what it shares with others, `[stem]`, -1..=1, from the next hop on: below 0 its masks are
    /// sharper, above 0 softer, at 0 what the network says. It acts on the slices whose middle lies in these hops.
    ///
    /// # Panics
    /// If their number is not [`num_stems`](Self::num_stems).
    ///
    /// # Realtime
    /// Safe.
    pub fn set_sensitivities(&mut self, sensitivities: &[f32]) {
        self.next_sensitivities.copy_from_slice(sensitivities);
    }

    /// Takes a hop of the mix, `[channel][sample]`, and gives the stems of the hop that lies
    /// [`delay_samples`](Self::delay_samples) before it, `[stem][channel][sample]`. The stems sum to that hop: what the
    /// network's output lacks to the mix is shared out equally, and the last stem is the mix less the others. Samples that
    /// are not finite, or too small to be normal numbers, count as 0.
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
            self.hop[channel].copy_from_slice(hop[channel]);
            sanitise(&mut self.hop[channel]);
        }
        self.sensitivity.push(&self.next_sensitivities);
        let is_watched = self.tap.as_mut().is_some_and(SpectrumTap::begin_hop);
        let lasts = self.silence.lasts(&self.hop) && !self.estimator.has_memory();
        self.is_settled = lasts && (self.silence.is_old() || self.masker.is_settled());
        if self.is_settled {
            stems.iter_mut().flatten().for_each(|samples| samples.fill(0.0));
            if let Some(tap) = &mut self.tap {
                tap.end_hop();
            }
            return Ok(());
        }
        self.coefs.rotate_left(1);
        let newest = self.coefs.back_mut().expect("never empty");
        self.analysis.analyse_into([&self.hop[0], &self.hop[1]], newest);
        // With the song over and its last slice answered, the network has nothing more to say.
        let is_needed = self.estimator.needs_more();
        if is_needed {
            self.planes.write_into(newest, self.masker.input_mut());
            self.masker.run()?;
            if !is_usable(self.output_kind, self.masker.output()) {
                // It would remember for ever what led it astray.
                self.masker.reset();
                self.masker.output_mut().fill(0.0);
            }
        }
        self.num_slices += 1;
        // Until the network has looked ahead far enough, its output belongs to a slice before the stream.
        let is_answered = is_needed && self.num_slices > self.masker.delay_slices();
        let slice = is_answered.then_some(Slice { mix: &self.coefs[0], output: self.masker.output() });
        self.estimator.push(slice);
        let (estimator, tap) = (&self.estimator, &mut self.tap);
        let is_bent = !self.sensitivity.is_neutral();
        if is_bent {
            let mut estimate = |stem, channel, coefs: &mut [_]| estimator.estimate_into(slice, stem, channel, coefs);
            self.sensitivity.take(&mut estimate);
        }
        let sensitivity = &self.sensitivity;
        let mut estimate = |stem, channel, coefs: &mut [_]| {
            if is_bent {
                coefs.copy_from_slice(sensitivity.coefs(stem, channel));
            } else {
                estimator.estimate_into(slice, stem, channel, coefs);
            }
            if let Some(tap) = tap {
                tap.add_stem(stem, channel, coefs);
            }
        };
        self.synthesis.synthesise_into([&self.hop[0], &self.hop[1]], &mut estimate, stems);
        if is_watched {
            // The synthesis needs no estimate of the last stem.
            self.synthesis
                .with_scratch(|coefs| (0..2).for_each(|channel| estimate(self.num_stems - 1, channel, coefs)));
        }
        if let Some(tap) = &mut self.tap {
            tap.end_hop();
        }
        Ok(())
    }

    /// Whether nothing is left of what was heard, and the last hop cost nothing: as long as silence goes on, silence comes
    /// out.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Tells that the song has ended: all slices that hold a sample of it have gone in. What follows until its last
    /// stems are out is silence. It matters to networks that know where a song ends, and to windows that end with it.
    ///
    /// # Realtime
    /// Worker only.
    pub fn end(&mut self) {
        self.estimator.end(self.num_slices);
        self.masker.end();
        // What was silence for the stream is the end for the network.
        self.silence.reset();
        self.is_settled = false;
    }

    /// Forgets everything that was heard: as if new.
    ///
    /// # Realtime
    /// Worker only.
    pub fn reset(&mut self) {
        self.analysis.reset();
        self.masker.reset();
        self.estimator.reset();
        self.sensitivity.reset();
        self.synthesis.reset();
        self.silence.reset();
        self.coefs.iter_mut().flatten().for_each(|coefs| coefs.fill(Complex::default()));
        self.num_slices = 0;
        self.is_settled = false;
        self.set_hop_idx(0);
    }
}

/// Samples that are not finite, or are denormal, become 0; others are limited to [`MAX_SAMPLE`].
pub(crate) fn sanitise(samples: &mut [f32]) {
    for sample in samples {
        // The bits are looked at: comparisons with denormals depend on the thread's setting.
        *sample = if sample.is_normal() { sample.clamp(-MAX_SAMPLE, MAX_SAMPLE) } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latency::{pipeline_delay, preroll_jobs, schedule_of},
        testing::{TestModel, runtime},
    };
    use models::InputKind;
    use slicqt::{Design, Timing};

    /// The sum of what the stages say is what the manifest alone says.
    #[test]
    fn stages_wait_for_what_the_manifest_says() {
        let stft = |fft_len, hop_len| Design::stft(fft_len, hop_len, 44_100.0);
        let designs = [Design::mel_32(), Design::bark_262(), stft(4096, 1024), stft(3072, 768), stft(512, 128)];
        for design in designs {
            for timing in [Timing::Whole, Timing::Trimmed] {
                for look_ahead_slices in [0, 1, 4] {
                    for (input, output) in
                        [(InputKind::Magnitude, OutputKind::Mask), (InputKind::Complex, OutputKind::Coefs)]
                    {
                        let model = TestModel {
                            design: design.clone(),
                            timing,
                            look_ahead_slices,
                            ..TestModel::identity().of_kind(input, output)
                        };
                        let dir = tempfile::tempdir().unwrap();
                        let model = model.write(dir.path()).unwrap();
                        let pipeline = Pipeline::new(&runtime(), &model).unwrap();
                        let what = format!("{design}, {timing:?}, {look_ahead_slices} slices");
                        assert_eq!(pipeline.delay_samples(), pipeline_delay(&model.manifest), "{what}");
                        let schedule = schedule_of(&model.manifest, 44_100.0);
                        assert_eq!(
                            pipeline.preroll_hops(),
                            preroll_jobs(&model.manifest, &schedule) as usize,
                            "{what}"
                        );
                    }
                }
            }
        }
    }
}
