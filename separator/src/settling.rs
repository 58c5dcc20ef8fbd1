//! A short cut for silence: streams that have heard enough of it give silence without computing it.
//!
//! In a session most instances hear nothing most of the time. Stems of silence are silent once everything that came before
//! has left the slices and the resamplers, and a network that starts anew after a second of nothing is where its training
//! began. Files go through the same code, so they and the plugin agree to the bit.

use crate::{Pipeline, Stereo, schedule::Schedule};

/// Digital silence of at least this length is a gap between pieces of music, not a rest in one.
const MIN_SILENCE_S: usize = 1;

/// Counts jobs of silence.
pub(crate) struct Settling {
    /// Jobs of silence after which nothing is left of what came before; None for models that may not skip any.
    settled_after: Option<usize>,
    num_silent: usize,
}

/// What to do with a job.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Compute it.
    Sound,
    /// Compute it as the first of a stream.
    SoundAfterSilence,
    /// Its stems are silent.
    Nothing,
}

impl Settling {
    pub fn new(pipeline: &Pipeline, schedule: &Schedule) -> Self {
        let min_jobs = (MIN_SILENCE_S * pipeline.sample_rate_hz() as usize).div_ceil(pipeline.hop_len());
        // One more for what the resamplers hold.
        let tail = pipeline.tail_hops().map(|hops| hops + usize::from(!schedule.is_direct()));
        Settling { settled_after: tail.map(|hops| hops.max(min_jobs)), num_silent: 0 }
    }

    pub fn is_settled(&self) -> bool {
        self.settled_after.is_some_and(|num_jobs| self.num_silent >= num_jobs)
    }

    /// Takes note of the mix of a job, `[channel][sample]`.
    pub fn hear(&mut self, mix: &Stereo) -> Heard {
        let was_settled = self.is_settled();
        if mix.iter().all(|channel| channel.iter().all(|&sample| sample == 0.0)) {
            self.num_silent += 1;
            if was_settled { Heard::Nothing } else { Heard::Sound }
        } else {
            self.num_silent = 0;
            if was_settled { Heard::SoundAfterSilence } else { Heard::Sound }
        }
    }

    pub fn reset(&mut self) {
        self.num_silent = 0;
    }
}
