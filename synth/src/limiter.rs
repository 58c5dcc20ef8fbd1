//! A mastering-like limiter: no sample above the ceiling, no corner in the gain.
//!
//! The gain that a sample needs is `ceiling / peak` where its peak (the larger of left and right) exceeds the ceiling,
//! else 1. The least of these within the look-ahead, let go slowly, then averaged twice over half the look-ahead each,
//! is the gain that is applied: every value in those averages is at most what the sample needs, hence so is their mean
//! (the scheme of Signalsmith's "Designing a straightforward limiter", G. Luff, 2022).

use std::collections::VecDeque;

/// What a [`Limiter`] does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimiterConfig {
    /// No sample of the limited mix is above this; full scale is 1.
    pub ceiling: f32,
    /// The gain falls this long before a peak, in ms; also the latency.
    pub look_ahead_ms: f64,
    /// Time constant with which the gain comes back to 1, in ms.
    pub release_ms: f64,
}

impl Default for LimiterConfig {
    fn default() -> Self {
        LimiterConfig { ceiling: 0.98, look_ahead_ms: 3.0, release_ms: 80.0 }
    }
}

/// A stereo look-ahead peak limiter. It gives gains rather than samples: put on every stem of a mix alike, the stems
/// still sum to the limited mix.
pub struct Limiter {
    ceiling: f32,
    release: f64,
    /// Gains needed, falling from the newest back to the oldest, with the index of their sample: the first is the
    /// least within the window. Never longer than `needed`.
    least: VecDeque<(u64, f64)>,
    /// `[sample]` Gains needed within the window, as a ring.
    needed: Vec<f64>,
    released: f64,
    averages: [Average; 2],
    /// Samples seen.
    position: u64,
}

impl Limiter {
    /// A limiter at rest.
    ///
    /// # Panics
    /// If the ceiling, the look-ahead, the release or the rate is not above 0.
    pub fn new(config: LimiterConfig, sample_rate_hz: f64) -> Limiter {
        let LimiterConfig { ceiling, look_ahead_ms, release_ms } = config;
        let is_valid = ceiling > 0.0 && look_ahead_ms > 0.0 && release_ms > 0.0 && sample_rate_hz > 0.0;
        assert!(is_valid, "Limiter::new: {config:?} at {sample_rate_hz} Hz");
        let look_ahead_len = ((look_ahead_ms / 1000.0 * sample_rate_hz).round() as usize).max(2);
        let first_len = look_ahead_len / 2 + 1;
        // Two averages of lengths a and b reach over a + b - 1 values.
        let second_len = look_ahead_len + 2 - first_len;
        Limiter {
            ceiling,
            release: 1.0 - (-1000.0 / (release_ms * sample_rate_hz)).exp(),
            least: VecDeque::with_capacity(look_ahead_len + 2),
            needed: vec![1.0; look_ahead_len + 1],
            released: 1.0,
            averages: [Average::new(first_len), Average::new(second_len)],
            position: 0,
        }
    }

    /// Gains lag behind the samples that they are for by this much.
    pub fn latency_samples(&self) -> usize {
        self.needed.len() - 1
    }

    /// Looks at a sample of the mix and gives the gain of the one `latency_samples` before it.
    pub fn next_gain(&mut self, left: f32, right: f32) -> f32 {
        let peak = left.abs().max(right.abs());
        let needed = if peak > self.ceiling { f64::from(self.ceiling) / f64::from(peak) } else { 1.0 };
        let window_len = self.needed.len() as u64;
        while self.least.back().is_some_and(|(_, gain)| *gain >= needed) {
            self.least.pop_back();
        }
        self.least.push_back((self.position, needed));
        if self.least.front().is_some_and(|(at, _)| at + window_len <= self.position) {
            self.least.pop_front();
        }
        let least = self.least.front().map_or(1.0, |(_, gain)| *gain);
        self.released = least.min(self.released + self.release * (1.0 - self.released));
        let [first, second] = &mut self.averages;
        let smooth = second.next(first.next(self.released));
        let slot = (self.position % window_len) as usize;
        self.needed[slot] = needed;
        let oldest = self.needed[((self.position + 1) % window_len) as usize];
        self.position += 1;
        // The averages round; what the sample needs does not.
        let gain = smooth.min(oldest) as f32;
        if f64::from(gain) > oldest { gain.next_down() } else { gain }
    }

    /// Limits the sum of stems, `[stem][channel][sample]`, in place and without delay, starting from rest.
    ///
    /// # Panics
    /// If the channels differ in length.
    pub fn limit(&mut self, stems: &mut [[Vec<f32>; 2]]) {
        self.reset();
        let num_samples = stems.first().map_or(0, |stem| stem[0].len());
        let is_even = stems.iter().flatten().all(|channel| channel.len() == num_samples);
        assert!(is_even, "Limiter::limit: the channels differ in length");
        let latency = self.latency_samples();
        for ahead in 0..num_samples + latency {
            let mix = |channel: usize| match ahead < num_samples {
                true => stems.iter().map(|stem| stem[channel][ahead]).sum(),
                false => 0.0,
            };
            let gain = self.next_gain(mix(0), mix(1));
            if ahead >= latency && gain != 1.0 {
                stems.iter_mut().flatten().for_each(|channel| channel[ahead - latency] *= gain);
            }
        }
    }

    /// As new.
    pub fn reset(&mut self) {
        self.least.clear();
        self.needed.fill(1.0);
        self.released = 1.0;
        self.averages.iter_mut().for_each(Average::reset);
        self.position = 0;
    }
}

/// The mean of the last values. In integers, so that it does not drift away.
struct Average {
    ring: Vec<u64>,
    at: usize,
    sum: u64,
}

/// Gains are in 0..=1; with 40 bits each, a sum of 2^24 of them still fits.
const ONE: f64 = (1u64 << 40) as f64;

impl Average {
    fn new(len: usize) -> Average {
        Average { ring: vec![ONE as u64; len], at: 0, sum: len as u64 * ONE as u64 }
    }

    fn next(&mut self, value: f64) -> f64 {
        let value = (value * ONE) as u64;
        self.sum = self.sum + value - self.ring[self.at];
        self.ring[self.at] = value;
        self.at = (self.at + 1) % self.ring.len();
        self.sum as f64 / (ONE * self.ring.len() as f64)
    }

    fn reset(&mut self) {
        self.ring.fill(ONE as u64);
        (self.at, self.sum) = (0, self.ring.len() as u64 * ONE as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Noise;

    const RATE: f64 = 44_100.0;

    fn loud_noise(num_samples: usize, gain: f64, seed: u64) -> [Vec<f32>; 2] {
        let mut noise = Noise(seed);
        [0, 1].map(|_| (0..num_samples).map(|_| (gain * noise.next().powi(3)) as f32).collect())
    }

    #[test]
    fn the_mix_never_exceeds_the_ceiling_and_reaches_it() {
        for (seed, config) in [
            LimiterConfig::default(),
            LimiterConfig { ceiling: 0.5, look_ahead_ms: 0.05, release_ms: 1.0 },
            LimiterConfig { ceiling: 0.9, look_ahead_ms: 10.0, release_ms: 300.0 },
        ]
        .into_iter()
        .enumerate()
        {
            let mut stems = [loud_noise(50_000, 3.0, seed as u64)];
            Limiter::new(config, RATE).limit(&mut stems);
            let peak = stems[0].iter().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
            assert!(peak <= config.ceiling * (1.0 + f32::EPSILON), "{config:?}: {peak}");
            assert!(peak > 0.9 * config.ceiling, "{config:?}: {peak}");
        }
    }

    #[test]
    fn quiet_music_passes_bit_for_bit() {
        let quiet = loud_noise(10_000, 0.97, 1);
        let mut stems = [quiet.clone()];
        Limiter::new(LimiterConfig::default(), RATE).limit(&mut stems);
        assert_eq!(stems[0], quiet);
    }

    #[test]
    fn a_peak_is_brought_down_at_its_own_sample_and_the_gain_has_no_corner() {
        let mut limiter = Limiter::new(LimiterConfig::default(), RATE);
        let latency = limiter.latency_samples();
        assert_eq!(latency, 132);
        let peak_at = 5000;
        let gains: Vec<f32> =
            (0..20_000).map(|i| limiter.next_gain(if i == peak_at { 3.92 } else { 0.0 }, 0.0)).collect();
        let lowest = gains.iter().copied().fold(1.0, f32::min);
        assert!((0.2499..=0.25).contains(&lowest), "{lowest}");
        let needed = f64::from(gains[peak_at + latency]);
        assert!((0.2499..=0.25).contains(&needed), "{needed}");
        assert!(gains[..peak_at].iter().all(|gain| *gain == 1.0), "nothing happens before the look-ahead");
        // A step of 0.75 over two averages of 67 samples: slopes of at most 0.75 / 67, changing by 0.75 / 67^2.
        let slopes: Vec<f32> = gains.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let steepest = slopes.iter().fold(0.0f32, |most, slope| most.max(slope.abs()));
        let bend = slopes.windows(2).fold(0.0f32, |most, pair| most.max((pair[1] - pair[0]).abs()));
        assert!(steepest < 0.75 / 66.0, "{steepest}");
        assert!(bend < 2.0 * 0.75 / (66.0 * 66.0), "{bend}");
    }

    #[test]
    fn stems_sum_to_the_limited_mix() {
        let stems = [0, 1, 2, 3].map(|seed| loud_noise(30_000, 0.8, seed));
        let sum = |stems: &[[Vec<f32>; 2]]| -> [Vec<f32>; 2] {
            [0, 1].map(|c| (0..30_000).map(|i| stems.iter().map(|stem| stem[c][i]).sum()).collect())
        };
        let mut mix = [sum(&stems)];
        let mut limited = stems.clone();
        let mut limiter = Limiter::new(LimiterConfig::default(), RATE);
        limiter.limit(&mut limited);
        limiter.limit(&mut mix);
        let limited_sum = sum(&limited);
        for (a, b) in limited_sum.iter().flatten().zip(mix[0].iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        assert_ne!(limited[0], stems[0], "the limiter had something to do");
    }

    #[test]
    fn reset_equals_new() {
        let noise = loud_noise(5000, 3.0, 9);
        let mut limiter = Limiter::new(LimiterConfig::default(), RATE);
        let gains = |limiter: &mut Limiter| -> Vec<f32> {
            noise[0].iter().zip(&noise[1]).map(|(l, r)| limiter.next_gain(*l, *r)).collect()
        };
        let first = gains(&mut limiter);
        limiter.reset();
        assert_eq!(gains(&mut limiter), first);
    }
}
