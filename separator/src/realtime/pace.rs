//! How far the host is ahead of the wall clock: for so long the audio thread may wait.
//!
//! A render runs ahead without end, a host that works in bursts (anticipative processing, prefetch) by up to the length
//! of a burst, and a host that plays a sound card's blocks by nothing but jitter. So no mode need be announced.

/// What is not waited for although the clock would allow it: the jitter of a host in real time.
const SLACK_NS: i64 = 1_000_000;
/// A host this far behind has paused or cannot keep up; the count begins anew.
const MAX_BEHIND_NS: i64 = 250_000_000;
/// A pause of so long, and of three blocks, is the pause between two bursts.
const MIN_PAUSE_NS: i64 = 20_000_000;
/// The sound card's clock and the wall clock drift apart: once a window, the count is moved back to zero by this much if
/// the host was ahead (or behind) the whole window long.
const WINDOW_NS: i64 = 1_000_000_000;
const MAX_CORRECTION_NS: i64 = 5_000_000;

/// Samples delivered since the start against the wall clock. Pure arithmetic: times come from the caller.
pub(crate) struct Pace {
    sample_rate_hz: f64,
    /// Wall time at which the next sample would be due if the host played in real time; None before the first block.
    due_ns: Option<i64>,
    /// When the block before ended, and how long it was.
    last_end_ns: i64,
    last_block_ns: i64,
    /// Of the window at hand: its length so far, and how far ahead its blocks were, at least and at most.
    window_ns: i64,
    min_ahead_ns: i64,
    max_ahead_ns: i64,
}

impl Pace {
    pub fn new(sample_rate_hz: f64) -> Self {
        Pace {
            sample_rate_hz: if sample_rate_hz > 0.0 { sample_rate_hz } else { 44_100.0 },
            due_ns: None,
            last_end_ns: 0,
            last_block_ns: 0,
            window_ns: 0,
            min_ahead_ns: i64::MAX,
            max_ahead_ns: i64::MIN,
        }
    }

    /// A stream begins.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        *self = Pace::new(self.sample_rate_hz);
    }

    /// A block of `len` samples begins at `now_ns`; returns until when it may be waited for its stems. That is in the past
    /// unless the host is ahead.
    ///
    /// # Realtime
    /// Safe.
    pub fn begin_block(&mut self, now_ns: i64, len: usize) -> i64 {
        let block_ns = (len as f64 / self.sample_rate_hz * 1e9) as i64;
        let mut due_ns = self.due_ns.unwrap_or(now_ns);
        let pause_ns = now_ns - self.last_end_ns;
        let is_pause = pause_ns > MIN_PAUSE_NS.max(3 * self.last_block_ns);
        if now_ns - due_ns > MAX_BEHIND_NS || (is_pause && due_ns < now_ns) {
            due_ns = now_ns;
        }
        let ahead_ns = due_ns - now_ns;
        self.min_ahead_ns = self.min_ahead_ns.min(ahead_ns);
        self.max_ahead_ns = self.max_ahead_ns.max(ahead_ns);
        self.window_ns += block_ns;
        if self.window_ns > WINDOW_NS {
            due_ns -= self.min_ahead_ns.clamp(0, MAX_CORRECTION_NS);
            due_ns -= self.max_ahead_ns.clamp(-MAX_CORRECTION_NS, 0);
            (self.window_ns, self.min_ahead_ns, self.max_ahead_ns) = (0, i64::MAX, i64::MIN);
        }
        self.due_ns = Some(due_ns + block_ns);
        self.last_block_ns = block_ns;
        due_ns - SLACK_NS
    }

    /// The block has been given out.
    ///
    /// # Realtime
    /// Safe.
    pub fn end_block(&mut self, now_ns: i64) {
        self.last_end_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;
    const BLOCK: usize = 480;
    const BLOCK_NS: i64 = 10_000_000;
    const MS: i64 = 1_000_000;

    /// Blocks that begin at these times; how long each may be waited for.
    fn waits(times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut pace = Pace::new(RATE);
        let mut wait = |now| {
            let until = pace.begin_block(now, BLOCK);
            pace.end_block(now);
            (until - now).max(0)
        };
        times.into_iter().map(&mut wait).collect()
    }

    #[test]
    fn a_render_is_waited_for_ever_longer() {
        let waits = waits((0..1000).map(|block| block * MS));
        assert_eq!(waits[0], 0);
        assert!(waits[999] > 8_900 * MS, "{}", waits[999]);
    }

    #[test]
    fn a_sound_card_is_never_waited_for() {
        // A clock that is 200 ppm fast, one that is slow, jitter below the slack; an hour of each.
        for ppm in [-200, 0, 200] {
            let time = |block: i64| block * BLOCK_NS - block * BLOCK_NS / 1_000_000 * ppm + (block * 7919 % 900_000);
            let longest = waits((0..360_000).map(time)).into_iter().max();
            assert!(longest <= Some(MS), "{ppm} ppm: {longest:?}");
        }
    }

    #[test]
    fn a_stall_is_not_made_up_for_by_waiting() {
        // The thread is late by 15 ms once, and in step again from the next block on.
        let time = |block: i64| block * BLOCK_NS + if block == 100 { 15 * MS } else { 0 };
        assert_eq!(waits((0..1000).map(time)).into_iter().max(), Some(0));
    }

    #[test]
    fn a_burst_may_be_waited_for_until_it_would_have_been_played() {
        // 200 ms at once, every 200 ms, by a clock that is slow, for an hour.
        let time = |block: i64| (block / 20) * 20 * BLOCK_NS + block / 20 * 20_000 + block % 20 * 10_000;
        let waits = waits((0..360_000).map(time));
        for (block, wait) in waits.iter().enumerate() {
            let expected = (block as i64 % 20) * BLOCK_NS;
            assert!(*wait > expected - 3 * MS && *wait <= expected, "block {block}: {wait}");
        }
    }

    #[test]
    fn after_a_pause_the_count_begins_anew() {
        let paced = (0..100).map(|block| block * BLOCK_NS);
        let burst = (0..20).map(|block| 10_000_000_000 + block);
        let waits = waits(paced.chain(burst));
        assert_eq!(waits[100], 0);
        assert_eq!(waits[119], 19 * BLOCK_NS - 19 - MS);
    }
}
