//! `cargo xtask install`: the command line program on the PATH.
//!
//! The program goes to where cargo puts programs; ONNX Runtime and the models go to the user's data folder, where the
//! program looks for them ([`models::program_data_dir`]).

use crate::process::{self, cargo, say, step};
use crate::{licences, onnxruntime, workspace};
use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// Builds and installs.
pub fn run() -> Result<()> {
    step("Building the command line program (minutes the first time)", || {
        process::run(cargo().args(["build", "--release", "--package", "cli"]))
    })?;
    say("Installing");
    let data_dir = models::program_data_dir().context("no home folder: HOME is not set")?;
    let bin_dir = bin_dir().context("no folder for programs: neither CARGO_HOME nor HOME is set")?;
    let models_dir = workspace::root().join("models");
    let program = bundler::bundle_program(
        &workspace::release(),
        &onnxruntime::library(),
        &models_dir,
        &licences::text()?,
        &data_dir,
    )
    .context("could not install")?;
    let installed = put_into(&bin_dir, &program)?;
    println!("    {} (its models and ONNX Runtime: {})", installed.display(), data_dir.display());
    if is_on_path(&bin_dir) {
        println!("    Try: unbraid separate song.mp3");
    } else {
        println!("    {0} is not on your PATH. Add it, or call {1}", bin_dir.display(), installed.display());
    }
    Ok(())
}

/// A copy that replaces an older one in one step, also while that one runs.
fn put_into(bin_dir: &Path, program: &Path) -> Result<PathBuf> {
    let installed = bin_dir.join(program.file_name().context("a program has a name")?);
    let copy = || {
        std::fs::create_dir_all(bin_dir)?;
        let part = base::part_path(&installed);
        std::fs::copy(program, &part)?;
        base::put_in_place(&part, &installed)
    };
    copy().with_context(|| format!("could not write {}", installed.display()))?;
    Ok(installed)
}

/// Where `cargo install` would put it; `~/.local/bin` if only that is on the PATH.
fn bin_dir() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = env::home_dir();
    let root = set("CARGO_INSTALL_ROOT").or_else(|| set("CARGO_HOME")).or_else(|| Some(home.as_ref()?.join(".cargo")));
    let cargo_bin = root.map(|root| root.join("bin"));
    let local_bin = home.map(|home| home.join(".local/bin"));
    let is_better = |dir: &PathBuf| is_on_path(dir) && !cargo_bin.as_deref().is_some_and(is_on_path);
    local_bin.filter(is_better).or(cargo_bin)
}

fn is_on_path(dir: &Path) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|entry| entry == dir))
}
