//! Silence detection: after enough of it nothing needs to be computed.

use crate::Stereo;

/// After this long a silence the network is no longer run, even if its state has not settled.
const OLD_AFTER_S: u64 = 10;

/// How long the input has been silent.
#[derive(Default)]
pub(crate) struct Silence {
    num_hops: u64,
    /// Hops of silence after which everything around the network is in its initial state.
    tail_hops: u64,
    old_hops: u64,
}

impl Silence {
    /// For a stream in which a hop contributes to the output for `tail_hops` hops.
    pub fn new(tail_hops: usize, hop_len: usize, sample_rate_hz: u32) -> Self {
        let tail_hops = tail_hops as u64;
        let old_hops = tail_hops.max((OLD_AFTER_S * u64::from(sample_rate_hz)).div_ceil(hop_len as u64));
        Silence { num_hops: 0, tail_hops, old_hops }
    }

    /// Counts a hop. Whether it is silent, and so are all earlier hops that still contribute to the output.
    pub fn lasts(&mut self, hop: &Stereo) -> bool {
        let is_silent = hop.iter().flatten().all(|&sample| sample == 0.0);
        self.num_hops = if is_silent { self.num_hops + 1 } else { 0 };
        self.num_hops > self.tail_hops
    }

    /// Whether it has lasted so long that the network is no longer run.
    pub fn is_old(&self) -> bool {
        self.num_hops > self.old_hops
    }

    pub fn reset(&mut self) {
        self.num_hops = 0;
    }
}
