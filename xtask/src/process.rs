//! Running other programs, with errors that show the command.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

/// Prints a heading, so that a long run can be followed.
pub fn say(text: impl AsRef<str>) {
    println!("==> {}", text.as_ref());
}

/// Runs `step` under a heading and prints how long it took.
pub fn step(heading: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    say(heading);
    let start = Instant::now();
    step().with_context(|| format!("failed: {heading}"))?;
    println!("    done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs `command` in the root of the workspace and fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status =
        command.current_dir(workspace::root()).status().with_context(|| format!("could not start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo set for *this* program must not leak into the builds it starts: build scripts that watch such a
    // variable would run again each time.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_CRATE_NAME" {
            command.env_remove(&name);
        }
    }
    command
}

/// The command as a line of text.
pub fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
