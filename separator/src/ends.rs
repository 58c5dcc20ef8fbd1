//! What lies before the network and behind it, for one thread ([`Pipeline`](crate::Pipeline)) or several
//! ([`FileSeparator`](crate::FileSeparator)).

use crate::{
    Graph, Stereo,
    pipeline::sanitize,
    silence::Silence,
    spectra::SpectrumTap,
    stages::{Analysis, Estimator, Planes, Sensitivity, Slice, Synthesis, estimator_of},
};
use slicqt::{Complex, Plan};
use std::{collections::VecDeque, sync::Arc};

/// Coefficients of a slice of the mix, `[channel][coef]`.
pub(crate) type Coefs = [Vec<Complex<f32>>; 2];

/// From a hop to what the network takes.
pub(crate) struct Intake {
    analysis: Analysis,
    planes: Planes,
    silence: Silence,
}

/// What a hop is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Sound, or silence during the tail of earlier sound.
    Sound,
    /// Silence after the tail: only the network's state can still change.
    Silence,
    /// Silence for so long that the network is no longer run.
    OldSilence,
}

/// From the network's output to hops of the stems.
pub(crate) struct Outlet {
    pub estimator: Box<dyn Estimator>,
    /// Neutral where nobody pushes any.
    pub sensitivity: Sensitivity,
    synthesis: Synthesis,
    /// `[slice]` of the mix: the first is the one that the masker answers, the last is new.
    coefs: VecDeque<Coefs>,
    /// Slices since the reset.
    num_slices: usize,
    masker_delay_slices: usize,
}

/// Both ends for a graph and its masker.
pub(crate) fn ends_of(graph: &Graph, masker_delay_slices: usize) -> (Intake, Outlet) {
    let manifest = &graph.model().manifest;
    let (plan, timing, num_stems) = (graph.plan(), manifest.transform.timing, manifest.stems.len());
    let estimator = estimator_of(manifest, plan);
    let late_slices = masker_delay_slices + estimator.delay_slices();
    let synthesis = Synthesis::new(plan.clone(), timing, num_stems, late_slices);
    let analysis = Analysis::new(plan.clone(), timing);
    let sensitivity = Sensitivity::new(plan, timing, num_stems, late_slices);
    let preroll_hops = analysis.num_later_slices() + late_slices + synthesis.num_earlier_slices();
    let intake = Intake {
        silence: Silence::new(preroll_hops, plan.hop_len(), manifest.sample_rate_hz),
        planes: Planes::new(manifest.input.kind, manifest.input.channels.clone()),
        analysis,
    };
    let coefs = (0..=masker_delay_slices).map(|_| make_coefs(plan)).collect();
    (intake, Outlet { estimator, sensitivity, synthesis, coefs, num_slices: 0, masker_delay_slices })
}

pub(crate) fn make_coefs(plan: &Arc<Plan>) -> Coefs {
    [plan.make_coefs(), plan.make_coefs()]
}

impl Intake {
    /// Cleans a hop, `[channel][sample]`, and says what it is.
    pub fn take(&mut self, hop: &mut Stereo) -> Heard {
        hop.iter_mut().for_each(|samples| sanitize(samples));
        match (self.silence.lasts(hop), self.silence.is_old()) {
            (false, _) => Heard::Sound,
            (true, false) => Heard::Silence,
            (true, true) => Heard::OldSilence,
        }
    }

    /// The coefficients of the slice that a hop completes.
    pub fn analyse_into(&mut self, hop: &Stereo, coefs: &mut Coefs) {
        self.analysis.analyse_into([&hop[0], &hop[1]], coefs);
    }

    /// The network's input for them.
    pub fn write_planes_into(&self, coefs: &Coefs, planes: &mut [f32]) {
        self.planes.write_into(coefs, planes);
    }

    /// Slices after the one that a hop completes that hold samples of it.
    pub fn num_later_slices(&self) -> usize {
        self.analysis.num_later_slices()
    }

    /// The song is over: what was silence for the stream is the end for the network.
    pub fn end(&mut self) {
        self.silence.reset();
    }

    pub fn reset(&mut self) {
        self.analysis.reset();
        self.silence.reset();
    }
}

impl Outlet {
    /// Takes a hop with its slice's coefficients, which are exchanged for others, and the network's latest output, if it was
    /// run; gives the hop of every stem that is due, `[stem][channel][sample]`. `watcher` sees the estimates of all stems.
    pub fn push(
        &mut self,
        hop: &Stereo,
        coefs: &mut Coefs,
        output: Option<&[f32]>,
        stems: &mut [Stereo],
        mut watcher: Option<&mut SpectrumTap>,
    ) {
        self.coefs.rotate_left(1);
        std::mem::swap(self.coefs.back_mut().expect("never empty"), coefs);
        self.num_slices += 1;
        // Until the network has looked ahead far enough, its output belongs to a slice before the stream.
        let output = output.filter(|_| self.num_slices > self.masker_delay_slices);
        let slice = output.map(|output| Slice { mix: &self.coefs[0], output });
        self.estimator.push(slice);
        let estimator = &self.estimator;
        let is_bent = !self.sensitivity.is_neutral();
        if is_bent {
            let mut estimate = |stem, channel, coefs: &mut [_]| estimator.estimate_into(slice, stem, channel, coefs);
            self.sensitivity.take(&mut estimate);
        }
        let sensitivity = &self.sensitivity;
        let is_watched = watcher.is_some();
        let mut estimate = |stem, channel, coefs: &mut [_]| {
            if is_bent {
                coefs.copy_from_slice(sensitivity.coefs(stem, channel));
            } else {
                estimator.estimate_into(slice, stem, channel, coefs);
            }
            if let Some(tap) = &mut watcher {
                tap.add_stem(stem, channel, coefs);
            }
        };
        self.synthesis.synthesize_into([&hop[0], &hop[1]], &mut estimate, stems);
        if is_watched {
            // The synthesis needs no estimate of the last stem.
            let last = stems.len() - 1;
            self.synthesis.with_scratch(|coefs| (0..2).for_each(|channel| estimate(last, channel, coefs)));
        }
    }

    /// By how many samples stems lag behind the mix.
    pub fn delay_samples(&self) -> usize {
        self.synthesis.delay_samples()
    }

    /// Slices before the newest that add to the hop that comes out with it, and those by which masker and estimator lag.
    pub fn num_spoilt_slices(&self) -> usize {
        self.masker_delay_slices + self.estimator.delay_slices() + self.synthesis.num_earlier_slices()
    }

    /// The stream has ended.
    pub fn end(&mut self) {
        self.estimator.end(self.num_slices);
    }

    pub fn reset(&mut self) {
        self.estimator.reset();
        self.sensitivity.reset();
        self.synthesis.reset();
        self.coefs.iter_mut().flatten().for_each(|coefs| coefs.fill(Complex::default()));
        self.num_slices = 0;
    }
}
