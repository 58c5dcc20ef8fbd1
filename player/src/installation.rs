//! Where models and ONNX Runtime are: beside the program, or in the repository that it was built in.

use crate::separating::Engine;
use anyhow::{Result, anyhow};
use base::{DEFAULT_MODEL, MODEL_VARIABLE};
use models::Model;
use std::{env, path::PathBuf};

/// The model called (or lying at) `model`, else that of `UNBRAID_MODEL`, else the default one; and ONNX Runtime.
///
/// # Errors
/// One of them is not there, or the model is damaged.
pub fn find(model: Option<&str>) -> Result<Engine> {
    let from_env = env::var(MODEL_VARIABLE).ok().filter(|name| !name.is_empty());
    let name = model.or(from_env.as_deref()).unwrap_or(DEFAULT_MODEL);
    let dir = models::locate(name, &model_dirs()).map_err(|error| match (model, &from_env) {
        (None, Some(_)) => anyhow!("{MODEL_VARIABLE}: {error}; or unset the variable"),
        _ => error.into(),
    })?;
    Ok(Engine { runtime: separator::find_runtime(&models::program_runtime_dirs())?, model: Model::read(&dir)? })
}

/// The model of that name, which may be one that the user has put there.
///
/// # Errors
/// It is not there, or is damaged.
pub fn find_model(name: &str) -> Result<Model> {
    Ok(Model::read(&models::find_by_name(name, &model_dirs())?)?)
}

/// Where models are, the user's own last.
pub fn model_dirs() -> Vec<PathBuf> {
    models::program_models_dirs().into_iter().chain(models::user_models_dir()).collect()
}
