//! An electric piano (two-operator FM) with broken chords, over a soft pad.

use super::score::{NUM_BARS, beat_s, chord};
use super::{add_tone, note_hz, silence};
use std::f64::consts::TAU;
use synth::add_reverb;

/// Which note of the chord falls on each eighth of a bar.
const ARPEGGIO: [usize; 8] = [0, 2, 1, 3, 2, 0, 3, 1];

pub fn play(rate: f64) -> [Vec<f32>; 2] {
    let mut out = silence(rate);
    for bar in 0..=NUM_BARS {
        let first = 4.0 * bar as f64;
        let notes = chord(bar);
        for (note_idx, note) in notes.iter().enumerate() {
            let pan = 0.6 * (note_idx as f64 / 1.5 - 1.0);
            pad(&mut out, rate, beat_s(first), beat_s(4.0), note_hz(*note), pan);
            if bar == NUM_BARS {
                piano(&mut out, rate, beat_s(first), note_hz(*note + 12.0), pan);
            }
        }
        if bar < NUM_BARS {
            for (eighth, note_idx) in ARPEGGIO.into_iter().enumerate() {
                let pan = if eighth % 2 == 0 { -0.45 } else { 0.45 };
                piano(&mut out, rate, beat_s(first + 0.5 * eighth as f64), note_hz(notes[note_idx] + 12.0), pan);
            }
        }
    }
    add_reverb(&mut out, rate, 0.25);
    out
}

fn piano(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, hz: f64, pan: f64) {
    add_tone(out, rate, start_s, 1.4, pan, |t| {
        let bell = 1.6 * (-t / 0.18).exp() * (TAU * 7.0 * hz * t).sin() * 0.12;
        let warmth = 1.1 * (-t / 0.6).exp() * (TAU * hz * t).sin();
        0.12 * (t / 0.003).min(1.0) * (-t / 0.38).exp() * (TAU * hz * t + warmth + bell).sin()
    });
}

fn pad(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, duration_s: f64, hz: f64, pan: f64) {
    for detune in [-0.06, 0.05] {
        let hz = hz * (detune / 12.0f64).exp2();
        add_tone(out, rate, start_s, duration_s + 0.3, pan, |t| {
            let envelope = (t / 0.25).min(1.0) * ((duration_s + 0.3 - t) / 0.3).clamp(0.0, 1.0);
            let sound: f64 = (1..=6).map(|k| (TAU * hz * f64::from(k) * t).sin() / f64::from(k * k)).sum();
            0.03 * envelope * sound
        });
    }
}
