//! The latency: one function.

use crate::schedule::Schedule;
use models::Manifest;

/// Length of the fade between stems and mix when the worker falls behind, in samples.
pub(crate) const FADE_LEN: usize = 256;

/// By how many samples (of the host) the stems, and the mix aligned with them, lag behind the input: a job must fill
/// (one hop), its stems need the slice that ends with it (one more hop, and what the resamplers wait for), and the
/// worker has a time budget of half a hop or one block, whichever is longer.
///
/// `sample_rate_hz` and `max_block_len` are the host's. Constant as long as these and the model are.
///
/// # Realtime
/// Safe.
pub fn latency_samples(manifest: &Manifest, sample_rate_hz: f64, max_block_len: usize) -> usize {
    let schedule = Schedule::new(sample_rate_hz, manifest.sample_rate_hz, manifest.hop_len);
    latency_of(&schedule, max_block_len)
}

pub(crate) fn latency_of(schedule: &Schedule, max_block_len: usize) -> usize {
    (schedule.max_job_len() + schedule.delay()) as usize + budget_of(schedule, max_block_len)
}

/// Samples that pass, at least, between the block that completes a job and the first one that needs its stems.
pub(crate) fn budget_of(schedule: &Schedule, max_block_len: usize) -> usize {
    // A fade out must begin before the stems run out, so the budget is never shorter than a fade.
    (schedule.max_job_len() as usize / 2).max(max_block_len).max(FADE_LEN)
}
