//! Kick, snare, hi-hat and a crash.

use super::score::{NUM_BARS, beat_s};
use super::{Noise, add_tone, silence};
use std::f64::consts::TAU;
use synth::Biquad;

pub fn play(rate: f64) -> [Vec<f32>; 2] {
    let mut out = silence(rate);
    let mut noise = Noise(1);
    for bar in 0..NUM_BARS {
        let first = 4.0 * bar as f64;
        let is_fill = bar % 4 == 3;
        for beat in [0.0, 2.0, 2.5] {
            kick(&mut out, rate, beat_s(first + beat));
        }
        for beat in [1.0, 3.0] {
            snare(&mut out, rate, beat_s(first + beat), 1.0, &mut noise);
        }
        if is_fill {
            for (beat, level) in [(3.25, 0.5), (3.5, 0.7), (3.75, 0.9)] {
                snare(&mut out, rate, beat_s(first + beat), level, &mut noise);
            }
        }
        for eighth in 0..8 {
            let is_open = eighth == 7 && !is_fill;
            let level = if eighth % 2 == 0 { 0.9 } else { 0.6 };
            hat(&mut out, rate, beat_s(first + 0.5 * f64::from(eighth)), level, is_open, &mut noise);
        }
        if bar % 4 == 0 {
            crash(&mut out, rate, beat_s(first), &mut noise);
        }
    }
    let last = beat_s(4.0 * NUM_BARS as f64);
    kick(&mut out, rate, last);
    crash(&mut out, rate, last, &mut noise);
    out
}

fn kick(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64) {
    add_tone(out, rate, start_s, 0.4, 0.0, |t| {
        // 48 Hz, fallen to from 168 Hz: the phase is the integral of that sweep.
        let phase = 48.0 * t + 120.0 * 0.03 * (1.0 - (-t / 0.03).exp());
        let click = (-t / 0.002).exp() * (TAU * 2500.0 * t).sin();
        1.1 * (-t / 0.11).exp() * (TAU * phase).sin() + 0.25 * click
    });
}

fn snare(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, level: f64, noise: &mut Noise) {
    let mut body = Biquad::band_pass(1800.0, 0.5, rate);
    let mut wires = Biquad::high_pass(3000.0, 0.7, rate);
    add_tone(out, rate, start_s, 0.35, 0.1, |t| {
        let hiss = noise.next();
        let skin = (-t / 0.05).exp() * ((TAU * 186.0 * t).sin() + 0.5 * (TAU * 331.0 * t).sin());
        let rattle = (-t / 0.075).exp() * (1.2 * body.filter(hiss) + 0.5 * wires.filter(hiss));
        level * (0.45 * skin + 0.6 * rattle)
    });
}

fn hat(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, level: f64, is_open: bool, noise: &mut Noise) {
    let mut filter = Biquad::high_pass(7500.0, 0.9, rate);
    let decay_s = if is_open { 0.16 } else { 0.03 };
    add_tone(out, rate, start_s, 6.0 * decay_s, 0.35, |t| {
        0.3 * level * (-t / decay_s).exp() * filter.filter(0.6 * noise.next() + 0.4 * metal(t))
    });
}

fn crash(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, noise: &mut Noise) {
    let mut filter = Biquad::high_pass(4000.0, 0.7, rate);
    add_tone(out, rate, start_s, 2.5, -0.4, |t| {
        0.28 * (-t / 0.5).exp() * filter.filter(0.8 * noise.next() + 0.2 * metal(t))
    });
}

/// Squares whose frequencies share no fundamental: the ring of cymbals.
fn metal(t: f64) -> f64 {
    [2133.0, 3177.0, 4201.0, 5417.0].iter().map(|hz| (TAU * hz * t).sin().signum()).sum::<f64>() / 4.0
}
