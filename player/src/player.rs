//! A song, its stems and what plays them.

use crate::{
    export, installation,
    playback::Playback,
    separating::{Engine, Separating},
    song::{LoadedSong, lock},
    stem_store::StemStore,
    transport::Transport,
};
use anyhow::{Result, anyhow};
use models::Model;
use separator::SpectrumFeed;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use unbraid_plugin::{
    meters::Meters,
    mix_controls::MixControls,
    model_choice::ModelChoice,
    params::UnbraidParams,
    reporter::{Activity, StatusBoard},
};

/// Everything but the window and the sound card.
pub struct Player {
    /// What is played.
    pub song: Arc<LoadedSong>,
    /// Where.
    pub transport: Arc<Transport>,
    /// The controls of the stems.
    pub params: Arc<UnbraidParams>,
    /// How it is doing.
    pub board: Arc<StatusBoard>,
    /// Levels.
    pub meters: Arc<Meters>,
    /// What the stems are made of.
    pub spectra: Arc<SpectrumFeed>,
    separating: Arc<Separating>,
    /// Of the model before any is open.
    first_model: String,
    export: Arc<Export>,
}

/// An export that is under way, or has been.
#[derive(Default)]
struct Export {
    is_running: AtomicBool,
    stop: AtomicBool,
    message: Mutex<Option<String>>,
}

impl Player {
    /// Opens a song; its stems are computed from now on. The playback is for the audio thread.
    ///
    /// # Errors
    /// The song cannot be read.
    pub fn open(path: &Path, engine: Engine) -> Result<(Player, Playback)> {
        let song = LoadedSong::open(path)?;
        let (store, transport): (Arc<StemStore>, Arc<Transport>) = Default::default();
        let (params, meters): (Arc<UnbraidParams>, Arc<Meters>) = Default::default();
        let spectra: Arc<SpectrumFeed> = Arc::default();
        let first_model = engine.model.manifest.name.clone();
        params.models.choose(ModelChoice::playing(&first_model));
        let playback = Playback::new(song.clone(), store.clone(), transport.clone(), params.clone(), meters.clone());
        let separating =
            Separating::start(engine, song.clone(), store, transport.clone(), spectra.clone(), params.clone())?;
        let separating = Arc::new(separating);
        let board: Arc<StatusBoard> = Arc::default();
        let export = Arc::default();
        Ok((Player { song, transport, params, board, meters, spectra, separating, first_model, export }, playback))
    }

    /// From now on a model that is chosen in the editor is gone to.
    pub fn follow_choice(&self) {
        let (separating, board) = (Arc::downgrade(&self.separating), self.board.clone());
        self.params.models.call_on_change(move |choice, _| {
            let Some(separating) = separating.upgrade() else { return };
            match installation::find_model(&choice.playing.name) {
                Ok(model) => separating.choose(model),
                Err(error) => board.update(|status| status.message = Some(error.to_string())),
            }
        });
    }

    /// Goes to a place in the song, in samples.
    pub fn seek(&self, position: i64) {
        self.transport.seek(position.min(self.song.likely_len()));
        self.separating.wake();
    }

    /// Plays, from the start if it is at the end; or pauses.
    pub fn toggle_playing(&self) {
        let is_playing = !self.transport.is_playing();
        if is_playing && self.song.known_len().is_some_and(|len| self.transport.position() >= len) {
            self.seek(0);
        }
        self.transport.set_playing(is_playing);
    }

    /// Goes to another model.
    pub fn choose_model(&self, model: Model) {
        self.separating.choose(model);
    }

    /// Whether the stems of the whole song are there, or as many as there is room for.
    pub fn is_complete(&self) -> bool {
        self.separating.is_complete()
    }

    /// Whether the model is open.
    pub fn is_ready(&self) -> bool {
        self.separating.graph().is_some()
    }

    /// Why there are no stems.
    pub fn error(&self) -> Option<String> {
        self.separating.error().or_else(|| self.song.error())
    }

    /// Brings the status board up to date.
    pub fn update_board(&self) {
        let (error, is_ready) = (self.error(), self.is_ready());
        let message = lock(&self.export.message).clone();
        let graph = self.separating.graph();
        let model = graph.map_or_else(|| self.first_model.clone(), |graph| graph.model().manifest.name.clone());
        self.board.update(|status| {
            status.activity = match (&error, is_ready) {
                (Some(_), false) => Activity::PassingThrough,
                (None, false) => Activity::Loading,
                (_, true) => Activity::Running,
            };
            status.model = Some(model);
            status.load = if self.is_complete() { 0.0 } else { self.separating.load() };
            status.late_hops = self.transport.num_late();
            status.sample_rate_hz = f64::from(self.song.sample_rate_hz());
            status.message = error.map(|error| problem(&error, is_ready)).or(message);
        });
    }

    /// Writes what is heard, the song over, to `path`, or beside the song. On a thread of its own; the board tells.
    pub fn start_export(&self, path: Option<PathBuf>) {
        let Some(graph) = self.separating.graph() else {
            *lock(&self.export.message) = Some("The model is not open yet; try again in a moment".into());
            return;
        };
        if self.export.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let (song, export) = (self.song.path().to_owned(), self.export.clone());
        let controls = self.params.mix_controls();
        let path = path.unwrap_or_else(|| export::free_path(&song));
        let spawned = thread::Builder::new().name("unbraid-export".into()).spawn(move || {
            let mut go_on = |done: f64| {
                *lock(&export.message) = Some(format!("Writing {} ({:.0} %)", path.display(), 100.0 * done));
                !export.stop.load(Ordering::Relaxed)
            };
            let message = match export::export(&song, &graph, &controls, &path, &mut go_on) {
                Ok(()) => format!("Written: {}", path.display()),
                Err(error) => format!("Nothing was written: {error}"),
            };
            *lock(&export.message) = Some(message);
            export.is_running.store(false, Ordering::Release);
        });
        if let Err(error) = spawned {
            *lock(&self.export.message) = Some(format!("Nothing was written: {error}"));
            self.export.is_running.store(false, Ordering::Release);
        }
    }

    /// The export that is under way ends soon, and takes its unfinished file away.
    pub fn stop_export(&self) {
        self.export.stop.store(true, Ordering::Relaxed);
    }

    /// Whether an export is under way.
    pub fn is_exporting(&self) -> bool {
        self.export.is_running.load(Ordering::Acquire)
    }

    /// What the last export has said.
    pub fn export_message(&self) -> Option<String> {
        lock(&self.export.message).clone()
    }

    /// Writes what is heard under `controls`, and waits for it.
    ///
    /// # Errors
    /// As [`export::export`], and if the model cannot be opened.
    pub fn export_now(&self, path: &Path, controls: &MixControls, go_on: &mut dyn FnMut(f64) -> bool) -> Result<()> {
        let graph = loop {
            match (self.separating.graph(), self.separating.error()) {
                (Some(graph), _) => break graph,
                (None, Some(error)) => return Err(anyhow!(error)),
                (None, None) => thread::sleep(Duration::from_millis(10)),
            }
        };
        export::export(self.song.path(), &graph, controls, path, go_on)
    }
}

/// What is wrong, in a line.
fn problem(error: &str, is_ready: bool) -> String {
    if is_ready { error.to_owned() } else { format!("Only the mix is played: {error}") }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.song.stop();
        self.stop_export();
        // A file that is half written removes itself.
        while self.is_exporting() {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
