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
    Ok(Engine { runtime: separator::find_runtime(&runtime_dirs())?, model: Model::read(&dir)? })
}

/// The model of that name, which may be one that the user has put there.
///
/// # Errors
/// It is not there, or is damaged.
pub fn find_model(name: &str) -> Result<Model> {
    Ok(Model::read(&models::find_by_name(name, &model_dirs())?)?)
}

/// The folder of this program, links followed, and those above it.
fn program_dirs() -> Vec<PathBuf> {
    let program = env::current_exe().and_then(|path| path.canonicalize());
    program.map_or_else(|_| Vec::new(), |program| program.ancestors().skip(1).map(PathBuf::from).collect())
}

/// Where models are, the user's own last.
pub fn model_dirs() -> Vec<PathBuf> {
    let dirs = program_dirs();
    let installed = models::program_data_dir();
    let shipped = [dirs.first(), dirs.get(2), installed.as_ref()].into_iter().flatten().map(|dir| dir.join("models"));
    shipped.chain(models::user_models_dir()).collect()
}

fn runtime_dirs() -> Vec<PathBuf> {
    let dirs = program_dirs();
    let built = dirs.get(1).map(|dir| dir.join("onnxruntime"));
    dirs.first().cloned().into_iter().chain(built).chain(models::program_data_dir()).collect()
}
