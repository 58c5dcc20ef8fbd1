//! The scores of an evaluation, as a table and as JSON.

mod score;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde::Serialize;

pub use score::{Measured, Score};

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
    stems: BTreeMap<String, Score>,
    /// Mean over those stems.
    mean: Option<Score>,
    /// Of stems that the song is known not to have: the estimate's level against the mix's.
    leakage_db: BTreeMap<String, f64>,
    /// Names of all rows, in the order of the table.
    #[serde(skip)]
    rows: Vec<String>,
    #[serde(skip)]
    separation_s: f64,
}

impl SongReport {
    /// `rows` are all that was judged; of `stems`, those that have a score; of `leakage_db`, those that are silent.
    pub fn new(
        name: String,
        seconds: f64,
        separation_s: f64,
        rows: Vec<String>,
        stems: BTreeMap<String, Score>,
        leakage_db: BTreeMap<String, f64>,
    ) -> SongReport {
        let mean = Score::over_stems(stems.values());
        SongReport {
            name,
            seconds,
            real_time_factor: separation_s / seconds.max(1e-9),
            stems,
            mean,
            leakage_db,
            rows,
            separation_s,
        }
    }
}

/// A song that could not be judged.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub name: String,
    /// Why.
    pub error: String,
}

/// The scores of all songs.
#[derive(Serialize)]
pub struct Report {
    model: ModelInfo,
    data: PathBuf,
    /// The kind of mask that gave the upper bound.
    oracle: Option<&'static str>,
    songs: Vec<SongReport>,
    /// Left out.
    failed: Vec<Failure>,
    /// Over the songs that have the stem: the median of what BSSEval says, the mean of global SDRs.
    stems: BTreeMap<String, Score>,
    /// Mean over the stems.
    mean: Option<Score>,
    /// Mean over the songs that are known not to have the stem.
    leakage_db: BTreeMap<String, f64>,
    real_time_factor: f64,
    #[serde(skip)]
    rows: Vec<String>,
}

impl Report {
    pub fn new(
        model: ModelInfo,
        data: PathBuf,
        oracle: Option<&'static str>,
        songs: Vec<SongReport>,
        failed: Vec<Failure>,
    ) -> Report {
        let mut rows: Vec<String> = Vec::new();
        for row in songs.iter().flat_map(|song| &song.rows) {
            if !rows.contains(row) {
                rows.push(row.clone());
            }
        }
        let over_songs = |name: &String| Score::over_songs(songs.iter().filter_map(|song| song.stems.get(name)));
        let stems: BTreeMap<_, _> = rows.iter().filter_map(|name| Some((name.clone(), over_songs(name)?))).collect();
        let mean = Score::over_stems(stems.values());
        let leaked = |name: &String| {
            let all: Vec<f64> = songs.iter().filter_map(|song| song.leakage_db.get(name).copied()).collect();
            (!all.is_empty()).then(|| (name.clone(), all.iter().sum::<f64>() / all.len() as f64))
        };
        let leakage_db = rows.iter().filter_map(leaked).collect();
        let (separation_s, song_s) =
            songs.iter().fold((0.0, 0.0), |(s, t), song| (s + song.separation_s, t + song.seconds));
        let real_time_factor = separation_s / song_s.max(1e-9);
        Report { model, data, oracle, songs, failed, stems, mean, leakage_db, real_time_factor, rows }
    }

    /// All scores as JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// Writes scores beside the file and then renames.
pub fn write_beside(path: &Path, text: &str) -> Result<()> {
    base::write_whole(path, text).map_err(|error| anyhow!("{}: could not write the scores: {error}", path.display()))
}

#[cfg(test)]
mod tests;
