//! What plugins and program alike need beside them.

use crate::{
    BundleError, Platform,
    folder::Folder,
    licences::{RUNTIME_TEXTS, TEXTS},
};
use models::{MANIFEST_FILE, Model};
use std::{
    fs,
    path::{Path, PathBuf},
};

const CARD_FILE: &str = "CARD.md";

/// ONNX Runtime, models and licences, found and checked.
pub(crate) struct Resources<'a> {
    pub platform: Platform,
    dependencies: &'a str,
    runtime_library: PathBuf,
    models: Vec<Model>,
}

impl<'a> Resources<'a> {
    pub fn find(
        platform: Platform,
        runtime_library: &Path,
        models_dir: &Path,
        dependencies: &'a str,
    ) -> Result<Self, BundleError> {
        if !runtime_library.is_file() {
            return Err(BundleError::NoRuntime { path: runtime_library.to_owned() });
        }
        let entries = fs::read_dir(models_dir).map_err(BundleError::file(models_dir))?;
        let mut model_dirs = Vec::new();
        for entry in entries {
            let dir = entry.map_err(BundleError::file(models_dir))?.path();
            // Other folders are the sources of the crate `models`.
            if dir.join(MANIFEST_FILE).is_file() {
                model_dirs.push(dir);
            }
        }
        if model_dirs.is_empty() {
            return Err(BundleError::NoModel { dir: models_dir.to_owned() });
        }
        model_dirs.sort();
        let models = model_dirs.iter().map(|dir| Model::load(dir)).collect::<Result<_, _>>()?;
        Ok(Resources { platform, dependencies, runtime_library: runtime_library.to_owned(), models })
    }

    /// Copies all of it below `prefix`, a path in `folder`.
    pub fn copy_into(&self, folder: &Folder, prefix: &str) -> Result<(), BundleError> {
        let at = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
        folder.copy_program(&self.runtime_library, &at(self.platform.runtime_library()))?;
        for model in &self.models {
            let name = model.dir.file_name().expect("a folder in a folder has a name").to_string_lossy();
            for file in [MANIFEST_FILE, &model.manifest.graph.file, CARD_FILE] {
                let from = model.dir.join(file);
                // A model that somebody made for themselves may have no card.
                if file != CARD_FILE || from.is_file() {
                    folder.copy(&from, &at(&format!("models/{name}/{file}")))?;
                }
            }
        }
        for (name, text) in TEXTS {
            folder.write(&at(&format!("licences/{name}")), text)?;
        }
        folder.write(&at("licences/DEPENDENCIES.txt"), self.dependencies)?;
        for (name, name_in_bundle) in RUNTIME_TEXTS {
            let from = self.runtime_library.with_file_name(name);
            if from.is_file() {
                folder.copy(&from, &at(&format!("licences/{name_in_bundle}")))?;
            }
        }
        Ok(())
    }
}
