//! A drum machine whose sounds are drawn at random. Each sound is made once per song and then placed.

use crate::Biquad;
use crate::tone::{Noise, Stereo, add_tone, silence};
use rand::Rng;
use std::f64::consts::TAU;

/// The parts of a kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bass drum.
    Kick,
    /// Snare drum.
    Snare,
    /// Hand clap.
    Clap,
    /// Hi-hat, closed.
    Closed,
    /// Hi-hat, open.
    Open,
    /// Crash cymbal.
    Crash,
    /// Tom; also congas, blocks and other tuned drums.
    Tom,
    /// Shaker.
    Shaker,
}

/// Number of [`Piece`]s.
const NUM_PIECES: usize = 8;
/// Takes of every piece, so that no two strokes in a row need be the same.
const NUM_TAKES: usize = 3;

/// The sounds of a drum machine.
pub struct Kit {
    /// `[piece][take]`
    sounds: Vec<Vec<Stereo>>,
}

impl Kit {
    /// Makes all sounds of a kit at random.
    pub fn random(rng: &mut impl Rng, rate: f64) -> Kit {
        let mut noise = Noise(rng.random());
        let mut takes = |make: &mut dyn FnMut(&mut Noise) -> Stereo| -> Vec<Stereo> {
            (0..NUM_TAKES).map(|_| make(&mut noise)).collect()
        };
        let kick = Kick::random(rng);
        let (snare, hat, tom) = (Snare::random(rng), Hat::random(rng), Kick::tom(rng));
        let clap_hz = rng.random_range(900.0..2200.0);
        let (clap_s, crash_s, shaker_s) =
            (rng.random_range(0.05..0.25), rng.random_range(0.3..1.0), rng.random_range(0.015..0.06));
        let (crash_hz, shaker_hz) = (rng.random_range(2500.0..6000.0), rng.random_range(3500.0..9000.0));
        let tom_pan = rng.random_range(-0.6..0.6);
        let sounds = vec![
            takes(&mut |noise| kick.make(rate, 0.0, noise)),
            takes(&mut |noise| snare.make(rate, noise)),
            takes(&mut |noise| clap(rate, clap_hz, clap_s, noise)),
            takes(&mut |noise| hat.make(rate, false, noise)),
            takes(&mut |noise| hat.make(rate, true, noise)),
            takes(&mut |noise| hiss(rate, crash_hz, crash_s, 0.3, -0.4, 0.2, noise)),
            takes(&mut |noise| tom.make(rate, tom_pan, noise)),
            takes(&mut |noise| hiss(rate, shaker_hz, shaker_s, 0.2, 0.5, 0.0, noise)),
        ];
        debug_assert_eq!(sounds.len(), NUM_PIECES);
        Kit { sounds }
    }

    /// A stroke of `piece`; `take` may be any number.
    pub fn sound(&self, piece: Piece, take: usize) -> &Stereo {
        let takes = &self.sounds[piece as usize];
        &takes[take % takes.len()]
    }
}

/// A sine that falls from high to low: kick drums, toms, congas.
pub struct Kick {
    hz: f64,
    /// Factor on the frequency at the start, and the time constant with which it falls, in s.
    sweep: (f64, f64),
    decay_s: f64,
    click: (f64, f64),
    drive: f64,
    noise: f64,
}

impl Kick {
    /// A kick drum between 35 and 90 Hz: short or booming, clean or driven, with or without a click.
    pub fn random(rng: &mut impl Rng) -> Kick {
        Kick {
            hz: 35.0 * (90.0f64 / 35.0).powf(rng.random()),
            sweep: (rng.random_range(1.5..9.0), rng.random_range(0.006..0.06)),
            decay_s: if rng.random_bool(0.25) { rng.random_range(0.25..0.7) } else { rng.random_range(0.06..0.25) },
            click: (rng.random_range(0.0..0.5), rng.random_range(1200.0..5000.0)),
            drive: if rng.random_bool(0.5) { rng.random_range(0.3..4.0) } else { 0.0 },
            noise: if rng.random_bool(0.4) { rng.random_range(0.0..0.4) } else { 0.0 },
        }
    }

    fn tom(rng: &mut impl Rng) -> Kick {
        Kick {
            hz: rng.random_range(80.0..500.0),
            sweep: (rng.random_range(1.0..2.0), rng.random_range(0.01..0.08)),
            decay_s: rng.random_range(0.03..0.25),
            click: (rng.random_range(0.0..0.3), rng.random_range(1000.0..4000.0)),
            drive: 0.0,
            noise: rng.random_range(0.0..0.3),
        }
    }

    fn make(&self, rate: f64, pan: f64, noise: &mut Noise) -> Stereo {
        let duration_s = 0.02 + 7.0 * self.decay_s;
        let mut out = silence((duration_s * rate) as usize);
        let mut filter = Biquad::band_pass(self.click.1, 0.7, rate);
        add_tone(&mut out, rate, 0.0, duration_s, pan, |t| {
            // The phase is the integral of the falling frequency.
            let (factor, fall_s) = self.sweep;
            let phase = self.hz * (t + (factor - 1.0) * fall_s * (1.0 - (-t / fall_s).exp()));
            let mut body = (-t / self.decay_s).exp() * (TAU * phase).sin();
            if self.drive > 0.0 {
                body = ((1.0 + self.drive) * body).tanh() / (1.0 + self.drive).tanh();
            }
            let beater = (-t / 0.012).exp() * self.noise * filter.filter(noise.next());
            let end = ((duration_s - t) / 0.01).min(1.0);
            end * (body + beater + self.click.0 * (-t / 0.002).exp() * (TAU * self.click.1 * t).sin())
        });
        out
    }
}

struct Snare {
    hz: f64,
    skin: f64,
    rattle_s: f64,
    centre_hz: f64,
    bright: f64,
}

impl Snare {
    fn random(rng: &mut impl Rng) -> Snare {
        Snare {
            hz: rng.random_range(140.0..260.0),
            skin: rng.random_range(0.1..0.9),
            rattle_s: rng.random_range(0.03..0.22),
            centre_hz: rng.random_range(1200.0..3500.0),
            bright: rng.random_range(0.2..1.0),
        }
    }

    fn make(&self, rate: f64, noise: &mut Noise) -> Stereo {
        let duration_s = 0.05 + 6.0 * self.rattle_s;
        let mut out = silence((duration_s * rate) as usize);
        let mut body = Biquad::band_pass(self.centre_hz, 0.5, rate);
        let mut wires = Biquad::high_pass(3000.0, 0.7, rate);
        add_tone(&mut out, rate, 0.0, duration_s, 0.05, |t| {
            let hiss = noise.next();
            let fall = 1.0 + 0.5 * (-t / 0.015).exp();
            let skin = (-t / 0.06).exp() * ((TAU * self.hz * fall * t).sin() + 0.5 * (TAU * 1.78 * self.hz * t).sin());
            let rattle = (-t / self.rattle_s).exp() * (body.filter(hiss) + self.bright * 0.5 * wires.filter(hiss));
            self.skin * 0.6 * skin + 0.7 * rattle
        });
        out
    }
}

struct Hat {
    hz: f64,
    closed_s: f64,
    open_s: f64,
    metal: f64,
    pan: f64,
}

impl Hat {
    fn random(rng: &mut impl Rng) -> Hat {
        Hat {
            hz: rng.random_range(5000.0..9500.0),
            closed_s: rng.random_range(0.012..0.06),
            open_s: rng.random_range(0.08..0.3),
            metal: rng.random_range(0.0..0.9),
            pan: rng.random_range(-0.5..0.5),
        }
    }

    fn make(&self, rate: f64, is_open: bool, noise: &mut Noise) -> Stereo {
        hiss(rate, self.hz, if is_open { self.open_s } else { self.closed_s }, 0.3, self.pan, self.metal, noise)
    }
}

/// Noise and ringing metal above `hz`, dying away.
fn hiss(rate: f64, hz: f64, decay_s: f64, level: f64, pan: f64, metal_share: f64, noise: &mut Noise) -> Stereo {
    let duration_s = 6.0 * decay_s;
    let mut out = silence((duration_s * rate) as usize);
    let mut filter = Biquad::high_pass(hz, 0.9, rate);
    add_tone(&mut out, rate, 0.0, duration_s, pan, |t| {
        let x = (1.0 - metal_share) * noise.next() + metal_share * metal(t);
        level * (-t / decay_s).exp() * filter.filter(x)
    });
    out
}

/// Three short bursts, then the room.
fn clap(rate: f64, hz: f64, decay_s: f64, noise: &mut Noise) -> Stereo {
    let duration_s = 0.04 + 6.0 * decay_s;
    let mut out = silence((duration_s * rate) as usize);
    let mut filter = Biquad::band_pass(hz, 0.8, rate);
    add_tone(&mut out, rate, 0.0, duration_s, -0.05, |t| {
        let burst = |start_s: f64, fall_s: f64| if t < start_s { 0.0 } else { (-(t - start_s) / fall_s).exp() };
        let envelope = burst(0.0, 0.003) + burst(0.011, 0.003) + burst(0.022, decay_s);
        0.9 * envelope * filter.filter(noise.next())
    });
    out
}

/// Squares whose frequencies share no fundamental: the ring of cymbals.
fn metal(t: f64) -> f64 {
    [2133.0, 3177.0, 4201.0, 5417.0].iter().map(|hz| if (hz * t).fract() < 0.5 { 1.0 } else { -1.0 }).sum::<f64>() / 4.0
}
