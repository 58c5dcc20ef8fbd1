//! `cargo xtask test`: everything that must hold before a change lands.

use crate::process::{self, cargo, say, step};
use crate::wheel::install_dir;
use crate::{apt, bundle, python, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

/// Runs all checks, cheapest first.
pub fn run() -> Result<()> {
    if let Err(error) = apt::install_missing(&apt::TEST_PACKAGES) {
        say(format!(
            "{error:#}\nWithout them the gate by instruction count (slicqt/tests/instructions.rs) is skipped."
        ));
    }
    step("Format", || process::run(cargo().args(["fmt", "--all", "--check"])))?;
    step("Clippy", || {
        process::run(cargo().args(["clippy", "--release", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    step("Clippy on the trainer, which needs no libtorch for that", || {
        let args = ["clippy", "--release", "--all-targets", "--package", "trainer", "--features", "doc-only"];
        process::run(cargo().args(args).args(["--", "--deny", "warnings"]))
    })?;
    bundle::run()?;
    step("Unit tests, and the bundled CLAP in clack-host", || process::run(cargo().args(["test", "--release"])))?;
    let pedalboard = install_packages("pedalboard", "tests/vst3/requirements.txt")?;
    step("The bundled VST3 in pedalboard", || {
        let script = workspace::root().join("tests/vst3/run.py");
        let bundle = workspace::bundled().join("vst3/Unbraid.vst3");
        // Not into the log file of whoever runs this.
        let envs = [
            ("PYTHONPATH", pedalboard.as_os_str()),
            ("UNBRAID_VST3", bundle.as_os_str()),
            ("NICE_LOG", "stderr".as_ref()),
        ];
        python::run_script(&script, &envs)
    })?;
    let museval = install_packages("museval", "tests/museval/requirements.txt")?;
    step("BSSEval against museval", || {
        let script = workspace::root().join("tests/museval/run.py");
        let path = std::env::join_paths([&museval, &pedalboard])?;
        let unbraid = workspace::release().join(format!("unbraid{}", std::env::consts::EXE_SUFFIX));
        python::run_script(&script, &[("PYTHONPATH", &path), ("UNBRAID", unbraid.as_os_str())])
    })?;
    say("All tests passed");
    Ok(())
}

/// Puts Python packages, pinned by version and hash, into a folder of their own below `target/`.
fn install_packages(name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = workspace::root().join(requirements);
    let pins =
        fs::read_to_string(&requirements).with_context(|| format!("could not read {}", requirements.display()))?;
    let version = python::version()?;
    let dir = workspace::target().join(format!("{name}-python{version}"));
    // The stamp's file name and pip's folders do not meet: a package is never called `installed-from.txt`.
    install_dir(&dir, &pins, |part| {
        say(format!("Installing {name} for Python {version}"));
        let mut pip = python::pip()?;
        pip.args(["install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"]);
        process::run(pip.arg(&requirements).arg("--target").arg(part))
    })?;
    Ok(dir)
}
