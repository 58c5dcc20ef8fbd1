//! From results to blocks of stems; where they are missing, from the mix.

use super::{
    job::{Job, PooledJob},
    link::Link,
};
use crate::{latency::fade_len_of, schedule::Schedule};
use std::{collections::VecDeque, ops::Range, sync::atomic::Ordering};

/// What every stem is where the stems are missing: an equal share of the mix.
const SHARE: f32 = 0.25;

/// Keeps the results in order and gives them out at their time.
pub(crate) struct Collector {
    /// Jobs with nothing to do.
    free: Vec<PooledJob>,
    /// Results of the current epoch in order, the oldest first.
    results: VecDeque<PooledJob>,
    epoch: u64,
    /// Index of the last result that came; -1 before the first.
    last_received: i64,
    /// The job whose stems are given out now. Job -1 is what lies before the stream; it needs no result.
    job_idx: i64,
    /// Whether music came before job 0, whose stems nobody knows: the lane was added while others played.
    begins_in_music: bool,
    /// Fade between stems and mix, in samples.
    fade_len: usize,
    /// How much of the stems is heard, 0..=1; the rest is the mix.
    presence: f32,
    /// Whether stems of some job have been heard since the lane was made.
    has_begun: bool,
    /// Whether the current job was already counted as late.
    is_counted: bool,
}

impl Collector {
    pub fn new(pool: Vec<PooledJob>, schedule: &Schedule, begins_in_music: bool) -> Self {
        Collector {
            results: VecDeque::with_capacity(pool.len()),
            free: pool,
            epoch: 0,
            last_received: -1,
            job_idx: -1,
            begins_in_music,
            fade_len: fade_len_of(schedule),
            presence: if begins_in_music { 0.0 } else { 1.0 },
            has_begun: false,
            is_counted: false,
        }
    }

    /// Index of the last result that came.
    pub fn last_received(&self) -> i64 {
        self.last_received
    }

    /// Whether nothing but stems is heard.
    pub fn is_present(&self) -> bool {
        self.presence == 1.0
    }

    /// Takes what the worker has sent.
    ///
    /// # Realtime
    /// Safe.
    pub fn collect(&mut self, link: &mut Link) {
        while let Ok(job) = link.from_worker.pop() {
            link.gave_up = false;
            let is_current = job.epoch == self.epoch;
            if is_current {
                self.last_received = job.idx;
            }
            // Those that come after their time are free at once: a render that waits for a free job would wait for ever.
            if is_current && job.idx >= self.job_idx {
                self.results.push_back(job);
            } else {
                self.free.push(job);
            }
        }
    }

    /// An empty job of the current epoch.
    ///
    /// # Realtime
    /// Safe.
    pub fn free_job(&mut self, link: &mut Link) -> Option<PooledJob> {
        self.collect(link);
        let mut job = self.free.pop()?;
        job.epoch = self.epoch;
        job.begins_in_music = self.begins_in_music;
        Some(job)
    }

    /// Index of the job whose result must be there so that nothing fades out before `end`.
    pub fn job_needed_for(&self, end: i64, schedule: &Schedule) -> i64 {
        let mut job_idx = self.job_idx;
        while schedule.stems_end(job_idx) < end + self.fade_len as i64 {
            job_idx += 1;
        }
        job_idx
    }

    /// Gives the stems from sample `start` of the mix on, `[stem][channel][sample]`, as many as `mix` (`[channel]`,
    /// the same samples of the mix) has. Returns how many samples are not wholly made of stems.
    ///
    /// # Realtime
    /// Safe.
    pub fn give_into(
        &mut self,
        start: i64,
        mix: [&[f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        schedule: &Schedule,
        link: &Link,
    ) -> usize {
        let end = start + mix[0].len() as i64;
        let mut position = start;
        let mut num_missing = 0;
        while position < end {
            self.advance_to(position, schedule);
            self.count_late(link);
            let part_end = end.min(schedule.stems_end(self.job_idx));
            let part = (position - start) as usize..(part_end - start) as usize;
            num_missing += self.give_part(position, part, mix, stems, schedule);
            position = part_end;
        }
        num_missing
    }

    /// Leaves the jobs that end at or before `position` behind.
    fn advance_to(&mut self, position: i64, schedule: &Schedule) {
        while schedule.stems_end(self.job_idx) <= position {
            self.job_idx += 1;
            self.is_counted = false;
        }
        // A result may have come after its time had begun, and after it had passed.
        while self.results.front().is_some_and(|job| job.idx < self.job_idx) {
            self.free.extend(self.results.pop_front());
        }
    }

    /// A hop is late if any sample of it is given without its stems; it counts once. Before the first stems of a lane
    /// nothing is late: its model may still be loading.
    fn count_late(&mut self, link: &Link) {
        if self.current().is_some() {
            self.has_begun = true;
        } else if self.has_begun && !self.is_counted && self.job_idx >= 0 {
            self.is_counted = true;
            link.shared.late_hops.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The stems that are given out now, if they are there.
    fn current(&self) -> Option<&Job> {
        self.results.front().filter(|job| job.idx == self.job_idx && job.has_stems).map(|job| &**job)
    }

    /// Up to where the stems are there without a gap.
    fn known_end(&self, position: i64, schedule: &Schedule) -> i64 {
        let (mut end, mut job_idx) = (position, self.job_idx);
        if job_idx == -1 {
            if self.begins_in_music {
                return position;
            }
            // Silence: stems that are 0 are right.
            (end, job_idx) = (schedule.stems_end(-1), 0);
        }
        for job in self.results.iter().take_while(|job| job.has_stems) {
            if job.idx != job_idx {
                break;
            }
            (end, job_idx) = (schedule.stems_end(job_idx), job_idx + 1);
        }
        end
    }

    /// `part`: the samples of the block that belong to the current job; the first of them is `position`.
    fn give_part(
        &mut self,
        position: i64,
        part: Range<usize>,
        mix: [&[f32]; 2],
        stems: &mut [[&mut [f32]; 2]; 4],
        schedule: &Schedule,
    ) -> usize {
        // How many samples the stems will last: a fade must begin before they run out, not when they have.
        let supply = self.known_end(position, schedule) - position;
        let offset = (position - schedule.stems_end(self.job_idx - 1).min(position)) as usize;
        let len = part.len();
        let source = self.results.front().filter(|job| job.idx == self.job_idx && job.has_stems);
        if self.presence == 1.0 && supply >= (len + self.fade_len) as i64 {
            for (stem_idx, stem) in stems.iter_mut().enumerate() {
                for channel in 0..2 {
                    match source {
                        Some(job) => {
                            stem[channel][part.clone()].copy_from_slice(&job.stems[stem_idx][channel][offset..][..len])
                        }
                        None => stem[channel][part.clone()].fill(0.0),
                    }
                }
            }
            return 0;
        }
        let mut presence = self.presence;
        let mut num_missing = 0;
        for (sample, ahead) in part.clone().zip(0..) {
            // Fades in as fast as it may, and out in time before the stems run out.
            let fade_len = self.fade_len as f32;
            let limit = (supply - ahead).clamp(0, self.fade_len as i64) as f32 / fade_len;
            presence = (presence + 1.0 / fade_len).min(limit);
            num_missing += usize::from(presence < 1.0);
            for (stem_idx, stem) in stems.iter_mut().enumerate() {
                for channel in 0..2 {
                    let separated = source.map_or(0.0, |job| job.stems[stem_idx][channel][offset + ahead as usize]);
                    stem[channel][sample] = if presence == 1.0 {
                        separated
                    } else {
                        presence * separated + (1.0 - presence) * SHARE * mix[channel][sample]
                    };
                }
            }
        }
        self.presence = presence;
        num_missing
    }

    /// Begins a new stream, of silence or in the middle of music.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self, epoch: u64, job_at_hand: Option<PooledJob>, begins_in_music: bool) {
        self.epoch = epoch;
        self.free.extend(job_at_hand);
        self.free.extend(self.results.drain(..));
        self.last_received = -1;
        self.job_idx = -1;
        self.begins_in_music = begins_in_music;
        self.presence = if begins_in_music { 0.0 } else { 1.0 };
        // What a lane that joins cannot know is not late.
        self.has_begun &= !begins_in_music;
        self.is_counted = false;
    }
}
