//! Streams that answer each other later or earlier, and in other portions.

use std::collections::VecDeque;

use base::Stereo;

/// Samples that are handed over at a time.
const BLOCK_LEN: usize = 16_384;

/// A queue for each stream, `[stream][row][channel]`, all of the same rows.
pub struct Aligned {
    queues: Vec<Vec<[VecDeque<f32>; 2]>>,
}

impl Aligned {
    pub fn new(num_streams: usize, num_rows: usize) -> Aligned {
        Aligned { queues: vec![vec![Default::default(); num_rows]; num_streams] }
    }

    /// The next samples of one stream, `[row][channel][sample]`.
    pub fn push(&mut self, stream: usize, rows: &[Stereo]) {
        for (queue, samples) in self.queues[stream].iter_mut().flatten().zip(rows.iter().flatten()) {
            queue.extend(samples);
        }
    }

    /// Hands over what all streams have, `[stream][row][channel][sample]`, in blocks of [`BLOCK_LEN`]; at the end also what
    /// fills none. When streams answer depends on the threads that compute them, and sums must not: they are rounded.
    pub fn drain(&mut self, is_end: bool, mut sink: impl FnMut(&[Vec<Stereo>])) {
        loop {
            let len = self.queues.iter().flatten().map(|row| row[0].len()).min().unwrap_or(0).min(BLOCK_LEN);
            if len == 0 || (len < BLOCK_LEN && !is_end) {
                return;
            }
            let take = |row: &mut [VecDeque<f32>; 2]| row.each_mut().map(|queue| queue.drain(..len).collect());
            let streams: Vec<Vec<Stereo>> =
                self.queues.iter_mut().map(|stream| stream.iter_mut().map(take).collect()).collect();
            sink(&streams);
        }
    }
}
