//! What a search has found: a table and a picture.

use crate::report::{Curve, Plot};
use anyhow::{Context, Result};
use optimizer::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Writes `results.md` and `results.png`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(out: &Path, study: &Study<f64>) -> Result<()> {
    let path = out.join("results.md");
    let text = format!("# Results of {} trials\n\n![Scores](results.png)\n\n{}", study.n_trials(), table(study));
    base::write_whole(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let trials = study.trials();
    let complete: Vec<(f64, f64)> =
        trials.iter().enumerate().map(|(number, trial)| (number as f64, -trial.value)).collect();
    let mut best = f64::NEG_INFINITY;
    let so_far = complete.iter().map(|(number, value)| {
        best = best.max(*value);
        (*number, best)
    });
    let curves = vec![
        Curve { name: "best so far".into(), points: so_far.collect() },
        Curve { name: "trial".into(), points: complete.clone() },
    ];
    Plot { title: "Mean SDR of the trials", x: "trial", y: "dB", log_y: false, curves }.write(&out.join("results.png"))
}

/// A table of all trials (whose values are scores with their sign turned), best first, and how much each setting matters.
pub fn table(study: &Study<f64>) -> String {
    let mut trials: Vec<(usize, _)> = study.trials().into_iter().enumerate().collect();
    trials.sort_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
    let mut table = String::from("| trial | mean SDR (dB) | epochs | end | settings |\n|---:|---:|---:|---|---|\n");
    for (number, trial) in &trials {
        let attribute = |name: &str| match trial.user_attrs.get(name) {
            Some(AttrValue::String(text)) => text.clone(),
            _ => "?".to_owned(),
        };
        let (settings, end) = (attribute("settings"), attribute("end"));
        let _ = writeln!(
            table,
            "| {number} | {:.2} | {} | {end} | `{settings}` |",
            -trial.value,
            trial.intermediate_values.len()
        );
    }
    let importance: BTreeMap<String, f64> = study.param_importance().into_iter().collect();
    if !importance.is_empty() {
        table += "\nShare of the score that goes with each setting (rank correlation):\n\n";
        for (name, share) in importance {
            let _ = writeln!(table, "- {name}: {:.0} %", 100.0 * share);
        }
    }
    table
}

/// Whether a trial had these settings.
pub fn is_tried(study: &Study<f64>, settings: &str) -> bool {
    let is_same =
        |attribute: Option<&AttrValue>| matches!(attribute, Some(AttrValue::String(text)) if text == settings);
    study.trials().iter().any(|trial| is_same(trial.user_attrs.get("settings")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_scores_as_they_were_and_the_best_first() {
        let study: Study<f64> = Study::builder().minimize().build();
        for (settings, sdr_db) in [("a=1", 0.5), ("a=2", 1.25), ("a=3", -0.75)] {
            let mut trial = study.ask();
            trial.set_user_attr("settings", settings);
            trial.set_user_attr("end", "complete");
            study.complete_trial(trial, -sdr_db);
        }
        let table = table(&study);
        let rows: Vec<&str> = table.lines().skip(2).take(3).collect();
        assert!(rows[0].starts_with("| 1 | 1.25 |") && rows[0].contains("a=2"), "{table}");
        assert!(rows[1].starts_with("| 0 | 0.50 |") && rows[2].starts_with("| 2 | -0.75 |"), "{table}");
        assert!(is_tried(&study, "a=2") && !is_tried(&study, "a=4"));
    }
}
