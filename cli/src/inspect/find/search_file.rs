//! A search and what it has found so far, on disk.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::{Request, excerpts::Excerpt, ranking, trial::Trial};
use crate::inspect::output;

/// All of a search. Written after every trial; as JSON it can be read again and resumed.
pub struct Search {
    settings: Settings,
    pub songs: Vec<JudgedSong>,
    /// Named designs, then by number.
    pub trials: Vec<Trial>,
    out: Option<PathBuf>,
    num_best: usize,
}

/// What trials must share to be comparable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub data: PathBuf,
    pub seed: u64,
    pub seconds: f64,
    pub latencies_ms: Vec<f64>,
}

/// Where the excerpt of a song lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedSong {
    pub name: String,
    pub start_s: f64,
    pub stems: Vec<String>,
}

impl From<&Excerpt> for JudgedSong {
    fn from(excerpt: &Excerpt) -> JudgedSong {
        let stems = excerpt.stem_names.iter().map(|name| name.to_string()).collect();
        JudgedSong { name: excerpt.song.clone(), start_s: excerpt.start_s, stems }
    }
}

#[derive(Serialize, Deserialize)]
struct Json {
    settings: Settings,
    songs: Vec<JudgedSong>,
    trials: Vec<Trial>,
}

impl Search {
    /// An empty search, or the one in the request's JSON file.
    ///
    /// # Errors
    /// The file cannot be written, is not of this kind, or was made with other settings.
    pub fn open(request: &Request) -> Result<Search> {
        let settings = Settings {
            data: request.data.clone(),
            seed: request.seed,
            seconds: request.seconds,
            latencies_ms: request.latencies_ms.clone(),
        };
        let (out, num_best) = (request.out.clone(), request.num_best);
        let mut search = Search { settings, songs: Vec::new(), trials: Vec::new(), out, num_best };
        if let Some(path) = &search.out {
            kind(path)?;
            output::check_writable(path)?;
            if kind(path)? == Kind::Json && path.exists() {
                search.trials = read(path, &search.settings)?;
            }
        }
        Ok(search)
    }

    /// Puts a trial in its place.
    pub fn add(&mut self, trial: Trial) {
        let key = |trial: &Trial| (trial.number, trial.design.clone());
        let at = self.trials.partition_point(|other| key(other) < key(&trial));
        self.trials.insert(at, trial);
    }

    /// Writes the file, if one is wanted.
    pub fn save(&self) -> Result<()> {
        let Some(path) = &self.out else { return Ok(()) };
        let text = match kind(path)? {
            Kind::Markdown => ranking::markdown(&self.trials, &self.settings.latencies_ms, self.num_best),
            Kind::Csv => ranking::csv(&self.trials),
            Kind::Json => {
                let (settings, songs, trials) = (self.settings.clone(), self.songs.clone(), self.trials.clone());
                serde_json::to_string_pretty(&Json { settings, songs, trials })? + "\n"
            }
        };
        output::write(path, text.as_bytes())
    }
}

#[derive(PartialEq)]
enum Kind {
    Markdown,
    Csv,
    Json,
}

fn kind(path: &Path) -> Result<Kind> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => Ok(Kind::Markdown),
        Some("csv") => Ok(Kind::Csv),
        Some("json") => Ok(Kind::Json),
        _ => bail!("--out {}: expected a name that ends in .md, .csv or .json", path.display()),
    }
}

fn read(path: &Path, settings: &Settings) -> Result<Vec<Trial>> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow!("{}: could not read: {error}", path.display()))?;
    let json: Json = serde_json::from_str(&text)
        .map_err(|error| anyhow!("{}: expected an earlier search to resume: {error}", path.display()))?;
    if json.settings != *settings {
        bail!(
            "{}: holds a search with other settings: expected {settings:?}, got {:?}; name another file",
            path.display(),
            json.settings
        );
    }
    Ok(json.trials)
}
