//! What every synthesized sound is made with: tones put into a stereo buffer, noise, pitches.

use std::f64::consts::FRAC_PI_4;

pub use base::Stereo;

/// Zeros.
pub fn silence(num_samples: usize) -> Stereo {
    [vec![0.0; num_samples], vec![0.0; num_samples]]
}

/// Gains of left and right for a place between left (-1) and right (+1). Equal power: their squares add up to one.
pub fn pan_gains(pan: f64) -> [f64; 2] {
    let angle = (pan.clamp(-1.0, 1.0) + 1.0) * FRAC_PI_4;
    [angle.cos(), angle.sin()]
}

/// Adds a tone to `out` from `start_s` on: `tone` gives the sample at a time after the start, in s, and `pan` says where
/// it stands between left (-1) and right (+1).
pub fn add_tone(
    out: &mut Stereo,
    rate: f64,
    start_s: f64,
    duration_s: f64,
    pan: f64,
    mut tone: impl FnMut(f64) -> f64,
) {
    let start = (start_s * rate).round() as usize;
    let end = (start + (duration_s * rate) as usize).min(out[0].len());
    let gains = pan_gains(pan);
    for sample_idx in start..end {
        let value = tone((sample_idx - start) as f64 / rate);
        for (channel, gain) in out.iter_mut().zip(gains) {
            channel[sample_idx] += (value * gain) as f32;
        }
    }
}

/// Adds a finished sound to `out`, from sample `start` on, `gain` times; what does not fit is cut off.
pub fn add_sound(out: &mut Stereo, sound: &Stereo, start: usize, gain: f32) {
    for (out, sound) in out.iter_mut().zip(sound) {
        let start = start.min(out.len());
        out[start..].iter_mut().zip(sound).for_each(|(out, x)| *out += gain * x);
    }
}

/// Noise, the same on every run (SplitMix64 by Sebastiano Vigna, public domain).
pub struct Noise(pub u64);

impl Noise {
    /// The next value in -1..1.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and an Option would be in the way")]
    pub fn next(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The frequency of a MIDI note in Hz.
pub fn note_hz(note: f64) -> f64 {
    440.0 * ((note - 69.0) / 12.0).exp2()
}
