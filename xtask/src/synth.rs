//! `cargo xtask synth`: builds the program `synth` and hands its arguments on.

use crate::process::{cargo, show};
use anyhow::{Context, Result, bail};

/// Runs `synth` with `args` where the caller stands, so that paths mean what they say.
pub fn run(args: &[String]) -> Result<()> {
    let mut synth = cargo();
    synth.args(["run", "--quiet", "--release", "--package", "synth", "--bin", "synth", "--"]).args(args);
    let status = synth.status().with_context(|| format!("could not start `{}`", show(&synth)))?;
    if !status.success() {
        // It has said why.
        bail!("`cargo xtask synth` ended with {status}");
    }
    Ok(())
}
