//! The program `unbraid`: takes songs apart into stems, and measures how well that is done.

mod console;
mod eval;
mod extras;
mod inspect;
mod installation;
mod interruption;
mod models;
#[allow(dead_code, reason = "eval and inspect use its parts, the tests the whole")]
mod oracle;
mod play;
mod progress;
mod report;
mod separate;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Takes finished songs apart into vocals, drums, bass and other.
#[derive(Parser)]
#[command(name = "unbraid", version, propagate_version = true, after_help = AFTER_HELP)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  unbraid separate song.mp3
      writes separated/song/vocals.wav, drums.wav, bass.wav and other.wav
  unbraid separate song.mp3 --two-stems vocals --format mp3
      writes the voice, and the song without it, as MP3
  unbraid play song.mp3
      plays it; mute, solo and fade the stems, and export what is heard
  unbraid eval --data songs
      prints how close the stems of every song in songs/ come to the true ones
  unbraid inspect song.mp3
      draws the song as the model's transform sees it, and lists the transform
  unbraid models fetch xumx-realtime
      downloads published weights and makes a model of them

Environment:
  UNBRAID_MODEL         name or folder of the model, as --model
  UNBRAID_ONNXRUNTIME   path of the ONNX Runtime library, if not the one beside this program
  UNBRAID_FFMPEG        path of the ffmpeg for formats that are not read or written here, if not the one on the PATH;
                        empty: none";

#[derive(Subcommand)]
enum Command {
    Separate(separate::Args),
    Eval(eval::Args),
    Inspect(Box<inspect::Args>),
    Models(models::Args),
    /// Plays a song with the stems' faders, mutes and solos, in a window
    #[command(disable_help_flag = true)]
    Play(play::Args),
    /// Prints the completions for a shell
    ///
    /// For example: unbraid completions bash > ~/.local/share/bash-completion/completions/unbraid
    Completions {
        /// Which
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Writes man pages for the program and each of its commands
    Man {
        /// Folder for the pages, as in ~/.local/share/man/man1
        #[arg(value_name = "DIR")]
        dir: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Separate(args) => separate::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Play(args) => play::run(&args),
        Command::Completions { shell } => extras::completions(&mut Args::command(), shell),
        Command::Man { dir } => extras::man_pages(Args::command(), &dir),
    };
    match result.and_then(|()| console::check()) {
        Ok(()) => ExitCode::SUCCESS,
        // The messages of our crates already hold their sources.
        Err(error) => {
            console::complain(format_args!("error: {error}"));
            if interruption::is_interrupted() { interruption::EXIT_STATUS.into() } else { ExitCode::FAILURE }
        }
    }
}
