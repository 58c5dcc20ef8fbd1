//! Starts the engine with what is installed, or passes the mix through and says why.

use crate::{
    engine_watch::EngineWatch,
    installation::resource_dirs,
    model_choice::ModelChoice,
    model_shelf::{model_dirs, scan},
    reporter::{Activity, Reporter},
};
use base::MODEL_VARIABLE;
use models::{Manifest, Model, ModelError, limits::MAX_LATENCY_S};
use separator::{AudioSide, Engine, EngineConfig, LatencyPlan, SeparatorError, find_runtime, latency_samples};
use std::{
    any::Any,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// Tells the latency as long as no model can be read: that of the default model, so that nothing moves when it is
/// installed at last.
const DEFAULT_MANIFEST: &str = include_str!("../../models/mix/manifest.toml");

/// The models of a choice, as far as they are there, and the latency that they share.
pub struct Lineup {
    choice: ModelChoice,
    playing: Result<Model, ModelError>,
    /// None: the one that plays.
    bouncing: Option<Result<Model, ModelError>>,
    plan: LatencyPlan,
}

impl Lineup {
    /// Reads the manifests of the models that are meant.
    ///
    /// # Realtime
    /// Not safe: reads files.
    pub fn new(choice: &ModelChoice, config: &EngineConfig) -> Self {
        let read = |dir: PathBuf| Model::read(&dir);
        let playing = find_model(&choice.playing.name).and_then(read);
        // The model of the environment is for everything.
        let bouncing = choice.other_for_bouncing().filter(|_| !is_model_fixed());
        let bouncing = bouncing.map(|id| models::find_by_name(&id.name, &own_model_dirs()).and_then(read));
        // Without a model the latency is that of the default one.
        let played = playing.as_ref().ok().and_then(|model| latency_of(&model.manifest, config));
        let bounced = bouncing.as_ref().and_then(|model| latency_of(&model.as_ref().ok()?.manifest, config));
        let padded = choice.has_constant_latency.then(|| slowest_latency(config)).flatten();
        let latency_samples = played.or_else(|| latency_of(&default_manifest(), config)).unwrap_or(0);
        let plan = LatencyPlan::new([], config.sample_rate_hz, config.max_block_len)
            .at_least(latency_samples)
            .at_least(bounced.unwrap_or(0))
            .at_least(padded.unwrap_or(0));
        Lineup { choice: choice.clone(), playing, bouncing, plan }
    }

    /// By how many samples the output lags behind the input with these models.
    pub fn latency_samples(&self) -> usize {
        self.plan.latency_samples()
    }

    /// The models that are meant.
    pub fn choice(&self) -> &ModelChoice {
        &self.choice
    }

    /// The plan.
    pub fn plan(&self) -> &LatencyPlan {
        &self.plan
    }

    /// Name and hash of each model of the choice that was found.
    pub fn found(&self) -> impl Iterator<Item = (&str, &str)> {
        let playing = self.playing.as_ref().ok().filter(|_| !is_model_fixed());
        let playing = playing.map(|model| (&self.choice.playing, model));
        let bouncing = self.bouncing.as_ref().and_then(|model| model.as_ref().ok());
        let bouncing = self.choice.bouncing.as_ref().zip(bouncing);
        let found = [playing, bouncing].into_iter().flatten();
        found.map(|(id, model)| (&id.name[..], &model.manifest.graph.sha256[..]))
    }

    /// How the model that plays is called in messages.
    pub(crate) fn playing_name(&self) -> &str {
        self.playing.as_ref().map_or(&self.choice.playing.name, |model| &model.manifest.name)
    }

    /// Whether the model that plays is not the one of its name that the project was made with.
    pub(crate) fn is_other_version(&self) -> bool {
        let saved = self.choice.playing.sha256.as_ref().filter(|_| !is_model_fixed());
        self.playing.as_ref().ok().zip(saved).is_some_and(|(model, saved)| model.manifest.graph.sha256 != *saved)
    }

    /// Brings the model that plays into a running engine.
    pub(crate) fn play(&self, engine: &Engine) -> Result<(), String> {
        let model = self.playing.as_ref().map_err(ToString::to_string)?;
        let runtime = find_runtime(&resource_dirs()).map_err(|error| error.to_string())?;
        engine.choose(runtime, model).map_err(|error| error.to_string())
    }

    /// The same for the model for bouncing. What is wrong with it is told, and no reason to fail: the one that plays does
    /// its work.
    pub(crate) fn bounce(&self, engine: &Engine, reporter: &Reporter) {
        let set = |model: Option<&Model>| {
            let set = find_runtime(&resource_dirs()).and_then(|runtime| engine.choose_for_bouncing(runtime, model));
            set.map_err(|error| error.to_string())
        };
        let chosen = match &self.bouncing {
            None => set(None),
            Some(Ok(model)) => set(Some(model)),
            // The one before must not go on.
            Some(Err(error)) => set(None).and(Err(error.to_string())),
        };
        match chosen {
            Ok(()) => reporter.board().update(|board| board.bouncing_problem = None),
            Err(problem) => tell_about_bouncing(reporter, &problem),
        }
    }
}

/// Says why offline renders have the model that plays.
pub(crate) fn tell_about_bouncing(reporter: &Reporter, problem: &str) {
    let text = format!("Offline renders are made with the model that plays: {problem}");
    reporter.warn(&text);
    reporter.board().update(|board| board.bouncing_problem = Some(text));
}

/// An engine for these models, or, if anything is missing, none: then the mix passes through with the same latency, and
/// `reporter` says what to do. Never panics.
///
/// # Realtime
/// Not safe: reads files, starts threads.
pub fn start(lineup: &Lineup, config: &EngineConfig, reporter: &Reporter) -> (Option<EngineWatch>, AudioSide) {
    reporter.board().update(|board| board.bouncing_problem = None);
    let opened = catch_unwind(AssertUnwindSafe(|| open(lineup, reporter)));
    let message = match opened.unwrap_or_else(|panic| Err(start_failed(&*panic))) {
        Ok((watch, audio_side)) => return (Some(watch), audio_side),
        Err(message) => message,
    };
    reporter.board().update(|board| board.activity = Activity::PassingThrough);
    reporter.error(&format!("Unbraid passes the mix through: {message}. Then switch the plugin off and on again"));
    (None, AudioSide::passthrough(lineup.latency_samples(), config.max_block_len))
}

fn open(lineup: &Lineup, reporter: &Reporter) -> Result<(EngineWatch, AudioSide), String> {
    // The graph is read and checked, and ONNX Runtime opened, by a thread of the engine's: this one is the host's.
    let model = lineup.playing.as_ref().map_err(ToString::to_string)?;
    let runtime = find_runtime(&resource_dirs()).map_err(|error| error.to_string())?;
    let started = Engine::start_with_plan(runtime, model, lineup.plan.clone());
    let (engine, audio_side) = started.map_err(|error| error.to_string())?;
    if lineup.bouncing.is_some() {
        lineup.bounce(&engine, reporter);
    }
    let watch = EngineWatch::start(engine, lineup, reporter.clone());
    Ok((watch.map_err(|error| SeparatorError::Thread(error).to_string())?, audio_side))
}

/// Whether the user has chosen a model for all projects.
///
/// # Realtime
/// Not safe: allocates, reads the environment.
pub fn is_model_fixed() -> bool {
    env::var_os(MODEL_VARIABLE).is_some_and(|name| !name.is_empty())
}

/// The model's folder. The environment variable is the user's own and may hold a path; the name comes from a project,
/// which is somebody else's file, and stays a name.
fn find_model(name_in_project: &str) -> Result<PathBuf, ModelError> {
    match env::var(MODEL_VARIABLE).ok().filter(|name| !name.is_empty()) {
        Some(name_or_path) => models::locate(&name_or_path, &own_model_dirs()),
        None => models::find_by_name(name_in_project, &own_model_dirs()),
    }
}

/// The folders of shipped models; the user's are looked into after them.
fn own_model_dirs() -> Vec<PathBuf> {
    resource_dirs().iter().map(|dir| dir.join("models")).collect()
}

/// The latency of one model; None if it is beyond all bounds.
fn latency_of(manifest: &Manifest, config: &EngineConfig) -> Option<usize> {
    let latency = catch_unwind(|| latency_samples(manifest, config.sample_rate_hz, config.max_block_len)).ok();
    // Within limits at the model's rate, but the block length is the host's.
    let max_latency = MAX_LATENCY_S as f64 * config.sample_rate_hz;
    latency.filter(|&latency| latency as f64 <= max_latency)
}

/// The latency of the slowest installed model that can be played.
fn slowest_latency(config: &EngineConfig) -> Option<usize> {
    let models = scan(&model_dirs());
    models.iter().filter_map(|model| model.latency_samples(config.sample_rate_hz, config.max_block_len)).max()
}

fn default_manifest() -> Manifest {
    toml::from_str(DEFAULT_MANIFEST).expect("a test reads the default model's manifest")
}

fn start_failed(panic: &(dyn Any + Send)) -> String {
    format!("the engine could not be started ({}). Please report this", base::panic_message(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::DEFAULT_MODEL;
    use models::MANIFEST_FILE;

    #[test]
    fn the_default_manifest_is_that_of_the_default_model() {
        assert_eq!(default_manifest().name, DEFAULT_MODEL);
    }

    #[test]
    fn without_a_model_the_mix_passes_with_the_latency_of_the_default_model() {
        let config = EngineConfig { sample_rate_hz: 48_000.0, max_block_len: 512 };
        let reporter = Reporter::default();
        let lineup = Lineup::new(&ModelChoice::playing("no such model"), &config);
        let (watch, mut audio_side) = start(&lineup, &config, &reporter);
        let latency = latency_samples(&default_manifest(), 48_000.0, 512);
        assert!(watch.is_none());
        let status = reporter.board().get();
        assert_eq!(status.activity, Activity::PassingThrough);
        assert!(status.message.is_some_and(|message| message.contains("no such model")));
        assert_eq!(audio_side.latency_samples(), latency);
        let mut out = [vec![0.0; latency + 1], vec![0.0; latency + 1]];
        let mut input = out.clone();
        input[0][0] = 1.0;
        let mut stems = [(); 4].map(|()| out.clone());
        let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(Vec::as_mut_slice));
        audio_side.process_into(
            input.each_ref().map(Vec::as_slice),
            out.each_mut().map(Vec::as_mut_slice),
            &mut stems,
            true,
        );
        assert_eq!(out[0].iter().position(|&sample| sample != 0.0), Some(latency));
    }

    #[test]
    fn an_absurd_sample_rate_does_not_take_the_host_down() {
        for sample_rate_hz in [0.0, -1.0, f64::NAN, 1e-3, 1e9] {
            let config = EngineConfig { sample_rate_hz, max_block_len: 64 };
            Lineup::new(&ModelChoice::playing("no such model"), &config);
            Lineup::new(&ModelChoice { has_constant_latency: true, ..ModelChoice::playing("mix") }, &config);
        }
    }

    #[test]
    fn an_absurd_manifest_does_not_take_all_memory() {
        let dir = env::temp_dir().join(format!("unbraid-absurd-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for slice_len in ["1000000000000", "9223372036854775807"] {
            let text = DEFAULT_MANIFEST.replace("slice_len = 3072", &format!("slice_len = {slice_len}"));
            assert_ne!(text, DEFAULT_MANIFEST);
            std::fs::write(dir.join(MANIFEST_FILE), text).unwrap();
            assert!(Model::read(&dir).is_err(), "it makes no sense");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_project_cannot_name_a_path() {
        let models_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
        for name in [format!("{models_dir}/mix"), "./mix".to_owned(), "../models/mix".to_owned()] {
            let error = find_model(&name).unwrap_err();
            assert!(matches!(error, ModelError::Name { .. }), "{error}");
        }
    }

    #[test]
    fn panics_say_what_they_said() {
        let panic = catch_unwind(|| panic!("at the {}", "disco")).unwrap_err();
        assert!(start_failed(&*panic).contains("at the disco"));
    }
}
