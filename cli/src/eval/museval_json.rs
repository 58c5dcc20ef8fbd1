//! Scores of one song, in the words of museval, whose programs read them.

use std::fmt::Write as _;

use metrics::Ratios;

/// The text that museval's `TrackStore` would write: a list of targets with a frame for each second, ratios rounded to
/// five digits. As in museval, infinite ratios and windows that count for nothing are `NaN` (which strict JSON does not
/// know, and Python reads).
pub fn text<'a>(targets: impl IntoIterator<Item = (&'a str, &'a [Ratios])>) -> String {
    let targets: Vec<String> = targets.into_iter().map(|(name, windows)| target(name, windows)).collect();
    let targets = if targets.is_empty() { "[]".into() } else { format!("[\n{}\n  ]", targets.join(",\n")) };
    format!("{{\n  \"targets\": {targets},\n  \"unbraid_version\": \"{}\"\n}}\n", env!("CARGO_PKG_VERSION"))
}

fn target(name: &str, windows: &[Ratios]) -> String {
    let mut text = format!("    {{\n      \"name\": {},\n      \"frames\": [", serde_json::json!(name));
    for (window_idx, ratios) in windows.iter().enumerate() {
        let comma = if window_idx == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}\n        {{\n          \"time\": {window_idx}.0,\n          \"duration\": 1.0,\n          \
             \"metrics\": {{\n            \"SDR\": {},\n            \"SIR\": {},\n            \"SAR\": {},\n            \
             \"ISR\": {}\n          }}\n        }}",
            number(ratios.sdr_db),
            number(ratios.sir_db),
            number(ratios.sar_db),
            number(ratios.isr_db)
        );
    }
    text + "\n      ]\n    }"
}

fn number(x: f64) -> String {
    if x.is_finite() { format!("{x:.5}") } else { "NaN".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_museval() {
        let ratios = Ratios { sdr_db: 1.0 / 3.0, isr_db: f64::INFINITY, sir_db: -12.5, sar_db: f64::NAN };
        let want = r#"{
  "targets": [
    {
      "name": "vocals",
      "frames": [
        {
          "time": 0.0,
          "duration": 1.0,
          "metrics": {
            "SDR": 0.33333,
            "SIR": -12.50000,
            "SAR": NaN,
            "ISR": NaN
          }
        }
      ]
    }
  ],"#;
        let text = text([("vocals", &[ratios][..])]);
        assert!(text.starts_with(want), "{text}");
        let with_null = text.replace("NaN", "null");
        assert!(serde_json::from_str::<serde_json::Value>(&with_null).is_ok(), "{text}");
    }
}
