//! Starts the engine with what is installed, or passes the mix through and says why.

use crate::{engine_watch::EngineWatch, installation::resource_dirs};
use models::{MANIFEST_FILE, Manifest, Model};
use nice_plug::prelude::*;
use separator::{AudioSide, Engine, EngineConfig, Runtime, SeparatorError, find_runtime, latency_samples};
use std::{
    any::Any,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

/// Environment variable with the name or the folder of a model; goes before the one of the project.
pub const MODEL_VARIABLE: &str = "UNBRAID_MODEL";

/// Tells the latency as long as no model can be read: that of the default model, so that nothing moves when it is
/// installed at last.
const DEFAULT_MANIFEST: &str = include_str!("../../models/first/manifest.toml");

/// A model that cannot be loaded and whose manifest claims more is not believed.
const MAX_LATENCY_S: f64 = 60.0;

/// A worker for this model and configuration, or, if anything is missing, none: then the mix passes through with the
/// same latency, and the log says what to do. Never panics.
///
/// # Realtime
/// Not safe: reads files, starts threads.
pub fn start(model_name: &str, config: &EngineConfig) -> (Option<EngineWatch>, AudioSide) {
    let model_name = env::var(MODEL_VARIABLE).ok().filter(|name| !name.is_empty()).unwrap_or(model_name.to_owned());
    let opened = catch_unwind(AssertUnwindSafe(|| open(&model_name, config).map_err(|error| error.to_string())));
    let message = match opened.unwrap_or_else(|panic| Err(panic_message(&*panic))) {
        Ok((watch, audio_side)) => return (Some(watch), audio_side),
        Err(message) => message,
    };
    nice_error!("Unbraid passes the mix through: {message}. Then switch the plugin off and on again");
    (None, AudioSide::passthrough(latency_without_engine(&model_name, config), config.max_block_len))
}

fn open(model_name: &str, config: &EngineConfig) -> Result<(EngineWatch, AudioSide), SeparatorError> {
    let model = Model::load(&models::locate(model_name, &model_dirs())?)?;
    let runtime = Runtime::load(&find_runtime(&resource_dirs())?)?;
    let (engine, audio_side) = Engine::start(runtime, &model, config)?;
    let watch = EngineWatch::start(engine, model.manifest.name).map_err(SeparatorError::Thread)?;
    Ok((watch, audio_side))
}

fn model_dirs() -> Vec<PathBuf> {
    resource_dirs().iter().map(|dir| dir.join("models")).collect()
}

/// The latency that the model would have if only its manifest can be read, else that of the default model.
fn latency_without_engine(model_name: &str, config: &EngineConfig) -> usize {
    let latency = |manifest: &Manifest| {
        catch_unwind(|| latency_samples(manifest, config.sample_rate_hz, config.max_block_len)).ok()
    };
    let dir = models::locate(model_name, &model_dirs()).ok();
    let manifest = dir.and_then(|dir| Manifest::read(&dir.join(MANIFEST_FILE)).ok());
    // A manifest can be well-formed and still make no sense; nor may it ask for all memory.
    let max_latency = MAX_LATENCY_S * config.sample_rate_hz;
    let told = manifest.as_ref().and_then(latency).filter(|&latency| latency as f64 <= max_latency);
    told.or_else(|| latency(&default_manifest())).unwrap_or(0)
}

fn default_manifest() -> Manifest {
    toml::from_str(DEFAULT_MANIFEST).expect("a test reads the default model's manifest")
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    format!("the engine could not be started ({}). Please report this", text.unwrap_or("no message"))
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
        let (watch, mut audio_side) = start("no such model", &config);
        let latency = latency_samples(&default_manifest(), 48_000.0, 512);
        assert!(watch.is_none());
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
        let config = EngineConfig { sample_rate_hz: 44_100.0, max_block_len: 64 };
        let expected = latency_samples(&default_manifest(), 44_100.0, 64);
        let dir = env::temp_dir().join(format!("unbraid-absurd-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for slice_len in ["1000000000000", "9223372036854775807"] {
            let text = DEFAULT_MANIFEST.replace("slice_len = 18060", &format!("slice_len = {slice_len}"));
            assert_ne!(text, DEFAULT_MANIFEST);
            std::fs::write(dir.join(MANIFEST_FILE), text).unwrap();
            assert_eq!(latency_without_engine(&dir.display().to_string(), &config), expected);
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn panics_say_what_they_said() {
        let panic = catch_unwind(|| panic!("at the {}", "disco")).unwrap_err();
        assert!(panic_message(&*panic).contains("at the disco"));
    }
}
