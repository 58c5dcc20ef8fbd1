//! `cargo xtask`: one command for every chore. Dispatch only: each command is a module of its own, and none of them
//! links the plugin, ONNX Runtime or libtorch.

mod apt;
mod bundle;
mod demo;
mod first_model;
mod install;
mod licences;
mod onnxruntime;
mod process;
mod python;
mod screenshots;
mod synth;
mod test;
mod train;
mod wheel;
mod workspace;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything there is to do with Unbraid, from a fresh clone on", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and running need: system packages (Debian, as root) and the ONNX Runtime library
    Setup,
    /// Build the plugin and the programs and lay out installable folders in target/bundled
    Bundle {
        /// Also copy the plugins to where hosts look for the user's own
        #[arg(long)]
        install: bool,
    },
    /// Install the command line program, with all that it needs, so that `unbraid` works anywhere
    Install,
    /// Run a song through the bundled CLAP plugin in a headless host; the results lie in target/demo
    Demo {
        /// An audio file, or a folder of stems; without it the excerpt in demo/song
        song: Option<PathBuf>,
    },
    /// Train a model: sets up libtorch, then passes all arguments to `trainer train`
    #[command(disable_help_flag = true)]
    Train {
        /// Arguments of `trainer train`; `cargo xtask train --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Search for the best settings of a network: sets up libtorch, then passes all arguments to `trainer tune`
    #[command(disable_help_flag = true)]
    Tune {
        /// Arguments of `trainer tune`; `cargo xtask tune --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print how fast a network learns here: sets up libtorch, then passes all arguments to `trainer bench`
    #[command(disable_help_flag = true)]
    TrainBench {
        /// Arguments of `trainer bench`; `cargo xtask train-bench --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Make a small model from nothing in ten minutes: compose songs, train on them, export, check
    FirstModel,
    /// Turn a checkpoint into a model folder: sets up libtorch, then passes all arguments to `trainer export`
    #[command(disable_help_flag = true)]
    Export {
        /// Arguments of `trainer export`; `cargo xtask export --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Render songs with true stems, to train on: composed from nothing, or from MIDI files and SoundFonts
    #[command(disable_help_flag = true)]
    Synth {
        /// Arguments of the program `synth`; `cargo xtask synth --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Draw the pictures of the editor in docs/pictures anew; no display is needed
    Screenshots,
    /// Run the trainer's own tests; they need libtorch (1.2 GB), so `cargo xtask test` only type-checks the trainer
    TestTrainer,
    /// Set up, then run every check: format, clippy, unit tests, the CLAP in clack-host, the VST3 in pedalboard
    Test,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Setup => setup(),
        Command::Bundle { install } => {
            setup()?;
            bundle::run()?;
            if install { bundle::install() } else { Ok(()) }
        }
        Command::Install => {
            setup()?;
            install::run()
        }
        Command::Demo { song } => {
            setup()?;
            bundle::run()?;
            demo::run(song)
        }
        Command::Train { args } => train::run("train", &args),
        Command::Tune { args } => train::run("tune", &args),
        Command::TrainBench { args } => train::run("bench", &args),
        Command::FirstModel => {
            setup()?;
            first_model::run()
        }
        Command::Export { args } => {
            setup()?; // the parity check runs the graph
            train::run("export", &args)
        }
        Command::Synth { args } => synth::run(&args),
        Command::Screenshots => {
            setup()?;
            screenshots::run()
        }
        Command::TestTrainer => {
            setup()?;
            train::test()
        }
        Command::Test => {
            setup()?;
            test::run()
        }
    }
}

/// What every command but `train` stands on. Quick when nothing is missing, and then needs no network.
fn setup() -> anyhow::Result<()> {
    apt::install_missing(&apt::BUILD_PACKAGES)?;
    onnxruntime::install()
}
