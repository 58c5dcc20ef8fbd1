//! The latency: one function.

use crate::schedule::Schedule;
use models::Manifest;

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

/// By how many samples of the model a pipeline's stems lag behind what goes in: the slice that completes them, and the
/// slices that the network looks ahead.
pub(crate) fn pipeline_delay(manifest: &Manifest) -> usize {
    manifest.transform.slice_len - manifest.hop_len + manifest.look_ahead_slices * manifest.hop_len
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
