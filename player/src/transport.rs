//! Where the song is played: what the user asks for, and what the audio thread makes of it.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const NOTHING: i64 = i64::MIN;

/// Shared between the window and the audio thread; positions are samples of the song.
pub struct Transport {
    is_playing: AtomicBool,
    position: AtomicI64,
    /// Where to go next, or [`NOTHING`].
    seek: AtomicI64,
    is_looping: AtomicBool,
    loop_start: AtomicI64,
    loop_end: AtomicI64,
    /// Changes of place that have been heard.
    num_seeks: AtomicU64,
    /// When the last seek was asked for, and how long it took to reach the audio thread, in ns since `start`.
    start: Instant,
    asked_ns: AtomicU64,
    delay_ns: AtomicU64,
    /// Times that stems were not there when they were due, with nobody having jumped.
    num_late: AtomicU64,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            is_playing: AtomicBool::new(false),
            position: AtomicI64::new(0),
            seek: AtomicI64::new(NOTHING),
            is_looping: AtomicBool::new(false),
            loop_start: AtomicI64::new(0),
            loop_end: AtomicI64::new(0),
            num_seeks: AtomicU64::new(0),
            start: Instant::now(),
            asked_ns: AtomicU64::new(0),
            delay_ns: AtomicU64::new(0),
            num_late: AtomicU64::new(0),
        }
    }
}

impl Transport {
    /// Whether it plays.
    ///
    /// # Realtime
    /// Safe.
    pub fn is_playing(&self) -> bool {
        self.is_playing.load(Ordering::Acquire)
    }

    /// Plays, or pauses.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_playing(&self, is_playing: bool) {
        self.is_playing.store(is_playing, Ordering::Release);
    }

    /// Goes to `position` with the next block.
    ///
    /// # Realtime
    /// Safe.
    pub fn seek(&self, position: i64) {
        self.asked_ns.store(self.start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.seek.store(position.max(0), Ordering::Release);
    }

    /// The next sample that will be heard; after a seek, at once the one that was asked for.
    ///
    /// # Realtime
    /// Safe.
    pub fn position(&self) -> i64 {
        match self.seek.load(Ordering::Acquire) {
            NOTHING => self.position.load(Ordering::Acquire),
            seek => seek,
        }
    }

    /// What is played again and again, if anything.
    ///
    /// # Realtime
    /// Safe.
    pub fn active_loop(&self) -> Option<Range<i64>> {
        self.loop_range().filter(|_| self.is_looping.load(Ordering::Relaxed))
    }

    /// What would be looped.
    ///
    /// # Realtime
    /// Safe.
    pub fn loop_range(&self) -> Option<Range<i64>> {
        let range = self.loop_start.load(Ordering::Relaxed)..self.loop_end.load(Ordering::Relaxed);
        (!range.is_empty()).then_some(range)
    }

    /// What to loop; an empty range is none.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_loop_range(&self, range: Range<i64>) {
        self.loop_start.store(range.start.max(0), Ordering::Relaxed);
        self.loop_end.store(range.end, Ordering::Relaxed);
    }

    /// Switches the loop on or off.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_looping(&self, is_looping: bool) {
        self.is_looping.store(is_looping, Ordering::Relaxed);
    }

    /// Whether the loop is on.
    ///
    /// # Realtime
    /// Safe.
    pub fn is_looping(&self) -> bool {
        self.is_looping.load(Ordering::Relaxed)
    }

    /// How many seeks have reached the sound card's buffer.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_seeks(&self) -> u64 {
        self.num_seeks.load(Ordering::Acquire)
    }

    /// How long the last seek took until its sound was in the sound card's buffer.
    ///
    /// # Realtime
    /// Safe.
    pub fn seek_delay(&self) -> Duration {
        Duration::from_nanos(self.delay_ns.load(Ordering::Relaxed))
    }

    /// How often stems were not there in time.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_late(&self) -> u64 {
        self.num_late.load(Ordering::Relaxed)
    }

    /// Audio thread: takes the seek that waits.
    pub(crate) fn take_seek(&self) -> Option<i64> {
        // A load is enough most of the time.
        if self.seek.load(Ordering::Relaxed) == NOTHING {
            return None;
        }
        let seek = self.seek.swap(NOTHING, Ordering::AcqRel);
        (seek != NOTHING).then_some(seek)
    }

    /// Audio thread: the next sample that will be heard.
    pub(crate) fn set_position(&self, position: i64) {
        self.position.store(position, Ordering::Release);
    }

    pub(crate) fn count_seek(&self) {
        // The clock is read without a system call.
        let now_ns = self.start.elapsed().as_nanos() as u64;
        self.delay_ns.store(now_ns.saturating_sub(self.asked_ns.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.num_seeks.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count_late(&self) {
        self.num_late.fetch_add(1, Ordering::Relaxed);
    }
}
