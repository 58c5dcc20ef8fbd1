//! The main thread's side of one instance: loads models behind the music, and knows how the separation is doing.

use super::{
    audio_side::{Arrival, AudioSide, LaneRings},
    clock::now_ns,
    config::{EngineConfig, EngineStatus, RuntimeSource},
    lane::AudioLane,
    library,
    pool::{Pool, internal_error},
    shared::{Activity, LOADING, LaneShared, RUNNING},
    stem_map::stem_map,
    worker_lane::{WorkerEnds, WorkerLane},
};
use crate::{
    Pipeline, Runtime, SeparatorError, SpectrumFeed,
    latency::{LatencyPlan, preroll_jobs, schedule_of},
    stream::Stream,
};
use models::Model;
use rtrb::{Consumer, Producer};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread,
};

/// A job that is so much too late is overdue.
const OVERDUE_NS: i64 = 3_000_000_000;

/// Owns the lanes of one instance. Dropping it takes milliseconds, whatever goes on: a model that is still being
/// opened, or a job that is being computed, is finished and freed by its own thread.
pub struct Engine {
    pub(super) pool: Arc<Pool>,
    plan: LatencyPlan,
    activity: Arc<Activity>,
    pub(super) control: Arc<Mutex<Control>>,
}

pub(super) struct Control {
    /// New lanes on their way to the audio thread.
    to_audio: Producer<Arrival>,
    /// Old ones on their way back.
    from_audio: Consumer<Box<AudioLane>>,
    /// The lane that is heard, or was put there last.
    pub(super) heard: Arc<LaneShared>,
    /// The lane that is being loaded, or has failed to.
    chosen: Arc<LaneShared>,
    /// The lane for offline renders.
    bouncing: Option<Arc<LaneShared>>,
    /// Late hops of lanes that are gone.
    late_hops: u64,
    /// Where all lanes publish their spectra.
    spectra: Option<Arc<SpectrumFeed>>,
}

impl Engine {
    /// Starts an engine for one model and returns at once: the model is opened by a thread of its own, and the mix passes
    /// through meanwhile (watch [`status`](Self::status)). Whether the graph is the one that the manifest was written for
    /// is checked there too.
    ///
    /// # Errors
    /// [`SeparatorError::ForFilesOnly`]; [`SeparatorError::Thread`]. What is found out later is [`EngineState::Failed`].
    ///
    /// # Realtime
    /// Not safe: allocates, starts threads.
    pub fn start(
        runtime: impl Into<RuntimeSource>,
        model: &Model,
        config: &EngineConfig,
    ) -> Result<(Engine, AudioSide), SeparatorError> {
        let plan = LatencyPlan::new([&model.manifest], config.sample_rate_hz, config.max_block_len);
        Engine::start_with_plan(runtime, model, plan)
    }

    /// The same at the latency of a plan, which other models have room in: see [`choose`](Self::choose).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Realtime
    /// Not safe: allocates, starts threads.
    pub fn start_with_plan(
        runtime: impl Into<RuntimeSource>,
        model: &Model,
        plan: LatencyPlan,
    ) -> Result<(Engine, AudioSide), SeparatorError> {
        check_is_live(model)?;
        let pool = Pool::get().map_err(SeparatorError::Thread)?;
        let activity = Arc::new(Activity::new(pool.doorbell().clone()));
        let schedule = schedule_of(&model.manifest, plan.sample_rate_hz());
        let (lane, ends) = AudioLane::new(&schedule, &plan, pool.doorbell().clone(), activity.clone(), false);
        let shared = ends.shared.clone();
        let (rings, to_audio, from_audio) = LaneRings::new();
        let audio_side = AudioSide::new(&plan, Box::new(lane), rings, activity.clone());
        let control = Control {
            to_audio,
            from_audio,
            heard: shared.clone(),
            chosen: shared,
            bouncing: None,
            late_hops: 0,
            spectra: None,
        };
        let engine = Engine { pool, plan, activity, control: Arc::new(Mutex::new(control)) };
        engine.load(runtime.into(), model, ends, |_| ())?;
        Ok((engine, audio_side))
    }

    /// Loads another model behind the music: when it is ready, the stems cross-fade to it. Until then, and if it cannot be
    /// opened, the model before goes on.
    ///
    /// # Errors
    /// [`SeparatorError::ForFilesOnly`]; [`SeparatorError::NoRoomInPlan`] if it needs more latency than the plan has: then
    /// the host must activate the plugin anew; [`SeparatorError::Thread`].
    ///
    /// # Realtime
    /// Not safe: allocates, starts a thread.
    pub fn choose(&self, runtime: impl Into<RuntimeSource>, model: &Model) -> Result<(), SeparatorError> {
        check_is_live(model)?;
        if !self.plan.has_room_for(&model.manifest) {
            return Err(SeparatorError::NoRoomInPlan { name: model.manifest.name.clone() });
        }
        let schedule = schedule_of(&model.manifest, self.plan.sample_rate_hz());
        let (doorbell, activity) = (self.pool.doorbell().clone(), self.activity.clone());
        let (lane, ends) = AudioLane::new(&schedule, &self.plan, doorbell, activity, true);
        {
            let mut control = lock(&self.control);
            control.tidy();
            // One that is still being loaded is not wanted any more.
            if !Arc::ptr_eq(&control.chosen, &control.heard) {
                control.chosen.stop.store(true, Ordering::Release);
            }
            control.chosen = ends.shared.clone();
            if let Some(feed) = &control.spectra {
                let _ = ends.shared.spectra.set(feed.clone());
            }
        }
        let (mut lane, shared) = (Some(Box::new(lane)), ends.shared.clone());
        self.load(runtime.into(), model, ends, move |control| {
            if let Some(lane) = lane.take()
                && Arc::ptr_eq(&control.chosen, &shared)
                && control.to_audio.push(Arrival::Playing(lane)).is_ok()
            {
                control.heard = shared.clone();
            }
        })
    }

    /// Another model for offline renders; None: the one that plays. It is opened beside the host's threads, and a render
    /// that begins before it is ready waits for it. While the host plays in real time it costs memory and nothing else.
    ///
    /// # Errors
    /// As [`choose`](Self::choose); and [`SeparatorError::Busy`] if so many models were chosen that the audio thread has not
    /// taken the last ones yet.
    ///
    /// # Realtime
    /// Not safe: allocates, starts a thread.
    pub fn choose_for_bouncing(
        &self,
        runtime: impl Into<RuntimeSource>,
        model: Option<&Model>,
    ) -> Result<(), SeparatorError> {
        let mut loading = None;
        if let Some(model) = model {
            check_is_live(model)?;
            if !self.plan.has_room_for(&model.manifest) {
                return Err(SeparatorError::NoRoomInPlan { name: model.manifest.name.clone() });
            }
            let schedule = schedule_of(&model.manifest, self.plan.sample_rate_hz());
            // Nobody need look after it: offline, whoever waits wakes the workers.
            let activity = Arc::new(Activity::new(self.pool.doorbell().clone()));
            activity.set_active(false);
            let (lane, ends) = AudioLane::new(&schedule, &self.plan, self.pool.doorbell().clone(), activity, false);
            loading = Some((Box::new(lane), ends, model));
        }
        let (lane, load) = loading.map_or((None, None), |(lane, ends, model)| (Some(lane), Some((ends, model))));
        {
            let mut control = lock(&self.control);
            control.tidy();
            control.to_audio.push(Arrival::Bouncing(lane)).map_err(|_| SeparatorError::Busy)?;
            let shared = load.as_ref().map(|(ends, _)| ends.shared.clone());
            // Its spectra are not published: the feed takes those of the newest lane, and that is to be the one that plays.
            if let Some(old) = std::mem::replace(&mut control.bouncing, shared) {
                old.stop.store(true, Ordering::Release);
            }
        }
        match load {
            Some((ends, model)) => self.load(runtime.into(), model, ends, |_| ()),
            None => Ok(()),
        }
    }

    /// Opens the model on a thread of its own and gives its lane to the pool.
    fn load(
        &self,
        runtime: RuntimeSource,
        model: &Model,
        ends: WorkerEnds,
        mut when_ready: impl FnMut(&mut Control) + Send + 'static,
    ) -> Result<(), SeparatorError> {
        let (pool, plan, model) = (self.pool.clone(), self.plan.clone(), model.clone());
        let control = Arc::downgrade(&self.control);
        // Nobody waits for the loader, so it may outlive the plugin, and must not find its code unloaded. Not in `drop`:
        // the loader may hold the dynamic linker's lock by then.
        library::pin();
        let busy = library::Busy::load();
        let loader = thread::Builder::new().name("unbraid-loader".into()).spawn(move || {
            let shared = ends.shared.clone();
            let Some(_busy) = busy else { return };
            let open = AssertUnwindSafe(|| open(runtime, &model, ends, &plan));
            match catch_unwind(open) {
                Ok(Ok(lane)) => {
                    library::wait_at_exit();
                    if shared.stop.load(Ordering::Acquire) {
                        return;
                    }
                    pool.add(lane);
                    if let Some(control) = control.upgrade() {
                        when_ready(&mut lock(&control));
                    }
                    // Last: whoever sees it may count on the lane being on its way to the audio thread.
                    shared.set_running();
                }
                Ok(Err(error)) => shared.set_failed(error.to_string()),
                Err(panic) => shared.set_failed(internal_error(&*panic)),
            }
        });
        loader.map(|_| ()).map_err(SeparatorError::Thread)
    }

    /// The latency that all of its models share.
    pub fn plan(&self) -> &LatencyPlan {
        &self.plan
    }

    /// How the separation is doing. Also frees what the audio thread has let go of, and replaces worker threads that are
    /// gone: ask now and then.
    ///
    /// # Realtime
    /// Not safe: locks, frees memory, may start threads.
    pub fn status(&self) -> EngineStatus {
        let mut control = lock(&self.control);
        control.tidy();
        if !self.pool.mend() && control.heard.state() == RUNNING {
            control.heard.set_failed(
                "the separation's threads are gone. Deactivate and activate the plugin to start them again, and please \
                 report this"
                    .to_owned(),
            );
        }
        let heard = &control.heard;
        EngineStatus {
            state: control.chosen.engine_state(),
            bouncing: control.bouncing.as_ref().map(|lane| lane.engine_state()),
            late_hops: control.late_hops + heard.late_hops.load(Ordering::Relaxed),
            load: f32::from_bits(heard.load.load(Ordering::Relaxed)),
            num_replaced_workers: self.pool.num_replaced(),
            is_overdue: now_ns().saturating_sub(heard.job_due_ns.load(Ordering::Relaxed)) > OVERDUE_NS,
        }
    }

    /// From now on the spectra of the stems go to `feed`, while somebody looks. Once for an engine.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn publish_spectra(&self, feed: Arc<SpectrumFeed>) {
        let mut control = lock(&self.control);
        for lane in [&control.heard, &control.chosen] {
            // The one may be the other, and has it then.
            let _ = lane.spectra.set(feed.clone());
        }
        control.spectra = Some(feed);
    }

    /// Tells whether the plugin is activated. While no instance is, no thread of ours wakes up.
    ///
    /// # Realtime
    /// Not safe: locks, wakes threads.
    pub fn set_active(&self, is_active: bool) {
        self.activity.set_active(is_active);
    }

    /// Whether nothing happens until the host goes on: the plugin is deactivated or stopped, and no model is being opened.
    ///
    /// # Realtime
    /// Not safe: locks.
    pub fn is_at_rest(&self) -> bool {
        !self.activity.is_playing() && lock(&self.control).chosen.state() != LOADING
    }
}

impl Control {
    /// Frees lanes that the audio thread has let go of.
    fn tidy(&mut self) {
        while let Ok(lane) = self.from_audio.pop() {
            self.late_hops += lane.shared().late_hops.load(Ordering::Relaxed);
            lane.shared().stop.store(true, Ordering::Release);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut control = lock(&self.control);
        control.tidy();
        for lane in [&control.heard, &control.chosen].into_iter().chain(&control.bouncing) {
            lane.stop.store(true, Ordering::Release);
        }
        drop(control);
        self.pool.doorbell().ring();
    }
}

fn open(
    runtime: RuntimeSource,
    model: &Model,
    ends: WorkerEnds,
    plan: &LatencyPlan,
) -> Result<WorkerLane, SeparatorError> {
    let runtime = match runtime {
        RuntimeSource::Loaded(runtime) => runtime,
        RuntimeSource::Path(path) => Runtime::load(&path)?,
    };
    let rate_hz = plan.sample_rate_hz();
    let schedule = schedule_of(&model.manifest, rate_hz);
    let preroll = preroll_jobs(&model.manifest, &schedule);
    let stream = Stream::new(Pipeline::new(&runtime, model)?, schedule);
    Ok(WorkerLane::new(ends, stream, stem_map(&model.manifest.stems), rate_hz, preroll))
}

fn check_is_live(model: &Model) -> Result<(), SeparatorError> {
    match model.manifest.offline {
        Some(_) => Err(SeparatorError::ForFilesOnly { name: model.manifest.name.clone() }),
        None => Ok(()),
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
