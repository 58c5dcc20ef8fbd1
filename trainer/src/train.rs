//! The training loop.

use crate::adam::Adam;
use crate::average::Average;
use crate::batch::Batch;
use crate::checkpoint::{self, Checkpoint, RunState};
use crate::data::{Data, DataConfig};
use crate::draw::Drawing;
use crate::loader::{BatchConfig, Loader, make_batch};
use crate::loss::Objective;
use crate::network::{Mode, Network, num_parameters};
use crate::songs::{STEMS, Song, WholeSong};
use crate::transform::Transform;
use crate::{example::ExampleMaker, export, validate};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::{collections::BTreeMap, fs, io::Write, path::PathBuf, sync::Arc, time::Instant};
use tch::{Device, Tensor, nn};

/// Largest norm of a gradient.
const MAX_GRADIENT_NORM: f64 = 1.0;
/// Steps over which the learning rate rises.
const WARM_UP_STEPS: u64 = 150;
/// Batches from which the mean and deviation of the features are taken.
const STATISTICS_BATCHES: u64 = 12;

/// What `trainer train` was asked for.
pub struct TrainConfig {
    /// Where the songs are.
    pub data: DataConfig,
    /// How examples are drawn.
    pub drawing: Drawing,
    /// Published weights (a .pth or .safetensors state dict) that a new run starts from.
    pub published: Option<PathBuf>,
    /// Where checkpoints and logs go.
    pub out: PathBuf,
    /// State of a new run; a checkpoint in `out` takes its place.
    pub run: RunState,
    /// Steps between validations.
    pub epoch_steps: u64,
    /// Worker threads that make batches.
    pub num_workers: usize,
    /// Where to compute.
    pub device: Device,
}

/// Learning rate at a step: a linear rise, then half a cosine down to nothing.
pub fn learning_rate(run: &RunState, step: u64) -> f64 {
    let rise = ((step + 1) as f64 / WARM_UP_STEPS as f64).min(1.0);
    let progress = step as f64 / run.total_steps.max(1) as f64;
    run.learning_rate * rise * 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos())
}

/// Trains until `run.total_steps`; goes on from `out/last.safetensors` if that is there.
pub fn train(mut config: TrainConfig) -> Result<()> {
    fs::create_dir_all(&config.out).with_context(|| format!("cannot make {}", config.out.display()))?;
    let last = config.out.join("last.safetensors");
    let resumed = if last.is_file() { Some(Checkpoint::open(&last)?) } else { None };
    if let Some(checkpoint) = &resumed {
        let total_steps = config.run.total_steps;
        let data = config.run.data;
        config.run = RunState { total_steps, data, ..checkpoint.state.clone() };
        eprintln!("resuming {} at step {} of {total_steps}", last.display(), config.run.step);
    }
    let transform = Arc::new(Transform::new(&config.run.transform)?);
    config.run.network = config.run.network.complete(&transform)?;
    let data = Data::open(&config.data, &config.out)?;
    let (songs, valid) = (&data.train, &data.valid);

    tch::manual_seed(config.run.seed as i64);
    let vs = nn::VarStore::new(config.device);
    let mut network = config.run.network.build(&vs.root(), &transform)?;
    let objective = Objective::new(config.run.loss.clone(), &transform, network.layout(), config.device)?;
    let contents = objective.contents(&*network);
    let mut adam = Adam::new(&vs);
    let averaged_vs = nn::VarStore::new(config.device);
    let averaged = config.run.network.build(&averaged_vs.root(), &transform)?;
    let batch_config = BatchConfig {
        num_slices: config.run.batch_slices,
        chunk_s: (2.0, 6.0),
        drawing: config.drawing,
        seed: config.run.seed,
    };
    let mut average = Average::new(&vs, &averaged_vs);
    match &resumed {
        Some(checkpoint) => checkpoint.restore(&vs, &mut average, &mut adam)?,
        None if config.published.is_some() => {
            let path = config.published.as_ref().expect("just asked");
            let read = if path.extension().is_some_and(|e| e == "safetensors") {
                Tensor::read_safetensors(path)
            } else {
                Tensor::loadz_multi(path)
            };
            let tensors = read.with_context(|| format!("{}: no tensors", path.display()))?;
            network
                .load_published(&tensors.into_iter().collect())
                .with_context(|| format!("{}: not for {}", path.display(), config.run.network.architecture))?;
            average.start_over();
        }
        None => {
            let mut maker = ExampleMaker::new(&transform, contents.clone());
            let mut batch = |i| make_batch(songs, &transform, &mut maker, batch_config, u64::MAX - i);
            let inputs =
                (0..STATISTICS_BATCHES).map(|i| Ok(batch(i)?.inputs.flatten(0, 1))).collect::<Result<Vec<Tensor>>>()?;
            network.set_statistics(&Tensor::cat(&inputs, 0).unsqueeze(0).to_device(config.device));
        }
    }
    let macs_per_s = network.macs_per_slice() as f64 * 44_100.0 / transform.plan.hop_len() as f64;
    eprintln!("{} parameters, {:.0} M multiply-accumulates per second", num_parameters(&vs), macs_per_s / 1e6);

    std::thread::scope(|scope| {
        let mut loader =
            Loader::start(scope, songs, &transform, &contents, batch_config, config.run.step, config.num_workers);
        while config.run.step < config.run.total_steps {
            let num_steps = config.epoch_steps.min(config.run.total_steps - config.run.step);
            let epoch = run_epoch(
                &*network,
                &objective,
                &mut average,
                &mut adam,
                &mut loader,
                &transform,
                &mut config,
                num_steps,
            )?;
            checkpoint::save(&last, &vs, &average, &adam, &config.run)?;
            let score =
                |song: &Song| Ok(validate::separate_and_score(&*averaged, &transform, &song.whole()?, config.device));
            let scores = valid.iter().map(score).collect::<Result<Vec<[Option<f64>; 4]>>>()?;
            let known: Vec<f64> = scores.iter().flatten().flatten().copied().collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            if config.run.best_sdr_db.is_none_or(|best| mean > best) {
                config.run.best_sdr_db = Some(mean);
                checkpoint::save(&config.out.join("best.safetensors"), &vs, &average, &adam, &config.run)?;
                checkpoint::save(&last, &vs, &average, &adam, &config.run)?;
            }
            report(&config, &epoch, &scores, mean)?;
        }
        data.counts.tell_left_out();
        Ok(())
    })
}

/// Global SDR by stem of a song, separated with a checkpoint's network.
pub fn score_checkpoint(
    checkpoint: &Checkpoint,
    transform: &Arc<Transform>,
    song: &WholeSong,
) -> Result<BTreeMap<String, f64>> {
    let network = export::open_network(checkpoint, transform)?;
    let scores = validate::separate_and_score(&*network, transform, song, Device::Cpu);
    Ok(STEMS.iter().zip(scores).filter_map(|(name, db)| Some((name.to_string(), db?))).collect())
}

/// Means over an epoch.
struct Epoch {
    mse: f64,
    mask_sum: f64,
    waiting: f64,
    audio_s_per_s: f64,
}

#[expect(clippy::too_many_arguments, reason = "the parts of a run")]
fn run_epoch(
    network: &dyn Network,
    objective: &Objective,
    average: &mut Average,
    adam: &mut Adam,
    loader: &mut Loader,
    transform: &Transform,
    config: &mut TrainConfig,
    num_steps: u64,
) -> Result<Epoch> {
    let style = "{bar:30} {pos}/{len} steps, {eta} left, {msg}";
    let bar = ProgressBar::new(num_steps).with_style(ProgressStyle::with_template(style)?);
    let start = Instant::now();
    let (mut mse, mut mask_sum, mut waiting_s, mut audio_s) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..num_steps {
        let asked = Instant::now();
        let batch = loader.next()?;
        waiting_s += asked.elapsed().as_secs_f64();
        let losses = train_step(network, objective, adam, &batch, config)?;
        audio_s += (batch.batch_size * batch.num_slices()) as f64 * transform.plan.hop_len() as f64 / 44_100.0;
        mse += losses.0;
        mask_sum += losses.1;
        config.run.step += 1;
        average.update(config.run.step);
        bar.set_message(format!("loss {:.4}, {:.1} x real time", losses.0, audio_s / start.elapsed().as_secs_f64()));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let wall_s = start.elapsed().as_secs_f64();
    config.run.audio_s += audio_s;
    config.run.wall_s += wall_s;
    let n = num_steps as f64;
    Ok(Epoch { mse: mse / n, mask_sum: mask_sum / n, waiting: waiting_s / wall_s, audio_s_per_s: audio_s / wall_s })
}

/// One step; returns the two losses. Stops the run, with the last checkpoint untouched, if they are not numbers.
pub fn train_step(
    network: &dyn Network,
    objective: &Objective,
    adam: &mut Adam,
    batch: &Batch,
    config: &TrainConfig,
) -> Result<(f64, f64)> {
    let batch = batch.to_device(config.device);
    let mode = Mode::Train { dropout_seed: config.run.seed.rotate_left(32) ^ config.run.step };
    let parts = network.losses(&batch, mode, objective);
    let total = &parts.total;
    let norm = adam.step(total, learning_rate(&config.run, config.run.step), MAX_GRADIENT_NORM);
    let part = |name| parts.parts.iter().find(|(n, _)| *n == name).map_or(0.0, |(_, value)| value.double_value(&[]));
    let losses = (part("mse"), part("mask-sum"));
    if !(norm.is_finite() && losses.0.is_finite()) {
        bail!(
            "step {}: loss {} with a gradient of norm {norm}: not a number; the last checkpoint is intact",
            config.run.step,
            losses.0
        );
    }
    Ok(losses)
}

fn report(config: &TrainConfig, epoch: &Epoch, scores: &[[Option<f64>; 4]], mean: f64) -> Result<()> {
    let run = &config.run;
    let mut line = format!(
        "step {:6}  {:6.2} h heard  {:5.2} h spent  loss {:.4}  mask sum {:.4}  {:5.1} x real time  waiting {:2.0} %  SDR",
        run.step,
        run.audio_s / 3600.0,
        run.wall_s / 3600.0,
        epoch.mse,
        epoch.mask_sum,
        epoch.audio_s_per_s,
        100.0 * epoch.waiting
    );
    for (stem_idx, name) in STEMS.iter().enumerate() {
        let known: Vec<f64> = scores.iter().filter_map(|s| s[stem_idx]).collect();
        if !known.is_empty() {
            line += &format!("  {name} {:.2}", known.iter().sum::<f64>() / known.len() as f64);
        }
    }
    line += &format!("  mean {mean:.2} dB");
    println!("{line}");
    let path = config.out.join("log.txt");
    let mut log = fs::OpenOptions::new().create(true).append(true).open(&path)?;
    writeln!(log, "{line}").with_context(|| format!("cannot write {}", path.display()))
}
