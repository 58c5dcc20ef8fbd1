//! `cargo xtask bundle`: release builds of plugin and command line program, laid out by the bundler.

use crate::process::{self, cargo, say, step};
use crate::{onnxruntime, workspace};
use anyhow::{Context, Result};

/// Builds and bundles.
pub fn run() -> Result<()> {
    step("Building the plugin and the command line program (minutes the first time)", || {
        process::run(cargo().args(["build", "--release", "--package", "plugin", "--package", "cli"]))
    })?;
    let (models, out) = (workspace::root().join("models"), workspace::bundled());
    say("Bundling");
    bundler::bundle(&workspace::release(), &onnxruntime::library(), &models, &out).context("could not bundle")?;
    println!("    the installable folders lie in {}", out.display());
    Ok(())
}
