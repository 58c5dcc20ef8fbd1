//! Test signals. All `[channel][sample]`, and the same on every run.

pub use base::Stereo;

/// Zeros.
pub fn silence(num_samples: usize) -> Stereo {
    [vec![0.0; num_samples], vec![0.0; num_samples]]
}

/// One sample of 1 in both channels, at `position`.
pub fn impulse(num_samples: usize, position: usize) -> Stereo {
    let mut signal = silence(num_samples);
    signal.iter_mut().for_each(|channel| channel[position] = 1.0);
    signal
}

/// White noise of ±0.5, different in each channel.
pub fn noise(num_samples: usize, seed: u64) -> Stereo {
    let mut random = Random::new(seed);
    [0, 1].map(|_| (0..num_samples).map(|_| random.unit() - 0.5).collect())
}

/// Sines of many frequencies below `max_hz`, of equal level and random phase, different in each channel: what is left
/// of it after a resampler says how good the resampler is within its pass band.
pub fn band_limited(num_samples: usize, sample_rate_hz: f64, max_hz: f64, seed: u64) -> Stereo {
    let mut random = Random::new(seed);
    let num_sines = 60;
    [0, 1].map(|_| {
        let mut channel = vec![0.0f64; num_samples];
        for sine_idx in 0..num_sines {
            let hz = max_hz * (f64::from(sine_idx) + f64::from(random.unit())) / f64::from(num_sines);
            let start = f64::from(random.unit());
            for (sample_idx, sample) in channel.iter_mut().enumerate() {
                let cycles = start + hz * sample_idx as f64 / sample_rate_hz;
                *sample += 0.02 * (std::f64::consts::TAU * cycles.fract()).sin();
            }
        }
        channel.into_iter().map(|x| x as f32).collect()
    })
}

/// A small generator (xorshift64* by Sebastiano Vigna, public domain).
pub struct Random(u64);

impl Random {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// In `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() >> 16) as usize % (high - low + 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
