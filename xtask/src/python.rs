//! Python serves as the downloader of wheels (any Python 3 with pip) and runs the pedalboard test.

use crate::apt;
use crate::process::{run, say};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// The interpreter, by the name it goes by here.
pub fn python() -> Command {
    Command::new(if cfg!(windows) { "python" } else { "python3" })
}

/// `python -m pip`, installed first where a Debian has Python without it.
pub fn pip() -> Result<Command> {
    if !has_pip()? {
        say("This Python has no pip");
        apt::install_missing(&["python3-pip"])?;
        if !has_pip()? {
            bail!("Python has no pip; install it (for example `python3 -m ensurepip`) and try again");
        }
    }
    let mut command = python();
    command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]);
    // Everything goes into folders of our own, so pip need not warn of running as root.
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    Ok(command)
}

/// Runs a Python program.
pub fn run_script(script: &std::path::Path, envs: &[(&str, &std::ffi::OsStr)]) -> Result<()> {
    run(python().arg("-B").arg(script).envs(envs.iter().copied()))
}

/// "3.11": wheels with compiled code belong to one such version.
pub fn version() -> Result<String> {
    let output = python()
        .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .output()
        .context("could not run Python 3; install it and try again")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn has_pip() -> Result<bool> {
    let output = python()
        .args(["-m", "pip", "--version"])
        .output()
        .context("could not run Python 3, which downloads the pinned wheels; install it and try again")?;
    Ok(output.status.success())
}
