//! The lead: a glottal pulse train through the resonances of a vocal tract, which glide from vowel to vowel.

use crate::Biquad;
use crate::tone::{Noise, add_tone, note_hz};
use std::f64::consts::TAU;

/// The first four resonances of a vowel: centre in Hz, gain in dB, bandwidth in Hz. After the tables for an alto in
/// the Csound manual (appendix "Formant Values").
type Vowel = [(f64, f64, f64); 4];

const VOWELS: [Vowel; 5] = [
    [(800.0, 0.0, 80.0), (1150.0, -4.0, 90.0), (2800.0, -20.0, 120.0), (3500.0, -30.0, 130.0)],
    [(400.0, 0.0, 60.0), (1600.0, -14.0, 80.0), (2700.0, -20.0, 120.0), (3300.0, -28.0, 150.0)],
    [(350.0, 0.0, 50.0), (1700.0, -16.0, 100.0), (2700.0, -24.0, 120.0), (3700.0, -30.0, 150.0)],
    [(450.0, 0.0, 70.0), (800.0, -9.0, 80.0), (2830.0, -16.0, 100.0), (3500.0, -28.0, 130.0)],
    [(325.0, 0.0, 50.0), (700.0, -12.0, 60.0), (2530.0, -26.0, 170.0), (3500.0, -36.0, 180.0)],
];

/// Number of vowels that [`Syllable::vowel`] may name: a, e, i, o, u.
pub const NUM_VOWELS: usize = VOWELS.len();

/// A note that is sung.
#[derive(Clone, Copy, Debug)]
pub struct Syllable {
    /// When it begins, in s.
    pub start_s: f64,
    /// How long it lasts, in s.
    pub duration_s: f64,
    /// MIDI note.
    pub note: f64,
    /// a, e, i, o, u: 0 to 4.
    pub vowel: usize,
}

/// Adds the syllables to `out`, `[channel][sample]`; `seed` decides about breath and wavering.
///
/// # Panics
/// If a syllable has a vowel that is not there.
pub fn sing(out: &mut [Vec<f32>; 2], rate: f64, syllables: &[Syllable], seed: u64) {
    let mut noise = Noise(seed);
    let mut previous: Option<(f64, usize)> = None;
    for syllable in syllables {
        let (note, vowel) = previous.unwrap_or((syllable.note - 2.0, syllable.vowel));
        consonant(out, rate, syllable.start_s, &mut noise);
        let glide = Glide { notes: [note, syllable.note], vowels: [VOWELS[vowel], VOWELS[syllable.vowel]] };
        sing_syllable(out, rate, syllable.start_s, syllable.duration_s, &glide, &mut noise);
        previous = Some((syllable.note, syllable.vowel));
    }
}

/// From where to where a syllable moves.
struct Glide {
    notes: [f64; 2],
    vowels: [Vowel; 2],
}

fn sing_syllable(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, duration_s: f64, glide: &Glide, noise: &mut Noise) {
    let mut tract = [0, 1, 2, 3].map(|formant_idx| resonance(glide.vowels[0][formant_idx], rate));
    let mut gains = [0.0; 4];
    let mut phase = 0.0;
    let mut drift = 0.0;
    let mut sample_idx = 0usize;
    add_tone(out, rate, start_s, duration_s + 0.03, 0.0, |t| {
        // The tract moves every 32 samples, within the first 90 ms; the pitch arrives after 60 ms.
        if sample_idx.is_multiple_of(32) {
            let way = smooth_step(t / 0.09);
            for (formant_idx, filter) in tract.iter_mut().enumerate() {
                let (from, to) = (glide.vowels[0][formant_idx], glide.vowels[1][formant_idx]);
                let between = |a: f64, b: f64| a + way * (b - a);
                let formant = (between(from.0, to.0), between(from.1, to.1), between(from.2, to.2));
                filter.retune(resonance(formant, rate));
                gains[formant_idx] = 10f64.powf(formant.1 / 20.0);
            }
            drift = 0.995 * drift + 0.01 * noise.next();
        }
        sample_idx += 1;
        let vibrato = 0.25 * smooth_step((t - 0.25) / 0.3) * (TAU * 5.4 * t).sin();
        let note = glide.notes[0] + smooth_step(t / 0.06) * (glide.notes[1] - glide.notes[0]) + vibrato + drift;
        phase = (phase + note_hz(note) / rate).fract();
        let source = glottal_flow(phase) + 0.02 * noise.next();
        let sound: f64 = tract.iter_mut().zip(gains).map(|(filter, gain)| gain * filter.filter(source)).sum();
        let attack = smooth_step(t / 0.04);
        let release = smooth_step((duration_s + 0.03 - t) / 0.08);
        0.8 * attack * release * sound
    });
}

fn resonance((hz, _, bandwidth_hz): (f64, f64, f64), rate: f64) -> Biquad {
    Biquad::band_pass(hz, hz / bandwidth_hz, rate)
}

/// The slope of the air flow through the glottis over one period, 0..1 (A. E. Rosenberg, "Effect of glottal pulse
/// shape on the quality of natural vowels", 1971, pulse C): it opens over 40 % of the period and closes over 16 %.
fn glottal_flow(phase: f64) -> f64 {
    const OPENING: f64 = 0.4;
    const CLOSING: f64 = 0.16;
    if phase < OPENING {
        0.5 * (TAU * phase / (2.0 * OPENING)).sin()
    } else if phase < OPENING + CLOSING {
        -(0.5 * OPENING / CLOSING) * (TAU * (phase - OPENING) / (4.0 * CLOSING)).sin()
    } else {
        0.0
    }
}

/// A breath of noise before the vowel.
fn consonant(out: &mut [Vec<f32>; 2], rate: f64, start_s: f64, noise: &mut Noise) {
    let mut filter = Biquad::band_pass(5500.0, 1.0, rate);
    add_tone(out, rate, start_s, 0.06, 0.0, |t| {
        0.12 * (t / 0.008).min(1.0) * (-t / 0.015).exp() * filter.filter(noise.next())
    });
}

/// From 0 to 1 without corners.
fn smooth_step(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}
