//! From blocks to jobs.

use super::{job::PooledJob, link::Link};
use crate::schedule::Schedule;

/// Fills jobs with the mix and sends them off when the schedule says so.
pub(crate) struct Dispatcher {
    /// None while there was no free job when this one began: then it is left out.
    filling: Option<PooledJob>,
    /// Index of the job being filled, and where it ends.
    job_idx: i64,
    job_end: i64,
    /// `[stem]`, of the samples that are taken.
    sensitivities: [f32; 4],
    /// `[stem]`, the sum over the samples of the job being filled. Exact: 24 bits of each, and of their number less.
    sensitivity_sums: [f64; 4],
    /// Samples taken since the reset.
    position: i64,
    /// Index of the last job that was sent; -1 before the first.
    last_sent: i64,
}

impl Dispatcher {
    pub fn new(schedule: &Schedule) -> Self {
        Dispatcher {
            filling: None,
            job_idx: 0,
            job_end: schedule.job_end(0),
            sensitivities: [0.0; 4],
            sensitivity_sums: [0.0; 4],
            position: 0,
            last_sent: -1,
        }
    }

    /// Those of the samples that are taken from now on, `[stem]`.
    pub fn set_sensitivities(&mut self, sensitivities: [f32; 4]) {
        self.sensitivities = sensitivities;
    }

    /// Samples taken since the reset.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Samples that the job being filled still lacks.
    pub fn num_missing(&self) -> i64 {
        self.job_end - self.position
    }

    /// Index of the last job that was sent.
    pub fn last_sent(&self) -> i64 {
        self.last_sent
    }

    /// Takes a block; `free_job` gives an empty job of the current epoch, if there is one. Jobs that are sent must be
    /// back at `due_ns`.
    ///
    /// # Realtime
    /// Safe, if `free_job` is.
    pub fn take(
        &mut self,
        mut input: [&[f32]; 2],
        schedule: &Schedule,
        link: &mut Link,
        due_ns: i64,
        mut free_job: impl FnMut(&mut Link) -> Option<PooledJob>,
    ) {
        while !input[0].is_empty() {
            if self.position == schedule.job_end(self.job_idx - 1) {
                self.filling = free_job(link);
                self.sensitivity_sums = [0.0; 4];
                if let Some(job) = &mut self.filling {
                    job.idx = self.job_idx;
                    job.mix.iter_mut().for_each(Vec::clear);
                }
            }
            let num_samples = input[0].len().min((self.job_end - self.position) as usize);
            if let Some(job) = &mut self.filling {
                job.mix[0].extend_from_slice(&input[0][..num_samples]);
                job.mix[1].extend_from_slice(&input[1][..num_samples]);
            }
            for (sum, value) in self.sensitivity_sums.iter_mut().zip(self.sensitivities) {
                *sum += num_samples as f64 * f64::from(value);
            }
            input = input.map(|channel| &channel[num_samples..]);
            self.position += num_samples as i64;
            if self.position == self.job_end {
                if let Some(mut job) = self.filling.take() {
                    job.due_ns = due_ns;
                    let len = job.mix[0].len().max(1) as f64;
                    job.sensitivities = self.sensitivity_sums.map(|sum| (sum / len) as f32);
                    self.last_sent = self.job_idx;
                    // There is room for every job of the pool.
                    let _ = link.to_worker.push(job);
                }
                self.job_idx += 1;
                self.job_end = schedule.job_end(self.job_idx);
            }
        }
    }

    /// Begins a new stream; gives back the job at hand.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self, schedule: &Schedule) -> Option<PooledJob> {
        let job = self.filling.take();
        *self = Dispatcher { sensitivities: self.sensitivities, ..Dispatcher::new(schedule) };
        job
    }
}
