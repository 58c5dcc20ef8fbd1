//! The parameters of one stem.

use crate::{
    mix_controls::StemControls,
    param_text::{
        gain_to_string, pan_to_string, sensitivity_to_string, string_to_gain, string_to_pan, string_to_sensitivity,
        string_to_switch,
    },
    params::{GAIN_STEP_DB, MAX_GAIN_DB, MIN_GAIN_DB},
};
use nice_plug::prelude::*;
use std::sync::Arc;

/// Bends the range so that the decibels near 0, the useful ones, get most of the fader: 0 dB lies at 3/4 of it.
const FADER_SKEW: f32 = 1.866;

/// What the host can automate of one stem. Hosts show it as a group.
pub struct StemParams {
    /// Name of the stem, as in [`STEMS`](separator::STEMS): the ID of its gain, and how the other IDs begin.
    id: &'static str,
    /// In dB; the bottom of the range is silence.
    pub gain: FloatParam,
    /// Not heard, unless it is soloed.
    pub mute: BoolParam,
    /// Heard, while those that are not soloed are not.
    pub solo: BoolParam,
    /// -100 (left) to 100 (right).
    pub pan: FloatParam,
    /// How much it takes of what it shares with other stems: -100 (little, sharp masks) to 100 (much, soft masks).
    pub sensitivity: FloatParam,
}

impl StemParams {
    /// The parameters of the stem with this name, untouched.
    pub(crate) fn new(id: &'static str) -> Self {
        let name = capitalized(id);
        let sensitivity_range = FloatRange::Linear { min: -100.0, max: 100.0 };
        let pan_range = FloatRange::Linear { min: -100.0, max: 100.0 };
        StemParams {
            id,
            mute: switch(format!("{name} Mute")),
            solo: switch(format!("{name} Solo")),
            pan: FloatParam::new(format!("{name} Pan"), 0.0, pan_range)
                .with_step_size(1.0)
                .with_value_to_string(Arc::new(pan_to_string))
                .with_string_to_value(Arc::new(string_to_pan)),
            sensitivity: FloatParam::new(format!("{name} Sensitivity"), 0.0, sensitivity_range)
                .with_step_size(1.0)
                .with_unit(" %")
                .with_value_to_string(Arc::new(sensitivity_to_string))
                .with_string_to_value(Arc::new(string_to_sensitivity)),
            gain: gain_param(name),
        }
    }

    /// As the host wants them now.
    ///
    /// # Realtime
    /// Safe.
    pub fn controls(&self) -> StemControls {
        StemControls {
            gain: gain(self.gain.value()),
            pan: self.pan.value() / 100.0,
            sensitivity: self.sensitivity.value() / 100.0,
            is_muted: self.mute.value(),
            is_soloed: self.solo.value(),
        }
    }
}

// SAFETY: the pointers are those of fields that live as long as `self`.
unsafe impl Params for StemParams {
    /// By hand, since the gain's ID, the stem's name, is older than the others.
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        let param = |id: String, ptr| (id, ptr, String::new());
        let own = |suffix| format!("{}_{suffix}", self.id);
        vec![
            param(self.id.to_owned(), self.gain.as_ptr()),
            param(own("mute"), self.mute.as_ptr()),
            param(own("solo"), self.solo.as_ptr()),
            param(own("pan"), self.pan.as_ptr()),
            param(own("sensitivity"), self.sensitivity.as_ptr()),
        ]
    }
}

fn capitalized(id: &str) -> String {
    let mut name = id.to_owned();
    name[..1].make_ascii_uppercase();
    name
}

fn switch(name: String) -> BoolParam {
    BoolParam::new(name, false).with_string_to_value(Arc::new(string_to_switch))
}

/// A fader from silence to +12 dB.
pub(crate) fn gain_param(name: String) -> FloatParam {
    let range = FloatRange::Skewed { min: MIN_GAIN_DB, max: MAX_GAIN_DB, factor: FADER_SKEW };
    FloatParam::new(name, 0.0, range)
        .with_step_size(GAIN_STEP_DB)
        .with_unit(" dB")
        .with_value_to_string(Arc::new(gain_to_string))
        .with_string_to_value(Arc::new(string_to_gain))
}

/// Linear gain; the bottom of the range is exactly 0, and 0 dB is exactly 1.
///
/// # Realtime
/// Safe.
pub(crate) fn gain(gain_db: f32) -> f32 {
    if gain_db <= MIN_GAIN_DB { 0.0 } else { 10.0_f32.powf(gain_db / 20.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_range_and_unity_are_exact() {
        let param = StemParams::new("vocals").gain;
        assert_eq!(gain(param.preview_plain(0.0)), 0.0);
        for rounding_of_the_host in [-1e-6, 0.0, 1e-6] {
            let unity = param.preview_normalized(0.0) + rounding_of_the_host;
            assert_eq!(gain(param.preview_plain(unity)), 1.0);
        }
        assert_eq!(param.preview_plain(1.0), 12.0);
        assert!((gain(-6.0) - 0.501_187_2).abs() < 1e-6);
        assert!((param.preview_normalized(0.0) - 0.75).abs() < 0.001);
    }

    /// Those that lie close together at the bottom of the fader too.
    #[test]
    fn every_step_of_a_gain_survives_its_text_and_its_normalised_value() {
        let param = StemParams::new("bass").gain;
        for step in -7200..=1200 {
            let gain_db = step as f32 / 100.0;
            let normalized = param.preview_normalized(gain_db);
            assert!((param.preview_plain(normalized) - gain_db).abs() < 0.005, "{gain_db}");
            let text = param.normalized_value_to_string(normalized, true);
            let read = param.string_to_normalized_value(&text).unwrap();
            assert_eq!(param.preview_plain(read), param.preview_plain(normalized), "{text}");
        }
    }

    #[test]
    fn the_centre_is_exact_whatever_a_host_rounds() {
        let StemParams { pan, sensitivity, .. } = StemParams::new("bass");
        for rounding_of_the_host in [-1e-6, 0.0, 1e-6] {
            assert_eq!([&pan, &sensitivity].map(|param| param.preview_plain(0.5 + rounding_of_the_host)), [0.0; 2]);
        }
    }

    #[test]
    fn untouched_parameters_are_untouched_controls() {
        assert_eq!(StemParams::new("other").controls(), StemControls::default());
    }
}
