//! Where model folders are looked for.

use crate::{MANIFEST_FILE, ModelError};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder of a model: `name_or_path` itself if it is a folder with a manifest, else `<dir>/<name>` in the first
/// of `extra_dirs` that has it, then in [`user_models_dir`].
///
/// # Errors
/// [`ModelError::NotFound`] lists the places that were looked into.
///
/// # Realtime
/// Not safe: reads folders.
pub fn locate(name_or_path: &str, extra_dirs: &[PathBuf]) -> Result<PathBuf, ModelError> {
    let as_path = Path::new(name_or_path);
    let mut candidates = vec![as_path.to_owned()];
    // A bare name is looked up; `..` or `a/b` is a path and nothing else.
    let is_name = as_path.components().count() == 1 && as_path.file_name().is_some();
    if is_name {
        candidates.extend(extra_dirs.iter().map(|dir| dir.join(name_or_path)));
        candidates.extend(user_models_dir().map(|dir| dir.join(name_or_path)));
    }
    match candidates.iter().find(|dir| dir.join(MANIFEST_FILE).is_file()) {
        Some(dir) => Ok(dir.clone()),
        None => Err(ModelError::NotFound { name: name_or_path.to_owned(), searched: candidates }),
    }
}

/// Where users put models of their own: `$XDG_DATA_HOME/unbraid/models` (`~/.local/share/...`), on macOS
/// `~/Library/Application Support/Unbraid/models`, on Windows `%APPDATA%\Unbraid\models`.
///
/// # Realtime
/// Not safe: reads the environment.
pub fn user_models_dir() -> Option<PathBuf> {
    let var = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(target_os = "macos") {
        var("HOME").map(|home| home.join("Library/Application Support/Unbraid/models"))
    } else if cfg!(windows) {
        var("APPDATA").map(|data| data.join("Unbraid").join("models"))
    } else {
        let data = var("XDG_DATA_HOME").or_else(|| var("HOME").map(|home| home.join(".local/share")));
        data.map(|data| data.join("unbraid/models"))
    }
}
