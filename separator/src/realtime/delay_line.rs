//! The mix, delayed.

/// Delays one channel by a fixed number of samples, bit for bit.
pub(crate) struct DelayLine {
    /// The last `len` samples, the oldest at `position`.
    samples: Vec<f32>,
    position: usize,
}

impl DelayLine {
    pub fn new(len: usize) -> Self {
        DelayLine { samples: vec![0.0; len], position: 0 }
    }

    /// # Realtime
    /// Safe.
    pub fn process_into(&mut self, mut input: &[f32], mut output: &mut [f32]) {
        if self.samples.is_empty() {
            output.copy_from_slice(input);
            return;
        }
        while !input.is_empty() {
            let num_samples = input.len().min(self.samples.len() - self.position);
            let stored = &mut self.samples[self.position..][..num_samples];
            let (now, later) = output.split_at_mut(num_samples);
            now.copy_from_slice(stored);
            stored.copy_from_slice(&input[..num_samples]);
            self.position = (self.position + num_samples) % self.samples.len();
            (input, output) = (&input[num_samples..], later);
        }
    }

    /// # Realtime
    /// Safe.
    pub fn reset(&mut self) {
        self.samples.fill(0.0);
        self.position = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_comes_out_after_the_delay() {
        for (delay, block_len) in [(0, 5), (1, 7), (7, 7), (10, 3), (3, 10), (64, 1)] {
            let mut line = DelayLine::new(delay);
            let input: Vec<f32> = (1..200).map(|n| n as f32).collect();
            let mut output = vec![f32::NAN; input.len()];
            for (input, output) in input.chunks(block_len).zip(output.chunks_mut(block_len)) {
                line.process_into(input, output);
            }
            assert!(output[..delay].iter().all(|&x| x == 0.0));
            assert_eq!(output[delay..], input[..input.len() - delay]);
        }
    }
}
