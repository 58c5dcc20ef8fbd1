//! The best designs of every latency class, as text, Markdown, CSV and JSON.

use std::fmt::Write as _;

use super::trial::{Scores, Trial};

/// The trials that fall into one class, best first.
pub struct Class<'a> {
    /// Latencies above the first and at most the second, in ms.
    pub range_ms: [f64; 2],
    pub best: Vec<&'a Trial>,
}

/// The bounds of the classes that end at `latencies_ms`, in ascending order; the first begins at nothing.
pub fn ranges_ms(latencies_ms: &[f64]) -> Vec<[f64; 2]> {
    let mut ends = latencies_ms.to_vec();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let starts = std::iter::once(0.0).chain(ends.iter().copied());
    starts.zip(ends.iter().copied()).map(|(from, to)| [from, to]).collect()
}

/// What designs are ranked by: the mean of what the ideal ratio mask (of magnitudes) and the mix phase reach.
pub fn score(sdr_db: &Scores) -> f64 {
    (sdr_db.irm1 + sdr_db.mix_phase) / 2.0
}

/// The `num_best` drawn designs of each class.
pub fn rank<'a>(trials: &'a [Trial], latencies_ms: &[f64], num_best: usize) -> Vec<Class<'a>> {
    ranges_ms(latencies_ms)
        .into_iter()
        .map(|range_ms| {
            let is_inside = |trial: &&Trial| trial.latency_ms > range_ms[0] && trial.latency_ms <= range_ms[1];
            let mut best: Vec<&Trial> =
                trials.iter().filter(|trial| trial.number.is_some()).filter(is_inside).collect();
            // Equal scores stay in the order of their numbers.
            best.sort_by(|a, b| score(&b.sdr_db).total_cmp(&score(&a.sdr_db)));
            best.truncate(num_best);
            Class { range_ms, best }
        })
        .collect()
}

const HEADS: [&str; 9] =
    ["design", "latency ms", "slice", "bins", "coefs/s", "IRM1 dB", "IRM2 dB", "mix phase dB", "PSM dB"];

fn cells(trial: &Trial) -> [String; 9] {
    let Scores { irm1, irm2, mix_phase, phase_sensitive } = trial.sdr_db;
    let [irm1, irm2, mix_phase, phase_sensitive] = [irm1, irm2, mix_phase, phase_sensitive].map(|x| format!("{x:.2}"));
    let size = [trial.slice_len.to_string(), trial.num_bins.to_string(), format!("{:.0}", trial.coefs_per_s)];
    let [slice, bins, coefs] = size;
    let latency = format!("{:.1}", trial.latency_ms);
    [trial.design.clone(), latency, slice, bins, coefs, irm1, irm2, mix_phase, phase_sensitive]
}

/// The table of all classes and of the designs that were named, as Markdown that is aligned for terminals too.
pub fn markdown(trials: &[Trial], latencies_ms: &[f64], num_best: usize) -> String {
    let mut rows: Vec<(String, [String; 9])> = Vec::new();
    for class in rank(trials, latencies_ms, num_best) {
        let name = format!("{} to {} ms", class.range_ms[0], class.range_ms[1]);
        rows.extend(class.best.iter().map(|trial| (name.clone(), cells(trial))));
    }
    rows.extend(trials.iter().filter(|trial| trial.number.is_none()).map(|trial| ("named".to_string(), cells(trial))));

    let mut widths = HEADS.map(str::len);
    for (_, row) in &rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.len()));
    }
    let class_width = rows.iter().map(|(class, _)| class.len()).max().unwrap_or(0).max("class".len());
    let mut text = format!("| {:class_width$} |", "class");
    let mut rule = format!("|{}|", "-".repeat(class_width + 2));
    for (column, (head, width)) in HEADS.iter().zip(widths).enumerate() {
        // The design is text, the rest are numbers.
        let _ = if column == 0 { write!(text, " {head:width$} |") } else { write!(text, " {head:>width$} |") };
        let _ = write!(rule, "{}{}|", "-".repeat(width + 1), if column == 0 { "-" } else { ":" });
    }
    let mut text = format!("{text}\n{rule}\n");
    let mut last_class = String::new();
    for (class, row) in rows {
        let shown = if class == last_class { "" } else { &class };
        let _ = write!(text, "| {shown:class_width$} |");
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if column == 0 { write!(text, " {cell:width$} |") } else { write!(text, " {cell:>width$} |") };
        }
        text.push('\n');
        last_class = class;
    }
    text
}

/// Every trial, one line each.
pub fn csv(trials: &[Trial]) -> String {
    let mut text = String::from(
        "number,design,latency_ms,slice_len,num_bins,coefs_per_s,irm1_db,irm2_db,mix_phase_db,phase_sensitive_db\n",
    );
    for t in trials {
        let number = t.number.map_or_else(String::new, |number| number.to_string());
        let Scores { irm1, irm2, mix_phase, phase_sensitive } = t.sdr_db;
        // Multi-resolution designs hold commas.
        let _ = writeln!(
            text,
            "{number},\"{}\",{:.3},{},{},{:.1},{irm1:.4},{irm2:.4},{mix_phase:.4},{phase_sensitive:.4}",
            t.design, t.latency_ms, t.slice_len, t.num_bins, t.coefs_per_s
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: Option<u64>, design: &str, latency_ms: f64, db: f64) -> Trial {
        let sdr_db = Scores { irm1: db, irm2: db, mix_phase: db + 1.0, phase_sensitive: db + 2.0 };
        Trial {
            number,
            design: design.into(),
            latency_ms,
            slice_len: 100,
            num_bins: 10,
            coefs_per_s: 5e4,
            sdr_db,
            song_sdr_db: vec![sdr_db],
        }
    }

    #[test]
    fn a_hand_case_is_ranked() {
        let trials = [
            trial(None, "named", 20.0, 99.0),
            trial(Some(0), "a", 20.0, 3.0),
            trial(Some(1), "b", 25.0, 5.0),
            trial(Some(2), "c", 25.1, 1.0),
            trial(Some(3), "d", 24.0, 4.0),
            trial(Some(4), "e", 51.0, 50.0),
        ];
        let classes = rank(&trials, &[50.0, 25.0], 2);
        let names: Vec<Vec<&str>> =
            classes.iter().map(|class| class.best.iter().map(|t| t.design.as_str()).collect()).collect();
        assert_eq!(names, [vec!["b", "d"], vec!["c"]]);
        assert_eq!(classes[1].range_ms, [25.0, 50.0]);
    }

    #[test]
    fn tables_are_whole() {
        let trials = [trial(Some(0), "mr:100=2000,22050=300", 20.0, 3.0), trial(None, "bark-262", 517.7, 7.0)];
        let table = markdown(&trials, &[25.0], 3);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines.iter().all(|line| line.len() == lines[0].len() && line.matches('|').count() == 11), "{table}");
        assert!(lines[3].contains("bark-262") && lines[3].contains("517.7") && lines[3].contains("8.00"), "{table}");
        let csv = csv(&trials);
        assert!(
            csv.contains("\n0,\"mr:100=2000,22050=300\",20.000,100,10,50000.0,3.0000,3.0000,4.0000,5.0000\n"),
            "{csv}"
        );
        assert_eq!(csv.lines().count(), 3);
    }
}
