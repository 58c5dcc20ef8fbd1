//! `cargo xtask bundle`: release builds of plugin and command line program, laid out by the bundler.

use crate::process::{self, cargo, say, step};
use crate::{licences, onnxruntime, workspace};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Builds and bundles.
pub fn run() -> Result<()> {
    step("Building the plugin and the programs (minutes the first time)", || {
        let packages = ["--package", "plugin", "--package", "cli", "--package", "player"];
        process::run(cargo().args(["build", "--release"]).args(packages))
    })?;
    let (models, out) = (workspace::root().join("models"), workspace::bundled());
    say("Bundling");
    let licences = licences::text()?;
    bundler::bundle(&workspace::release(), &onnxruntime::library(), &models, &licences, &out)
        .context("could not bundle")?;
    println!("    the installable folders lie in {}", out.display());
    Ok(())
}

/// Copies the bundled plugins into the plugin folders of the user.
pub fn install() -> Result<()> {
    let home = std::env::home_dir().context("there is no home folder to install to")?;
    let local_app_data = std::env::var_os("LOCALAPPDATA").map(PathBuf::from);
    let platform = bundler::Platform::current();
    let folders = bundler::PluginFolders::of_user(platform, &home, local_app_data.as_deref());
    let installed = bundler::install(platform, &workspace::bundled(), &folders).context("could not install")?;
    installed.iter().for_each(|path| println!("    installed: {}", path.display()));
    Ok(())
}
