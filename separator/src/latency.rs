//! The latency: one function.

use crate::schedule::Schedule;
use models::{Manifest, Transform};
use slicqt::Timing;

/// Length of the fade between stems and mix when the worker falls behind, in samples.
pub(crate) const FADE_LEN: usize = 256;

/// By how many samples (of the host) the stems, and the mix aligned with them, lag behind the input: a job must fill
/// (one hop), its stems need the slice that ends with it (one more hop, and what the resamplers wait for) and the slices
/// that the network looks ahead (a hop each), the worker has a time budget of half a hop or one block, whichever is
/// longer, and a fade of 256 samples must fit in should it miss it.
///
/// `sample_rate_hz` and `max_block_len` are the host's. Constant as long as these and the model are.
///
/// # Realtime
/// Safe.
pub fn latency_samples(manifest: &Manifest, sample_rate_hz: f64, max_block_len: usize) -> usize {
    let schedule = schedule_of(manifest, sample_rate_hz);
    latency_of(&schedule, max_block_len)
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
    let Transform { slice_len, transition_len, timing, .. } = manifest.transform;
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
#[allow(dead_code, reason = "the engine drops the stems of these jobs")]
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
    (schedule.max_job_len() as usize / 2).max(max_block_len) + FADE_LEN
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
    fn every_slice_of_look_ahead_is_a_hop_more() {
        let schedule = |look_ahead: usize| Schedule::new(44_100.0, 44_100, 1008, 1008 * (1 + look_ahead));
        assert_eq!(latency_of(&schedule(2), 64), latency_of(&schedule(0), 64) + 2 * 1008);
    }
}
