//! The training loop.

use super::checkpoint::Checkpoint;
use super::validate;
use crate::batch::draw::Drawing;
use crate::batch::loader::{BatchConfig, Loader};
use crate::data::{Data, DataConfig};
use crate::data::{STEMS, WholeSong};
use crate::record::history::Epoch;
use crate::record::top;
use crate::record::{RunState, parts};
use crate::report;
use crate::report::snippet::Snippet;
use crate::report::tensorboard::EventWriter;
use crate::run::session::Session;
use crate::transform::Transform;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::{collections::BTreeMap, fs, io::Write, path::PathBuf, sync::Arc, time::Instant};
use tch::Device;

/// What `trainer train` was asked for.
pub struct TrainConfig {
    /// Where the songs are.
    pub data: DataConfig,
    /// How examples are drawn.
    pub drawing: Drawing,
    /// Weights that a new run starts from.
    pub start: Option<PathBuf>,
    /// Shortest and longest chunk.
    pub chunk_s: (f64, f64),
    /// Where checkpoints and logs go.
    pub out: PathBuf,
    /// State of a new run; a checkpoint in `out` takes its place.
    pub run: RunState,
    /// Steps between validations.
    pub epoch_steps: u64,
    /// Seconds between checkpoints within an epoch.
    pub save_s: f64,
    /// Bytes of a file beyond which a checkpoint is cut into parts.
    pub max_file_len: Option<u64>,
    /// Best checkpoints that are kept.
    pub top: usize,
    /// Worker threads that make batches.
    pub num_workers: usize,
    /// Where to compute.
    pub device: Device,
}

/// What becomes of a run after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// It goes on.
    Continue,
    /// It is given up.
    Stop,
}

/// Trains until `run.total_steps`; goes on from `out/last.safetensors` if that is there. `watch` sees every epoch.
/// Returns the state at the end.
///
/// # Errors
/// If data or checkpoints cannot be read or written, or the run goes wrong (see [`super::divergence`]).
pub fn train(config: &TrainConfig, watch: &mut dyn FnMut(&Epoch) -> Control) -> Result<RunState> {
    let begun = Instant::now();
    fs::create_dir_all(&config.out).with_context(|| format!("cannot make {}", config.out.display()))?;
    let (mut session, is_new) = open_session(config)?;
    session.max_file_len = config.max_file_len;
    let data = Data::open(&config.data, &config.out)?;
    match &config.start {
        _ if !is_new => {}
        Some(path) => session.start_from(path)?,
        None => session.set_statistics(&data.train, config.batch_config())?,
    }
    eprintln!("{}", session.size());
    session.run.clock_s += begun.elapsed().as_secs_f64();
    let mut events = EventWriter::create(&config.out.join("tensorboard"), session.run.step)?;
    let (transform, contents) = (session.transform.clone(), session.contents());
    std::thread::scope(|scope| {
        let first = session.run.step * session.run.recipe.accumulate;
        let batches = config.batch_config();
        let mut loader =
            Loader::start(scope, &data.train, &transform, &contents, batches, first, config.num_workers.max(1));
        loop {
            if config.is_epoch_end(&session.run) {
                judge(&mut session, config, &data, &mut events)?;
                let epoch = session.run.history.last().expect("judged just now");
                if watch(epoch) == Control::Stop {
                    break;
                }
                if session.run.recipe.stops_early(&session.run.history) {
                    eprintln!("stopped early: no better score in {} validations", session.run.recipe.early_stop);
                    break;
                }
            }
            if session.run.is_over() {
                break;
            }
            learn(&mut session, config, &mut loader)?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    data.counts.tell_left_out();
    Ok(session.run)
}

impl TrainConfig {
    /// What batches are made of.
    pub fn batch_config(&self) -> BatchConfig {
        BatchConfig {
            num_slices: self.run.batch_slices,
            chunk_s: self.chunk_s,
            drawing: self.drawing,
            seed: self.run.seed,
        }
    }

    /// Whether an epoch has ended and was not judged yet; so it is when a run is killed while it is being judged.
    fn is_epoch_end(&self, run: &RunState) -> bool {
        let is_end = run.step > 0 && (run.step.is_multiple_of(self.epoch_steps) || run.is_over());
        is_end && run.history.last().is_none_or(|epoch| epoch.step < run.step)
    }
}

/// The run in `out`, or a new one; and whether it is new.
fn open_session(config: &TrainConfig) -> Result<(Session, bool)> {
    let last = config.out.join("last.safetensors");
    if !parts::exists(&last) {
        return Ok((Session::new(config.run.clone(), None, config.device)?, true));
    }
    let checkpoint = Checkpoint::open(&last)?;
    let (total_steps, minutes, data) = (config.run.total_steps, config.run.minutes, config.run.data.clone());
    let run = RunState { total_steps, minutes, data, ..checkpoint.state.clone() };
    let of_all =
        minutes.map_or(format!("of {total_steps}"), |m| format!("and {:.1} of {m} minutes", run.clock_s / 60.0));
    eprintln!("resuming {} at step {} {of_all}", last.display(), run.step);
    if run.batch_slices != config.run.batch_slices || run.seed != config.run.seed {
        eprintln!("batches stay as the run began: {} slices, seed {}", run.batch_slices, run.seed);
    }
    if run.recipe != config.run.recipe || run.learning_rate != config.run.learning_rate {
        eprintln!("the optimizer stays as the run began: learning rate {}, {:?}", run.learning_rate, run.recipe);
    }
    Ok((Session::new(run, Some(&checkpoint), config.device)?, false))
}

/// Steps until the epoch ends, saving now and then.
fn learn(session: &mut Session, config: &TrainConfig, loader: &mut Loader) -> Result<()> {
    let run = &session.run;
    let end = (run.step + config.epoch_steps - run.step % config.epoch_steps).min(run.total_steps);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left, {msg}")?;
    let bar = ProgressBar::new(end - run.step).with_style(style);
    let hop_s = session.transform.plan.hop_len() as f64 / 44_100.0;
    let last = config.out.join("last.safetensors");
    let mut saved = Instant::now();
    while session.run.step < end && !session.run.is_over() {
        let asked = Instant::now();
        let batches = (0..session.run.recipe.accumulate).map(|_| loader.next()).collect::<Result<Vec<_>>>()?;
        let waiting_s = asked.elapsed().as_secs_f64();
        let step = session.step(&batches)?;
        let (run, wall_s) = (&mut session.run, asked.elapsed().as_secs_f64());
        let audio_s = batches.iter().map(|batch| batch.batch_size * batch.num_slices()).sum::<i64>() as f64 * hop_s;
        run.sums.add(&step.losses, step.gradient_norm);
        run.sums.audio_s += audio_s;
        run.sums.wall_s += wall_s;
        run.sums.waiting_s += waiting_s;
        run.audio_s += audio_s;
        run.wall_s += wall_s;
        run.clock_s += wall_s;
        run.last_learning_rate = step.learning_rate;
        let speed = run.sums.audio_s / run.sums.wall_s;
        bar.set_message(format!("loss {:.4}, {speed:.1} x real time", step.total()));
        bar.inc(1);
        if saved.elapsed().as_secs_f64() >= config.save_s {
            session.save(&last)?;
            saved = Instant::now();
        }
    }
    session.save(&last)?;
    bar.finish_and_clear();
    Ok(())
}

/// Scores the average on the songs that judge, keeps what is best, and tells of it.
fn judge(session: &mut Session, config: &TrainConfig, data: &Data, events: &mut EventWriter) -> Result<()> {
    let begun = Instant::now();
    let run = &session.run;
    let mut epoch = run.sums.epoch(run.step, run.audio_s, run.wall_s, run.last_learning_rate);
    let mut snippet: Option<Snippet> = None;
    let mut scores = Vec::new();
    for song in &data.valid {
        let song = song.whole()?;
        let mut of_song = Snippet::new(&song);
        let mut heard = |stem: usize, channel: usize, start: usize, samples: &[f32]| {
            of_song.hear(stem, channel, start, samples);
        };
        let (averaged, transform) = (&*session.averaged, &*session.transform);
        scores.push(validate::separate_and_score(averaged, transform, &song, session.device, &mut heard));
        snippet.get_or_insert(of_song);
    }
    epoch.set_scores(&scores);
    let run = &mut session.run;
    run.judging_s = begun.elapsed().as_secs_f64();
    run.clock_s += run.judging_s;
    let is_best = epoch.mean_sdr_db.is_some_and(|mean| run.best_sdr_db.is_none_or(|best| mean > best));
    if is_best {
        run.best_sdr_db = epoch.mean_sdr_db;
    }
    run.history.push(epoch.clone());
    run.sums = Default::default();
    // The checkpoint that says this epoch was judged is written last: if the run is killed before, it is judged again.
    if is_best {
        session.save(&config.out.join("best.safetensors"))?;
    }
    if let Some(path) = top::path(&config.out, &epoch)
        && top::best(&session.run.history, config.top).iter().any(|best| best.step == epoch.step)
    {
        fs::create_dir_all(config.out.join("top")).with_context(|| format!("cannot make {}", path.display()))?;
        session.save(&path)?;
    }
    session.save(&config.out.join("last.safetensors"))?;
    top::prune(&config.out, &session.run.history, config.top)?;
    log_events(events, &epoch, snippet.filter(|_| is_best))?;
    log_line(config, &epoch)?;
    report::write(&config.out, &session.run, &session.size(), &data.counts)
}

fn log_events(events: &mut EventWriter, epoch: &Epoch, snippet: Option<Snippet>) -> Result<()> {
    let step = epoch.step;
    for (name, value) in &epoch.losses {
        events.scalar(step, &format!("loss/{name}"), *value)?;
    }
    for (name, sdr_db) in STEMS.iter().zip(epoch.sdr_db).chain([(&"mean", epoch.mean_sdr_db)]) {
        if let Some(sdr_db) = sdr_db {
            events.scalar(step, &format!("sdr_db/{name}"), sdr_db)?;
        }
    }
    events.scalar(step, "optimizer/learning_rate", epoch.learning_rate)?;
    events.scalar(step, "optimizer/gradient_norm", epoch.gradient_norm)?;
    events.scalar(step, "speed/audio_s_per_s", epoch.audio_s_per_s)?;
    events.scalar(step, "speed/waiting", epoch.waiting)?;
    let Some(snippet) = snippet else { return Ok(()) };
    for (name, sound) in snippet.sounds() {
        events.audio(step, &name, sound, 44_100)?;
        events.image(step, &name, &crate::report::spectrogram::picture(sound))?;
    }
    Ok(())
}

fn log_line(config: &TrainConfig, epoch: &Epoch) -> Result<()> {
    let line = epoch.line();
    println!("{line}");
    let path = config.out.join("log.txt");
    let mut log = fs::OpenOptions::new().create(true).append(true).open(&path)?;
    writeln!(log, "{line}").with_context(|| format!("cannot write {}", path.display()))
}

/// Global SDR by stem of a song, separated with a checkpoint's network.
pub fn score_checkpoint(
    checkpoint: &Checkpoint,
    transform: &Arc<Transform>,
    song: &WholeSong,
) -> Result<BTreeMap<String, f64>> {
    let network = checkpoint.open_network(transform)?;
    let scores = validate::separate_and_score(&*network, transform, song, Device::Cpu, &mut |_, _, _, _| ());
    Ok(STEMS.iter().zip(scores).filter_map(|(name, db)| Some((name.to_string(), db?))).collect())
}
