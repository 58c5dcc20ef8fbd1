//! A plucked synthetic bass on the roots of the chords.

use super::score::{NUM_BARS, beat_s, root};
use super::{add_tone, note_hz, silence};
use std::f64::consts::TAU;
use synth::Biquad;

/// (beat, length in beats, semitones above the root) within a bar.
const PATTERN: [(f64, f64, f64); 6] =
    [(0.0, 0.9, 0.0), (1.0, 0.4, 0.0), (1.5, 0.9, 12.0), (2.5, 0.4, 0.0), (3.0, 0.45, 7.0), (3.5, 0.45, 12.0)];

pub fn play(rate: f64) -> [Vec<f32>; 2] {
    let mut out = silence(rate);
    for bar in 0..NUM_BARS {
        for (beat, num_beats, interval) in PATTERN {
            pluck(&mut out, rate, beat_s(4.0 * bar as f64 + beat), beat_s(num_beats), note_hz(root(bar) + interval));
        }
    }
    pluck(&mut out, rate, beat_s(4.0 * NUM_BARS as f64), 1.1, note_hz(root(NUM_BARS)));
    out
}

fn pluck(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, duration_s: f64, hz: f64) {
    let mut filter = Biquad::low_pass(1000.0, 1.2, rate);
    add_tone(out, rate, start_s, duration_s + 0.06, 0.0, |t| {
        // A saw from its harmonics, so that nothing folds back.
        let num_harmonics = (4000.0 / hz) as usize;
        let saw: f64 = (1..=num_harmonics).map(|k| (TAU * hz * k as f64 * t).sin() / k as f64).sum();
        filter.retune(Biquad::low_pass(180.0 + 1300.0 * (-t / 0.12).exp(), 1.2, rate));
        let attack = (t / 0.004).min(1.0);
        let release = ((duration_s + 0.06 - t) / 0.06).clamp(0.0, 1.0);
        let sound = 0.5 * filter.filter(saw) + 0.45 * (TAU * hz * t).sin();
        0.55 * attack * release * (0.35 + 0.65 * (-t / 0.5).exp()) * sound
    });
}
