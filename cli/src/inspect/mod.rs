//! `unbraid inspect`: pictures of songs as a transform sees them, of the transform itself, and the search for one.
//!
//! [`spectrogram`] turns coefficients into levels on [`axes`], [`song_figure`] and [`design_figure`] draw them on a
//! [`canvas`]; [`profile`] measures a design; [`find`] compares designs by oracle masks.

mod args;
mod axes;
mod design_figure;
mod design_table;
mod find;
mod latency;
mod output;
mod profile;
mod song;
mod song_figure;
mod spectrogram;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use audio::AudioReader;
use slicqt::{Design, Plan};

pub use args::Args;

use crate::console;
use profile::Profile;

/// Legal widths and heights of pictures, in pixels.
const SIZES: std::ops::RangeInclusive<usize> = 400..=16_384;

/// Draws, lists, or searches.
pub fn run(args: &Args) -> Result<()> {
    if args.find {
        return find(args);
    }
    for (name, pixels) in [("--width", args.width), ("--height", args.height)] {
        if !SIZES.contains(&pixels) {
            bail!("{name}: expected {} to {} pixels, got {pixels}", SIZES.start(), SIZES.end());
        }
    }
    if !(args.range_db > 0.0 && args.range_db.is_finite()) {
        bail!("--range-db: expected a number of dB above 0, got {}", args.range_db);
    }
    let design = match &args.song {
        Some(song) => design_at(&args.transform, AudioReader::open(song)?.sample_rate_hz())?,
        None => parse("--transform", &args.transform)?,
    };
    let profile = Profile::new(&design).map_err(|error| anyhow!("--transform {design}: {error}"))?;
    let (song_png, design_png) = pictures(args);
    output::check_writable(&design_png)?;
    let mut written = Vec::new();
    if let (Some(song), Some(song_png)) = (&args.song, &song_png) {
        output::check_writable(song_png)?;
        draw_song(args, song, &design)?.write_png(song_png)?;
        written.push(song_png.clone());
    }
    design_figure::draw(&design, &profile, [args.width, args.height])?.write_png(&design_png)?;
    written.push(design_png);

    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    if args.json {
        console::print_line(serde_json::json!({
            "transform": design.to_string(),
            "sample_rate_hz": design.sample_rate_hz(),
            "pictures": written,
        }));
    } else {
        let table = design_table::table(&design, &profile);
        console::print_line(format_args!("{table}\nwrote {}", written.join(" and ")));
    }
    Ok(())
}

/// Names of the song's and the design's picture.
fn pictures(args: &Args) -> (Option<PathBuf>, PathBuf) {
    let Some(song) = &args.song else {
        return (None, args.out.clone().unwrap_or_else(|| "design.png".into()));
    };
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let song_png = args.out.clone().unwrap_or_else(|| format!("{}.png", name(song)).into());
    let design_png = song_png.with_file_name(format!("{}-design.png", name(&song_png)));
    (Some(song_png), design_png)
}

fn draw_song(args: &Args, song: &Path, design: &Design) -> Result<pictures::Canvas> {
    let mut designs = vec![design.clone()];
    let sample_rate_hz = f64::from(AudioReader::open(song)?.sample_rate_hz());
    if design.sample_rate_hz() != sample_rate_hz {
        bail!(
            "{}: is at {sample_rate_hz} Hz, but --transform {design} is for {} Hz: leave its :rate= away, or make it {sample_rate_hz}",
            song.display(),
            design.sample_rate_hz()
        );
    }
    if let Some(lens) = &args.stft {
        let lens = lens.strip_prefix("stft:").unwrap_or(lens);
        designs.push(parse("--stft", &format!("stft:{lens}:rate={sample_rate_hz}"))?);
    }
    let plans: Vec<Plan> = designs
        .iter()
        .map(|design| Plan::new(design).map_err(|error| anyhow!("{design}: {error}")))
        .collect::<Result<_>>()?;
    song_figure::draw(&song_figure::Request {
        song,
        channel: args.channel,
        start_s: args.start,
        seconds: args.seconds,
        panels: designs.iter().zip(&plans).collect(),
        size: [args.width, args.height],
        range_db: args.range_db,
    })
}

fn find(args: &Args) -> Result<()> {
    let named = args.also.iter().map(|text| parse("--also", text)).collect::<Result<_>>()?;
    let seconds = args.seconds.unwrap_or(20.0);
    if !(seconds > 0.0 && seconds.is_finite()) {
        bail!("--seconds: expected a number above 0, got {seconds}");
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    find::run(&find::Request {
        data: args.data.clone().context("--find: expected --data DIR")?,
        num_trials: args.trials,
        seed: args.seed,
        latencies_ms: args.latency_ms.clone(),
        seconds,
        named,
        num_best: args.best,
        num_threads: args.threads.unwrap_or(cores),
        out: args.out.clone(),
    })
}

/// The transform at the song's rate, unless it names another.
fn design_at(transform: &str, sample_rate_hz: u32) -> Result<Design> {
    let design = parse("--transform", transform)?;
    if design.sample_rate_hz() == f64::from(sample_rate_hz) || transform.contains("rate=") {
        return Ok(design);
    }
    // The published ones are at 44100 Hz; elsewhere they are their scale.
    let scale = match transform {
        "bark-262" => "bark:262:32.9",
        "mel-32" => "mel:32:115.5",
        other => other,
    };
    parse("--transform", &format!("{scale}:rate={sample_rate_hz}"))
}

fn parse(option: &str, text: &str) -> Result<Design> {
    text.parse().map_err(|error| anyhow!("{option}: {error}"))
}
