//! What tests do to workers and jobs from outside. Nothing of it is compiled into a plugin.

use super::engine::{Engine, lock};
use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// Which worker's thread ends next, outside of any job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndWorker {
    /// The lookout panics.
    LookoutPanics,
    /// The lookout's thread is gone, without a word to anybody.
    LookoutVanishes,
    /// The next that has taken a job is gone.
    ComputingVanishes,
}

/// Of the pool.
#[derive(Default)]
pub(crate) struct PoolHooks {
    /// What [`EndWorker`] says, plus one.
    end_worker: AtomicU8,
}

impl PoolHooks {
    fn end_worker(&self, which: EndWorker) {
        self.end_worker.store(which as u8 + 1, Ordering::Release);
    }

    /// To be called by a worker on the lookout, or when it has taken a job.
    pub fn obey(&self, is_computing: bool) {
        let told = self.end_worker.load(Ordering::Relaxed);
        let is_meant = told != 0 && is_computing == (told == EndWorker::ComputingVanishes as u8 + 1);
        if !is_meant || self.end_worker.compare_exchange(told, 0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        #[cfg(target_os = "linux")]
        if told != EndWorker::LookoutPanics as u8 + 1 {
            // SAFETY: ends this thread; what it owns is leaked, as by whoever ends threads from outside.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        panic!("a worker ended by a test");
    }
}

/// Of one lane.
#[derive(Default)]
pub(crate) struct LaneHooks {
    /// The next job panics.
    kill: AtomicBool,
    /// Microseconds that every job takes longer.
    job_delay_us: AtomicU64,
}

impl LaneHooks {
    fn kill(&self) {
        self.kill.store(true, Ordering::Release);
    }

    fn delay_jobs(&self, delay: Duration) {
        self.job_delay_us.store(delay.as_micros() as u64, Ordering::Release);
    }

    /// To be called within a job.
    pub fn obey(&self) {
        if self.kill.load(Ordering::Acquire) {
            panic!("killed by a test");
        }
        let delay_us = self.job_delay_us.load(Ordering::Acquire);
        if delay_us > 0 {
            thread::sleep(Duration::from_micros(delay_us));
        }
    }
}

/// Test hooks, with the feature `testing` only.
impl Engine {
    /// A thread of the pool ends.
    pub fn end_worker(&self, which: EndWorker) {
        self.pool.hooks().end_worker(which);
        self.pool.doorbell().ring();
    }

    /// The next job panics.
    pub fn kill_worker(&self) {
        lock(&self.control).heard.hooks.kill();
    }

    /// Every job takes so much longer.
    pub fn delay_jobs(&self, delay: Duration) {
        lock(&self.control).heard.hooks.delay_jobs(delay);
    }
}
