//! What the host can automate, and what a project remembers.

use nice_plug::prelude::*;
use separator::STEMS;
use std::sync::{Arc, Mutex};

/// The bottom of a gain's range; it means silence.
const MIN_GAIN_DB: f32 = -72.0;
/// The top of a gain's range.
const MAX_GAIN_DB: f32 = 12.0;
/// Gains are multiples of this. It makes 0 dB exact whatever a host does to the normalised value, and thereby unity
/// bit-exact.
const GAIN_STEP_DB: f32 = 0.01;
/// Bends the range so that the decibels near 0, the useful ones, get most of the fader: 0 dB lies at 3/4 of it.
const FADER_SKEW: f32 = 1.866;

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
    /// Name of the model that the project was made with, so that it sounds the same when a later version has another
    /// default.
    #[persist = "model"]
    pub model: Arc<Mutex<String>>,
}

impl Default for UnbraidParams {
    fn default() -> Self {
        let [vocals, drums, bass, other] = STEMS.map(gain_param);
        let bypass = BoolParam::new("Bypass", false).make_bypass();
        UnbraidParams { vocals, drums, bass, other, bypass, model: Arc::new(Mutex::new(DEFAULT_MODEL.to_owned())) }
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
    if gain_db <= MIN_GAIN_DB {
        "-inf".to_owned()
    } else if gain_db.abs() < GAIN_STEP_DB / 2.0 {
        "0.00".to_owned()
    } else {
        format!("{gain_db:+.2}")
    }
}

/// Reads what a person would type: `-6`, `+3.5 dB`, `-inf`, `-∞ dB`.
fn string_to_gain_db(text: &str) -> Option<f32> {
    let text = text.trim().to_lowercase();
    let number = text.strip_suffix("db").unwrap_or(&text).trim_end();
    let gain_db = match number {
        "-∞" | "−∞" => f32::NEG_INFINITY,
        number => number.replace('−', "-").replace(',', ".").parse().ok()?,
    };
    // A NaN would pass through every clamp.
    (!gain_db.is_nan()).then(|| gain_db.clamp(MIN_GAIN_DB, MAX_GAIN_DB))
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
        ] {
            assert_eq!(string_to_gain_db(text), Some(gain_db), "{text}");
        }
        for text in ["", "dB", "loud", "nan", "NaN dB"] {
            assert_eq!(string_to_gain_db(text), None, "{text}");
        }
        assert_eq!(gain_db_to_string(-72.0), "-inf");
        assert_eq!(gain_db_to_string(-0.0), "0.00");
        assert_eq!(gain_db_to_string(3.0), "+3.00");
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
