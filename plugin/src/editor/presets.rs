//! Presets of ours: what people use a separator for most.

use super::touch::Touch;
use crate::{mix_controls::Control, params::UnbraidParams};
use nice_plug::params::Param;

/// What stands in the menu, and what it sets. Sensitivities are neutral; pans, output and dry/wet stay as
/// they are.
pub struct Preset {
    /// As shown in the menu.
    pub name: &'static str,
    /// `[stem]`, of the faders, in dB.
    gains_db: [f32; 4],
    /// `[stem]`
    mutes: [bool; 4],
}

const fn mutes(name: &'static str, mutes: [u8; 4]) -> Preset {
    let [vocals, drums, bass, other] = mutes;
    Preset { name, gains_db: [0.0; 4], mutes: [vocals == 1, drums == 1, bass == 1, other == 1] }
}

const fn gains(name: &'static str, gains_db: [f32; 4]) -> Preset {
    Preset { name, gains_db, mutes: [false; 4] }
}

/// All of them, in the order of the menu.
pub const PRESETS: [Preset; 12] = [
    gains("Everything at 0 dB", [0.0; 4]),
    mutes("All but vocals", [1, 0, 0, 0]),
    mutes("All but drums", [0, 1, 0, 0]),
    mutes("All but bass", [0, 0, 1, 0]),
    mutes("All but other", [0, 0, 0, 1]),
    mutes("Vocals only", [0, 1, 1, 1]),
    mutes("Drums only", [1, 0, 1, 1]),
    mutes("Bass only", [1, 1, 0, 1]),
    mutes("Other only", [1, 1, 1, 0]),
    mutes("Drums and bass", [1, 0, 0, 1]),
    gains("Karaoke: vocals -12 dB", [-12.0, 0.0, 0.0, 0.0]),
    gains("Vocals up 3 dB", [3.0, 0.0, 0.0, 0.0]),
];

impl Preset {
    /// Sets the controls, each in a gesture of its own. What is right already is left alone; solos end.
    pub fn apply(&self, params: &UnbraidParams, touch: &Touch) {
        for (idx, stem) in params.stems().into_iter().enumerate() {
            set(touch, &stem.gain, Control::Gain(idx), stem.gain.preview_normalized(self.gains_db[idx]));
            set(touch, &stem.mute, Control::Mute(idx), stem.mute.preview_normalized(self.mutes[idx]));
            set(touch, &stem.solo, Control::Solo(idx), 0.0);
            let neutral = stem.sensitivity.default_normalized_value();
            set(touch, &stem.sensitivity, Control::Sensitivity(idx), neutral);
        }
    }

    /// Whether the controls stand as the preset has them.
    pub fn is_set(&self, params: &UnbraidParams) -> bool {
        params.stems().into_iter().enumerate().all(|(idx, stem)| {
            (stem.gain.unmodulated_plain_value() - self.gains_db[idx]).abs() < 0.005
                && stem.mute.unmodulated_plain_value() == self.mutes[idx]
                && !stem.solo.unmodulated_plain_value()
                && stem.sensitivity.unmodulated_plain_value() == 0.0
        })
    }
}

fn set(touch: &Touch, param: &impl Param, control: Control, normalized: f32) {
    if param.unmodulated_normalized_value() != normalized {
        touch.set_once(param, control, normalized);
    }
}
