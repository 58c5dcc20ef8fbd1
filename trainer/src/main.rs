//! Trains Unbraid's networks. `cargo xtask train --help` is the way in: it sets libtorch up first.
#![warn(missing_docs)]

mod adam;
mod augment;
mod average;
mod batch;
mod bench;
mod checkpoint;
mod cuda;
mod data;
#[cfg(test)]
mod data_tests;
mod decode;
mod draw;
#[cfg(test)]
mod draw_tests;
mod equalizer;
mod example;
mod export;
mod grid;
mod inverse;
mod loader;
mod loss;
mod network;
mod parity;
mod song_folder;
mod songs;
mod split;
mod stem;
mod stems;
mod train;
#[cfg(test)]
mod train_tests;
mod transform;
mod validate;

use anyhow::{Context, Result};
use checkpoint::RunState;
use clap::{Parser, Subcommand};
use network::NetworkConfig;
use std::path::PathBuf;
use tch::Device;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Trains, validates and exports Unbraid networks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network on folders of stems; goes on where the last run in --out stopped
    #[command(after_help = "A data folder holds one folder per song, each with vocals, drums, bass and other as wav, \
        flac or ogg at 44.1 kHz. A stem that a song does not have must be left out of \"stems\" in its song.json; a \
        song without bass is taken to have it inside other. A folder with nothing but vocals and mix is a song of which \
        only vocals are known. A song that cannot be read is named and left out.\n\nExample:\n  cargo xtask train --data stems/train \
        --valid stems/valid --out work/first --steps 4000\n\nNetworks:\n".to_owned()
        + &network::list() + "\nLosses:\n" + &loss::list())]
    Train(Box<TrainArgs>),
    /// Turn a checkpoint into a model folder, and check that its graph computes what the network computes
    #[command(after_help = "Example:\n  cargo xtask export --checkpoint work/first/best.safetensors \
        --out models/first --licence CC0-1.0")]
    Export(ExportArgs),
    /// Measure what losses cost: seconds of audio per second, against training without them
    #[command(
        after_help = "Steps with each set of losses take turns; medians of one run are compared.\n\nExample:\n  \
        cargo run --release -p trainer -- bench-losses --transform bark-262 --losses mse=1+sdr=0.01"
    )]
    BenchLosses(bench::BenchArgs),
}

#[derive(clap::Args)]
struct ExportArgs {
    /// Checkpoint to export
    #[arg(long)]
    checkpoint: PathBuf,
    /// Model folder; its name becomes the model's name
    #[arg(long)]
    out: PathBuf,
    /// Licence of the weights, as the training data allows it
    #[arg(long)]
    licence: String,
    /// Folder of songs whose scores go into the manifest (may be given several times)
    #[arg(long)]
    valid: Vec<split::DataFolder>,
}

#[derive(clap::Args)]
struct TrainArgs {
    #[command(flatten)]
    data: data::DataConfig,
    /// How often an example's accompaniment comes from songs of each kind: stems all known; bass inside other; vocals
    /// known apart only. Kinds that no song is of are left out
    #[arg(long, default_value_t, value_name = "KIND=SHARE,...")]
    shares: stems::Shares,
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
    /// Network and its settings, NAME or NAME:KEY=VALUE,... (see below)
    #[arg(long, default_value = "first")]
    network: NetworkConfig,
    /// State dict (.pth or .safetensors) of published weights that a new run of `cdae` starts from
    #[arg(long, value_name = "FILE")]
    published: Option<PathBuf>,
    /// Losses and their weights, NAME=WEIGHT,... (see below)
    #[arg(long, default_value_t)]
    loss: loss::LossWeights,
    /// Output channels of the four encoder stages of `first`, as 32,64,96,128
    #[arg(long, value_delimiter = ',')]
    channels: Option<Vec<usize>>,
    /// Width of the LSTM of `first`
    #[arg(long)]
    hidden: Option<usize>,
    /// Width of the projection before the LSTM of `first`
    #[arg(long)]
    projection: Option<usize>,
    /// Layers of the LSTM of `first`
    #[arg(long)]
    layers: Option<usize>,
    /// Seed of weights and batches
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads that make batches ahead
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Compute on the CPU even if CUDA is there
    #[arg(long)]
    cpu: bool,
    #[command(flatten)]
    augmentation: augment::Augmentation,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Train(args) => train_command(*args),
        Command::Export(args) => export_command(&args),
        Command::BenchLosses(args) => bench::bench_losses(&args),
    }
}

fn export_command(args: &ExportArgs) -> Result<()> {
    let checkpoint = checkpoint::Checkpoint::open(&args.checkpoint)?;
    let run = &checkpoint.state;
    let transform = std::sync::Arc::new(transform::Transform::new(&run.transform)?);
    let network = export::open_network(&checkpoint, &transform)?;
    let weights = network::Weights(checkpoint.averaged_weights());
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let graph = args.out.join("model.onnx");
    let num_nodes = export::write_graph(&*network, &weights, &transform, &graph)?;
    let name = args.out.file_name().unwrap_or_default().to_string_lossy();
    let mut manifest = export::manifest(
        &name,
        &args.licence,
        &run.network.architecture,
        export::training(run),
        &*network,
        &transform,
        &graph,
    )?;
    for song in data::Data::open_to_judge(&args.valid)? {
        let scores = train::score_checkpoint(&checkpoint, &transform, &song.whole()?)?;
        manifest.scores.insert(song.name.clone(), scores);
    }
    manifest.write(&args.out)?;
    let model = models::Model::load(&args.out)?;
    let worst = parity::check(&*network, &transform, &model)?;
    println!("{}: {num_nodes} operations, masks within {worst:.1e} of the network's", graph.display());
    Ok(())
}

fn train_command(args: TrainArgs) -> Result<()> {
    let mut network = args.network;
    let mut set = |name: &str, value: Option<serde_json::Value>| {
        value.map(|value| network.settings.insert(name.to_owned(), value));
    };
    set("channels", args.channels.map(Into::into));
    set("projection_len", args.projection.map(Into::into));
    set("hidden_len", args.hidden.map(Into::into));
    set("num_layers", args.layers.map(Into::into));
    let device = if args.cpu { Device::Cpu } else { cuda::best_device() };
    eprintln!("computing on {device:?}");
    train::train(train::TrainConfig {
        run: RunState {
            network,
            loss: args.loss,
            transform: args.transform,
            total_steps: args.steps,
            step: 0,
            audio_s: 0.0,
            wall_s: 0.0,
            best_sdr_db: None,
            learning_rate: args.learning_rate,
            batch_slices: args.batch_slices,
            seed: args.seed,
            data: args.data.data.iter().map(|d| d.path.display().to_string()).collect(),
        },
        data: args.data,
        published: args.published,
        drawing: draw::Drawing { shares: args.shares, augmentation: args.augmentation.resolved() },
        out: args.out,
        epoch_steps: args.epoch_steps,
        num_workers: args.workers,
        device,
    })
}
