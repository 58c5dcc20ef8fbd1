//! Trains Unbraid's networks. `cargo xtask train --help` is the way in: it sets libtorch up first.
#![warn(missing_docs)]

mod augment;
mod batch;
mod bench;
mod cuda;
mod data;
mod export;
mod inverse;
mod layers;
mod loss;
mod network;
mod options;
mod precision;
mod record;
mod report;
mod run;
mod transform;
mod tune;
mod workers;

use anyhow::Result;
use clap::{Parser, Subcommand};
use options::TrainArgs;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Trains, validates and exports Unbraid networks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network on folders of stems; goes on where the last run in --out stopped
    #[command(after_help = options::HELP.to_owned() + &network::list() + "\nLosses:\n" + &loss::list())]
    Train(Box<TrainArgs>),
    /// Search for the best settings of a network, its transform and its training
    #[command(after_help = tune::HELP)]
    Tune(Box<tune::TuneArgs>),
    /// Print how fast a network learns, and how much of the time it waits for batches
    Bench(Box<bench::ThroughputArgs>),
    /// Turn a checkpoint into a model folder, and check that its graph computes what the network computes
    #[command(after_help = "Example:\n  cargo xtask export --checkpoint work/first/best.safetensors \
        --out models/first --licence CC0-1.0")]
    Export(export::ExportArgs),
    /// Measure what losses cost: seconds of audio per second, against training without them
    #[command(after_help = bench::HELP)]
    BenchLosses(bench::BenchArgs),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Train(args) => train_command(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Bench(args) => bench::measure_throughput(&args),
        Command::Export(args) => export::export(&args),
        Command::BenchLosses(args) => bench::bench_losses(&args),
    }
}

fn train_command(args: &TrainArgs) -> Result<()> {
    let config = args.config()?;
    eprintln!("computing on {:?}", config.device);
    run::train(&config, &mut |_| run::Control::Continue)?;
    println!("report: {}", config.out.join("report.md").display());
    Ok(())
}
