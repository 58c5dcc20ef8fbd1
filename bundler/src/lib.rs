//! Puts the built plugin, ONNX Runtime and the models into folders that can be copied to where hosts look.
//!
//! ```no_run
//! # fn main() -> Result<(), bundler::BundleError> {
//! let bundles = bundler::bundle(
//!     "target/release".as_ref(),
//!     "target/onnxruntime/libunbraid_onnxruntime.so".as_ref(),
//!     "models".as_ref(),
//!     "the licences of all crates",
//!     "target/bundled".as_ref(),
//! )?;
//! println!("copy {} to ~/.vst3", bundles.vst3.display());
//! # Ok(()) }
//! ```
//!
//! On Linux:
//! ```text
//! clap/Unbraid/                   copy the folder to ~/.clap
//!     Unbraid.clap
//!     libunbraid_onnxruntime.so, models/, licences/
//! vst3/Unbraid.vst3/Contents/     copy Unbraid.vst3 to ~/.vst3
//!     x86_64-linux/Unbraid.so
//!     Resources/libunbraid_onnxruntime.so, models/, licences/
//! cli/                            runs from anywhere
//!     unbraid, unbraid-play, unbraid-standalone
//!     libunbraid_onnxruntime.so, models/, licences/
//! ```
//! [`Platform`] has what differs elsewhere. Each of the three is written beside its place and then moved there, so
//! that a host never loads half of one. [`install`] copies the plugins to where hosts look.
#![warn(missing_docs)]

mod error;
mod folder;
mod install;
mod licences;
mod platform;
mod resources;

pub use error::BundleError;
pub use install::{PluginFolders, install};
pub use platform::Platform;

use folder::replace_folder;
use resources::Resources;
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundles {
    /// The CLAP file or, on macOS, bundle.
    pub clap: PathBuf,
    /// The VST3 bundle.
    pub vst3: PathBuf,
    /// The command line program.
    pub cli: PathBuf,
}

/// Bundles for the platform that this was compiled for: the plugin and the programs of `release_dir`, the ONNX Runtime
/// library (any name; it gets its own) with the licences that lie beside it, and every model below `models_dir`, each of
/// which is checked. `dependencies`: the licences of all crates in them. What lay at the same places below `out_dir` is replaced.
///
/// # Errors
/// [`BundleError`]
pub fn bundle(
    release_dir: &Path,
    runtime_library: &Path,
    models_dir: &Path,
    dependencies: &str,
    out_dir: &Path,
) -> Result<Bundles, BundleError> {
    bundle_for(Platform::current(), release_dir, runtime_library, models_dir, dependencies, out_dir)
}

/// [`bundle`] for any platform; `release_dir` and `runtime_library` must be for that one.
///
/// # Errors
/// [`BundleError`]
pub fn bundle_for(
    platform: Platform,
    release_dir: &Path,
    runtime_library: &Path,
    models_dir: &Path,
    dependencies: &str,
    out_dir: &Path,
) -> Result<Bundles, BundleError> {
    let plugin = built(release_dir.join(platform.built_plugin()), "plugin")?;
    let program = built(release_dir.join(platform.program()), "cli")?;
    for name in platform.player_programs() {
        built(release_dir.join(name), "player")?;
    }
    let resources = Resources::find(platform, runtime_library, models_dir, dependencies)?;

    let clap_dir = out_dir.join("clap").join(platform.clap_folder());
    replace_folder(&clap_dir, |folder| {
        folder.copy_program(&plugin, platform.clap_binary())?;
        if platform == Platform::MacOs {
            folder.write_bundle_info("clap")?;
        }
        resources.copy_into(folder, platform.clap_resources())
    })?;
    let vst3_dir = out_dir.join("vst3").join("Unbraid.vst3");
    replace_folder(&vst3_dir, |folder| {
        folder.copy_program(&plugin, &platform.vst3_binary())?;
        if platform == Platform::MacOs {
            folder.write_bundle_info("vst3")?;
        }
        resources.copy_into(folder, "Contents/Resources")
    })?;
    let cli_dir = out_dir.join("cli");
    write_program(&cli_dir, &program, &resources)?;
    let clap = if platform == Platform::MacOs { clap_dir } else { clap_dir.join(platform.clap_binary()) };
    Ok(Bundles { clap, vst3: vst3_dir, cli: cli_dir.join(platform.program()) })
}

/// Writes the command line program of `release_dir`, the players if they were built, and all that these need, into the folder `dir`, in place of what was
/// there. The path of the program.
///
/// # Errors
/// [`BundleError`]
pub fn bundle_program(
    release_dir: &Path,
    runtime_library: &Path,
    models_dir: &Path,
    dependencies: &str,
    dir: &Path,
) -> Result<PathBuf, BundleError> {
    let platform = Platform::current();
    let program = built(release_dir.join(platform.program()), "cli")?;
    write_program(dir, &program, &Resources::find(platform, runtime_library, models_dir, dependencies)?)?;
    Ok(dir.join(platform.program()))
}

fn write_program(dir: &Path, program: &Path, resources: &Resources) -> Result<(), BundleError> {
    replace_folder(dir, |folder| {
        folder.copy_program(program, resources.platform.program())?;
        for name in resources.platform.player_programs() {
            let player = program.with_file_name(name);
            if player.is_file() {
                folder.copy_program(&player, name)?;
            }
        }
        resources.copy_into(folder, "")
    })
}

fn built(path: PathBuf, package: &'static str) -> Result<PathBuf, BundleError> {
    if path.is_file() { Ok(path) } else { Err(BundleError::NotBuilt { path, package }) }
}
