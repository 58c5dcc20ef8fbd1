//! `cargo xtask first-model`: from nothing to a model, in ten minutes on two cores.

use crate::process::say;
use crate::{synth, train, workspace};
use anyhow::Result;
use std::time::Instant;

/// Minutes of songs, in hours: some fifteen songs.
const HOURS: &str = "0.25";
/// A network that learns fast and runs on anything; too small to be good.
const NETWORK: [&str; 8] = [
    "--transform",
    "mel-32",
    "--network",
    "first:channels=8+16+24+32,hidden_len=64,projection_len=48",
    "--steps",
    "400",
    "--epoch-steps",
    "100",
];

/// Composes songs, trains a small network on them, exports it and runs its graph. What is there already is not made
/// again, so that a run that was stopped goes on.
pub fn run() -> Result<()> {
    let start = Instant::now();
    let dir = workspace::target().join("first-model");
    let path = |name: &str| dir.join(name).display().to_string();
    let args = |args: &[&str]| args.iter().map(|arg| arg.to_string()).collect::<Vec<String>>();
    let (songs, run, model) = (path("songs"), path("run"), path("model"));
    say("Composing songs");
    synth::run(&args(&["--out", &songs, "--hours", HOURS, "--max-seconds", "60"]))?;
    say("Training on them");
    let batches = ["--batch-slices", "768", "--learning-rate", "3e-3"];
    let train_args = [&["--data", &songs, "--out", &run][..], &NETWORK, &batches].concat();
    train::run("train", &args(&train_args))?;
    say("Turning the best epoch into a model");
    let best = path("run/best.safetensors");
    train::run("export", &args(&["--checkpoint", &best, "--out", &model, "--licence", "MIT OR Apache-2.0"]))?;
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    say(format!("{model} after {minutes:.1} minutes; what it learned: {run}/report.md"));
    Ok(())
}
