//! The model's folder: written beside its place, checked, and renamed.

use super::{ImportError, ImportOptions, Imported, Published};
use crate::{
    Manifest, Model,
    names::{FILE_NAME, is_file_name},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What goes into a folder beside its graph.
pub(crate) struct Draft {
    pub manifest: Manifest,
    pub card: String,
    /// As of [`Imported`].
    pub num_params: usize,
    pub num_nodes: usize,
    pub unused: Vec<String>,
}

/// Where the model of this name will be.
pub(crate) struct Place {
    pub name: String,
    dir: PathBuf,
    part: PathBuf,
}

impl Place {
    /// Checks the name, and that it is free.
    pub fn new(name: String, options: &ImportOptions) -> Result<Place, ImportError> {
        if !is_file_name(&name) {
            return Err(ImportError::field(&options.models_dir, "name", FILE_NAME, format!("{name:?}")));
        }
        let dir = options.models_dir.join(&name);
        if dir.exists() && !options.replace {
            return Err(ImportError::Exists { dir });
        }
        let part = options.models_dir.join(format!(".{name}.part"));
        Ok(Place { name, dir, part })
    }

    /// Writes the folder; `write` puts the graph where it is told. Nothing is left behind if that fails.
    pub fn fill(
        self,
        published: Option<&'static Published>,
        write: impl FnOnce(&Path) -> Result<Draft, ImportError>,
    ) -> Result<Imported, ImportError> {
        let _ = fs::remove_dir_all(&self.part);
        fs::create_dir_all(&self.part).map_err(unwritable(&self.part))?;
        let write = || -> Result<Draft, ImportError> {
            let draft = write(&self.part.join("model.onnx"))?;
            draft.manifest.write(&self.part)?;
            let card = self.part.join("CARD.md");
            base::write_whole(&card, &draft.card).map_err(unwritable(&card))?;
            Model::load(&self.part)?;
            Ok(draft)
        };
        let draft = write().inspect_err(|_| {
            let _ = fs::remove_dir_all(&self.part);
        })?;
        base::replace_dir(&self.part, &self.dir).map_err(unwritable(&self.dir))?;
        let model = Model::load(&self.dir)?;
        let Draft { num_params, num_nodes, unused, .. } = draft;
        Ok(Imported { model, num_params, num_nodes, published, unused })
    }
}

/// The error of a file or folder that cannot be written.
pub(crate) fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> ImportError {
    let path = path.to_owned();
    move |source| ImportError::Unwritable { path, source }
}
