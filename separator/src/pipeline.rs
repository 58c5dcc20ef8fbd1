//! One hop of the mix in, one hop of every stem out: the stages in their order.

use crate::{
    DenormalsAreZero, Graph, Runtime, SeparatorError, SpectrumFeed, Stereo,
    ends::{Coefs, Heard, Intake, Outlet, ends_of, make_coefs},
    realtime::stem_map,
    spectra::SpectrumTap,
    stages::{Masker, is_usable, masker_of},
};
use models::{Model, OutputKind};
use slicqt::Plan;
use std::sync::Arc;

/// Samples beyond this (120 dB over full scale) are limited before they enter the transform, so that no infinity can
/// arise in it.
const MAX_SAMPLE: f32 = 1e6;

/// The synchronous separation of a stream of hops at the model's sample rate.
pub struct Pipeline {
    graph: Arc<Graph>,
    intake: Intake,
    masker: Box<dyn Masker>,
    outlet: Outlet,
    /// `[stem]`, of the next hop.
    next_sensitivities: Vec<f32>,
    output_kind: OutputKind,
    num_stems: usize,
    /// `[channel][sample]`
    hop: Stereo,
    /// Of the newest slice.
    coefs: Coefs,
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
        let masker = masker_of(graph)?;
        let (intake, outlet) = ends_of(graph, masker.delay_slices());
        let silence = || vec![0.0; graph.plan().hop_len()];
        Ok(Pipeline {
            output_kind: manifest.output.kind,
            num_stems: manifest.stems.len(),
            next_sensitivities: vec![0.0; manifest.stems.len()],
            hop: [silence(), silence()],
            coefs: make_coefs(graph.plan()),
            is_settled: false,
            intake,
            tap: None,
            masker,
            outlet,
            graph: graph.clone(),
        })
    }

    /// From now on spectra of the stems go to `feed` while somebody looks, timed from `origin_s`, where the stream
    /// begins.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn publish_spectra(&mut self, feed: Arc<SpectrumFeed>, origin_s: f64) {
        let manifest = &self.graph.model().manifest;
        let late_slices = self.masker.delay_slices() + self.outlet.estimator.delay_slices();
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
        self.outlet.delay_samples()
    }

    /// How many hops after a gap come out wrong: the slices that hold a part of the gap, those that the network looks
    /// ahead, and the hops to which these slices add. (What the network remembers is not counted.)
    pub fn preroll_hops(&self) -> usize {
        self.intake.num_later_slices() + self.outlet.num_spoilt_slices()
    }

    /// Slices after the one that a hop completes that hold samples of it.
    pub(crate) fn num_later_slices(&self) -> usize {
        self.intake.num_later_slices()
    }

    /// How much each stem takes of what it shares with others, `[stem]`, -1..=1, from the next hop on: below 0 its masks are
    /// sharper, above 0 softer, at 0 the network's. It acts on the slices whose middle lies in these hops.
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
    /// [`delay_samples`](Self::delay_samples) before it, `[stem][channel][sample]`. The stems sum to that hop: the
    /// residual of the network's output is split equally, and the last stem is the mix minus the others. Samples that
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
        }
        self.outlet.sensitivity.push(&self.next_sensitivities);
        let is_watched = self.tap.as_mut().is_some_and(SpectrumTap::begin_hop);
        let heard = self.intake.take(&mut self.hop);
        self.is_settled = heard != Heard::Sound
            && !self.outlet.estimator.has_memory()
            && (heard == Heard::OldSilence || self.masker.is_settled());
        if self.is_settled {
            stems.iter_mut().flatten().for_each(|samples| samples.fill(0.0));
            if let Some(tap) = &mut self.tap {
                tap.end_hop();
            }
            return Ok(());
        }
        self.intake.analyse_into(&self.hop, &mut self.coefs);
        // With the song over and its last slice answered, the network has nothing more to say.
        let is_needed = self.outlet.estimator.needs_more();
        if is_needed {
            self.intake.write_planes_into(&self.coefs, self.masker.input_mut());
            self.masker.run()?;
            if !is_usable(self.output_kind, self.masker.output()) {
                // A diverged state does not recover by itself.
                self.masker.reset();
                self.masker.output_mut().fill(0.0);
            }
        }
        let output = is_needed.then(|| self.masker.output());
        let watcher = self.tap.as_mut().filter(|_| is_watched);
        self.outlet.push(&self.hop, &mut self.coefs, output, stems, watcher);
        if let Some(tap) = &mut self.tap {
            tap.end_hop();
        }
        Ok(())
    }

    /// Whether earlier input has decayed completely and the last hop was not computed: as long as the input is silent, so is
    /// the output.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Tells that the song has ended: all slices that hold a sample of it have gone in. What follows until its last
    /// stems are out is silence. It matters to networks that know where a song ends, and to windows that end with it.
    ///
    /// # Realtime
    /// Worker only.
    pub fn end(&mut self) {
        self.outlet.end();
        self.masker.end();
        self.intake.end();
        self.is_settled = false;
    }

    /// Back to the initial state.
    ///
    /// # Realtime
    /// Worker only.
    pub fn reset(&mut self) {
        self.intake.reset();
        self.masker.reset();
        self.outlet.reset();
        self.is_settled = false;
        self.set_hop_idx(0);
    }
}

/// Samples that are not finite, or are denormal, become 0; others are limited to [`MAX_SAMPLE`].
pub(crate) fn sanitize(samples: &mut [f32]) {
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
