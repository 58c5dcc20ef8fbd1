//! What the threads know about each other: atomics, and one message that the audio thread never touches.

use super::{lookout::NextJob, workers::Doorbell};
use crate::SpectrumFeed;
use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering},
};

/// What becomes of the mix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// The model is being opened; the mix passes through.
    Loading,
    /// It is separated.
    Running,
    /// The separation stopped, for the reason given; the mix passes through.
    Failed(String),
}

pub(crate) const LOADING: u8 = 0;
pub(crate) const RUNNING: u8 = 1;
pub(crate) const FAILED: u8 = 2;

/// Whether the host plays an instance at all; one for all of its lanes.
pub(crate) struct Activity {
    is_active: AtomicBool,
    /// The host has said that no block comes until it says otherwise.
    is_stopped: AtomicBool,
    doorbell: Arc<Doorbell>,
}

impl Activity {
    pub fn new(doorbell: Arc<Doorbell>) -> Self {
        Activity { is_active: AtomicBool::new(true), is_stopped: AtomicBool::new(false), doorbell }
    }

    /// Main thread: the host has activated or deactivated the plugin.
    pub fn set_active(&self, is_active: bool) {
        if is_active {
            // Not every host says that it starts.
            self.is_stopped.store(false, Ordering::SeqCst);
        }
        self.is_active.store(is_active, Ordering::SeqCst);
        self.doorbell.ring();
    }

    /// No block comes until [`start`](Self::start).
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    /// Blocks come. Wakes the pool if it did not count on that: then, and only then, it makes a system call.
    pub fn start(&self) {
        if self.is_stopped.load(Ordering::Relaxed) {
            self.is_stopped.store(false, Ordering::SeqCst);
            self.doorbell.ring();
        }
    }

    /// Whether blocks may come.
    pub fn is_playing(&self) -> bool {
        self.is_active.load(Ordering::SeqCst) && !self.is_stopped.load(Ordering::SeqCst)
    }
}

/// One lane's state.
pub(crate) struct LaneShared {
    /// [`LOADING`], [`RUNNING`] or [`FAILED`]; never written by the audio thread.
    state: AtomicU8,
    /// Why it failed; written before the state.
    message: Mutex<String>,
    /// The stream that the audio side is in; older jobs are not worth computing.
    epoch: AtomicU64,
    /// Up to which sample of the mix that stream has been given out.
    output_end: AtomicI64,
    /// Hops whose stems were replaced by the mix.
    pub late_hops: AtomicU64,
    /// Time per job over the job's length, f32 bits.
    pub load: AtomicU32,
    /// When the job at hand must be done; `i64::MAX` between jobs.
    pub job_due_ns: AtomicI64,
    /// No block of the stream at hand has come yet.
    pub is_fresh: AtomicBool,
    /// When the next job will be complete, and by how much sooner it may be. One may be a block older than the other.
    next_job_ns: AtomicI64,
    jitter_ns: AtomicI64,
    /// What the host does with the instance.
    pub activity: Arc<Activity>,
    /// Where spectra go. Never touched by the audio thread.
    pub spectra: OnceLock<Arc<SpectrumFeed>>,
    /// Nobody will take its stems any more.
    pub stop: AtomicBool,
    #[cfg(any(test, feature = "testing"))]
    pub hooks: super::test_hooks::LaneHooks,
}

impl LaneShared {
    pub fn new(activity: Arc<Activity>) -> Self {
        LaneShared {
            state: AtomicU8::new(LOADING),
            message: Mutex::default(),
            epoch: AtomicU64::new(0),
            output_end: AtomicI64::new(i64::MIN),
            late_hops: AtomicU64::new(0),
            load: AtomicU32::new(0),
            job_due_ns: AtomicI64::new(i64::MAX),
            is_fresh: AtomicBool::new(true),
            next_job_ns: AtomicI64::new(0),
            jitter_ns: AtomicI64::new(0),
            activity,
            spectra: OnceLock::new(),
            stop: AtomicBool::new(false),
            #[cfg(any(test, feature = "testing"))]
            hooks: Default::default(),
        }
    }

    pub fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    pub fn set_running(&self) {
        self.state.store(RUNNING, Ordering::Release);
    }

    pub fn set_failed(&self, message: String) {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = message;
        self.state.store(FAILED, Ordering::Release);
    }

    /// Not for the audio thread: locks.
    pub fn engine_state(&self) -> EngineState {
        match self.state() {
            LOADING => EngineState::Loading,
            RUNNING => EngineState::Running,
            _ => EngineState::Failed(self.message.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Audio side: a new stream begins.
    pub fn set_epoch(&self, epoch: u64) {
        // In this order: a worker that sees the new epoch must not see how far the old one got.
        self.output_end.store(i64::MIN, Ordering::Relaxed);
        self.epoch.store(epoch, Ordering::Release);
        self.is_fresh.store(true, Ordering::Relaxed);
    }

    /// Audio side: the stream has been given out up to this sample.
    pub fn set_output_end(&self, end: i64) {
        self.output_end.store(end, Ordering::Relaxed);
        self.is_fresh.store(false, Ordering::Relaxed);
    }

    /// Audio side: when the next job will be complete.
    pub fn set_next_job(&self, next: NextJob) {
        self.next_job_ns.store(next.expected_ns, Ordering::Relaxed);
        self.jitter_ns.store(next.jitter_ns, Ordering::Relaxed);
    }

    /// Lookout: the same.
    pub fn next_job(&self) -> NextJob {
        NextJob {
            expected_ns: self.next_job_ns.load(Ordering::Relaxed),
            jitter_ns: self.jitter_ns.load(Ordering::Relaxed),
        }
    }

    /// Worker: whether stems of that epoch that end at `stems_end` can still be of use.
    pub fn is_wanted(&self, epoch: u64, stems_end: i64) -> bool {
        epoch == self.epoch.load(Ordering::Acquire) && stems_end > self.output_end.load(Ordering::Relaxed)
    }
}
