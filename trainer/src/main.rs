//! Trains Unbraid's networks. `cargo xtask train --help` is the way in: it sets libtorch up first.
#![warn(missing_docs)]

mod adam;
mod checkpoint;
mod example;
mod grid;
mod loader;
mod loss;
mod network;
mod songs;
mod train;
mod validate;

use anyhow::Result;
use checkpoint::RunState;
use clap::{Parser, Subcommand};
use network::NetworkConfig;
use std::path::PathBuf;
use tch::Device;

#[derive(Parser)]
#[command(about = "Trains, validates and exports Unbraid networks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network on folders of stems; goes on where the last run in --out stopped
    #[command(after_help = "A data folder holds one folder per song, each with vocals, drums, bass and other as wav, \
        flac or ogg at 44.1 kHz. A stem that a song does not have must be left out of \"stems\" in its song.json; a \
        song without bass is taken to have it inside other.\n\nExample:\n  cargo xtask train --data stems/train \
        --valid stems/valid --out work/first --steps 4000")]
    Train(TrainArgs),
}

#[derive(clap::Args)]
struct TrainArgs {
    /// Folder of songs to train on (may be given several times)
    #[arg(long, required = true)]
    data: Vec<PathBuf>,
    /// Folder of songs to judge by after every epoch (may be given several times)
    #[arg(long, required = true)]
    valid: Vec<PathBuf>,
    /// Folder for checkpoints and the log
    #[arg(long, default_value = "work/train")]
    out: PathBuf,
    /// Transform: bark-262 (fine, 410 ms slices) or mel-32 (coarse, 46 ms slices)
    #[arg(long, default_value = "bark-262")]
    transform: String,
    /// Steps of the whole run; the learning rate falls to zero over them
    #[arg(long, default_value_t = 4000)]
    steps: u64,
    /// Steps between two validations
    #[arg(long, default_value_t = 250)]
    epoch_steps: u64,
    /// Slices of a batch (slices follow each other at half their length)
    #[arg(long, default_value_t = 128)]
    batch_slices: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 1.5e-3)]
    learning_rate: f64,
    /// Output channels of the four encoder stages
    #[arg(long, value_delimiter = ',', num_args = 4, default_values_t = [32, 64, 96, 128])]
    channels: Vec<usize>,
    /// Width of the LSTM
    #[arg(long, default_value_t = 320)]
    hidden: usize,
    /// Width of the projection before the LSTM
    #[arg(long, default_value_t = 256)]
    projection: usize,
    /// Layers of the LSTM
    #[arg(long, default_value_t = 1)]
    layers: usize,
    /// Seed of weights and batches
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads that make batches ahead
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Compute on the CPU even if CUDA is there
    #[arg(long)]
    cpu: bool,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Train(args) => train_command(args),
    }
}

fn train_command(args: TrainArgs) -> Result<()> {
    let design = train::design(&args.transform)?;
    let num_bins = slicqt::Plan::<f32>::new(&design)?.num_bins();
    let network = NetworkConfig {
        num_bins,
        channels: std::array::from_fn(|i| args.channels[i]),
        projection_len: args.projection,
        hidden_len: args.hidden,
        num_layers: args.layers,
    };
    let device = if args.cpu { Device::Cpu } else { Device::cuda_if_available() };
    eprintln!("computing on {device:?}");
    train::train(train::TrainConfig {
        run: RunState {
            network,
            transform: args.transform,
            total_steps: args.steps,
            step: 0,
            audio_s: 0.0,
            wall_s: 0.0,
            best_sdr_db: None,
            learning_rate: args.learning_rate,
            batch_slices: args.batch_slices,
            seed: args.seed,
            data: args.data.iter().map(|d| d.display().to_string()).collect(),
        },
        data: args.data,
        valid: args.valid,
        out: args.out,
        epoch_steps: args.epoch_steps,
        num_workers: args.workers,
        device,
    })
}
