//! The options of a training run.

use crate::augment::Augmentation;
use crate::batch::draw::Drawing;
use crate::cuda;
use crate::data::DataConfig;
use crate::data::Shares;
use crate::loss::LossWeights;
use crate::network::NetworkConfig;
use crate::record::RunState;
use crate::record::recipe::Recipe;
use crate::run::TrainConfig;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::PathBuf;
use tch::Device;

/// Options of `trainer train`.
#[derive(Args, Clone)]
pub struct TrainArgs {
    #[command(flatten)]
    pub data: DataConfig,
    /// Folder for checkpoints, log and report; a run that lies there goes on
    #[arg(long, default_value = "work/train", value_name = "DIR")]
    pub out: PathBuf,
    /// Compute on the CPU even if CUDA is there
    #[arg(long)]
    pub cpu: bool,
    /// Threads that make batches ahead [default: 1, with a GPU one for each other core]
    #[arg(long, value_name = "NUMBER")]
    pub workers: Option<usize>,
    /// Seed of weights and batches: the same seed and options give the same network
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,

    /// Network and its settings, NAME or NAME:KEY=VALUE,... (see below)
    #[arg(long, default_value = "first", help_heading = "Network")]
    pub network: NetworkConfig,
    /// Transform: bark-262 (fine, 410 ms slices), mel-32 (coarse, 46 ms slices), or a specification, as
    /// bark:96:32:slice=4096 or stft:2048:512
    #[arg(long, default_value = "bark-262", help_heading = "Network", value_name = "NAME")]
    pub transform: String,
    /// Weights that a new run starts from: a checkpoint of the same network, for `cdae` a published state dict (.pth or
    /// .safetensors), for `umx` a folder of the four of Open-Unmix
    #[arg(long, help_heading = "Network", value_name = "FILE")]
    pub start: Option<PathBuf>,
    /// Losses and their weights, NAME=WEIGHT,... (see below)
    #[arg(long, default_value_t, help_heading = "Network")]
    pub loss: LossWeights,

    /// Steps of the whole run [default: 4000, or as many as --minutes allow]
    #[arg(long, help_heading = "Length", value_name = "STEPS")]
    pub steps: Option<u64>,
    /// Minutes of the whole run, start and validations counted: the learning rate is planned by the clock, and the run
    /// ends by itself with a validation and a checkpoint
    #[arg(long, help_heading = "Length", value_name = "MINUTES")]
    pub minutes: Option<f64>,
    /// Steps between two validations
    #[arg(long, default_value_t = 250, help_heading = "Length", value_name = "STEPS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub epoch_steps: u64,
    /// Slices of a batch (slices follow each other at half their length)
    #[arg(long, default_value_t = 128, help_heading = "Length", value_name = "SLICES")]
    pub batch_slices: usize,
    /// Shortest and longest piece of music in a batch, in seconds
    #[arg(long, num_args = 2, default_values_t = [2.0, 6.0], help_heading = "Length", value_names = ["FROM", "TO"])]
    pub chunk_s: Vec<f64>,
    /// Seconds between checkpoints within an epoch: the most training that is lost when the run is killed
    #[arg(long, default_value_t = 300.0, help_heading = "Length", value_name = "SECONDS")]
    pub save_s: f64,
    /// Largest file of a checkpoint in MB: longer ones are written in parts, and read as one
    #[arg(long, help_heading = "Length", value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub checkpoint_part_mb: Option<u64>,
    /// Best checkpoints that are kept in OUT/top
    #[arg(long, default_value_t = 3, help_heading = "Length", value_name = "NUMBER")]
    pub top: usize,

    /// Highest learning rate
    #[arg(long, default_value_t = 1.5e-3, help_heading = "Optimizer", value_name = "RATE")]
    pub learning_rate: f64,
    #[command(flatten)]
    pub recipe: Recipe,
    /// How often an example's accompaniment comes from songs of each kind: stems all known; bass inside other; vocals
    /// known apart only. Kinds that no song is of are left out
    #[arg(
        long,
        default_value_t,
        value_name = "KIND=SHARE,...",
        help_heading = "Augmentation (0 turns a kind off; --no-augmentation all of them)"
    )]
    pub shares: Shares,
    #[command(flatten)]
    pub augmentation: Augmentation,
}

/// Steps of a run for which no length is given.
const DEFAULT_STEPS: u64 = 4000;

/// What `--help` says after the options; the list of networks follows.
pub const HELP: &str = "\
FROM SONGS TO A MODEL IN THE PLUGIN

1. Songs with true stems. Each song is a folder:
     stems/train/First Song/vocals.wav drums.wav bass.wav other.wav    (wav, flac or ogg at 44.1 kHz)
   A stem that a song does not have must be left out of \"stems\" in its song.json, as
   {\"stems\": [\"vocals\", \"drums\", \"other\"]}; a song without bass is taken to have it inside other. A folder with nothing
   but vocals and mix (or mixture) is a song of which only vocals are known. Stems that end early go on with silence. A
   song that cannot be read is named, left out and counted. Of MUSDB18-HQ name the folder that holds train and test.
   No songs? `cargo xtask synth --out work/songs --hours 1` makes some.

2. Train:
     cargo xtask train --data stems/train --valid stems/valid --out work/mine
   After every 250 steps the songs of --valid are separated and scored, and a line says how it stands: the losses, and
   the SDR of every stem in dB (the higher the better; 0 dB is silence). Stop the run whenever you like and give the same
   command again: it goes on, with the same batches, as if it had never stopped. More --steps later make it go on too.
   How long: the 4000 steps of the default are 29 hours of music. Two idle cores learn about 25 seconds of it per
   second (an hour and a quarter); `cargo xtask train-bench --data stems/train` measures it on your machine.

3. Look, while it runs and afterwards: work/mine/report.md has curves and the best epochs, log.txt the lines,
   `tensorboard --logdir work/mine` also plays the estimates. best.safetensors is what to export, top/ holds the best
   few, last.safetensors is what the run goes on from.

4. Export, with the licence that the songs allow. The name of the folder is the model's:
     cargo xtask export --checkpoint work/mine/best.safetensors --out ~/.local/share/unbraid/models/mine --licence CC0-1.0

5. Use it. Plugin and command line find models in that folder (macOS: ~/Library/Application Support/Unbraid/models,
   Windows: %APPDATA%\\Unbraid\\models), or take a path:
     UNBRAID_MODEL=mine reaper
     unbraid separate song.mp3 --model mine --out stems

MORE EXAMPLES
  cargo xtask first-model
      all of this from nothing, with composed songs and a small network, in ten minutes
  cargo xtask train --data songs --transform mel-32 --steps 500 --epoch-steps 100 \\
      --network first:channels=8+12+16+24,hidden_len=64
      a small network in a few minutes
  cargo xtask train --data MUSDB18-HQ --data work/songs=0.3 --out work/big --steps 100000 --workers 6
      86 songs of MUSDB18-HQ, judged by its 14 validation songs; three examples in thirteen from other songs
  cargo xtask train --data songs --network band-gru --transform stft:3072:768 --optimizer adamw --minutes 60
      bands of a plain STFT; an hour by the clock, at whose end the learning rate is 0
  cargo xtask train --data songs --network cdae-causal --loss mse=1,mask-sum=0.02,sdr=0.01
      another network, and a loss of samples beside those of coefficients

Networks:
";

impl TrainArgs {
    /// Sets an option by its name without dashes, or a setting of the network as `network.KEY`.
    ///
    /// # Errors
    /// If there is no such option, or it does not take this value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let json = || serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        let expected = |error: &dyn std::fmt::Display| anyhow!("{name} = {value}: {error}");
        match name {
            "learning-rate" => self.learning_rate = value.parse().map_err(|error| expected(&error))?,
            "batch-slices" => self.batch_slices = value.parse().map_err(|error| expected(&error))?,
            "transform" => self.transform = value.to_owned(),
            "loss" => self.loss = value.parse().map_err(|error| expected(&error))?,
            "network" => {
                let chosen: NetworkConfig = value.parse().map_err(|error| expected(&error))?;
                let settings = std::mem::replace(&mut self.network, chosen).settings;
                self.network.settings.extend(settings);
            }
            _ if name.starts_with("network.") => {
                let key = name.trim_start_matches("network.");
                self.network.settings.insert(key.to_owned(), json());
            }
            _ => {
                let key = name.replace('-', "_");
                let is_set = set_field(&mut self.recipe, &key, json()).map_err(|error| expected(&error))?
                    || set_field(&mut self.augmentation, &key, json()).map_err(|error| expected(&error))?;
                if !is_set {
                    bail!(
                        "{name} is no option that can be searched: expected learning-rate, batch-slices, transform, \
                        loss, network, network.KEY, or one of the optimizer's or the augmentation's (see --help)"
                    );
                }
            }
        }
        Ok(())
    }

    /// What the options amount to.
    ///
    /// # Errors
    /// If they do not fit together.
    pub fn config(&self) -> Result<TrainConfig> {
        let (from, to) = (self.chunk_s[0], self.chunk_s[1]);
        if !(from > 0.0 && to >= from && to <= 60.0) {
            bail!("--chunk-s: expected two lengths of up to 60 s, the shorter first, got {from} {to}");
        }
        let device = if self.cpu { Device::Cpu } else { cuda::best_device() };
        let num_cores = std::thread::available_parallelism().map_or(1, usize::from);
        let num_workers = self.workers.unwrap_or(if device.is_cuda() { num_cores.saturating_sub(1) } else { 1 });
        Ok(TrainConfig {
            run: RunState {
                network: self.network.clone(),
                loss: self.loss.clone(),
                transform: self.transform.clone(),
                total_steps: self.steps.unwrap_or(if self.minutes.is_some() { u64::MAX } else { DEFAULT_STEPS }),
                minutes: self.minutes,
                clock_s: 0.0,
                judging_s: 0.0,
                step: 0,
                audio_s: 0.0,
                wall_s: 0.0,
                best_sdr_db: None,
                learning_rate: self.learning_rate,
                batch_slices: self.batch_slices,
                seed: self.seed,
                data: self.data.data.iter().map(|d| d.path.display().to_string()).collect(),
                recipe: self.recipe.clone(),
                last_learning_rate: 0.0,
                history: vec![],
                sums: Default::default(),
            },
            data: self.data.clone(),
            drawing: Drawing { shares: self.shares, augmentation: self.augmentation.resolved() },
            chunk_s: (from, to),
            start: self.start.clone(),
            out: self.out.clone(),
            epoch_steps: self.epoch_steps,
            save_s: self.save_s,
            max_file_len: self.checkpoint_part_mb.map(|mb| mb * 1_000_000),
            top: self.top,
            num_workers: num_workers.max(1),
            device,
        })
    }
}

/// Sets a field by its name; whether there is one.
fn set_field<T: Serialize + DeserializeOwned>(options: &mut T, key: &str, value: Value) -> serde_json::Result<bool> {
    let mut fields = serde_json::to_value(&*options)?;
    let Some(field) = fields.get_mut(key) else { return Ok(false) };
    *field = value;
    *options = serde_json::from_value(fields)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        train: TrainArgs,
    }

    #[test]
    fn options_are_set_by_name_and_the_others_stay() {
        let mut args =
            Alone::parse_from(["x", "--data", "songs=2", "--steps", "7", "--network", "first:hidden_len=9"]).train;
        args.set("learning-rate", "2e-3").unwrap();
        args.set("network.hidden_len", "12").unwrap();
        args.set("optimizer", "adamw").unwrap();
        let config = args.config().unwrap();
        assert_eq!((config.run.learning_rate, config.run.total_steps), (2e-3, 7));
        assert_eq!(config.run.network.settings["hidden_len"], 12);
        assert_eq!(
            config.run.recipe,
            Recipe { optimizer: crate::record::recipe::Optimizer::Adamw, ..Recipe::default() }
        );
        assert_eq!(config.data.data[0].weight, 2.0);
        let error = format!("{:#}", args.set("speling", "1").unwrap_err());
        assert!(error.contains("speling is no option"), "{error}");
        assert!(args.set("batch-slices", "many").is_err());
        assert!(args.set("clip", "tight").is_err());
    }
}
