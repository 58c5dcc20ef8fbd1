//! A lane: one instance's stream through one model. Its audio end cuts the mix into jobs and puts stems together; its
//! worker end computes them.

use super::{
    collector::Collector,
    dispatcher::Dispatcher,
    job::{Job, PooledJob},
    link::{Link, Patience},
    lookout::{Forecast, LookTimes},
    shared::{Activity, LaneShared},
    worker_lane::WorkerEnds,
    workers::Doorbell,
};
use crate::{
    latency::{LatencyPlan, budget_of, fade_len_of},
    schedule::Schedule,
};
use rtrb::RingBuffer;
use std::sync::Arc;

/// The audio thread's end of a lane.
pub(crate) struct AudioLane {
    schedule: Schedule,
    link: Link,
    dispatcher: Dispatcher,
    collector: Collector,
    forecast: Forecast,
    epoch: u64,
    /// Latency of the plan, in host samples.
    latency_samples: usize,
    /// From the block that completes a job to the one that needs its stems, in ns.
    slack_ns: i64,
}

impl AudioLane {
    /// Both ends of a new lane. `begins_in_music`: it is added to a stream that already plays.
    pub fn new(
        schedule: &Schedule,
        plan: &LatencyPlan,
        doorbell: Arc<Doorbell>,
        activity: Arc<Activity>,
        begins_in_music: bool,
    ) -> (Self, WorkerEnds) {
        let own = schedule.max_job_len() + schedule.delay() + budget_of(schedule, plan.max_block_len()) as i64;
        let latency_samples = plan.latency_samples().max(own as usize);
        // What the plan's latency leaves beyond the model's own is time to compute.
        let wait_len = latency_samples as i64 - schedule.delay() - schedule.max_job_len();
        let slack_len = wait_len - fade_len_of(schedule) as i64;
        let num_jobs = num_jobs(schedule, wait_len as usize, plan.max_block_len());
        let (to_worker, jobs) = RingBuffer::new(num_jobs);
        let (results, from_worker) = RingBuffer::new(num_jobs);
        let pool: Vec<PooledJob> = (0..num_jobs).map(|_| Box::new(Job::new(schedule.max_job_len() as usize))).collect();
        let shared = Arc::new(LaneShared::new(activity));
        let link = Link { to_worker, from_worker, shared: shared.clone(), doorbell, gave_up: false };
        let ns = |len: i64| (len as f64 / plan.sample_rate_hz().max(1.0) * 1e9) as i64;
        let slack_ns = ns(slack_len);
        let lane = AudioLane {
            dispatcher: Dispatcher::new(schedule),
            collector: Collector::new(pool, schedule, begins_in_music),
            forecast: Forecast::new(plan.sample_rate_hz()),
            schedule: schedule.clone(),
            link,
            epoch: 0,
            latency_samples,
            slack_ns,
        };
        let start_slack_ns = ns(latency_samples as i64 - fade_len_of(schedule) as i64 - plan.max_block_len() as i64);
        (lane, WorkerEnds { shared, jobs, results, times: LookTimes { slack_ns, start_slack_ns } })
    }

    pub fn shared(&self) -> &LaneShared {
        &self.link.shared
    }

    /// Length of a fade from or to this lane, in samples.
    pub fn fade_len(&self) -> usize {
        fade_len_of(&self.schedule)
    }

    /// Whether it gives nothing but stems.
    pub fn is_present(&self) -> bool {
        self.collector.is_present()
    }

    /// A block of the mix, `[channel][sample]`, in; the stems of the delayed mix out. Returns how many samples are not
    /// wholly made of stems.
    ///
    /// # Realtime
    /// Safe if `patience` has run out.
    pub fn process_into(
        &mut self,
        input: [&[f32]; 2],
        mix: [&[f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        now_ns: i64,
        patience: Patience,
    ) -> usize {
        let AudioLane { schedule, link, dispatcher, collector, forecast, .. } = self;
        dispatcher.take(input, schedule, link, now_ns + self.slack_ns, |link| {
            loop {
                let job = collector.free_job(link);
                if job.is_some() || !link.wait_for_result(patience) {
                    return job;
                }
            }
        });
        link.shared.set_next_job(forecast.take_block(now_ns, mix[0].len(), dispatcher.num_missing()));
        collector.collect(link);
        let end = dispatcher.position() - self.latency_samples as i64;
        let needed = collector.job_needed_for(end, schedule).min(dispatcher.last_sent());
        while collector.last_received() < needed && link.wait_for_result(patience) {
            collector.collect(link);
        }
        let start = end - mix[0].len() as i64;
        let num_missing = collector.give_into(start, mix, stems, schedule, link);
        link.shared.set_output_end(end);
        num_missing
    }

    /// For the samples that come from now on, `[stem]`.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_sensitivities(&mut self, sensitivities: [f32; 4]) {
        self.dispatcher.set_sensitivities(sensitivities);
    }

    /// Begins a new stream: silence came before.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.begin_stream(false);
    }

    /// Begins a new stream in the middle of music that this lane has not heard.
    ///
    /// # Realtime
    /// Safe.
    pub fn join(&mut self) {
        self.begin_stream(true);
    }

    fn begin_stream(&mut self, begins_in_music: bool) {
        self.epoch += 1;
        self.link.shared.set_epoch(self.epoch);
        self.forecast.reset();
        let job_at_hand = self.dispatcher.reset(&self.schedule);
        self.collector.reset(self.epoch, job_at_hand, begins_in_music);
    }
}

/// Jobs that can be under way at once (one filling, those that wait for a worker or for their time, those that one
/// block completes), and as many again for a stream that was left by a reset.
fn num_jobs(schedule: &Schedule, wait_len: usize, max_block_len: usize) -> usize {
    let waiting = schedule.max_job_len() as usize + wait_len + max_block_len;
    2 * (waiting.div_ceil(schedule.min_job_len().max(1) as usize) + 2)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{clock, shared::Activity, worker_lane::WorkerEnds},
        *,
    };
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
        thread,
        time::Duration,
    };

    const HOP_LEN: usize = 256;
    const NUM_BLOCKS: usize = 16;
    /// Time is skipped for all threads of the process.
    static CLOCK: Mutex<()> = Mutex::new(());

    fn lane() -> (AudioLane, WorkerEnds) {
        clock::init();
        let schedule = Schedule::new(44_100.0, 44_100, HOP_LEN, 3 * HOP_LEN);
        let plan = LatencyPlan::new([], 44_100.0, HOP_LEN);
        let doorbell = Arc::new(Doorbell::new());
        let activity = Arc::new(Activity::new(doorbell.clone()));
        AudioLane::new(&schedule, &plan, doorbell, activity, false)
    }

    /// An offline render; how many of its samples are not made of stems.
    fn render(lane: &mut AudioLane) -> usize {
        let block = [0.25; HOP_LEN];
        let mut stems = [[[0.0; HOP_LEN]; 2]; 4];
        let mut num_missing = 0;
        for _ in 0..NUM_BLOCKS {
            let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..]));
            num_missing += lane.process_into([&block; 2], [&block; 2], &mut stems, clock::now_ns(), Patience::Offline);
        }
        num_missing
    }

    /// Answers every job, as a worker does, until `is_over`.
    fn work(ends: &mut WorkerEnds, is_over: &AtomicBool) {
        while !is_over.load(Ordering::SeqCst) {
            while let Ok(mut job) = ends.jobs.pop() {
                let len = job.mix[0].len();
                job.stems.iter_mut().flatten().for_each(|stem| stem.resize(len, 0.25));
                job.has_stems = true;
                let _ = ends.results.push(job);
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Lets `times` pass while a render waits for a model that is being opened, then opens it. What the render misses.
    fn render_while_loading_for(times: &[Duration]) -> usize {
        let _clock = CLOCK.lock();
        let (mut lane, mut ends) = lane();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let render = scope.spawn(|| {
                let num_missing = render(&mut lane);
                is_over.store(true, Ordering::SeqCst);
                num_missing
            });
            while ends.jobs.is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            for &time in times {
                clock::skip(time);
                // A render that had no patience left would be at its end by then.
                thread::sleep(Duration::from_millis(50));
            }
            ends.shared.set_running();
            work(&mut ends, &is_over);
            render.join().expect("no panic")
        })
    }

    #[test]
    fn an_offline_render_waits_for_a_model_that_takes_minutes_to_open() {
        let minutes = [31, 60, 120, 300].map(Duration::from_secs);
        assert_eq!(render_while_loading_for(&minutes), 0);
    }

    #[test]
    fn an_offline_render_does_not_wait_for_ever() {
        assert!(render_while_loading_for(&[Duration::from_secs(660)]) > 0);
    }

    #[test]
    fn an_offline_render_waits_for_one_job_less_long_than_for_a_model() {
        let _clock = CLOCK.lock();
        let (mut lane, ends) = lane();
        ends.shared.set_running();
        thread::scope(|scope| {
            let render = scope.spawn(|| render(&mut lane));
            thread::sleep(Duration::from_millis(50));
            clock::skip(Duration::from_secs(100));
            thread::sleep(Duration::from_millis(50));
            assert!(!render.is_finished());
            clock::skip(Duration::from_secs(30));
            assert!(render.join().expect("no panic") > 0);
        });
    }
}
