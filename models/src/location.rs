//! Where model folders are looked for. Two ways in, for two kinds of callers:
//!
//! - [`find_by_name`] takes names from projects, which are other people's: a name and never a path.
//! - [`locate`] takes what the user typed (`--model`, `UNBRAID_MODEL`): a name, or a path such as `./mine`.
//!
//! Neither looks up a name in the working directory: a project's folder must not stand in for an installed model.

use crate::{
    MANIFEST_FILE, ModelError,
    names::{FILE_NAME, is_file_name},
};
use directories::BaseDirs;
use std::env;
use std::path::{Component, MAIN_SEPARATOR, Path, PathBuf};

/// Our folder in the user's data folder.
const OWN_DIR: &str = if cfg!(any(windows, target_os = "macos")) { "Unbraid" } else { "unbraid" };

/// The folder of the model of this name: `<dir>/<name>` in the first of `dirs` that has it, then in
/// [`user_models_dirs`]. For names from projects and other files: paths, drives, devices and `..` are refused before
/// the file system is asked, since on Windows even a look at `\\server\share` sends the user's credentials there.
///
/// # Errors
/// [`ModelError::Name`] if it is no name, [`ModelError::NotFound`] with the places that were looked into.
pub fn find_by_name(name: &str, dirs: &[PathBuf]) -> Result<PathBuf, ModelError> {
    if !is_file_name(name) {
        return Err(ModelError::Name { name: name.chars().take(100).collect(), expected: FILE_NAME });
    }
    let searched: Vec<PathBuf> = dirs.iter().cloned().chain(user_models_dirs()).map(|dir| dir.join(name)).collect();
    match searched.iter().find(|dir| has_manifest(dir)) {
        Some(dir) => Ok(dir.clone()),
        None => Err(ModelError::NotFound { name: name.to_owned(), searched, hint: None }),
    }
}

/// The folder of a model that the user named: a path if it is written as one (absolute, or with a separator, as
/// `./mine`), else a name for [`find_by_name`].
///
/// # Errors
/// As [`find_by_name`]; for a path [`ModelError::NotFound`].
pub fn locate(name_or_path: &str, dirs: &[PathBuf]) -> Result<PathBuf, ModelError> {
    let path = Path::new(name_or_path);
    if !is_path(name_or_path) {
        return find_by_name(name_or_path, dirs).map_err(|error| match error {
            ModelError::NotFound { name, searched, .. } if has_manifest(path) => {
                let hint = Some(format!(".{MAIN_SEPARATOR}{name}"));
                ModelError::NotFound { name, searched, hint }
            }
            error => error,
        });
    }
    if has_manifest(path) {
        return Ok(path.to_owned());
    }
    Err(ModelError::NotFound { name: name_or_path.to_owned(), searched: vec![path.to_owned()], hint: None })
}

fn is_path(text: &str) -> bool {
    let path = Path::new(text);
    let begins = path.components().next();
    path.is_absolute()
        || text.contains(std::path::is_separator)
        || matches!(begins, Some(Component::Prefix(_) | Component::CurDir | Component::ParentDir))
}

fn has_manifest(dir: &Path) -> bool {
    dir.join(MANIFEST_FILE).is_file()
}

/// Where `cargo xtask install` puts what the command line program needs (ONNX Runtime, and the models that come with it in
/// `models/`): `program` beside the models of [`user_models_dir`]. None without a home.
pub fn program_data_dir() -> Option<PathBuf> {
    BaseDirs::new().map(|base| base.data_local_dir().join(OWN_DIR).join("program"))
}

/// Where the models that come with a program are: beside it (bundled), in `models/` of the repository that it was built in
/// (`target/release`), or where `cargo xtask install` puts them.
pub fn program_models_dirs() -> Vec<PathBuf> {
    let dirs = program_dirs();
    let installed = program_data_dir();
    [dirs.first(), dirs.get(2), installed.as_ref()].into_iter().flatten().map(|dir| dir.join("models")).collect()
}

/// The same for ONNX Runtime, which the repository has in `target/onnxruntime`.
pub fn program_runtime_dirs() -> Vec<PathBuf> {
    let dirs = program_dirs();
    let built = dirs.get(1).map(|dir| dir.join("onnxruntime"));
    dirs.first().cloned().into_iter().chain(built).chain(program_data_dir()).collect()
}

/// The folder of this program, links followed, and those above it.
fn program_dirs() -> Vec<PathBuf> {
    let program = env::current_exe().and_then(|path| path.canonicalize());
    program.map_or_else(|_| Vec::new(), |program| program.ancestors().skip(1).map(PathBuf::from).collect())
}

/// Where users put models of their own: `$XDG_DATA_HOME/unbraid/models` (`~/.local/share/...`), on macOS
/// `~/Library/Application Support/Unbraid/models`, on Windows `%LOCALAPPDATA%\Unbraid\models`. None without a home.
pub fn user_models_dir() -> Option<PathBuf> {
    user_models_dirs().into_iter().next()
}

/// [`user_models_dir`], then where earlier versions put models: on Windows the roaming `%APPDATA%\Unbraid\models`,
/// which would travel over the network at every login.
pub fn user_models_dirs() -> Vec<PathBuf> {
    let Some(base) = BaseDirs::new() else { return vec![] };
    // The same folder twice, except on Windows.
    let mut dirs =
        vec![base.data_local_dir().join(OWN_DIR).join("models"), base.data_dir().join(OWN_DIR).join("models")];
    dirs.dedup();
    dirs
}
