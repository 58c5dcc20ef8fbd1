//! What the host can automate, and what a project remembers.

use crate::{gestures::Gestures, model_name::ModelName};
use nice_plug::prelude::*;
use separator::STEMS;
use std::sync::Arc;

/// The bottom of a gain's range; it means silence.
pub const MIN_GAIN_DB: f32 = -72.0;
/// The top of a gain's range.
pub const MAX_GAIN_DB: f32 = 12.0;
/// Gains are multiples of this. It makes 0 dB exact whatever a host does to the normalised value, and thereby unity
/// bit-exact.
pub const GAIN_STEP_DB: f32 = 0.01;
/// Bends the range so that the decibels near 0, the useful ones, get most of the fader: 0 dB lies at 3/4 of it.
const FADER_SKEW: f32 = 1.866;

/// How the two settings of automation are shown.
const AUTOMATION_WITH_MUSIC: &str = "With the music";
/// See above.
const AUTOMATION_AT_ONCE: &str = "At once";

/// The model of a new project.
pub const DEFAULT_MODEL: &str = "first";

/// Parameters and persistent state of both plugins.
#[derive(Params)]
pub struct UnbraidParams {
    /// Gain of the vocals in dB.
    #[id = "vocals"]
    pub vocals: FloatParam,
    /// Gain of the drums in dB.
    #[id = "drums"]
    pub drums: FloatParam,
    /// Gain of the bass in dB.
    #[id = "bass"]
    pub bass: FloatParam,
    /// Gain of everything else in dB.
    #[id = "other"]
    pub other: FloatParam,
    /// The host's bypass: the delayed input comes out.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Whether changes that the host sends act on what comes out now, instead of on the input that they came with. For
    /// hosts that send them later by the latency themselves.
    #[id = "automation"]
    pub automation_at_once: BoolParam,
    /// Name of the model that the project was made with, so that it sounds the same when a later version has another
    /// default.
    #[persist = "model"]
    pub model: ModelName,
    /// What is being moved in our own editor.
    pub gestures: Gestures,
}

impl Default for UnbraidParams {
    fn default() -> Self {
        let [vocals, drums, bass, other] = STEMS.map(gain_param);
        let bypass = BoolParam::new("Bypass", false).make_bypass().with_string_to_value(Arc::new(string_to_bool));
        let automation_at_once = BoolParam::new("Automation", false)
            .non_automatable()
            .with_value_to_string(Arc::new(|at_once| {
                if at_once { AUTOMATION_AT_ONCE } else { AUTOMATION_WITH_MUSIC }.to_owned()
            }))
            .with_string_to_value(Arc::new(|text| match text.trim().to_lowercase() {
                text if text == AUTOMATION_AT_ONCE.to_lowercase() => Some(true),
                text if text == AUTOMATION_WITH_MUSIC.to_lowercase() => Some(false),
                _ => None,
            }));
        let model = ModelName::new(DEFAULT_MODEL);
        UnbraidParams { vocals, drums, bass, other, bypass, automation_at_once, model, gestures: Gestures::default() }
    }
}

impl UnbraidParams {
    /// The linear gain of each stem, as the host wants it now, in the order of [`STEMS`]. Bypassed, all are 1.
    ///
    /// # Realtime
    /// Safe.
    pub fn gains(&self) -> [f32; 4] {
        if self.bypass.value() {
            return [1.0; 4];
        }
        [&self.vocals, &self.drums, &self.bass, &self.other].map(|gain_db| gain(gain_db.value()))
    }
}

fn gain_param(stem: &str) -> FloatParam {
    let range = FloatRange::Skewed { min: MIN_GAIN_DB, max: MAX_GAIN_DB, factor: FADER_SKEW };
    let mut name = stem.to_owned();
    name[..1].make_ascii_uppercase();
    FloatParam::new(name, 0.0, range)
        .with_step_size(GAIN_STEP_DB)
        .with_unit(" dB")
        .with_value_to_string(Arc::new(gain_db_to_string))
        .with_string_to_value(Arc::new(string_to_gain_db))
}

/// Linear gain; the bottom of the range is exactly 0, and 0 dB is exactly 1.
fn gain(gain_db: f32) -> f32 {
    if gain_db <= MIN_GAIN_DB { 0.0 } else { 10.0_f32.powf(gain_db / 20.0) }
}

fn gain_db_to_string(gain_db: f32) -> String {
    if gain_db.is_nan() {
        "?".to_owned()
    } else if gain_db <= MIN_GAIN_DB {
        "-inf".to_owned()
    } else if gain_db.abs() < GAIN_STEP_DB / 2.0 {
        "0.00".to_owned()
    } else {
        format!("{gain_db:+.2}")
    }
}

/// Reads what a person would type: `-6`, `+3.5 dB`, `-inf`, `-∞ dB`, `mute`, `off`, `50%`.
fn string_to_gain_db(text: &str) -> Option<f32> {
    let text = text.trim().to_lowercase().replace('−', "-").replace(',', ".");
    let gain_db = if matches!(&text[..], "mute" | "muted" | "off") {
        f32::NEG_INFINITY
    } else if let Some(percent) = text.strip_suffix('%') {
        // Of the amplitude; a logarithm of a negative number is none.
        20.0 * (percent.trim_end().parse::<f32>().ok()? / 100.0).log10()
    } else {
        match text.strip_suffix("db").unwrap_or(&text).trim_end() {
            "-∞" => f32::NEG_INFINITY,
            number => number.parse().ok()?,
        }
    };
    // A NaN would pass through every clamp.
    (!gain_db.is_nan()).then(|| gain_db.clamp(MIN_GAIN_DB, MAX_GAIN_DB))
}

/// Reads a switch, and nothing that is none.
fn string_to_bool(text: &str) -> Option<bool> {
    match &text.trim().to_lowercase()[..] {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_range_and_unity_are_exact() {
        let param = UnbraidParams::default().vocals;
        assert_eq!(gain(param.preview_plain(0.0)), 0.0);
        for rounding_of_the_host in [-1e-6, 0.0, 1e-6] {
            let unity = param.preview_normalized(0.0) + rounding_of_the_host;
            assert_eq!(gain(param.preview_plain(unity)), 1.0);
        }
        assert_eq!(param.preview_plain(1.0), 12.0);
        assert!((gain(-6.0) - 0.501_187_2).abs() < 1e-6);
        assert!((param.preview_normalized(0.0) - 0.75).abs() < 0.001);
    }

    #[test]
    fn every_step_survives_text_and_normalised_value() {
        let param = UnbraidParams::default().bass;
        for step in -7200..=1200 {
            let gain_db = step as f32 / 100.0;
            let normalized = param.preview_normalized(gain_db);
            let text = param.normalized_value_to_string(normalized, true);
            assert!((param.preview_plain(normalized) - gain_db).abs() < 0.005, "{gain_db}");
            let read = param.string_to_normalized_value(&text).unwrap();
            assert_eq!(param.normalized_value_to_string(read, true), text);
            assert!((param.preview_plain(read) - gain_db).abs() < 0.005, "{text}");
        }
    }

    #[test]
    fn text_is_read_as_people_write_it() {
        for (text, gain_db) in [
            ("-inf", -72.0),
            ("-inf dB", -72.0),
            ("-∞ dB", -72.0),
            ("-200", -72.0),
            ("+3.5 dB", 3.5),
            ("−6,5 DB", -6.5),
            ("0", 0.0),
            (" 99 ", 12.0),
            ("inf", 12.0),
            ("mute", -72.0),
            ("Off", -72.0),
            ("0%", -72.0),
            ("100 %", 0.0),
        ] {
            assert_eq!(string_to_gain_db(text), Some(gain_db), "{text}");
        }
        let half = string_to_gain_db("50%").unwrap();
        assert!((half + 6.0206).abs() < 1e-3, "{half}");
        for text in ["", "dB", "loud", "nan", "NaN dB", "%", "-1%", "1 dB %"] {
            assert_eq!(string_to_gain_db(text), None, "{text}");
        }
        assert_eq!(gain_db_to_string(f32::NAN), "?");
        assert_eq!(gain_db_to_string(-72.0), "-inf");
        assert_eq!(gain_db_to_string(-0.0), "0.00");
        assert_eq!(gain_db_to_string(3.0), "+3.00");
    }

    #[test]
    fn a_switch_reads_nothing_that_is_none() {
        for (text, value) in [("On", 1.0), ("off", 0.0), (" 1 ", 1.0), ("FALSE", 0.0)] {
            assert_eq!(UnbraidParams::default().bypass.string_to_normalized_value(text), Some(value), "{text}");
        }
        for text in ["", "abc", "2", "onoff"] {
            assert_eq!(UnbraidParams::default().bypass.string_to_normalized_value(text), None, "{text}");
        }
        let automation = UnbraidParams::default().automation_at_once;
        for value in [0.0, 1.0] {
            let text = automation.normalized_value_to_string(value, true);
            assert_eq!(automation.string_to_normalized_value(&text), Some(value), "{text}");
        }
        assert_eq!(automation.string_to_normalized_value("on"), None);
    }

    #[test]
    fn bypass_means_unity() {
        assert_eq!(UnbraidParams::default().gains(), [1.0; 4]);
        let bypassed = UnbraidParams { bypass: BoolParam::new("Bypass", true), vocals: muted(), ..Default::default() };
        assert_eq!(bypassed.gains(), [1.0; 4]);
        let heard = UnbraidParams { vocals: muted(), ..Default::default() };
        assert_eq!(heard.gains(), [0.0, 1.0, 1.0, 1.0]);
    }

    fn muted() -> FloatParam {
        FloatParam::new("Muted", MIN_GAIN_DB, FloatRange::Linear { min: MIN_GAIN_DB, max: MAX_GAIN_DB })
    }
}
