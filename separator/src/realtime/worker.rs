//! The worker thread.

use super::{
    job::{Job, PooledJob},
    shared::Shared,
};
use crate::{SeparatorError, stream::Stream};
use rtrb::{Consumer, Producer};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long the worker sleeps when there is nothing to do. The audio thread does not wake it (that would be a system
/// call), so this is part of the time budget.
const NAP: Duration = Duration::from_millis(1);
/// The same, after [`DOZE_AFTER`] without a job.
const LONG_NAP: Duration = Duration::from_millis(10);
const DOZE_AFTER: Duration = Duration::from_secs(1);

/// Jobs whose stems are not used after a gap in the stream: one until the overlap-add is complete, one more for what
/// the resamplers and the network remember. The slices that the network looks ahead come on top.
pub(crate) const NUM_PREROLL_JOBS: u32 = 2;

pub(crate) struct Worker {
    pub shared: Arc<Shared>,
    pub jobs: Consumer<PooledJob>,
    pub results: Producer<PooledJob>,
    pub sample_rate_hz: f64,
    /// Jobs whose stems are not used after a gap.
    pub num_preroll_jobs: u32,
}

impl Worker {
    /// The thread's main function: opens the model and works until the engine is dropped. Whatever goes wrong, the
    /// host does not notice more than the mix passing through.
    pub fn run(mut self, open: impl FnOnce() -> Result<Stream, SeparatorError>) {
        let shared = self.shared.clone();
        let work = AssertUnwindSafe(move || {
            let stream = open()?;
            self.shared.set_running();
            self.work(stream)
        });
        match catch_unwind(work) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => shared.set_failed(error.to_string()),
            Err(panic) => shared.set_failed(format!(
                "the separation stopped because of an internal error ({}). Deactivate and activate the plugin to start \
                 it again, and please report this",
                panic_message(&*panic)
            )),
        }
    }

    fn work(&mut self, mut stream: Stream) -> Result<(), SeparatorError> {
        // The job that would continue the stream: epoch and index.
        let mut next = None;
        let mut num_preroll_jobs = 0;
        let mut last_job = Instant::now();
        while !self.shared.stop.load(Ordering::Acquire) {
            self.shared.beats.fetch_add(1, Ordering::Relaxed);
            let Ok(mut job) = self.jobs.pop() else {
                thread::park_timeout(if last_job.elapsed() < DOZE_AFTER { NAP } else { LONG_NAP });
                continue;
            };
            last_job = Instant::now();
            self.obey_test_hooks();
            job.has_stems = false;
            if self.shared.is_wanted(job.epoch, stream.schedule().stems_end(job.idx)) {
                if next != Some((job.epoch, job.idx)) {
                    stream.restart(job.idx);
                    num_preroll_jobs = if job.idx == 0 { 0 } else { self.num_preroll_jobs };
                }
                let Job { mix, stems, .. } = &mut *job;
                stream.process_job(mix, stems)?;
                next = Some((job.epoch, job.idx + 1));
                job.has_stems = num_preroll_jobs == 0;
                num_preroll_jobs = num_preroll_jobs.saturating_sub(1);
                self.measure_load(last_job.elapsed(), job.mix[0].len());
            }
            // There is room for every job of the pool.
            let _ = self.results.push(job);
        }
        Ok(())
    }

    fn measure_load(&self, elapsed: Duration, job_len: usize) {
        let load = elapsed.as_secs_f64() * self.sample_rate_hz / job_len as f64;
        let average = f32::from_bits(self.shared.load.load(Ordering::Relaxed));
        let average = average + 0.1 * (load as f32 - average);
        self.shared.load.store(average.to_bits(), Ordering::Relaxed);
    }

    fn obey_test_hooks(&self) {
        if self.shared.kill.load(Ordering::Acquire) {
            panic!("killed by a test");
        }
        let delay_us = self.shared.job_delay_us.load(Ordering::Acquire);
        if delay_us > 0 {
            thread::sleep(Duration::from_micros(delay_us));
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
