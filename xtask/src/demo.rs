//! `cargo xtask demo`: the bundled plugin plays a song in a headless host.

use crate::process::{self, cargo, say};
use crate::workspace;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Runs the demo program of `tests/` on `song`, or on the one that ships with the repository.
pub fn run(song: Option<PathBuf>) -> Result<()> {
    say("Building the demo host");
    process::run(cargo().args(["build", "--release", "--package", "tests", "--bin", "demo"]))?;
    say("Running the song through the plugin");
    let mut demo = std::process::Command::new(workspace::release().join("demo"));
    if let Some(song) = song {
        // The demo runs in the root of the workspace: what was meant from here must be said from there.
        demo.arg(std::path::absolute(&song).with_context(|| format!("{} is not a path", song.display()))?);
    }
    process::run(&mut demo)
}
