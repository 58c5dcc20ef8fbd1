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
mod guard;
mod history;
mod inverse;
mod layers;
mod loader;
mod loss;
mod network;
mod options;
mod parity;
mod plot;
mod precision;
mod recipe;
mod report;
mod session;
mod shift;
mod snippet;
mod song_folder;
mod songs;
mod spectrogram;
mod split;
mod stem;
mod stems;
mod tensorboard;
mod throughput;
mod top;
mod train;
#[cfg(test)]
mod train_tests;
mod transform;
mod tune;
mod validate;
mod workers;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use options::TrainArgs;
use std::path::PathBuf;

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
    Bench(Box<throughput::ThroughputArgs>),
    /// Turn a checkpoint into a model folder, and check that its graph computes what the network computes
    #[command(after_help = "Example:\n  cargo xtask export --checkpoint work/first/best.safetensors \
        --out models/first --licence CC0-1.0")]
    Export(ExportArgs),
    /// Measure what losses cost: seconds of audio per second, against training without them
    #[command(after_help = bench::HELP)]
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

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Train(args) => train_command(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Bench(args) => throughput::measure(&args),
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
    let graph = export::write_graph(&*network, &weights, &transform, &args.out.join("model.onnx"))?;
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
    println!("{}: {} operations, masks within {worst:.1e} of the network's", graph.path.display(), graph.num_nodes);
    Ok(())
}

fn train_command(args: &TrainArgs) -> Result<()> {
    let config = args.config()?;
    eprintln!("computing on {:?}", config.device);
    train::train(&config, &mut |_| train::Control::Continue)?;
    println!("report: {}", config.out.join("report.md").display());
    Ok(())
}
