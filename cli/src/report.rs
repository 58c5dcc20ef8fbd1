//! The scores of an evaluation, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use audio::STEM_NAMES;
use serde::Serialize;

/// One stem of one song, or a mean of such.
#[derive(Clone, Copy, Serialize)]
pub struct Score {
    /// SDR of the separated stem.
    pub sdr_db: f64,
    /// SDR of the mix in its place.
    pub mix_sdr_db: f64,
    /// What separation gains over the mix.
    pub gain_db: f64,
}

impl Score {
    /// `None` unless both are finite: a stem that alone is the mix is no task.
    pub fn new(sdr_db: f64, mix_sdr_db: f64) -> Option<Score> {
        let is_finite = sdr_db.is_finite() && mix_sdr_db.is_finite();
        is_finite.then_some(Score { sdr_db, mix_sdr_db, gain_db: sdr_db - mix_sdr_db })
    }

    fn mean<'a>(scores: impl Iterator<Item = &'a Score>) -> Option<Score> {
        let (mut sdr_db, mut mix_sdr_db, mut count) = (0.0, 0.0, 0.0);
        for score in scores {
            sdr_db += score.sdr_db;
            mix_sdr_db += score.mix_sdr_db;
            count += 1.0;
        }
        Score::new(sdr_db / count, mix_sdr_db / count)
    }
}

/// Which model was evaluated.
#[derive(Serialize)]
pub struct ModelInfo {
    pub name: String,
    pub dir: PathBuf,
    pub sha256: String,
}

/// The scores of one song.
#[derive(Serialize)]
pub struct SongReport {
    name: String,
    seconds: f64,
    /// Time spent in separation, divided by the song's.
    real_time_factor: f64,
    /// Only stems that the song has, and that are not silent.
    stems: BTreeMap<&'static str, Score>,
    /// Mean over those stems.
    mean: Option<Score>,
    #[serde(skip)]
    separation_s: f64,
}

impl SongReport {
    /// `scores` in the order of [`STEM_NAMES`].
    pub fn new(name: String, seconds: f64, separation_s: f64, scores: [Option<Score>; STEM_NAMES.len()]) -> SongReport {
        let stems: BTreeMap<_, _> =
            STEM_NAMES.into_iter().zip(scores).filter_map(|(name, score)| Some((name, score?))).collect();
        let mean = Score::mean(stems.values());
        SongReport { name, seconds, real_time_factor: separation_s / seconds.max(1e-9), stems, mean, separation_s }
    }
}

/// The scores of all songs.
#[derive(Serialize)]
pub struct Report {
    model: ModelInfo,
    data: PathBuf,
    songs: Vec<SongReport>,
    /// Mean over the songs that have the stem.
    stems: BTreeMap<&'static str, Score>,
    /// Mean over the stems.
    mean: Option<Score>,
    real_time_factor: f64,
}

impl Report {
    pub fn new(model: ModelInfo, data: PathBuf, songs: Vec<SongReport>) -> Report {
        let mean_of = |name| Score::mean(songs.iter().filter_map(|song| song.stems.get(name)));
        let stems: BTreeMap<_, _> = STEM_NAMES.into_iter().filter_map(|name| Some((name, mean_of(name)?))).collect();
        let mean = Score::mean(stems.values());
        let (separation_s, song_s) =
            songs.iter().fold((0.0, 0.0), |(s, t), song| (s + song.separation_s, t + song.seconds));
        Report { model, data, songs, stems, mean, real_time_factor: separation_s / song_s.max(1e-9) }
    }

    /// The table on the standard output.
    pub fn print(&self) -> std::io::Result<()> {
        std::io::stdout().write_all(self.table().as_bytes())
    }

    fn table(&self) -> String {
        let width = self.songs.iter().map(|song| song.name.chars().count()).max().unwrap_or(0).max("all songs".len());
        let mut table = format!("{:width$}  stem    SDR dB  mix dB  gain dB\n", "song");
        for song in &self.songs {
            add_rows(&mut table, width, &song.name, &song.stems, song.mean);
        }
        if self.songs.len() > 1 {
            add_rows(&mut table, width, "all songs", &self.stems, self.mean);
        }
        let _ = writeln!(
            table,
            "\nmodel {} ({})\n{:.3} of real time for the separation ({:.1} x real time)",
            self.model.name,
            self.model.dir.display(),
            self.real_time_factor,
            1.0 / self.real_time_factor.max(1e-9)
        );
        table
    }

    /// Writes all scores as JSON, beside the file and then renamed.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&part, text)
            .and_then(|()| std::fs::rename(&part, path))
            .map_err(|error| anyhow!("{}: could not write the scores: {error}", path.display()))
    }
}

/// One row per stem, `-` where there is no score, and their mean.
fn add_rows(table: &mut String, width: usize, song: &str, stems: &BTreeMap<&str, Score>, mean: Option<Score>) {
    let rows = STEM_NAMES.iter().map(|name| (*name, stems.get(name).copied())).chain([("mean", mean)]);
    for (row_idx, (name, score)) in rows.enumerate() {
        let song = if row_idx == 0 { song } else { "" };
        let _ = match score {
            Some(Score { sdr_db, mix_sdr_db, gain_db }) => {
                writeln!(table, "{song:width$}  {name:6}  {sdr_db:6.2}  {mix_sdr_db:6.2}  {gain_db:+7.2}")
            }
            None => writeln!(table, "{song:width$}  {name:6}  {:>6}  {:>6}  {:>7}", "-", "-", "-"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let score = |sdr_db| Score::new(sdr_db, -4.0);
        let songs = vec![
            SongReport::new("hydrogen".into(), 100.0, 20.0, [score(5.0), score(3.0), None, score(1.0)]),
            SongReport::new("x".into(), 300.0, 60.0, [score(7.0), score(1.0), score(-10.5), score(3.0)]),
        ];
        let model = ModelInfo { name: "first".into(), dir: "models/first".into(), sha256: "00".into() };
        Report::new(model, "data".into(), songs)
    }

    #[test]
    fn means_leave_out_what_is_missing() {
        let report = report();
        let close = |x: f64, want: f64| assert!((x - want).abs() < 1e-9, "{x} instead of {want}");
        close(report.songs[0].mean.unwrap().sdr_db, 3.0);
        close(report.stems["vocals"].sdr_db, 6.0);
        close(report.stems["bass"].sdr_db, -10.5);
        close(report.mean.unwrap().sdr_db, (6.0 + 2.0 - 10.5 + 2.0) / 4.0);
        close(report.mean.unwrap().gain_db, (6.0 + 2.0 - 10.5 + 2.0) / 4.0 + 4.0);
        close(report.real_time_factor, 0.2);
        assert!(Score::new(f64::INFINITY, 1.0).is_none());
    }

    #[test]
    fn the_table_is_aligned() {
        let table = report().table();
        let rows: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), 1 + 3 * 5, "{table}");
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
        assert_eq!(rows[1], "hydrogen   vocals    5.00   -4.00    +9.00");
        assert_eq!(rows[3], "           bass         -       -        -");
        assert_eq!(rows[8], "           bass    -10.50   -4.00    -6.50");
    }
}
