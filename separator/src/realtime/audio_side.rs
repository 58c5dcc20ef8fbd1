//! The audio thread's side.

use super::{
    collector::Collector,
    delay_line::DelayLine,
    dispatcher::Dispatcher,
    job::PooledJob,
    link::Link,
    shared::{FAILED, RUNNING},
};
use crate::schedule::Schedule;
use std::{cell::Cell, marker::PhantomData};

/// Lives on the audio thread: copies the mix into jobs for the worker and finished stems out of them.
///
/// Where stems are missing (the worker is late, still loads, has died, or there is none), each stem is a quarter of
/// the delayed mix instead, after a fade of 256 samples: the stems still sum to the mix, gains act on its level, and
/// muted stems take their quarter away. Late stems are dropped, so that everything stays aligned.
///
/// Drop it on the main thread: that frees memory. It may move to the audio thread, but not be shared with it:
///
/// ```
/// fn may_move<T: Send>() {}
/// may_move::<separator::AudioSide>();
/// ```
/// ```compile_fail
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<separator::AudioSide>();
/// ```
pub struct AudioSide {
    latency_samples: usize,
    max_block_len: usize,
    /// `[channel]`
    delay_lines: [DelayLine; 2],
    /// None: no worker, the mix passes through.
    separation: Option<Separation>,
    /// `Send`, but not `Sync`.
    not_sync: PhantomData<Cell<()>>,
}

struct Separation {
    schedule: Schedule,
    link: Link,
    dispatcher: Dispatcher,
    collector: Collector,
    epoch: u64,
}

/// What became of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockStatus {
    /// Samples of the block whose stems were, in part or wholly, replaced by the mix.
    pub num_missing: usize,
    /// Whether the worker runs: it is neither loading nor dead.
    pub is_running: bool,
    /// Whether the worker has died, or there is none.
    pub has_failed: bool,
}

impl AudioSide {
    pub(crate) fn new(
        latency_samples: usize,
        max_block_len: usize,
        link: Link,
        pool: Vec<PooledJob>,
        schedule: Schedule,
        stem_order: [usize; 4],
    ) -> Self {
        let (dispatcher, collector) = (Dispatcher::new(&schedule), Collector::new(pool, stem_order));
        AudioSide {
            separation: Some(Separation { schedule, link, dispatcher, collector, epoch: 0 }),
            ..AudioSide::passthrough(latency_samples, max_block_len)
        }
    }

    /// An audio side without a worker, for when there is no model or no ONNX Runtime: it delays the mix, and each
    /// stem is a quarter of it.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn passthrough(latency_samples: usize, max_block_len: usize) -> Self {
        AudioSide {
            latency_samples,
            max_block_len: max_block_len.max(1),
            delay_lines: [DelayLine::new(latency_samples), DelayLine::new(latency_samples)],
            separation: None,
            not_sync: PhantomData,
        }
    }

    /// By how many samples everything that comes out lags behind what goes in.
    ///
    /// # Realtime
    /// Safe.
    pub fn latency_samples(&self) -> usize {
        self.latency_samples
    }

    /// Takes a block of the mix (`[channel][sample]`, any length) and gives as many samples of the delayed mix, bit
    /// for bit what went in, and of the stems aligned with it: `[stem][channel][sample]`, stems as in
    /// [`STEMS`](super::STEMS).
    ///
    /// `wait` is for offline renders only: then every stem is waited for, and the output does not depend on how the
    /// stream is cut into blocks. A worker that is dead, or silent for half a minute, is not waited for.
    ///
    /// # Panics
    /// If the lengths differ.
    ///
    /// # Realtime
    /// Safe, unless `wait` is set: no allocation, no lock, no system call.
    pub fn process_into(
        &mut self,
        input: [&[f32]; 2],
        delayed: [&mut [f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        wait: bool,
    ) -> BlockStatus {
        let len = input[0].len();
        let lens_agree = input.iter().all(|channel| channel.len() == len)
            && delayed.iter().all(|channel| channel.len() == len)
            && stems.iter().flatten().all(|channel| channel.len() == len);
        assert!(lens_agree, "input, delayed and stems must have one length");
        let mut num_missing = 0;
        // Longer blocks than announced in parts: the pool is as large as the announced ones need.
        for start in (0..len).step_by(self.max_block_len) {
            let part = start..len.min(start + self.max_block_len);
            let input = input.map(|channel| &channel[part.clone()]);
            let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[part.clone()]));
            for channel in 0..2 {
                self.delay_lines[channel].process_into(input[channel], &mut delayed[channel][part.clone()]);
            }
            let mix = [&delayed[0][part.clone()], &delayed[1][part.clone()]];
            num_missing += match &mut self.separation {
                Some(separation) => separation.process_into(input, mix, &mut stems, self.latency_samples, wait),
                None => share_out(mix, &mut stems),
            };
        }
        let state = self.separation.as_ref().map_or(FAILED, |separation| separation.link.shared.state());
        BlockStatus { num_missing, is_running: state == RUNNING, has_failed: state == FAILED }
    }

    /// Forgets everything that was heard: what comes out afterwards is what a new audio side would give.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock, no system call.
    pub fn reset(&mut self) {
        self.delay_lines.iter_mut().for_each(DelayLine::reset);
        if let Some(Separation { schedule, link, dispatcher, collector, epoch }) = &mut self.separation {
            *epoch += 1;
            link.shared.set_epoch(*epoch);
            let job_at_hand = dispatcher.reset(schedule);
            collector.reset(*epoch, job_at_hand);
        }
    }
}

impl Separation {
    fn process_into(
        &mut self,
        input: [&[f32]; 2],
        mix: [&[f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        latency_samples: usize,
        wait: bool,
    ) -> usize {
        let Separation { schedule, link, dispatcher, collector, .. } = self;
        dispatcher.take(input, schedule, link, |link| {
            loop {
                let job = collector.free_job(link);
                if job.is_some() || !wait || !link.wait_for_result() {
                    return job;
                }
            }
        });
        collector.collect(link);
        let end = dispatcher.position() - latency_samples as i64;
        if wait {
            let needed = collector.job_needed_for(end, schedule).min(dispatcher.last_sent());
            while collector.last_received() < needed && link.wait_for_result() {
                collector.collect(link);
            }
        }
        let start = end - mix[0].len() as i64;
        let num_missing = collector.give_into(start, mix, stems, schedule, link);
        link.shared.set_output_end(end);
        num_missing
    }
}

/// Each stem is a quarter of the mix.
fn share_out(mix: [&[f32]; 2], stems: &mut [[&mut [f32]; 2]; 4]) -> usize {
    for stem in stems {
        for (stem, mix) in stem.iter_mut().zip(mix) {
            stem.iter_mut().zip(mix).for_each(|(stem, mix)| *stem = 0.25 * mix);
        }
    }
    mix[0].len()
}
