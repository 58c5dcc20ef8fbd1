//! Where this program finds its model and ONNX Runtime: beside itself, in the repository that it was built in, or where
//! `cargo xtask install` puts them.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use base::{DEFAULT_MODEL, MODEL_VARIABLE, RUNTIME_VARIABLE};
use models::Model;
use separator::{Pipeline, Runtime};

/// What to do when only the program is there, as after `cargo install --path cli`.
const INSTALL: &str =
    "Or run `cargo xtask install` in Unbraid's sources: it installs this program with all that it needs";

/// Model and runtime, loaded.
pub struct Installation {
    runtime: Arc<Runtime>,
    pub model: Model,
}

impl Installation {
    /// Loads the model called (or lying at) `model`, else that of `UNBRAID_MODEL`, else the default one.
    pub fn load(model: Option<&str>) -> Result<Installation> {
        let from_env = env::var(MODEL_VARIABLE).ok().filter(|name| !name.is_empty());
        let name = model.or(from_env.as_deref()).unwrap_or(DEFAULT_MODEL);
        let dir = models::locate(name, &models::program_models_dirs()).map_err(|error| match (model, &from_env) {
            (None, Some(_)) => anyhow!("{MODEL_VARIABLE}: {error}; or unset the variable"),
            (None, None) => anyhow!("{error}. {INSTALL}"),
            _ => error.into(),
        })?;
        let model = Model::load(&dir)?;
        let named = env::var_os(RUNTIME_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(path) = named.filter(|path| !path.is_file()) {
            let path = path.display();
            bail!("{RUNTIME_VARIABLE}: {path} is no file; set it to the path of ONNX Runtime's library, or unset it");
        }
        let library =
            separator::find_runtime(&models::program_runtime_dirs()).map_err(|error| anyhow!("{error}. {INSTALL}"))?;
        let runtime = Runtime::load(&library)?;
        Ok(Installation { runtime, model })
    }

    /// How many threads a song may have.
    pub fn set_threads_per_song(&self, num_threads: usize) {
        self.runtime.set_file_threads(num_threads);
    }

    /// A pipeline in its initial state.
    pub fn pipeline(&self) -> Result<Pipeline> {
        Ok(Pipeline::new(&self.runtime, &self.model)?)
    }
}
