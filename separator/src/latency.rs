//! The latency, and what it is made of: one plan for all the models that an instance may play.

use crate::schedule::Schedule;
use models::{Manifest, TransformSpec};
use slicqt::Timing;

/// Blocks are rounded up to a power of two from here on, so that the latency is the same for all usual block sizes.
const MIN_BLOCK_LEN: usize = 512;
/// Up to this length, in host samples, a whole hop is the worker's time; of longer ones half, or this if that is more.
const MAX_WHOLE_HOP: usize = 1024;
/// Fades are a quarter of a hop, within these bounds, in samples.
const FADE_LENS: std::ops::RangeInclusive<usize> = 32..=256;

/// One latency for several models: the largest that any of them needs. The others get the difference as time to
/// compute.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyPlan {
    sample_rate_hz: f64,
    max_block_len: usize,
    latency_samples: usize,
}

impl LatencyPlan {
    /// A plan for all of `manifests`, at the host's sample rate and for the longest block that it announces.
    ///
    /// # Realtime
    /// Safe.
    pub fn new<'a>(
        manifests: impl IntoIterator<Item = &'a Manifest>,
        sample_rate_hz: f64,
        max_block_len: usize,
    ) -> Self {
        let latency = |manifest| latency_samples(manifest, sample_rate_hz, max_block_len);
        let latency_samples = manifests.into_iter().map(latency).max().unwrap_or(0);
        LatencyPlan { sample_rate_hz, max_block_len, latency_samples }
    }

    /// The same plan with at least this latency: what a project was saved with, or a constant that the user asked for.
    ///
    /// # Realtime
    /// Safe.
    #[must_use]
    pub fn at_least(self, latency_samples: usize) -> Self {
        LatencyPlan { latency_samples: self.latency_samples.max(latency_samples), ..self }
    }

    /// By how many host samples everything that comes out lags behind what goes in, whatever model plays.
    ///
    /// # Realtime
    /// Safe.
    pub fn latency_samples(&self) -> usize {
        self.latency_samples
    }

    /// The host's sample rate.
    ///
    /// # Realtime
    /// Safe.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// The longest block that the host announced.
    ///
    /// # Realtime
    /// Safe.
    pub fn max_block_len(&self) -> usize {
        self.max_block_len
    }

    /// Whether a model fits into the plan, so that it can be loaded while the latency stays.
    ///
    /// # Realtime
    /// Safe.
    pub fn has_room_for(&self, manifest: &Manifest) -> bool {
        latency_samples(manifest, self.sample_rate_hz, self.max_block_len) <= self.latency_samples
    }
}

/// By how many samples (of the host) the stems of one model, and the mix aligned with them, lag behind the input: a job
/// must fill (one hop), its stems need the rest of a slice and the slices that the network looks ahead (and what the
/// resamplers wait for), the worker has a time budget of a hop (half of a long one) or a block, whichever is longer, and a fade must
/// fit in should the worker miss it.
///
/// `sample_rate_hz` and `max_block_len` are the host's. Blocks are rounded up to 512, 1024, 2048, ...: the figure is the
/// same for all usual block sizes.
///
/// # Realtime
/// Safe.
pub fn latency_samples(manifest: &Manifest, sample_rate_hz: f64, max_block_len: usize) -> usize {
    latency_of(&schedule_of(manifest, sample_rate_hz), max_block_len)
}

/// The same of a pipeline that takes hops of this length and delays by so many samples, at its own rate, and in blocks of
/// 512 samples or fewer.
///
/// # Realtime
/// Safe.
pub fn latency_samples_of(hop_len: usize, pipeline_delay: usize) -> usize {
    // Any rate will do: nothing is resampled.
    latency_of(&Schedule::new(44_100.0, 44_100, hop_len, pipeline_delay), MIN_BLOCK_LEN)
}

/// The time grid of a live stream.
pub(crate) fn schedule_of(manifest: &Manifest, sample_rate_hz: f64) -> Schedule {
    Schedule::new(sample_rate_hz, manifest.sample_rate_hz, manifest.hop_len, pipeline_delay(manifest))
}

/// By how many samples of the model a live pipeline's stems lag behind what goes in: what slicer and overlap-add wait for,
/// and the slices that the network looks ahead. What the pipeline itself says, from the manifest alone.
pub(crate) fn pipeline_delay(manifest: &Manifest) -> usize {
    transform_delay(manifest) + manifest.look_ahead_slices * manifest.hop_len
}

/// What slicer and overlap-add wait for: `Plan::delay_samples`, without a plan.
fn transform_delay(manifest: &Manifest) -> usize {
    let TransformSpec { slice_len, transition_len, timing, .. } = manifest.transform;
    // Where the slicing window is zero. For a plain STFT the transition is half a slice, and the margin nothing.
    let margin = (slice_len / 4).saturating_sub(transition_len / 2);
    let num_margins = match timing {
        Timing::Whole => 0,
        Timing::Early => 1,
        Timing::Trimmed => 2,
    };
    (slice_len - manifest.hop_len).saturating_sub(num_margins * margin)
}

/// How many jobs after a gap in the stream bring stems that are not right yet: after a restart at job k, those of job
/// `k + preroll_jobs` are the first that are as if there had been no gap (but for the network's memory).
///
/// With N the slice, H the hop, m the margin by which slices are cut early and trimmed, and `D = N - H - 2 m` the delay
/// of slicer and overlap-add: job j brings the hop `j H..(j + 1) H` and completes the slice whose window lies on
/// `(j + 1) H - (H + D)..(j + 1) H`. The first slice without a part of the gap comes with job `k + ceil(D / H)`. The stems
/// of job j begin at `j H - D`, where the oldest slice that adds to them is that of job `j - ceil(D / H)`. Together that
/// is `2 ceil(D / H)` jobs, and the slices of look-ahead. Resamplers reach further back at both ends: the gap spoils the
/// first samples of hop k too, and the stems of job j begin before `j H - D`.
pub(crate) fn preroll_jobs(manifest: &Manifest, schedule: &Schedule) -> u32 {
    let (delay, hop_len) = (transform_delay(manifest), manifest.hop_len);
    let (reach_in, reach_out) = schedule.reach();
    let hops = |len: usize| len.div_ceil(hop_len);
    (hops(reach_in) + hops(delay) + hops(delay + reach_out) + manifest.look_ahead_slices) as u32
}

pub(crate) fn latency_of(schedule: &Schedule, max_block_len: usize) -> usize {
    (schedule.max_job_len() + schedule.delay()) as usize + budget_of(schedule, max_block_len)
}

/// Samples between the one that completes a job and the first that cannot do without its stems: the worker's time, of
/// which a whole number of blocks passes in any case, and a fade, which must begin before the stems run out.
pub(crate) fn budget_of(schedule: &Schedule, max_block_len: usize) -> usize {
    let block_len = max_block_len.max(MIN_BLOCK_LEN);
    let block_len = block_len.checked_next_power_of_two().unwrap_or(block_len);
    let job_len = schedule.max_job_len() as usize;
    // Instances that start at once have all their jobs at once: what is less than a hop leaves workers idle between them.
    (job_len / 2).max(job_len.min(MAX_WHOLE_HOP)).max(block_len) + fade_len_of(schedule)
}

/// Length of the fade between stems and mix when the worker falls behind, and between two models, in host samples.
pub(crate) fn fade_len_of(schedule: &Schedule) -> usize {
    (schedule.max_job_len() as usize / 4).clamp(*FADE_LENS.start(), *FADE_LENS.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_two_hops_a_budget_and_a_fade() {
        let of = |rate, block_len| latency_of(&Schedule::new(rate, 44_100, 9030, 9030), block_len);
        assert_eq!(of(44_100.0, 512), 9030 + 9030 + 4515 + 256);
        assert_eq!(of(44_100.0, 8192), 9030 + 9030 + 8192 + 256);
        // 9829 host samples fill a job; waited for are (9029 + 39) 160/147 more, and half a kernel of 42.
        assert_eq!(of(48e3, 512), 9829 + (9869 + 42 + 1) + 4914 + 256);
    }

    #[test]
    fn a_plain_stft_waits_for_its_slice_a_block_and_a_short_fade() {
        let of = |block_len| latency_of(&Schedule::new(44_100.0, 44_100, 256, 768), block_len);
        for block_len in [0, 1, 32, 64, 441, 512] {
            assert_eq!(of(block_len), 256 + 768 + 512 + 64, "blocks of {block_len}");
        }
        assert_eq!(of(513), 256 + 768 + 1024 + 64);
        assert_eq!(of(2048), 256 + 768 + 2048 + 64);
    }

    #[test]
    fn the_budget_is_a_hop_or_half_of_a_long_one() {
        let of = |hop_len| budget_of(&Schedule::new(44_100.0, 44_100, hop_len, hop_len), 512);
        for hop_len in [512, 768, 1024] {
            assert_eq!(of(hop_len), hop_len + hop_len / 4, "hops of {hop_len}");
        }
        assert_eq!(of(1536), 1024 + 256);
        assert_eq!(of(4096), 2048 + 256);
    }

    #[test]
    fn every_slice_of_look_ahead_is_a_hop_more() {
        let schedule = |look_ahead: usize| Schedule::new(44_100.0, 44_100, 1008, 1008 * (1 + look_ahead));
        assert_eq!(latency_of(&schedule(2), 64), latency_of(&schedule(0), 64) + 2 * 1008);
    }
}
