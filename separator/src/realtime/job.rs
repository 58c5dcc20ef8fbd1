//! What travels between the threads.

use crate::Stereo;

/// A box, so that only a pointer moves through the rings.
pub(crate) type PooledJob = Box<Job>;

/// One hop's worth of the mix on its way to a worker, and of the stems on the way back.
pub(crate) struct Job {
    /// Which stream it belongs to: the audio side counts up at every reset.
    pub epoch: u64,
    /// Which hop of that stream.
    pub idx: i64,
    /// Wall time by which the stems must be back.
    pub due_ns: i64,
    /// Music came before job 0 of that stream, which this lane has not heard.
    pub begins_in_music: bool,
    /// `[stem]`, the mean over the samples of the mix.
    pub sensitivities: [f32; 4],
    /// `[channel][sample]`
    pub mix: Stereo,
    /// `[stem][channel][sample]`, stems as in [`STEMS`](super::STEMS).
    pub stems: [Stereo; 4],
    /// Whether `stems` hold what the schedule promises. If not, the worker skipped the job.
    pub has_stems: bool,
}

impl Job {
    /// A job with room for `max_len` samples of every stem.
    pub fn new(max_len: usize) -> Self {
        let room = || Vec::with_capacity(max_len);
        Job {
            epoch: 0,
            idx: 0,
            due_ns: 0,
            begins_in_music: false,
            sensitivities: [0.0; 4],
            mix: [room(), room()],
            stems: std::array::from_fn(|_| [room(), room()]),
            has_stems: false,
        }
    }
}
