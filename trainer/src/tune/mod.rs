//! Searching for settings: trials of a few steps each, chosen by a tree-structured Parzen estimator from what the
//! earlier ones scored; those below the median of the others at the same step are given up.

mod results;
mod space;

use crate::options::TrainArgs;
use crate::record::history::Epoch;
use crate::run::{self, Control};
use crate::transform::Transform;
use anyhow::{Context, Result, bail, ensure};
use optimizer::parameter::ParamId;
use optimizer::prelude::*;
use optimizer::storage::{JournalStorage, Storage};
use space::Space;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Options of `trainer tune`.
#[derive(clap::Args)]
pub struct TuneArgs {
    /// The space to search: a TOML file with a table per option of train (see below)
    #[arg(long, value_name = "FILE")]
    space: PathBuf,
    /// Trials, those of an earlier start included
    #[arg(long, default_value_t = 30, value_name = "NUMBER")]
    trials: usize,
    /// Trials that are chosen at random, and never given up, before the search begins
    #[arg(long, default_value_t = 6, value_name = "NUMBER")]
    startup: usize,
    #[command(flatten)]
    train: TrainArgs,
}

/// For `--help`.
pub const HELP: &str = "\
The space is a TOML file with a table per option of `train`, without its dashes, or per setting of the network:

  [learning-rate]
  low = 3e-4
  high = 5e-3
  log = true
  [\"network.hidden_len\"]
  low = 64
  high = 320
  step = 64
  [transform]
  choices = [\"mel-32\", \"bark-262\"]

All other options are those of `train`, and the same for every trial; --steps is the length of one. A trial is judged
after every --epoch-steps by its best score so far, and given up when that is below the median. What was tried stands
in OUT/journal.jsonl: the same command goes on where it was stopped. OUT/results.md and OUT/results.png show the
results.

Example:
  cargo xtask tune --space space.toml --trials 20 --data stems/train --steps 400 --epoch-steps 50 --out work/tune";

/// What a trial is taken to have scored that diverged before its first validation.
const DIVERGED_DB: f64 = -30.0;
/// Random settings that are drawn in search of new ones.
const MAX_DRAWS: usize = 200;

/// Searches until there are as many trials as were asked for.
///
/// # Errors
/// If the space cannot be read, is not that of the journal, or a trial cannot start. A trial that diverges counts as
/// given up.
pub fn tune(args: &TuneArgs) -> Result<()> {
    let space = Space::read(&args.space)?;
    check(&space, &args.train).with_context(|| format!("{}", args.space.display()))?;
    let out = args.train.out.clone();
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    keep_space(&args.space, &out.join("space.toml"))?;
    let journal = out.join("journal.jsonl");
    let storage = JournalStorage::<f64>::open(&journal).with_context(|| format!("{}", journal.display()))?;
    let study = study(args.startup, args.train.seed, storage)?;
    let running = out.join("running.json");
    if let Ok(text) = fs::read(&running) {
        let params: HashMap<ParamId, ParamValue> = serde_json::from_slice::<Vec<(ParamId, ParamValue)>>(&text)
            .with_context(|| format!("{}", running.display()))?
            .into_iter()
            .collect();
        study.enqueue(params); // it goes on from its own checkpoint
    }
    while study.n_trials() < args.trials {
        let number = study.n_trials();
        let Some((mut trial, values)) = choose(&study, &space, args.train.seed)? else {
            println!("all settings of the space have been tried, as far as chance can tell");
            break;
        };
        let mut train_args = args.train.clone();
        for (dimension, value) in space.dimensions.iter().zip(&values) {
            train_args.set(&dimension.name, value)?;
        }
        let params: Vec<_> = trial.params().iter().map(|(id, value)| (*id, value.clone())).collect();
        base::write_whole(&running, serde_json::to_vec(&params)?).with_context(|| format!("{}", running.display()))?;
        train_args.out = out.join(format!("trial-{number:03}"));
        let settings = space.settings(&values);
        println!("trial {number}: {settings}");
        trial.set_user_attr("settings", settings);
        run_trial(&study, trial, train_args)?;
        results::write(&out, &study)?;
        fs::remove_file(&running).with_context(|| format!("{}", running.display()))?;
    }
    println!("{}", results::table(&study));
    println!("results: {}", out.join("results.md").display());
    Ok(())
}

/// Refuses at once what would end the search hours later: every choice, and both ends of every range, must be values that
/// the option takes, and transforms must be transforms.
fn check(space: &Space, args: &TrainArgs) -> Result<()> {
    for dimension in &space.dimensions {
        for value in &dimension.extremes {
            let mut args = args.clone();
            args.set(&dimension.name, value).with_context(|| format!("[{}]", dimension.name))?;
            let config = args.config()?;
            Transform::new(&config.run.transform).with_context(|| format!("[{}]", dimension.name))?;
        }
    }
    Ok(())
}

/// Settings for a trial, and their values in the order of the dimensions. The estimator likes to ask for what was best once
/// more, which would end the same, bit for bit: then chance chooses. `None` if it finds nothing new either.
fn choose(study: &Study<f64>, space: &Space, seed: u64) -> Result<Option<(Trial, Vec<String>)>> {
    let ask = |study: &Study<f64>| -> Result<(Trial, Vec<String>)> {
        let mut trial = study.ask();
        let values = space.dimensions.iter().map(|dimension| dimension.suggest(&mut trial)).collect::<Result<_>>()?;
        Ok((trial, values))
    };
    let is_new = |values: &[String]| !results::is_tried(study, &space.settings(values));
    let (trial, values) = ask(study)?;
    if is_new(&values) {
        return Ok(Some((trial, values)));
    }
    study.tell(trial, Err("tried before"));
    let sampler = RandomSampler::with_seed(seed.wrapping_add(study.n_trials() as u64));
    let chance: Study<f64> = Study::builder().minimize().sampler(sampler).build();
    for _ in 0..MAX_DRAWS {
        let (drawn, values) = ask(&chance)?;
        if is_new(&values) {
            study.enqueue(drawn.params().iter().map(|(id, value)| (*id, value.clone())).collect());
            return ask(study).map(Some);
        }
    }
    Ok(None)
}

/// A study that lowers its values: the library's estimator takes the lowest for the best, whatever the direction that
/// the study is given. So scores go in with their sign turned.
fn study(startup: usize, seed: u64, storage: impl Storage<f64> + 'static) -> Result<Study<f64>> {
    let sampler = TpeSampler::builder().n_startup_trials(startup).seed(seed).build()?;
    let pruner = MedianPruner::new(Direction::Minimize).n_min_trials(startup.max(1));
    Ok(Study::builder().minimize().sampler(sampler).pruner(pruner).storage(storage).build())
}

fn run_trial(study: &Study<f64>, mut trial: Trial, args: TrainArgs) -> Result<()> {
    let config = args.config()?;
    let mut best = f64::NEG_INFINITY;
    let mut is_given_up = false;
    let mut watch = |epoch: &Epoch| {
        let Some(sdr_db) = epoch.mean_sdr_db else { return Control::Continue };
        best = best.max(sdr_db);
        trial.report(epoch.step, -best);
        is_given_up = epoch.step < config.run.total_steps && trial.should_prune();
        if is_given_up { Control::Stop } else { Control::Continue }
    };
    let run = match run::train(&config, &mut watch) {
        Ok(run) => Some(run),
        Err(error) if format!("{error:#}").contains("the last checkpoint is intact") => {
            eprintln!("given up: {error:#}");
            None
        }
        Err(error) => return Err(error),
    };
    // A trial that resumed has epochs from before.
    let best = run.iter().flat_map(|run| &run.history).filter_map(|epoch| epoch.mean_sdr_db).fold(best, f64::max);
    ensure!(best.is_finite() || run.is_none(), "no epoch had a score: the songs that judge have no stem apart");
    let end = match (&run, is_given_up) {
        (None, _) => "diverged",
        (_, true) => "given up",
        _ => "complete",
    };
    trial.set_user_attr("end", end);
    // Also where a trial was given up, its score stands: to the library's sampler, a pruned trial has scored 0 dB.
    study.complete_trial(trial, -if best.is_finite() { best } else { DIVERGED_DB });
    Ok(())
}

/// Keeps the space beside the journal, and refuses to go on with another.
fn keep_space(space: &Path, kept: &Path) -> Result<()> {
    let text = fs::read_to_string(space)?;
    match fs::read_to_string(kept) {
        Ok(old) if old != text => bail!(
            "{} is another space than that of the trials so far, {}; choose another --out",
            space.display(),
            kept.display()
        ),
        Ok(_) => Ok(()),
        Err(_) => base::write_whole(kept, text).with_context(|| format!("cannot write {}", kept.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use optimizer::storage::MemoryStorage;

    #[test]
    fn the_search_goes_where_scores_are_high() {
        let space = Space::parse("[learning-rate]\nlow = 1e-4\nhigh = 1e-1\nlog = true\n").unwrap();
        let study = study(10, 1, MemoryStorage::new()).unwrap();
        let mut distances = Vec::new();
        for _ in 0..60 {
            let mut trial = study.ask();
            let rate: f64 = space.dimensions[0].suggest(&mut trial).unwrap().parse().unwrap();
            let distance = (rate.log10() + 1.5).abs(); // the best rate is 0.03
            let sdr_db = 5.0 - distance;
            study.complete_trial(trial, -sdr_db);
            distances.push(distance);
        }
        let mean = |distances: &[f64]| distances.iter().sum::<f64>() / distances.len() as f64;
        assert!(mean(&distances[40..]) < 0.5 * mean(&distances[..10]), "{distances:?}");
    }

    #[test]
    fn a_space_with_an_impossible_value_is_refused_before_the_first_trial() {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            train: TrainArgs,
        }
        let args = <Alone as clap::Parser>::parse_from(["x", "--data", "songs", "--transform", "mel-32"]).train;
        let check = |text: &str| check(&Space::parse(text).unwrap(), &args).map_err(|error| format!("{error:#}"));
        check("[transform]\nchoices = [\"mel-32\", \"bark:96:50\"]\n[learning-rate]\nlow = 1e-3\nhigh = 2e-3\n")
            .unwrap();
        for (text, named) in [
            ("[transform]\nchoices = [\"mel-32\", \"mel:64:60:slice=4096\"]\n", ["[transform]", "4303"]),
            ("[transform]\nchoices = [\"mel-32\", \"bark262\"]\n", ["[transform]", "bark262"]),
            ("[speling]\nchoices = [1, 2]\n", ["[speling]", "no option"]),
            ("[batch-slices]\nlow = -1\nhigh = 2\n", ["[batch-slices]", "-1"]),
        ] {
            let error = check(text).unwrap_err();
            assert!(named.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn nothing_is_tried_twice_and_small_spaces_come_to_an_end() {
        let text = "[learning-rate]\nchoices = [1e-3, 3e-3]\n[\"network.hidden_len\"]\nlow = 8\nhigh = 24\nstep = 8\n";
        let space = Space::parse(text).unwrap();
        let study = study(2, 1, MemoryStorage::new()).unwrap();
        let mut tried = Vec::new();
        while let Some((mut trial, values)) = choose(&study, &space, 1).unwrap() {
            assert!(!tried.contains(&values), "{values:?} again after {tried:?}");
            trial.set_user_attr("settings", space.settings(&values));
            let hidden: f64 = values[1].parse().unwrap();
            study.complete_trial(trial, -hidden);
            tried.push(values);
        }
        assert_eq!((tried.len(), study.n_trials()), (6, 6), "{tried:?}");
    }

    #[test]
    fn a_trial_below_the_median_is_given_up() {
        let study = study(3, 1, MemoryStorage::new()).unwrap();
        for score in [1.0, 2.0, 3.0] {
            let mut trial = study.ask();
            trial.report(10, -score);
            study.complete_trial(trial, -score);
        }
        let is_given_up = |score: f64| {
            let mut trial = study.ask();
            trial.report(10, -score);
            trial.should_prune()
        };
        assert!(is_given_up(1.5) && !is_given_up(2.5));
    }
}
