//! The models that are installed, with what the user wants to know of each before choosing one.

use crate::installation::resource_dirs;
use models::{MANIFEST_FILE, Manifest, Scores, user_models_dirs};
use separator::latency_samples;
use std::{
    collections::BTreeMap,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The file in a model's folder that is written for people.
const CARD_FILE: &str = "CARD.md";
/// Longer cards are not read.
const MAX_CARD_BYTES: u64 = 1 << 18;
/// More folders than that are not looked into.
const MAX_MODELS: usize = 500;

/// One installed model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// Name of its folder, by which projects know it.
    pub name: String,
    /// Its manifest, or what is wrong with it.
    pub manifest: Result<Manifest, String>,
    /// What it costs, as its card says: processor time, else multiply-accumulates.
    pub cost: Option<String>,
}

impl ModelInfo {
    fn read(name: String, dir: &Path) -> Self {
        let manifest = Manifest::read(&dir.join(MANIFEST_FILE)).and_then(|manifest| {
            manifest.validate(dir)?;
            Ok(manifest)
        });
        let card = fs::metadata(dir.join(CARD_FILE)).ok().filter(|data| data.len() <= MAX_CARD_BYTES);
        let card = card.and_then(|_| fs::read_to_string(dir.join(CARD_FILE)).ok());
        ModelInfo {
            name,
            manifest: manifest.map_err(|error| error.to_string()),
            cost: card.and_then(|card| cost(&card)),
        }
    }

    /// Why it cannot be chosen: the manifest is wrong, or it must hear more of a song than a live stream can wait for.
    pub fn obstacle(&self) -> Option<String> {
        match &self.manifest {
            Err(error) => Some(error.clone()),
            Ok(manifest) if manifest.offline.is_some() => Some("for files only: use `unbraid separate`".to_owned()),
            Ok(_) => None,
        }
    }

    /// By how much the sound comes later with it, in samples of the host; None if that cannot be told.
    pub fn latency_samples(&self, sample_rate_hz: f64, max_block_len: usize) -> Option<usize> {
        let manifest = self.manifest.as_ref().ok().filter(|manifest| manifest.offline.is_none())?;
        if !(1.0..1e7).contains(&sample_rate_hz) {
            return None;
        }
        catch_unwind(|| latency_samples(manifest, sample_rate_hz, max_block_len)).ok()
    }

    /// Whether its licence forbids commercial use.
    pub fn is_non_commercial(&self) -> bool {
        self.manifest.as_ref().is_ok_and(|manifest| forbids_commerce(&manifest.licence))
    }

    /// Its scores, in one line: the mean over songs of each stem, and of the stems.
    pub fn scores(&self) -> Option<String> {
        summary(&self.manifest.as_ref().ok()?.scores)
    }
}

fn forbids_commerce(licence: &str) -> bool {
    let licence = licence.to_lowercase();
    licence.split(|c: char| !c.is_alphanumeric()).any(|word| word == "nc" || word == "noncommercial")
        || licence.contains("non-commercial")
        || licence.contains("research only")
}

/// `SDR 5.0 dB (vocals 6.7, drums 6.2, bass 3.3, other 4.0)`
fn summary(scores: &BTreeMap<String, Scores>) -> Option<String> {
    let mut stems: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (stem, score) in scores.values().flatten().filter(|(_, score)| score.is_finite()) {
        stems.entry(stem).or_default().push(*score);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut means: Vec<(&str, f64)> = stems.iter().map(|(stem, scores)| (*stem, mean(scores))).collect();
    if means.is_empty() {
        return None;
    }
    let all = mean(&means.iter().map(|(_, score)| *score).collect::<Vec<_>>());
    // As the strips stand; strangers come last.
    let order = |stem: &str| separator::STEMS.iter().position(|name| *name == stem).unwrap_or(usize::MAX);
    means.sort_by_key(|(stem, _)| order(stem));
    let parts: Vec<String> = means.iter().map(|(stem, score)| format!("{stem} {score:.1}")).collect();
    Some(format!("SDR {all:.1} dB ({})", parts.join(", ")))
}

/// What a card says of the cost, in the rows of its table.
fn cost(card: &str) -> Option<String> {
    let row = |name: &str| {
        let cells = |line: &str| -> Option<String> {
            let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
            (cells.next()? == name).then(|| cells.next().map(str::to_owned))?
        };
        card.lines().find_map(cells)
    };
    let text = |cell: String| cell.split('(').next().unwrap_or_default().trim().to_owned();
    let time = row("processor time").map(text);
    time.or_else(|| row("multiply-accumulates").map(|cell| format!("{} multiplications", text(cell))))
        .filter(|text| !text.is_empty())
}

/// All models in `dirs`, by name; of those of one name the first, which is the one that is found by it.
///
/// # Realtime
/// Not safe: reads files.
pub fn scan(dirs: &[PathBuf]) -> Vec<ModelInfo> {
    let mut found = BTreeMap::new();
    for dir in dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flat_map(|dir| dir.flatten()) {
        let (name, path) = (dir.file_name().to_string_lossy().into_owned(), dir.path());
        // What cannot be found by its name is no model: hidden folders, paths, unfinished downloads.
        let is_model = models::find_by_name(&name, dirs).is_ok_and(|found| found == path);
        if is_model && found.len() < MAX_MODELS {
            found.entry(name.clone()).or_insert_with(|| ModelInfo::read(name, &path));
        }
    }
    found.into_values().collect()
}

/// Where the plugin finds models: beside itself, then in the user's own folders.
///
/// # Realtime
/// Not safe: allocates, reads folders.
pub fn model_dirs() -> Vec<PathBuf> {
    let shipped = resource_dirs().into_iter().map(|dir| dir.join("models"));
    shipped.chain(user_models_dirs()).collect()
}

/// The list of models, which a thread of its own brings up to date. Cheap to clone; all clones are the same shelf.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// None: none at all, as in tests.
    dirs: Option<Vec<PathBuf>>,
    /// Where the user's own go.
    own_dir: Option<PathBuf>,
    models: Mutex<Arc<[ModelInfo]>>,
    is_being_scanned: AtomicBool,
}

impl Shelf {
    /// The models that the plugin can play.
    pub fn installed() -> Self {
        let own_dir = models::user_models_dir();
        Shelf(Arc::new(Inner { dirs: Some(model_dirs()), own_dir, ..Inner::default() }))
    }

    /// Those in `dirs`.
    pub fn of(dirs: Vec<PathBuf>) -> Self {
        Shelf(Arc::new(Inner { dirs: Some(dirs), ..Inner::default() }))
    }

    /// The folder for models of the user's own, if the shelf has one.
    pub fn own_dir(&self) -> Option<&Path> {
        self.0.own_dir.as_deref()
    }

    /// What was found last.
    pub fn models(&self) -> Arc<[ModelInfo]> {
        lock(&self.0.models).clone()
    }

    /// Looks again, on a thread of its own.
    ///
    /// # Realtime
    /// Not safe: starts a thread.
    pub fn rescan(&self) {
        if self.0.dirs.is_none() || self.0.is_being_scanned.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = self.0.clone();
        let scan = move || {
            let models = scan(inner.dirs.as_deref().unwrap_or_default());
            *lock(&inner.models) = models.into();
            inner.is_being_scanned.store(false, Ordering::Release);
        };
        if thread::Builder::new().name("unbraid-shelf".into()).spawn(scan).is_err() {
            self.0.is_being_scanned.store(false, Ordering::Release);
        }
    }

    /// Whether it is being looked.
    pub fn is_being_scanned(&self) -> bool {
        self.0.is_being_scanned.load(Ordering::Acquire)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use separator::testing::TestModel;
    use std::time::{Duration, Instant};

    #[test]
    fn licences_that_forbid_commerce_are_known() {
        for licence in ["CC-BY-NC-SA-4.0", "CC BY-NC 4.0", "non-commercial", "Noncommercial use", "research only"] {
            assert!(forbids_commerce(licence), "{licence}");
        }
        for licence in ["CC-BY-SA-4.0", "MIT", "NCSA", "CC0-1.0", "OpenMDW", ""] {
            assert!(!forbids_commerce(licence), "{licence}");
        }
    }

    #[test]
    fn the_shipped_models_say_what_they_are() {
        let models = scan(&[PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models"))]);
        let of = |name: &str| models.iter().find(|model| model.name == name).unwrap();
        let (mix, first) = (of("mix"), of("first"));
        assert!(!mix.is_non_commercial() && first.is_non_commercial());
        assert_eq!(mix.latency_samples(44_100.0, 512), Some(4032));
        assert_eq!(mix.latency_samples(f64::NAN, 512), None);
        assert!(mix.cost.as_ref().is_some_and(|cost| cost.contains("% of one core")), "{:?}", mix.cost);
        let scores = mix.scores().unwrap();
        assert!(scores.starts_with("SDR 5.0 dB (vocals 6.7, drums 6.2, bass 3.3, other 4.0)"), "{scores}");
        assert!(models.iter().all(|model| model.obstacle().is_none()));
    }

    #[test]
    fn a_card_says_what_a_model_costs() {
        let card = "# x\n\n| | |\n|---|---|\n| multiply-accumulates | 516 M per second of music |\n";
        assert_eq!(cost(card).unwrap(), "516 M per second of music multiplications");
        assert_eq!(cost(&format!("{card}| processor time | 5.2 % of one core (26 s) |")).unwrap(), "5.2 % of one core");
        for card in ["", "| processor time |", "| processor time | |", "processor time"] {
            assert_eq!(cost(card), None, "{card}");
        }
    }

    #[test]
    fn what_is_broken_or_for_files_says_so_and_the_first_of_a_name_counts() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        TestModel::identity().write(&a.join("live")).unwrap();
        TestModel { blocks: Some((8, 0)), ..TestModel::identity() }.write(&a.join("files")).unwrap();
        TestModel::with_masks([0.5; 4]).write(&b.join("live")).unwrap();
        TestModel::identity().write(&b.join(".hidden")).unwrap();
        fs::create_dir_all(b.join("empty")).unwrap();
        fs::create_dir_all(b.join("broken")).unwrap();
        fs::write(b.join("broken").join(MANIFEST_FILE), "format = 3").unwrap();
        let models = scan(&[a.clone(), b, dir.path().join("nowhere")]);
        let names: Vec<_> = models.iter().map(|model| &model.name[..]).collect();
        assert_eq!(names, ["broken", "files", "live"]);
        assert!(models[0].obstacle().is_some_and(|text| text.contains("manifest.toml")));
        assert!(models[1].obstacle().is_some_and(|text| text.contains("files only")));
        assert_eq!(models[2].obstacle(), None);
        assert_eq!(models[2].manifest, Manifest::read(&a.join("live").join(MANIFEST_FILE)).map_err(|_| String::new()));
    }

    #[test]
    fn a_model_that_was_put_there_is_found_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of(vec![dir.path().to_owned()]);
        let num_models = || {
            shelf.rescan();
            let start = Instant::now();
            while shelf.is_being_scanned() && start.elapsed() < Duration::from_secs(20) {
                thread::sleep(Duration::from_millis(1));
            }
            shelf.models().len()
        };
        assert_eq!(num_models(), 0);
        TestModel::identity().write(&dir.path().join("new")).unwrap();
        assert_eq!(num_models(), 1);
    }
}
