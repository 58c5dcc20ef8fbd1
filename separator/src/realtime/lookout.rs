//! When the lookout must look at a lane again: shortly before the host will have completed a job, and closely from then
//! on. Pure arithmetic: times come from the caller.

/// While a job may come at any moment, the lookout looks this often.
pub(super) const LOOK_NS: i64 = 250_000;
/// Without a job for so long, a lane's plugin is not being played.
const QUIET_AFTER_NS: i64 = 1_000_000_000;
/// However sure it is that no job can have come, a lane that plays is looked at this often: a host that was held up may
/// catch up.
const MAX_LOOK_NS: i64 = 20_000_000;
/// The same for one that is silent or has paused.
const MAX_QUIET_LOOK_NS: i64 = 250_000_000;
/// A host that is late by some time is looked for this many times in as much time again, but no less often than this: one
/// that works in bursts is late by a whole burst, and then needs its stems at once.
const LOOKS_PER_DELAY: i64 = 8;
const MAX_LATE_LOOK_NS: i64 = 1_000_000;
/// A host that has called too early may do so again; of what is expected of it, this share is forgotten every block.
const JITTER_DECAY: i64 = 64;

/// When the next job of a lane will be complete, as the audio side sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NextJob {
    /// If the host goes on calling as it does.
    pub expected_ns: i64,
    /// By how much it may be earlier.
    pub jitter_ns: i64,
}

/// Watches the host's blocks, and tells when one of the next will complete a job. Hosts call regularly: a block of the
/// same length as the last comes as long after it as it plays.
pub(crate) struct Forecast {
    ns_per_sample: f64,
    /// When the block after the last is due; None before the first.
    next_block_ns: Option<i64>,
    jitter_ns: i64,
}

impl Forecast {
    pub fn new(sample_rate_hz: f64) -> Self {
        Forecast { ns_per_sample: 1e9 / sample_rate_hz.max(1.0), next_block_ns: None, jitter_ns: 0 }
    }

    /// A block of `len` samples has come at `now_ns`; the next job still lacks `num_missing`, at least one.
    ///
    /// # Realtime
    /// Safe.
    pub fn take_block(&mut self, now_ns: i64, len: usize, num_missing: i64) -> NextJob {
        let len = len.max(1) as i64;
        let ns = |num_samples: i64| (num_samples as f64 * self.ns_per_sample) as i64;
        let early_ns = self.next_block_ns.map_or(0, |due_ns| due_ns - now_ns);
        self.jitter_ns = (self.jitter_ns - self.jitter_ns / JITTER_DECAY).max(early_ns);
        self.next_block_ns = Some(now_ns + ns(len));
        let num_blocks = (num_missing + len - 1) / len;
        NextJob { expected_ns: now_ns + ns(num_blocks * len), jitter_ns: self.jitter_ns }
    }

    /// A stream begins.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        (self.next_block_ns, self.jitter_ns) = (None, 0);
    }
}

/// What a lane's jobs allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookTimes {
    /// From a job that is complete to its stems being needed, in real time.
    pub slack_ns: i64,
    /// From the first block of a stream to its first stems being needed.
    pub start_slack_ns: i64,
}

/// What the host does with a lane whose plugin may be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// No block of the stream at hand has come yet.
    Fresh,
    /// Sound comes in.
    Flowing,
    /// Silence comes in, and nothing is left of the sound before: jobs cost nothing.
    Settled,
}

impl LookTimes {
    /// How soon the lane's ring must be looked at again.
    pub fn look_again_ns(&self, now_ns: i64, sound: Sound, last_job_ns: i64, next: NextJob) -> i64 {
        // Half of the time that a job has is left, whatever the host does.
        let (half_ns, quarter_ns) = (self.slack_ns / 2, self.slack_ns / 4);
        let max_quiet_ns = half_ns.min(MAX_QUIET_LOOK_NS);
        let until_ns = next.expected_ns - next.jitter_ns - now_ns;
        let look_ns = match sound {
            // When the host begins, nothing is needed before the latency is over.
            Sound::Fresh => (self.start_slack_ns / 4).clamp(max_quiet_ns, MAX_QUIET_LOOK_NS),
            // It has paused, and may go on with the last sample of a job.
            _ if now_ns - last_job_ns > QUIET_AFTER_NS => max_quiet_ns,
            Sound::Settled => (until_ns.max(0) + quarter_ns).min(max_quiet_ns),
            Sound::Flowing if until_ns > 0 => until_ns.min(half_ns.min(MAX_LOOK_NS)),
            // The later it is, the less a moment more matters.
            Sound::Flowing => ((now_ns - next.expected_ns) / LOOKS_PER_DELAY).min(quarter_ns.min(MAX_LATE_LOOK_NS)),
        };
        look_ns.max(LOOK_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 44_100.0;
    const MS: i64 = 1_000_000;

    /// What the lookout does while a host calls.
    #[derive(Debug)]
    struct Watch {
        /// From a job's last block to the look that finds it.
        longest_wait_ns: i64,
        looks_per_job: f64,
    }

    /// `block(idx)`: when the host's block comes, and how long it is; jobs are `hop_len` long, and have that much time.
    fn watch(hop_len: i64, num_blocks: i64, block: impl Fn(i64) -> (i64, usize)) -> Watch {
        let slack_ns = (hop_len.max(512) as f64 / RATE * 1e9) as i64;
        let times = LookTimes { slack_ns, start_slack_ns: 3 * slack_ns };
        let mut forecast = Forecast::new(RATE);
        let (mut position, mut num_jobs, mut num_looks) = (0, 0, 0);
        let (mut look_ns, mut longest_wait_ns, mut last_job_ns, mut next) = (0, 0, 0, NextJob::default());
        // When the oldest job came that no look has found.
        let mut waiting_since: Option<i64> = None;
        for idx in 0..num_blocks {
            let (block_ns, len) = block(idx);
            while look_ns < block_ns {
                num_looks += 1;
                if let Some(since) = waiting_since.take() {
                    // What the first jobs of a stream wait for is another matter.
                    if num_jobs > 8 {
                        longest_wait_ns = longest_wait_ns.max(look_ns - since);
                    }
                    last_job_ns = look_ns;
                }
                let sound = if idx == 0 { Sound::Fresh } else { Sound::Flowing };
                look_ns += times.look_again_ns(look_ns, sound, last_job_ns, next);
            }
            position += len as i64;
            if position / hop_len > num_jobs {
                num_jobs = position / hop_len;
                waiting_since = waiting_since.or(Some(block_ns));
            }
            next = forecast.take_block(block_ns, len, hop_len - position % hop_len);
        }
        Watch { longest_wait_ns, looks_per_job: num_looks as f64 / num_jobs as f64 }
    }

    fn due_ns(position: i64) -> i64 {
        (position as f64 / RATE * 1e9) as i64
    }

    #[test]
    fn a_host_that_calls_regularly_is_found_at_once_with_few_looks() {
        for hop_len in [768, 1024, 1536, 9030] {
            for block_len in [32_usize, 64, 128, 441, 512, 1024, 2048] {
                let block = |idx: i64| (due_ns(idx * block_len as i64), block_len);
                let watch = watch(hop_len, 1_000_000 / block_len as i64, block);
                let what = format!("hops of {hop_len}, blocks of {block_len}: {watch:?}");
                assert!(watch.longest_wait_ns <= LOOK_NS + 1000, "{what}");
                // One of these finds the job; long hops are looked at every 20 ms meanwhile.
                let max_looks = 6.0 + due_ns(hop_len) as f64 / MAX_LOOK_NS as f64;
                assert!(watch.looks_per_job < max_looks, "{what}");
            }
        }
    }

    #[test]
    fn jitter_makes_looks_but_no_long_wait() {
        // Up to 2 ms too late, every block by another time.
        let block = |idx: i64| (due_ns(idx * 512) + (idx * 7919) % 2000 * 1000, 512);
        let watch = watch(768, 20_000, block);
        assert!(watch.longest_wait_ns < MS / 2, "{watch:?}");
        assert!(watch.looks_per_job < 30.0, "{watch:?}");
    }

    #[test]
    fn blocks_that_come_in_bursts_wait_for_a_millisecond() {
        // Eight blocks at once, then a pause.
        let block = |idx: i64| (due_ns(idx / 8 * 8 * 128) + idx % 8 * 10_000, 128);
        for hop_len in [128, 768] {
            let watch = watch(hop_len, 20_000, block);
            assert!(watch.longest_wait_ns <= MS, "hops of {hop_len}: {watch:?}");
        }
    }

    #[test]
    fn a_host_that_was_held_up_is_found_in_half_of_the_time() {
        // 40 ms late at block 1000, and in step again by calling at once.
        let block = |idx: i64| (due_ns(idx * 512).max(if idx >= 1000 { due_ns(1000 * 512) + 40 * MS } else { 0 }), 512);
        let watch = watch(768, 3000, block);
        assert!(watch.longest_wait_ns <= due_ns(768) / 2, "{watch:?}");
    }

    #[test]
    fn a_host_that_pauses_is_looked_for_less_and_less() {
        let times = LookTimes { slack_ns: 16 * MS, start_slack_ns: 48 * MS };
        let next = NextJob { expected_ns: 0, jitter_ns: 0 };
        let look = |now_ns| times.look_again_ns(now_ns, Sound::Flowing, 0, next);
        assert_eq!([1, 8, 16, 500, 1001].map(|ms| look(ms * MS)), [LOOK_NS, MS, MS, MS, 8 * MS]);
    }
}
