//! The table that people read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Report, Score};

/// A column: its group, its title, its value, and whether a sign stands before it.
type Column = (&'static str, &'static str, fn(&Score) -> Option<f64>, bool);

const GLOBAL: [Column; 3] = [
    ("", "global", |s| Some(s.sdr_db), false),
    ("mix", "global", |s| Some(s.mix_sdr_db), false),
    ("", "gain", |s| Some(s.gain_db), true),
];

const ALL: [Column; 11] = [
    ("estimate", "SDR", |s| s.bss_eval?.sdr_db, false),
    ("", "ISR", |s| s.bss_eval?.isr_db, false),
    ("", "SIR", |s| s.bss_eval?.sir_db, false),
    ("", "SAR", |s| s.bss_eval?.sar_db, false),
    ("", "global", |s| Some(s.sdr_db), false),
    ("mix", "SDR", |s| s.mix_bss_eval?.sdr_db, false),
    ("", "SIR", |s| s.mix_bss_eval?.sir_db, false),
    ("", "global", |s| Some(s.mix_sdr_db), false),
    ("oracle", "SDR", |s| s.oracle_bss_eval?.sdr_db, false),
    ("", "SIR", |s| s.oracle_bss_eval?.sir_db, false),
    ("", "global", |s| s.oracle_sdr_db, false),
];

impl Report {
    pub fn table(&self) -> String {
        let is_bss_eval = self.songs.iter().flat_map(|song| song.stems.values()).any(|score| score.bss_eval.is_some());
        let all = if self.oracle.is_some() { &ALL[..] } else { &ALL[..8] };
        let columns = if is_bss_eval { all } else { &GLOBAL[..] };
        let chars = |text: &String| text.chars().count();
        let song_width = self.songs.iter().map(|song| chars(&song.name)).max().unwrap_or(0).max("all songs".len());
        let row_width = self.rows.iter().map(chars).max().unwrap_or(0).max("stem".len());
        let width = |column: &Column| if column.0.is_empty() { 7 } else { 9 };

        let mut table = format!("{:1$}", "", song_width + 2 + row_width);
        for column in columns {
            let _ = write!(table, "{:>1$}", column.0, width(column));
        }
        if !self.leakage_db.is_empty() {
            let _ = write!(table, "{:9}", "");
        }
        let _ = write!(table, "\n{:song_width$}  {:row_width$}", "dB", "stem");
        for column in columns {
            let _ = write!(table, "{:>1$}", column.1, width(column));
        }
        let has_leakage = !self.leakage_db.is_empty();
        if has_leakage {
            let _ = write!(table, "{:>9}", "leak");
        }
        table.push('\n');

        type Stems<'a> = (&'a BTreeMap<String, Score>, &'a BTreeMap<String, f64>);
        let mut add_rows = |song: &str, rows: &[String], (stems, leakage_db): Stems, mean: Option<Score>| {
            let rows = rows.iter().map(|name| (name.as_str(), stems.get(name).copied())).chain([("mean", mean)]);
            for (row_idx, (name, score)) in rows.enumerate() {
                let song = if row_idx == 0 { song } else { "" };
                let _ = write!(table, "{song:song_width$}  {name:row_width$}");
                for column in columns {
                    let width = width(column);
                    let _ = match score.and_then(|score| column.2(&score)) {
                        Some(value) if column.3 => write!(table, "{value:>+width$.2}"),
                        Some(value) => write!(table, "{value:>width$.2}"),
                        None => write!(table, "{:>width$}", "-"),
                    };
                }
                if has_leakage {
                    let _ = match leakage_db.get(name) {
                        Some(leakage_db) => write!(table, "{leakage_db:>9.1}"),
                        None => write!(table, "{:>9}", "-"),
                    };
                }
                table.push('\n');
            }
        };
        for song in &self.songs {
            add_rows(&song.name, &song.rows, (&song.stems, &song.leakage_db), song.mean);
        }
        if self.songs.len() > 1 {
            add_rows("all songs", &self.rows, (&self.stems, &self.leakage_db), self.mean);
        }
        self.add_notes(&mut table, is_bss_eval);
        table
    }

    fn add_notes(&self, table: &mut String, is_bss_eval: bool) {
        table.push('\n');
        if is_bss_eval {
            let over_songs = if self.songs.len() > 1 { ", then over songs" } else { "" };
            let _ = writeln!(table, "SDR, ISR, SIR, SAR: BSSEval v4, median over windows of 1 s{over_songs}");
        }
        let over_songs = if self.songs.len() > 1 { ", mean over songs" } else { "" };
        let _ = writeln!(table, "global: SDR of the whole song{over_songs}; mix: the mix in place of the estimate");
        if !self.leakage_db.is_empty() {
            let _ = writeln!(table, "leak: level against the mix where the song does not have the stem{over_songs}");
        }
        if let Some(oracle) = self.oracle {
            let _ = writeln!(table, "oracle: {oracle} mask on the model's own transform");
        }
        for row in self.rows.iter().filter(|row| row.contains('+')) {
            let _ = writeln!(table, "{row}: the sum of these estimates against what has the bass inside other");
        }
        for failure in &self.failed {
            let _ = writeln!(table, "left out: {}: {}", failure.name, failure.error);
        }
        let _ = writeln!(table, "\nmodel {} ({})", self.model.name, self.model.dir.display());
        if self.real_time_factor == 0.0 {
            return;
        }
        let _ = writeln!(
            table,
            "{:.3} of real time for the separation ({:.1} x real time)",
            self.real_time_factor,
            1.0 / self.real_time_factor.max(1e-9)
        );
    }
}
