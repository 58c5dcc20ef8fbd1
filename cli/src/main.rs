//! The program `unbraid`: takes songs apart into stems, and measures how well that is done.

mod eval;
mod inspect;
mod installation;
mod interruption;
mod models;
#[allow(dead_code, reason = "eval and inspect use its parts, the tests the whole")]
mod oracle;
mod progress;
mod report;
mod separate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Takes finished songs apart into vocals, drums, bass and other.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = AFTER_HELP)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  unbraid separate song.mp3 --out stems
      writes stems/song/vocals.wav, drums.wav, bass.wav and other.wav
  unbraid eval --data songs
      prints how close the stems of every song in songs/ come to the true ones
  unbraid inspect song.mp3
      draws the song as the model's transform sees it, and lists the transform
  unbraid models fetch xumx-realtime
      downloads published weights and makes a model of them

Environment:
  UNBRAID_MODEL         name or folder of the model, as --model
  UNBRAID_ONNXRUNTIME   path of the ONNX Runtime library, if not the one beside this program";

#[derive(Subcommand)]
enum Command {
    Separate(separate::Args),
    Eval(eval::Args),
    Inspect(Box<inspect::Args>),
    Models(models::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Separate(args) => separate::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Models(args) => models::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The messages of our crates already hold their sources.
        Err(error) => {
            eprintln!("error: {error}");
            if interruption::is_interrupted() { interruption::EXIT_STATUS.into() } else { ExitCode::FAILURE }
        }
    }
}
