//! A lane's end on the worker threads: its stream, and the rings.

use super::{
    clock::now_ns,
    job::{Job, PooledJob},
    lookout::{LookTimes, Sound},
    shared::LaneShared,
};
use crate::{SeparatorError, Stereo, stream::Stream};
use rtrb::{Consumer, Producer};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// What a worker lane is made of before its model is open.
pub(crate) struct WorkerEnds {
    pub shared: Arc<LaneShared>,
    pub jobs: Consumer<PooledJob>,
    pub results: Producer<PooledJob>,
    pub times: LookTimes,
}

/// One worker at a time computes it.
pub(crate) struct WorkerLane {
    ends: WorkerEnds,
    stream: Stream,
    /// `[stem][channel][sample]` of the job at hand, in the model's order.
    model_stems: Vec<Stereo>,
    /// For each stem of the model, which of the plugin's it is part of.
    stem_map: Vec<usize>,
    sample_rate_hz: f64,
    /// `[stem]` of the model, of the job at hand.
    sensitivities: Vec<f32>,
    /// The job that would continue the stream: epoch and index.
    next: Option<(u64, i64)>,
    /// Jobs whose stems are not used after a gap, and how many of them are left.
    preroll: u32,
    preroll_left: u32,
    last_job_ns: i64,
    is_settled: bool,
    publishes_spectra: bool,
}

impl WorkerLane {
    pub fn new(ends: WorkerEnds, stream: Stream, stem_map: Vec<usize>, sample_rate_hz: f64, preroll: u32) -> Self {
        let max_len = stream.schedule().max_job_len() as usize;
        let model_stems = stem_map.iter().map(|_| [vec![0.0; max_len], vec![0.0; max_len]]).collect();
        WorkerLane {
            ends,
            stream,
            model_stems,
            sensitivities: vec![0.0; stem_map.len()],
            stem_map,
            sample_rate_hz,
            next: None,
            preroll,
            preroll_left: 0,
            last_job_ns: now_ns(),
            is_settled: false,
            publishes_spectra: false,
        }
    }

    pub fn shared(&self) -> &Arc<LaneShared> {
        &self.ends.shared
    }

    /// Whether nobody will ever send a job again, or take its stems.
    pub fn is_over(&self) -> bool {
        self.ends.shared.stop.load(Ordering::Acquire) || self.ends.jobs.is_abandoned()
    }

    /// By when the oldest waiting job must be done.
    pub fn next_due_ns(&self) -> Option<i64> {
        self.ends.jobs.peek().ok().map(|job| job.due_ns)
    }

    /// How soon the rings must be looked at again; None while the host does not play its plugin.
    pub fn look_again_ns(&self, now_ns: i64) -> Option<i64> {
        let WorkerEnds { shared, times, .. } = &self.ends;
        let sound = if shared.is_fresh.load(Ordering::Relaxed) {
            Sound::Fresh
        } else if self.is_settled {
            Sound::Settled
        } else {
            Sound::Flowing
        };
        let look_ns = times.look_again_ns(now_ns, sound, self.last_job_ns, shared.next_job());
        shared.activity.is_playing().then_some(look_ns)
    }

    /// Whether the oldest waiting job is answered in no time: silence after silence.
    pub fn is_quick(&self) -> bool {
        let is_silent = |job: &PooledJob| {
            self.next == Some((job.epoch, job.idx)) && job.mix.iter().flatten().all(|&sample| sample == 0.0)
        };
        self.is_settled && self.ends.jobs.peek().is_ok_and(is_silent)
    }

    /// Computes the oldest waiting job.
    pub fn run_job(&mut self) -> Result<(), SeparatorError> {
        let Ok(mut job) = self.ends.jobs.pop() else { return Ok(()) };
        let start = Instant::now();
        self.last_job_ns = now_ns();
        let shared = self.ends.shared.clone();
        shared.job_due_ns.store(job.due_ns, Ordering::Relaxed);
        #[cfg(any(test, feature = "testing"))]
        shared.hooks.obey();
        job.has_stems = false;
        if shared.is_wanted(job.epoch, self.stream.schedule().stems_end(job.idx)) {
            if !self.publishes_spectra
                && let Some(feed) = shared.spectra.get()
            {
                self.publishes_spectra = true;
                self.stream.publish_spectra(feed.clone(), job.idx);
            }
            if self.next != Some((job.epoch, job.idx)) {
                self.stream.restart(job.idx);
                let is_start = job.idx == 0 && !job.begins_in_music;
                self.preroll_left = if is_start { 0 } else { self.preroll };
            }
            self.separate(&mut job)?;
            self.next = Some((job.epoch, job.idx + 1));
            job.has_stems = self.preroll_left == 0;
            self.preroll_left = self.preroll_left.saturating_sub(1);
            self.measure_load(start.elapsed(), job.mix[0].len());
        }
        shared.job_due_ns.store(i64::MAX, Ordering::Relaxed);
        // There is room for every job of the pool.
        let _ = self.ends.results.push(job);
        Ok(())
    }

    /// The model's stems into the plugin's four. Buffers change places rather than being copied.
    fn separate(&mut self, job: &mut Job) -> Result<(), SeparatorError> {
        for (sensitivity, &slot) in self.sensitivities.iter_mut().zip(&self.stem_map) {
            *sensitivity = job.sensitivities[slot];
        }
        self.stream.set_sensitivities(&self.sensitivities);
        self.stream.process_job(&mut job.mix, &mut self.model_stems)?;
        self.is_settled = self.stream.is_settled();
        let mut is_filled = [false; 4];
        for (stem, &slot) in self.model_stems.iter_mut().zip(&self.stem_map) {
            if is_filled[slot] {
                for (sum, part) in job.stems[slot].iter_mut().zip(&*stem) {
                    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                }
            } else {
                std::mem::swap(&mut job.stems[slot], stem);
                is_filled[slot] = true;
            }
        }
        let len = job.mix[0].len();
        for (stem, _) in job.stems.iter_mut().zip(is_filled).filter(|(_, is_filled)| !is_filled) {
            for channel in stem {
                channel.clear();
                channel.resize(len, 0.0);
            }
        }
        Ok(())
    }

    fn measure_load(&self, elapsed: Duration, job_len: usize) {
        let load = elapsed.as_secs_f64() * self.sample_rate_hz / job_len.max(1) as f64;
        let average = f32::from_bits(self.ends.shared.load.load(Ordering::Relaxed));
        let average = average + 0.1 * (load as f32 - average);
        self.ends.shared.load.store(average.to_bits(), Ordering::Relaxed);
    }
}
