//! The main thread's side: starts and ends the worker, and knows how it is doing.

use super::{
    STEMS,
    audio_side::AudioSide,
    job::Job,
    link::Link,
    shared::{EngineState, LOADING, RUNNING, Shared},
    worker::{NUM_PREROLL_JOBS, Worker},
};
use crate::{
    Pipeline, Runtime, SeparatorError,
    latency::{budget_of, latency_of, schedule_of},
    schedule::Schedule,
    stream::Stream,
};
use models::Model;
use rtrb::RingBuffer;
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What the host says before it activates a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineConfig {
    /// The host's sample rate.
    pub sample_rate_hz: f64,
    /// The longest block that the host will ask for; longer ones work, but may come late.
    pub max_block_len: usize,
}

/// How the worker is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineStatus {
    /// What it is doing.
    pub state: EngineState,
    /// Hops whose stems did not come in time and were replaced by the mix, since the first stems came.
    pub late_hops: u64,
    /// Time that the worker needs over the time that it has, averaged over the last ten hops or so: 1 is too much.
    pub load: f32,
}

/// Owns the worker thread. Dropping it ends the thread.
pub struct Engine {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
    pulse: Mutex<Pulse>,
}

impl Engine {
    /// Starts a worker and returns at once: the worker opens the model by itself, and the mix passes through
    /// meanwhile (watch [`status`](Self::status)).
    ///
    /// # Errors
    /// [`SeparatorError::Model`] if the model's stems are not [`STEMS`], in any order;
    /// [`SeparatorError::ForFilesOnly`]; [`SeparatorError::Thread`].
    /// What is found out later is [`EngineState::Failed`].
    ///
    /// # Realtime
    /// Not safe: allocates, starts a thread.
    pub fn start(
        runtime: Arc<Runtime>,
        model: &Model,
        config: &EngineConfig,
    ) -> Result<(Engine, AudioSide), SeparatorError> {
        let manifest = &model.manifest;
        if manifest.offline.is_some() {
            return Err(SeparatorError::ForFilesOnly { name: manifest.name.clone() });
        }
        let stem_order = stem_order(model)?;
        let schedule = schedule_of(manifest, config.sample_rate_hz);
        let num_jobs = pool_len(&schedule, config.max_block_len);
        let (to_worker, jobs) = RingBuffer::new(num_jobs);
        let (results, from_worker) = RingBuffer::new(num_jobs);
        let pool = (0..num_jobs).map(|_| Box::new(Job::new(schedule.max_job_len() as usize))).collect();
        let shared = Arc::new(Shared::new());
        let num_preroll_jobs = NUM_PREROLL_JOBS + manifest.look_ahead_slices as u32;
        let sample_rate_hz = config.sample_rate_hz;
        let worker = Worker { shared: shared.clone(), jobs, results, sample_rate_hz, num_preroll_jobs };
        let (model, worker_schedule) = (model.clone(), schedule.clone());
        let open = move || Ok(Stream::new(Pipeline::new(&runtime, &model)?, worker_schedule));
        let thread = thread::Builder::new().name("unbraid-worker".into()).spawn(move || worker.run(open));
        let thread = thread.map_err(SeparatorError::Thread)?;
        let link =
            Link { to_worker, from_worker, shared: shared.clone(), worker: thread.thread().clone(), gave_up: false };
        let latency = latency_of(&schedule, config.max_block_len);
        let audio_side = AudioSide::new(latency, config.max_block_len, link, pool, schedule, stem_order);
        Ok((Engine { shared, worker: Some(thread), pulse: Mutex::new(Pulse::new()) }, audio_side))
    }

    /// How the worker is doing. Ask now and then: a worker that gave no sign of life over six calls and three seconds
    /// (its thread was ended from outside, or hangs) counts as failed from then on.
    ///
    /// # Realtime
    /// Not safe: may lock and allocate.
    pub fn status(&self) -> EngineStatus {
        let is_silent = self.pulse.lock().unwrap_or_else(PoisonError::into_inner).is_silent(&self.shared);
        if is_silent && self.shared.state() == RUNNING {
            self.shared.set_failed(
                "the separation's thread gives no sign of life. Deactivate and activate the plugin to start it again, \
                 and please report this"
                    .to_owned(),
            );
        }
        EngineStatus {
            state: self.shared.engine_state(),
            late_hops: self.shared.late_hops.load(Ordering::Relaxed),
            load: f32::from_bits(self.shared.load.load(Ordering::Relaxed)),
        }
    }

    /// Test hook: the worker panics at its next job.
    #[doc(hidden)]
    pub fn kill_worker(&self) {
        self.shared.kill.store(true, Ordering::Release);
    }

    /// Test hook: every job takes so much longer.
    #[doc(hidden)]
    pub fn delay_jobs(&self, delay: Duration) {
        self.shared.job_delay_us.store(delay.as_micros() as u64, Ordering::Release);
    }
}

/// When the worker was last seen alive. Calls are counted beside the time, so that a process that slept as a whole
/// is not taken for a dead worker.
struct Pulse {
    beats: u64,
    since: Instant,
    num_calls: u32,
}

impl Pulse {
    const MAX_SILENCE: Duration = Duration::from_secs(3);
    const MAX_CALLS: u32 = 6;

    fn new() -> Self {
        Pulse { beats: 0, since: Instant::now(), num_calls: 0 }
    }

    fn is_silent(&mut self, shared: &Shared) -> bool {
        let beats = shared.beats.load(Ordering::Relaxed);
        if beats != self.beats || shared.state() == LOADING {
            *self = Pulse { beats, ..Pulse::new() };
        }
        self.num_calls += 1;
        self.num_calls > Self::MAX_CALLS && self.since.elapsed() > Self::MAX_SILENCE
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(worker) = self.worker.take() {
            if self.pulse.get_mut().unwrap_or_else(PoisonError::into_inner).is_silent(&self.shared) {
                return; // a thread that hangs, or is gone without a trace, cannot be waited for
            }
            worker.thread().unpark();
            // A panic was already caught and reported by the worker itself.
            let _ = worker.join();
        }
    }
}

/// Jobs that can be under way at once (one filling, those that wait for the worker or for their time, those that one
/// block completes), and as many again for a stream that was left by a reset.
fn pool_len(schedule: &Schedule, max_block_len: usize) -> usize {
    let waiting = schedule.max_job_len() as usize + budget_of(schedule, max_block_len) + max_block_len;
    2 * (waiting.div_ceil(schedule.min_job_len() as usize) + 2)
}

/// For each of [`STEMS`], which stem of the model it is.
fn stem_order(model: &Model) -> Result<[usize; 4], SeparatorError> {
    let stems = &model.manifest.stems;
    let mut order = [0; 4];
    for (idx, name) in order.iter_mut().zip(STEMS) {
        match stems.iter().position(|stem| stem == name) {
            Some(position) if stems.len() == STEMS.len() => *idx = position,
            _ => {
                return Err(model.field_error("stems", format!("{STEMS:?} in any order"), format!("{stems:?}")).into());
            }
        }
    }
    Ok(order)
}
