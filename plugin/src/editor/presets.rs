//! Presets of ours: what people use a separator for most.

use super::touch::Touch;
use crate::{
    gestures::Touched as Control,
    params::{MIN_GAIN_DB, UnbraidParams},
};
use nice_plug::params::Param;

/// A name, and `[stem]` the gains in dB.
pub struct Preset {
    /// As shown in the menu.
    pub name: &'static str,
    gains_db: [f32; 4],
}

const OFF: f32 = MIN_GAIN_DB;

/// All of them, in the order of the menu.
pub const PRESETS: [Preset; 11] = [
    Preset { name: "Everything at 0 dB", gains_db: [0.0; 4] },
    Preset { name: "All but vocals", gains_db: [OFF, 0.0, 0.0, 0.0] },
    Preset { name: "All but drums", gains_db: [0.0, OFF, 0.0, 0.0] },
    Preset { name: "All but bass", gains_db: [0.0, 0.0, OFF, 0.0] },
    Preset { name: "All but other", gains_db: [0.0, 0.0, 0.0, OFF] },
    Preset { name: "Vocals only", gains_db: [0.0, OFF, OFF, OFF] },
    Preset { name: "Drums only", gains_db: [OFF, 0.0, OFF, OFF] },
    Preset { name: "Bass only", gains_db: [OFF, OFF, 0.0, OFF] },
    Preset { name: "Drums and bass", gains_db: [OFF, 0.0, 0.0, OFF] },
    Preset { name: "Karaoke: vocals -12 dB", gains_db: [-12.0, 0.0, 0.0, 0.0] },
    Preset { name: "Vocals up 3 dB", gains_db: [3.0, 0.0, 0.0, 0.0] },
];

impl Preset {
    /// Sets the controls, each in a gesture of its own. What is right already is left alone.
    pub fn apply(&self, params: &UnbraidParams, touch: &Touch) {
        for (stem_idx, gain_db) in self.gains_db.into_iter().enumerate() {
            let param = params.fader(stem_idx);
            let normalized = param.preview_normalized(gain_db);
            if param.unmodulated_normalized_value() != normalized {
                touch.set_once(param, Control::Gain(stem_idx), normalized);
            }
        }
    }

    /// Whether the controls stand as the preset has them.
    pub fn is_set(&self, params: &UnbraidParams) -> bool {
        let stands_at = |(stem_idx, gain_db): (usize, &f32)| {
            (params.fader(stem_idx).unmodulated_plain_value() - gain_db).abs() < 0.005
        };
        self.gains_db.iter().enumerate().all(stands_at)
    }
}
