//! Starts the engine with what is installed, or passes the mix through and says why.

use crate::{
    engine_watch::EngineWatch,
    installation::resource_dirs,
    reporter::{Activity, Reporter},
};
use base::MODEL_VARIABLE;
use models::{MANIFEST_FILE, Manifest, Model, ModelError, limits::MAX_LATENCY_S};
use separator::{AudioSide, Engine, EngineConfig, SeparatorError, find_runtime, latency_samples};
use std::{
    any::Any,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Tells the latency as long as no model can be read: that of the default model, so that nothing moves when it is
/// installed at last.
const DEFAULT_MANIFEST: &str = include_str!("../../models/mix/manifest.toml");

/// A worker for this model and configuration, or, if anything is missing, none: then the mix passes through with the
/// same latency, and `reporter` says what to do. Never panics.
///
/// # Realtime
/// Not safe: reads files, starts threads.
pub fn start(model_name: &str, config: &EngineConfig, reporter: &Reporter) -> (Option<EngineWatch>, AudioSide) {
    let opened =
        catch_unwind(AssertUnwindSafe(|| open(model_name, config, reporter).map_err(|error| error.to_string())));
    let message = match opened.unwrap_or_else(|panic| Err(start_failed(&*panic))) {
        Ok((watch, audio_side)) => return (Some(watch), audio_side),
        Err(message) => message,
    };
    reporter.board().update(|board| board.activity = Activity::PassingThrough);
    reporter.error(&format!("Unbraid passes the mix through: {message}. Then switch the plugin off and on again"));
    (None, AudioSide::passthrough(latency_without_engine(model_name, config), config.max_block_len))
}

fn open(
    model_name: &str,
    config: &EngineConfig,
    reporter: &Reporter,
) -> Result<(EngineWatch, AudioSide), SeparatorError> {
    // The graph is read and checked, and ONNX Runtime opened, by a thread of the engine's: this one is the host's.
    let model = Model::read(&find_model(model_name)?)?;
    let runtime = find_runtime(&resource_dirs())?;
    let (engine, audio_side) = Engine::start(runtime, &model, config)?;
    let watch = EngineWatch::start(engine, model_name, model.manifest.name, reporter.clone());
    Ok((watch.map_err(SeparatorError::Thread)?, audio_side))
}

/// Brings the model of that name in a project into a running engine; returns its own name.
///
/// # Errors
/// [`SeparatorError`]
///
/// # Realtime
/// Not safe: reads files, starts a thread.
pub fn choose(engine: &Engine, model_name: &str) -> Result<String, SeparatorError> {
    let model = Model::read(&find_model(model_name)?)?;
    engine.choose(find_runtime(&resource_dirs())?, &model)?;
    Ok(model.manifest.name)
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
        Some(name_or_path) => models::locate(&name_or_path, &model_dirs()),
        None => models::find_by_name(name_in_project, &model_dirs()),
    }
}

fn model_dirs() -> Vec<PathBuf> {
    resource_dirs().iter().map(|dir| dir.join("models")).collect()
}

/// The latency that the model would have if only its manifest can be read, else that of the default model.
fn latency_without_engine(model_name: &str, config: &EngineConfig) -> usize {
    let latency = |manifest: &Manifest| {
        catch_unwind(|| latency_samples(manifest, config.sample_rate_hz, config.max_block_len)).ok()
    };
    let manifest = find_model(model_name).ok().and_then(|dir| manifest_of(&dir));
    // Within limits at the model's rate, but the block length is the host's.
    let max_latency = MAX_LATENCY_S as f64 * config.sample_rate_hz;
    let told = manifest.as_ref().and_then(latency).filter(|&latency| latency as f64 <= max_latency);
    told.or_else(|| latency(&default_manifest())).unwrap_or(0)
}

/// The manifest, if it makes sense: one that is only well-formed may ask for all memory.
fn manifest_of(dir: &Path) -> Option<Manifest> {
    let manifest = Manifest::read(&dir.join(MANIFEST_FILE)).ok()?;
    manifest.validate(dir).ok()?;
    Some(manifest)
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

    #[test]
    fn the_default_manifest_is_that_of_the_default_model() {
        assert_eq!(default_manifest().name, DEFAULT_MODEL);
    }

    #[test]
    fn without_a_model_the_mix_passes_with_the_latency_of_the_default_model() {
        let config = EngineConfig { sample_rate_hz: 48_000.0, max_block_len: 512 };
        let reporter = Reporter::default();
        let (watch, mut audio_side) = start("no such model", &config, &reporter);
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
            latency_without_engine("no such model", &config);
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
            assert!(manifest_of(&dir).is_none(), "it makes no sense");
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
