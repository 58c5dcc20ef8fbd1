//! A subtractive synthesizer whose settings are drawn at random: basses, pads, plucks and leads are all patches of it.

use crate::tone::{Noise, Stereo, note_hz, pan_gains};
use rand::Rng;
use rand::seq::IndexedRandom;
use std::f64::consts::TAU;

/// A note to be played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// When it begins, in s.
    pub start_s: f64,
    /// How long the key is held, in s.
    pub duration_s: f64,
    /// MIDI note; fractions are microtones.
    pub key: f64,
    /// 0..=1
    pub velocity: f64,
}

/// What an oscillator does in a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wave {
    /// Nothing but the fundamental.
    Sine,
    /// All harmonics.
    Saw,
    /// A rectangle that is up for this share of the period.
    Pulse(f64),
    /// A sine whose phase another one moves (J. Chowning, 1973).
    Fm {
        /// Frequency of the modulator against the carrier's.
        ratio: f64,
        /// Depth at the start of the note, in radians.
        index: f64,
        /// Time constant of the depth, in s.
        decay_s: f64,
    },
}

/// How a synthesizer is set.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Of every oscillator.
    pub wave: Wave,
    /// Oscillators per note.
    pub num_voices: usize,
    /// Distance of the outer oscillators, in semitones.
    pub detune: f64,
    /// 0: all in the middle; 1: from left to right.
    pub width: f64,
    /// Level of a sine at the note's own pitch.
    pub sub: f64,
    /// Resting place of the low-pass in octaves above the note; `None`: no filter.
    pub cutoff_octaves: Option<f64>,
    /// How many octaves a note's start lifts it, and the time constant with which it comes down, in s.
    pub sweep: (f64, f64),
    /// Resonance of the low-pass.
    pub q: f64,
    /// Time to full level, in s.
    pub attack_s: f64,
    /// Time constant towards `sustain`, in s.
    pub decay_s: f64,
    /// Level that a held note comes to rest at.
    pub sustain: f64,
    /// Time from the key's release to silence, in s.
    pub release_s: f64,
    /// Drive into a tanh; 0: clean.
    pub drive: f64,
    /// Semitones from which the pitch glides into the note, and the time constant, in s.
    pub glide: (f64, f64),
}

/// Samples between two moves of the filter.
const CONTROL_LEN: usize = 16;

impl Patch {
    /// A bass. Half of them are sub-basses with hardly anything above the fundamental; half are plucked.
    pub fn bass(rng: &mut impl Rng) -> Patch {
        let is_plucked = rng.random_bool(0.5);
        let is_sub = rng.random_bool(0.5);
        let wave = match rng.random_range(0..6) {
            _ if is_sub => Wave::Sine,
            0 => Wave::Pulse(rng.random_range(0.2..0.5)),
            1 | 2 => fm(rng, &[0.5, 1.0, 1.0, 2.0, 3.0], 4.0),
            _ => Wave::Saw,
        };
        let num_voices = if !is_sub && rng.random_bool(0.25) { 2 } else { 1 };
        Patch {
            wave,
            num_voices,
            detune: rng.random_range(0.05..0.3),
            width: if num_voices > 1 { rng.random_range(0.0..0.7) } else { 0.0 },
            sub: if is_sub { 0.0 } else { rng.random_range(0.0..1.2) },
            cutoff_octaves: (!is_sub).then(|| rng.random_range(0.3..4.0)),
            sweep: (rng.random_range(0.0..3.5), rng.random_range(0.03..0.3)),
            q: rng.random_range(0.6..4.0),
            attack_s: if rng.random_bool(0.8) { rng.random_range(0.001..0.012) } else { rng.random_range(0.01..0.08) },
            decay_s: if is_plucked { rng.random_range(0.05..0.4) } else { rng.random_range(0.3..3.0) },
            sustain: if is_plucked { rng.random_range(0.0..0.25) } else { rng.random_range(0.6..1.0) },
            release_s: rng.random_range(0.01..0.15),
            drive: if rng.random_bool(0.5) { rng.random_range(0.5..5.0) } else { 0.0 },
            glide: match rng.random_range(0..10) {
                0 => (rng.random_range(-7.0..7.0), rng.random_range(0.03..0.1)),
                1 | 2 => (rng.random_range(2.0..14.0), rng.random_range(0.008..0.03)),
                _ => (0.0, 0.01),
            },
        }
    }

    /// A chord that lies under the music.
    pub fn pad(rng: &mut impl Rng) -> Patch {
        Patch {
            wave: tonal_wave(rng),
            num_voices: rng.random_range(2..5),
            detune: rng.random_range(0.04..0.35),
            width: rng.random_range(0.3..1.0),
            sub: rng.random_range(0.0..0.4),
            cutoff_octaves: Some(rng.random_range(0.8..4.0)),
            sweep: (rng.random_range(-1.0..2.0), rng.random_range(0.3..2.0)),
            q: rng.random_range(0.5..2.0),
            attack_s: rng.random_range(0.02..0.6),
            decay_s: rng.random_range(0.5..3.0),
            sustain: rng.random_range(0.5..1.0),
            release_s: rng.random_range(0.1..0.8),
            drive: 0.0,
            glide: (0.0, 0.01),
        }
    }

    /// Something that is struck or plucked, and fades.
    pub fn pluck(rng: &mut impl Rng) -> Patch {
        Patch {
            wave: tonal_wave(rng),
            num_voices: rng.random_range(1..4),
            detune: rng.random_range(0.02..0.25),
            width: rng.random_range(0.0..0.9),
            sub: rng.random_range(0.0..0.6),
            cutoff_octaves: Some(rng.random_range(0.3..4.0)),
            sweep: (rng.random_range(0.5..4.0), rng.random_range(0.03..0.4)),
            q: rng.random_range(0.6..4.0),
            attack_s: rng.random_range(0.001..0.01),
            decay_s: rng.random_range(0.08..0.7),
            sustain: if rng.random_bool(0.7) { 0.0 } else { rng.random_range(0.0..0.4) },
            release_s: rng.random_range(0.03..0.4),
            drive: if rng.random_bool(0.2) { rng.random_range(0.5..3.0) } else { 0.0 },
            glide: (0.0, 0.01),
        }
    }

    /// A melody above the chords.
    pub fn lead(rng: &mut impl Rng) -> Patch {
        Patch {
            attack_s: rng.random_range(0.003..0.06),
            decay_s: rng.random_range(0.2..2.0),
            sustain: rng.random_range(0.4..1.0),
            glide: if rng.random_bool(0.4) { (rng.random_range(-3.0..3.0), 0.04) } else { (0.0, 0.01) },
            ..Patch::pluck(rng)
        }
    }

    /// Adds the notes to `out`, each with this level at full velocity; they begin where the oscillators happen to be.
    pub fn play(&self, out: &mut Stereo, rate: f64, notes: &[Note], level: f64, noise: &mut Noise) {
        for note in notes {
            self.play_note(out, rate, note, level, noise);
        }
    }

    fn play_note(&self, out: &mut Stereo, rate: f64, note: &Note, level: f64, noise: &mut Noise) {
        let start = (note.start_s.max(0.0) * rate).round() as usize;
        let duration_s = note.duration_s + self.release_s;
        let end = (start + (duration_s * rate) as usize).min(out[0].len());
        let num_voices = self.num_voices.max(1);
        let spread = |voice_idx: usize| match num_voices {
            1 => 0.0,
            n => 2.0 * voice_idx as f64 / (n - 1) as f64 - 1.0,
        };
        let ratios: Vec<f64> = (0..num_voices).map(|v| (self.detune * spread(v) / 12.0).exp2()).collect();
        let gains: Vec<[f64; 2]> = (0..num_voices).map(|v| pan_gains(self.width * spread(v))).collect();
        // One sine starts at zero, as a plucked bass does; many voices start anywhere.
        let mut phases: Vec<f64> =
            (0..num_voices).map(|_| if num_voices > 1 { 0.5 + 0.5 * noise.next() } else { 0.0 }).collect();
        let is_mono = self.width == 0.0 || num_voices == 1;
        let mut filters = [LowPass::default(), LowPass::default()];
        let (mut sub_phase, mut step, mut modulation) = (0.0f64, 0.0, 0.0);
        let level = level * note.velocity / (num_voices as f64).sqrt();
        let drive_gain = if self.drive > 0.0 { 1.0 / (1.0 + self.drive).tanh() } else { 1.0 };
        for (n, sample_idx) in (start..end).enumerate() {
            let t = n as f64 / rate;
            if n % CONTROL_LEN == 0 {
                let hz = note_hz(note.key + self.glide.0 * (-t / self.glide.1).exp());
                step = hz / rate;
                if let Wave::Fm { index, decay_s, .. } = self.wave {
                    modulation = index * (0.15 + 0.85 * (-t / decay_s).exp());
                }
                if let Some(octaves) = self.cutoff_octaves {
                    let swept = octaves + self.sweep.0 * note.velocity * (-t / self.sweep.1).exp();
                    filters.iter_mut().for_each(|filter| filter.tune(hz * swept.exp2(), self.q, rate));
                }
            }
            let mut sound = [0.0; 2];
            for ((phase, ratio), gain) in phases.iter_mut().zip(&ratios).zip(&gains) {
                let step = step * ratio;
                let x = self.wave.value(*phase, step, modulation);
                *phase += step;
                *phase -= phase.floor();
                sound[0] += gain[0] * x;
                sound[1] += gain[1] * x;
            }
            if self.sub > 0.0 {
                let x = self.sub * (TAU * sub_phase).sin();
                sub_phase = (sub_phase + step).fract();
                sound.iter_mut().for_each(|channel| *channel += x);
            }
            if self.cutoff_octaves.is_some() {
                sound[0] = filters[0].filter(sound[0]);
                sound[1] = if is_mono { sound[0] } else { filters[1].filter(sound[1]) };
            }
            let envelope = self.envelope(t, duration_s);
            for (channel, x) in out.iter_mut().zip(sound) {
                let mut x = x * envelope;
                if self.drive > 0.0 {
                    x = drive_gain * ((1.0 + self.drive) * x).tanh();
                }
                channel[sample_idx] += (level * x) as f32;
            }
        }
    }

    /// Level at `t` s into a note that has died away after `duration_s`.
    fn envelope(&self, t: f64, duration_s: f64) -> f64 {
        let held = self.sustain + (1.0 - self.sustain) * (-t / self.decay_s).exp();
        let attack = (t / self.attack_s).min(1.0);
        let release = ((duration_s - t) / self.release_s).clamp(0.0, 1.0);
        attack * held * release * release
    }
}

fn fm(rng: &mut impl Rng, ratios: &[f64], max_index: f64) -> Wave {
    let ratio = *ratios.choose(rng).unwrap_or(&1.0);
    Wave::Fm { ratio, index: rng.random_range(0.3..max_index), decay_s: rng.random_range(0.05..0.8) }
}

fn tonal_wave(rng: &mut impl Rng) -> Wave {
    match rng.random_range(0..8) {
        0 => Wave::Sine,
        1 | 2 => Wave::Pulse(rng.random_range(0.1..0.5)),
        3 | 4 => fm(rng, &[1.0, 1.0, 2.0, 3.0, 4.0, 7.0, 1.41], 3.0),
        _ => Wave::Saw,
    }
}

impl Wave {
    /// The value at `phase` 0..1 of a wave that moves on by `step` per sample; corners are rounded off over a sample
    /// on either side ("polyBLEP": V. Välimäki and A. Huovilainen, 2007), so that little folds back.
    fn value(self, phase: f64, step: f64, modulation: f64) -> f64 {
        match self {
            Wave::Sine => (TAU * phase).sin(),
            Wave::Saw => 2.0 * phase - 1.0 - blep(phase, step),
            Wave::Pulse(up) => {
                let square = if phase < up { 1.0 } else { -1.0 };
                square + blep(phase, step) - blep((phase + 1.0 - up).fract(), step) + (1.0 - 2.0 * up)
            }
            Wave::Fm { ratio, .. } => (TAU * phase + modulation * (TAU * ratio * phase).sin()).sin(),
        }
    }
}

fn blep(phase: f64, step: f64) -> f64 {
    if phase < step {
        let x = phase / step;
        2.0 * x - x * x - 1.0
    } else if phase > 1.0 - step {
        let x = (phase - 1.0) / step;
        x * x + 2.0 * x + 1.0
    } else {
        0.0
    }
}

/// A state variable filter that may move fast (A. Simper, "Linear trapezoidal integrated SVF", 2013).
#[derive(Default)]
struct LowPass {
    a: [f64; 3],
    state: [f64; 2],
}

impl LowPass {
    fn tune(&mut self, hz: f64, q: f64, rate: f64) {
        let g = (std::f64::consts::PI * hz.clamp(20.0, 0.42 * rate) / rate).tan();
        let a1 = 1.0 / (1.0 + g * (g + 1.0 / q));
        self.a = [a1, g * a1, g * g * a1];
    }

    fn filter(&mut self, x: f64) -> f64 {
        let [a1, a2, a3] = self.a;
        let v3 = x - self.state[1];
        let v1 = a1 * self.state[0] + a2 * v3;
        let v2 = self.state[1] + a2 * self.state[0] + a3 * v3;
        self.state = [2.0 * v1 - self.state[0], 2.0 * v2 - self.state[1]];
        v2
    }
}
