//! To where hosts look.

use crate::{BundleError, Platform, folder::replace_folder};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The user's own plugin folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFolders {
    /// For CLAP.
    pub clap: PathBuf,
    /// For VST3.
    pub vst3: PathBuf,
}

impl PluginFolders {
    /// Those below the home folder; on Windows `local_app_data` (`%LOCALAPPDATA%`) instead, if it is known.
    pub fn of_user(platform: Platform, home: &Path, local_app_data: Option<&Path>) -> Self {
        match platform {
            Platform::Linux(_) => PluginFolders { clap: home.join(".clap"), vst3: home.join(".vst3") },
            Platform::MacOs => {
                let plugins = home.join("Library/Audio/Plug-Ins");
                PluginFolders { clap: plugins.join("CLAP"), vst3: plugins.join("VST3") }
            }
            Platform::Windows(_) => {
                let local = local_app_data.map_or_else(|| home.join("AppData/Local"), Path::to_owned);
                let common = local.join("Programs/Common");
                PluginFolders { clap: common.join("CLAP"), vst3: common.join("VST3") }
            }
        }
    }
}

/// Copies the plugins of `out_dir`, which a bundle was written to, into the folders; returns where they are. A plugin that was
/// there is replaced as a whole, or stays as it was.
///
/// # Errors
/// [`BundleError`]
pub fn install(platform: Platform, out_dir: &Path, folders: &PluginFolders) -> Result<[PathBuf; 2], BundleError> {
    let clap = (out_dir.join("clap"), platform.clap_folder(), &folders.clap);
    let vst3 = (out_dir.join("vst3"), "Unbraid.vst3", &folders.vst3);
    let mut installed = [PathBuf::new(), PathBuf::new()];
    for (installed, (from, name, to)) in installed.iter_mut().zip([clap, vst3]) {
        let (from, to) = (from.join(name), to.join(name));
        let mut files = Vec::new();
        collect(&from, Path::new(""), &mut files)?;
        replace_folder(&to, |folder| files.iter().try_for_each(|file| folder.copy(&from.join(file), file)))?;
        *installed = to;
    }
    Ok(installed)
}

/// All files below `root`, as paths from there with slashes.
fn collect(root: &Path, below: &Path, files: &mut Vec<String>) -> Result<(), BundleError> {
    let dir = root.join(below);
    for entry in fs::read_dir(&dir).map_err(BundleError::file(&dir))? {
        let entry = entry.map_err(BundleError::file(&dir))?;
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
