//! Values of parameters as text, and back: what is shown is read as the same value, and so is what a person would type.

use crate::params::{GAIN_STEP_DB, MAX_GAIN_DB, MIN_GAIN_DB};

/// Decibels without their unit.
pub(crate) fn gain_to_string(gain_db: f32) -> String {
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
pub(crate) fn string_to_gain(text: &str) -> Option<f32> {
    let text = normalized(text);
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

/// Percent without their unit.
pub(crate) fn percent_to_string(percent: f32) -> String {
    format!("{:.0}", percent.abs())
}

/// Reads `50`, `50 %`, and for the ends `dry` and `wet`.
pub(crate) fn string_to_wet_percent(text: &str) -> Option<f32> {
    let text = normalized(text);
    match &text[..] {
        "dry" => Some(0.0),
        "wet" => Some(100.0),
        text => Some(finite(text.strip_suffix('%').unwrap_or(text))?.clamp(0.0, 100.0)),
    }
}

/// Percent with their sign, without their unit.
pub(crate) fn sensitivity_to_string(percent: f32) -> String {
    let percent = percent.round();
    if percent == 0.0 { "0".to_owned() } else { format!("{percent:+}") }
}

/// Reads `30`, `+30 %`, `-30`, and words for the ends and the middle.
pub(crate) fn string_to_sensitivity(text: &str) -> Option<f32> {
    let text = normalized(text);
    match &text[..] {
        "sharp" => Some(-100.0),
        "neutral" | "normal" => Some(0.0),
        "soft" => Some(100.0),
        text => Some(finite(text.strip_suffix('%').unwrap_or(text))?.clamp(-100.0, 100.0)),
    }
}

/// -100 (left) to 100 (right).
pub(crate) fn pan_to_string(pan: f32) -> String {
    match pan.round() {
        pan if pan < 0.0 => format!("L{}", -pan),
        pan if pan > 0.0 => format!("R{pan}"),
        _ => "C".to_owned(),
    }
}

/// Reads `L30`, `30 L`, `left 30`, `-30`, `C`, `centre`, `0`, each with a percent sign or without; a side alone is all of
/// it.
pub(crate) fn string_to_pan(text: &str) -> Option<f32> {
    let text = normalized(text);
    if matches!(&text[..], "c" | "center" | "centre" | "middle") {
        return Some(0.0);
    }
    let without_side = |names: [&str; 2]| {
        names.iter().find_map(|side| text.strip_prefix(side).or_else(|| text.strip_suffix(side))).map(str::trim)
    };
    let (sign, number) = match (without_side(["left", "l"]), without_side(["right", "r"])) {
        (Some(""), _) => return Some(-100.0),
        (_, Some("")) => return Some(100.0),
        (Some(number), _) => (-1.0, number),
        (_, Some(number)) => (1.0, number),
        _ => (1.0, &text[..]),
    };
    let pan = finite(number.strip_suffix('%').unwrap_or(number))?;
    // "L-30" is neither left nor right.
    let is_clear = number.len() == text.len() || pan >= 0.0;
    is_clear.then(|| (sign * pan).clamp(-100.0, 100.0))
}

/// Reads a switch, and nothing that is none.
pub(crate) fn string_to_switch(text: &str) -> Option<bool> {
    match &text.trim().to_lowercase()[..] {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn normalized(text: &str) -> String {
    text.trim().to_lowercase().replace('−', "-").replace(',', ".")
}

fn finite(number: &str) -> Option<f32> {
    number.trim().parse().ok().filter(|number: &f32| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_read_as_people_write_them() {
        for (text, gain_db) in [
            ("-inf", -72.0),
            ("-inf dB", -72.0),
            ("-∞ dB", -72.0),
            ("-200", -72.0),
            ("-6", -6.0),
            ("-6 dB", -6.0),
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
            assert_eq!(string_to_gain(text), Some(gain_db), "{text}");
        }
        let half = string_to_gain("50%").unwrap();
        assert!((half + 6.0206).abs() < 1e-3, "{half}");
        for text in ["", "dB", "loud", "nan", "NaN dB", "%", "-1%", "1 dB %"] {
            assert_eq!(string_to_gain(text), None, "{text}");
        }
        assert_eq!(gain_to_string(f32::NAN), "?");
        assert_eq!(gain_to_string(-72.0), "-inf");
        assert_eq!(gain_to_string(-0.0), "0.00");
        assert_eq!(gain_to_string(3.0), "+3.00");
    }

    #[test]
    fn percents_are_read_as_people_write_them() {
        for (text, percent) in
            [("50", 50.0), ("50 %", 50.0), ("50%", 50.0), ("12,5", 12.5), ("-3", 0.0), ("200 %", 100.0), ("Dry", 0.0)]
        {
            assert_eq!(string_to_wet_percent(text), Some(percent), "{text}");
        }
        for text in ["", "%", "half", "nan", "inf", "50 dB"] {
            assert_eq!(string_to_wet_percent(text), None, "{text}");
        }
        assert_eq!(percent_to_string(-0.0), "0");
    }

    #[test]
    fn sensitivities_are_read_as_people_write_them() {
        for (text, percent) in [
            ("30", 30.0),
            ("+30 %", 30.0),
            ("−30%", -30.0),
            ("-250", -100.0),
            ("0", 0.0),
            ("-0", 0.0),
            ("Sharp", -100.0),
            ("soft", 100.0),
            ("neutral", 0.0),
        ] {
            assert_eq!(string_to_sensitivity(text), Some(percent), "{text}");
        }
        for text in ["", "%", "some", "nan", "inf %", "30 dB"] {
            assert_eq!(string_to_sensitivity(text), None, "{text}");
        }
        assert_eq!([-30.0, -0.0, 0.3, 100.0].map(sensitivity_to_string), ["-30", "0", "0", "+100"]);
    }

    #[test]
    fn positions_are_read_as_people_write_them() {
        for (text, pan) in [
            ("L30", -30.0),
            ("30L", -30.0),
            ("30 % l", -30.0),
            ("left 30", -30.0),
            ("l", -100.0),
            ("Right", 100.0),
            ("R 7 %", 7.0),
            ("r250", 100.0),
            ("-30", -30.0),
            ("30", 30.0),
            ("+30 %", 30.0),
            ("C", 0.0),
            ("centre", 0.0),
            ("0", 0.0),
            ("-0", 0.0),
        ] {
            assert_eq!(string_to_pan(text), Some(pan), "{text}");
        }
        for text in ["", "x", "L-30", "30-", "lr", "nan", "L nan", "r inf", "30 dB"] {
            assert_eq!(string_to_pan(text), None, "{text}");
        }
        assert_eq!([pan_to_string(-30.0), pan_to_string(-0.0), pan_to_string(100.0)], ["L30", "C", "R100"]);
    }

    #[test]
    fn a_switch_reads_nothing_that_is_none() {
        for (text, is_on) in [("On", true), ("off", false), (" 1 ", true), ("FALSE", false)] {
            assert_eq!(string_to_switch(text), Some(is_on), "{text}");
        }
        for text in ["", "abc", "2", "onoff"] {
            assert_eq!(string_to_switch(text), None, "{text}");
        }
    }
}
