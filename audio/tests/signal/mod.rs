//! The signal that the fixtures were encoded from.

/// Two gliding tones per channel, different left and right, below 6 kHz, full scale 0.5: every offset of a sample shows.
/// `[channel_idx][sample_idx]`
pub fn fixture_signal(num_samples: usize, sample_rate_hz: u32) -> [Vec<f32>; 2] {
    [(310.0, 3100.0), (470.0, 2300.0)].map(|(low_hz, high_hz)| {
        (0..num_samples)
            .map(|i| {
                let t = i as f64 / f64::from(sample_rate_hz);
                let glide = |hz: f64| (std::f64::consts::TAU * hz * (t + 0.4 * t * t)).sin();
                (0.3 * glide(low_hz) + 0.2 * glide(high_hz)) as f32
            })
            .collect()
    })
}
