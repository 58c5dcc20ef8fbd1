//! What a bass guitar goes through: compressor, amplifier and cabinet, or the desk's input alone.

use crate::Biquad;
use crate::mastering::compress;
use crate::measure::active_power;
use crate::tone::Stereo;
use rand::Rng;

/// Settings of the rig.
#[derive(Clone, Copy, Debug)]
pub struct Amp {
    /// 0: none, towards 1: everything equally loud.
    compression: f64,
    /// Level in dB at which the stem meets the amplifier's limits; `None`: no amplifier.
    drive_db: Option<f64>,
    /// Share of the dry sound beside it.
    dry: f32,
    /// Cut-off of the loudspeaker in Hz.
    cabinet_hz: f64,
    /// Its resonance: frequency in Hz, and gain in dB.
    bump: (f64, f64),
    /// Bass and treble in dB.
    tone_db: (f64, f64),
}

impl Amp {
    /// Draws a rig: every third is none.
    pub fn random(rng: &mut impl Rng) -> Amp {
        let has_amp = rng.random_bool(0.65);
        let drive_db = rng.random_range(-12.0..8.0);
        Amp {
            compression: if rng.random_bool(0.7) { rng.random_range(0.3..0.85) } else { 0.0 },
            drive_db: has_amp.then_some(drive_db),
            dry: if rng.random_bool(0.4) { rng.random_range(0.1..0.6) } else { 0.0 },
            cabinet_hz: rng.random_range(1800.0..5500.0),
            bump: (rng.random_range(70.0..130.0), rng.random_range(0.0..5.0)),
            tone_db: (rng.random_range(-3.0..5.0), rng.random_range(-8.0..4.0)),
        }
    }

    /// Plays a bass through it.
    pub fn apply(&self, sound: &mut Stereo, rate: f64) {
        if self.compression > 0.0 {
            compress(sound, self.compression, rate);
        }
        let level = active_power(sound).sqrt();
        for channel in sound.iter_mut().filter(|_| level > 0.0) {
            let mut tone =
                [Biquad::low_shelf(120.0, self.tone_db.0, rate), Biquad::high_shelf(1500.0, self.tone_db.1, rate)];
            channel.iter_mut().for_each(|x| *x = tone.iter_mut().fold(f64::from(*x), |x, f| f.filter(x)) as f32);
            let Some(drive_db) = self.drive_db else { continue };
            let gain = 0.5 / level * 10f64.powf(drive_db / 20.0);
            let mut cabinet = [
                Biquad::bell(self.bump.0, 1.0, self.bump.1, rate),
                Biquad::low_pass(self.cabinet_hz, 0.54, rate),
                Biquad::low_pass(self.cabinet_hz, 1.31, rate),
            ];
            for x in channel.iter_mut() {
                // A valve leans to one side: even harmonics. The level is that of a soft note before.
                let driven = gain * f64::from(*x);
                let clipped = ((driven + 0.15).tanh() - 0.15f64.tanh()) / gain;
                let heard = cabinet.iter_mut().fold(clipped, |x, filter| filter.filter(x));
                *x = heard as f32 + self.dry * *x;
            }
        }
    }
}
