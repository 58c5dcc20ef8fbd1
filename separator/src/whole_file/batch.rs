//! What several threads do to the jobs of a file, stage by stage.

use crate::{
    Graph, SeparatorError, Stereo,
    ends::{Coefs, Heard, Intake, Outlet, make_coefs},
    graph::{PartState, SliceValues},
    schedule::Schedule,
    stages::is_usable,
    stream::{ResamplingIn, ResamplingOut},
};
use models::OutputKind;

/// Jobs that go through the stages together. Some, so that threads seldom wait for each other; few, so that memory stays
/// small.
pub(super) struct Batch {
    /// Its place in the stream.
    pub idx: u64,
    /// Room for all; the first [`num_jobs`](Self::num_jobs) are in use.
    pub jobs: Vec<Job>,
    pub num_jobs: usize,
}

/// One job, and everything that becomes of it.
pub(super) struct Job {
    /// `[channel][sample]`, as the file has it.
    pub mix: Stereo,
    /// Whether nothing of the song is in it or what follows.
    pub is_end: bool,
    /// `[stem][channel][sample]`, at the file's rate.
    pub stems: Vec<Stereo>,
    /// At the model's rate.
    hop: Stereo,
    hop_stems: Vec<Stereo>,
    coefs: Coefs,
    values: SliceValues,
    heard: Heard,
    /// Whether silence need not be computed, as far as parts of the network have said.
    is_settled: bool,
}

/// Samples of a batch, about.
const BATCH_SAMPLES: usize = 8192;
const MAX_JOBS: usize = 32;

impl Batch {
    pub fn new(graph: &Graph) -> Result<Batch, SeparatorError> {
        let num_jobs = (BATCH_SAMPLES / graph.plan().hop_len()).clamp(1, MAX_JOBS);
        let jobs = (0..num_jobs).map(|_| Job::new(graph)).collect::<Result<_, _>>()?;
        Ok(Batch { idx: 0, jobs, num_jobs: 0 })
    }

    pub fn is_full(&self) -> bool {
        self.num_jobs == self.jobs.len()
    }

    pub fn jobs_mut(&mut self) -> &mut [Job] {
        &mut self.jobs[..self.num_jobs]
    }
}

impl Job {
    fn new(graph: &Graph) -> Result<Job, SeparatorError> {
        let hop_len = graph.plan().hop_len();
        let silence = || [vec![0.0; hop_len], vec![0.0; hop_len]];
        let num_stems = graph.model().manifest.stems.len();
        Ok(Job {
            mix: Stereo::default(),
            is_end: false,
            stems: vec![Stereo::default(); num_stems],
            hop: silence(),
            hop_stems: (0..num_stems).map(|_| silence()).collect(),
            coefs: make_coefs(graph.plan()),
            values: graph.make_slice_values()?,
            heard: Heard::Sound,
            is_settled: false,
        })
    }
}

/// The first stage: to the model's rate, and to what the network takes.
pub(super) struct Entry {
    pub intake: Intake,
    /// None at equal rates.
    pub resampling: Option<ResamplingIn>,
}

impl Entry {
    pub fn run(&mut self, jobs: &mut [Job]) {
        for job in jobs {
            let hop = match &mut self.resampling {
                Some(resampling) => resampling.push(&mut job.mix),
                None => &job.mix,
            };
            job.hop.iter_mut().zip(hop).for_each(|(copy, hop)| copy.copy_from_slice(hop));
            if job.is_end {
                self.intake.end();
            }
            job.heard = self.intake.take(&mut job.hop);
            if job.heard != Heard::OldSilence {
                self.intake.analyse_into(&job.hop, &mut job.coefs);
                self.intake.write_planes_into(&job.coefs, job.values.input_mut());
            }
        }
    }
}

/// The next stages: parts of the network, one by one.
pub(super) struct NetworkPart {
    pub state: PartState,
    pub place: Place,
    pub output_kind: OutputKind,
    /// How often the network had been reset when it was last reset here.
    pub num_resets: u64,
}

/// Of a part in the network.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub is_first: bool,
    pub is_last: bool,
}

impl NetworkPart {
    /// Takes jobs through this part. The index of the job whose output cannot be used, if there is one: those behind it
    /// must go through the whole network again, after it was reset.
    ///
    /// While the network only answers silence it runs although one thread alone would ask all parts whether they have come
    /// to rest, and leave them alone. What a part at rest computes again changes nothing.
    pub fn run(&mut self, jobs: &mut [Job]) -> Result<Option<usize>, SeparatorError> {
        for (job_idx, job) in jobs.iter_mut().enumerate() {
            if job.heard == Heard::OldSilence {
                job.is_settled = true;
                continue;
            }
            if job.is_end {
                self.state.end();
            }
            let was_settled = self.place.is_first || job.is_settled;
            job.is_settled = was_settled && job.heard == Heard::Silence && self.state.is_settled();
            self.state.run(&mut job.values)?;
            if self.place.is_last && !job.is_settled && !is_usable(self.output_kind, job.values.output()) {
                job.values.output_mut().fill(0.0);
                return Ok(Some(job_idx));
            }
        }
        Ok(None)
    }
}

/// The last stage: to stems at the file's rate.
pub(super) struct Exit {
    pub outlet: Outlet,
    pub resampling: Option<ResamplingOut>,
}

impl Exit {
    pub fn run(&mut self, jobs: &mut [Job]) {
        for job in jobs {
            let len = job.mix[0].len();
            job.stems.iter_mut().flatten().for_each(|samples| samples.resize(len, 0.0));
            let hop_stems = match &self.resampling {
                Some(_) => &mut job.hop_stems,
                None => &mut job.stems,
            };
            if job.is_settled {
                hop_stems.iter_mut().flatten().for_each(|samples| samples.fill(0.0));
            } else {
                self.outlet.push(&job.hop, &mut job.coefs, Some(job.values.output()), hop_stems, None);
            }
            if let Some(resampling) = &mut self.resampling {
                resampling.push(&job.mix, &job.hop_stems, &mut job.stems);
            }
        }
    }
}

/// First and last stage of a stream that begins.
pub(super) fn entry_and_exit(graph: &Graph, schedule: &Schedule) -> (Entry, Exit) {
    let manifest = &graph.model().manifest;
    let (intake, outlet) = crate::ends::ends_of(graph, manifest.look_ahead_slices);
    let resampling = (!schedule.is_direct()).then(|| crate::stream::resamplers(schedule, manifest.stems.len()));
    let (mut inward, mut outward) = resampling.unzip();
    inward.iter_mut().for_each(|resampling| resampling.restart(schedule, 0));
    outward.iter_mut().for_each(|resampling| resampling.restart(schedule, 0));
    (Entry { intake, resampling: inward }, Exit { outlet, resampling: outward })
}
