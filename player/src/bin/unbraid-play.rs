//! `unbraid play SONG` starts this: a song through the engine, in a window or without.

use anyhow::{Result, bail};
use clap::Parser;
use nice_plug::params::Param;
use player::{device, installation, player::Player, timeline::clock, window};
use std::{
    io::{self, IsTerminal, Write},
    ops::Range,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use unbraid_plugin::{editor::settings::SettingsFile, params::UnbraidParams};

/// Plays a song with the stems' faders, mutes and solos.
#[derive(Parser)]
#[command(name = "unbraid play", version)]
struct Args {
    /// The song
    #[arg(required_unless_present = "list_devices")]
    song: Option<PathBuf>,
    /// Name of a model, or its folder (with a slash in it)
    #[arg(long)]
    model: Option<String>,
    /// The sound card; `null`: none, in real time all the same
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Prints the names of the sound cards
    #[arg(long)]
    list_devices: bool,
    /// Plays at once, and tells the time as text
    #[arg(long)]
    no_window: bool,
    /// Begins there, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    start: f64,
    /// Ends after so many seconds
    #[arg(long, value_name = "S")]
    duration: Option<f64>,
    /// Plays a part again and again, in seconds
    #[arg(long = "loop", value_name = "FROM-TO", value_parser = parse_range)]
    loop_s: Option<Range<f64>>,
    /// Stems that are not heard
    #[arg(long, value_name = "STEM", num_args = 1.., value_parser = base::STEMS)]
    mute: Vec<String>,
    /// Stems that alone are heard
    #[arg(long, value_name = "STEM", num_args = 1.., value_parser = base::STEMS)]
    solo: Vec<String>,
    /// Writes what would be heard to a file (.wav, .flac, .mp3, .opus, .m4a), and plays nothing
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Tells how long each seek took until its sound was in the sound card's buffer
    #[arg(long)]
    statistics: bool,
}

fn parse_range(text: &str) -> Result<Range<f64>, String> {
    let range = text.split_once('-').and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    let is_range = |range: &Range<f64>| range.start >= 0.0 && range.end > range.start && range.end.is_finite();
    range.filter(is_range).ok_or_else(|| format!("expected two times in seconds, as in 12.5-20, got '{text}'"))
}

/// Ctrl-C, SIGTERM and SIGHUP leave a note, so that an export takes its unfinished file away; the second one ends the
/// program.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// As shells have it.
const INTERRUPTED_STATUS: u8 = 130;

fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}

fn main() -> ExitCode {
    let handler = || {
        if IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED_STATUS.into());
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("warning: cannot listen for Ctrl-C: {error}");
    }
    match run(&Args::parse()) {
        _ if is_interrupted() => INTERRUPTED_STATUS.into(),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.list_devices {
        device::output_names().iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let Some(path) = &args.song else { bail!("expected a song") };
    let (player, mut playback) = Player::open(path, installation::find(args.model.as_deref())?)?;
    switch_stems(&player.params, args);
    if let Some(to) = &args.export {
        return export(&player, to);
    }
    let rate_hz = player.song.sample_rate_hz();
    let in_samples = |seconds: f64| (seconds * f64::from(rate_hz)).round() as i64;
    player.transport.seek(in_samples(args.start));
    if let Some(range) = &args.loop_s {
        player.transport.set_loop_range(in_samples(range.start)..in_samples(range.end));
        player.transport.set_looping(true);
    }
    let player = Arc::new(player);
    let opened = device::play(args.device.as_deref(), rate_hz, Box::new(move |out| playback.render(out)));
    let _output = opened?;
    let is_over = Arc::new(AtomicBool::new(false));
    if args.statistics {
        tell_seeks(player.clone(), is_over.clone())?;
    }
    let result = if args.no_window {
        player.transport.set_playing(true);
        tell_time(&player, args.duration)
    } else {
        end_window_when_interrupted(player.clone())?;
        let title = format!("{} - Unbraid", path.file_name().unwrap_or_default().to_string_lossy());
        let shown = window::Shown {
            params: player.params.clone(),
            board: player.board.clone(),
            meters: player.meters.clone(),
            spectra: player.spectra.clone(),
        };
        window::Window::new(shown, Some(player.clone()), SettingsFile::of_user())
            .run(&title)
            .map_err(|error| error.context("--no-window plays without one"))
    };
    is_over.store(true, Ordering::Release);
    result
}

fn switch_stems(params: &UnbraidParams, args: &Args) {
    for (name, stem) in base::STEMS.iter().zip(params.stems()) {
        let has = |names: &[String]| names.iter().any(|other| other == name);
        for (param, is_on) in [(&stem.mute, has(&args.mute)), (&stem.solo, has(&args.solo))] {
            // SAFETY: the parameter lives; nobody else sets it yet.
            unsafe { param.as_ptr()._internal_set_normalized_value(if is_on { 1.0 } else { 0.0 }) };
        }
    }
}

fn export(player: &Player, to: &std::path::Path) -> Result<()> {
    let is_terminal = io::stderr().is_terminal();
    let mut go_on = |done: f64| {
        if is_terminal {
            eprint!("\r{:3.0} %", 100.0 * done);
        }
        !is_interrupted()
    };
    player.export_now(to, &player.params.mix_controls(), &mut go_on)?;
    if is_terminal {
        eprint!("\r");
    }
    println!("{}", to.display());
    Ok(())
}

/// The window has the main thread to itself.
fn end_window_when_interrupted(player: Arc<Player>) -> Result<()> {
    thread::Builder::new().spawn(move || {
        while !is_interrupted() {
            thread::sleep(Duration::from_millis(50));
        }
        player.stop_export();
        while player.is_exporting() {
            thread::sleep(Duration::from_millis(10));
        }
        std::process::exit(INTERRUPTED_STATUS.into());
    })?;
    Ok(())
}

/// Until the song is over, or the time.
fn tell_time(player: &Player, duration_s: Option<f64>) -> Result<()> {
    let (start, rate_hz) = (Instant::now(), f64::from(player.song.sample_rate_hz()));
    let is_terminal = io::stderr().is_terminal();
    let mut told = None;
    while !is_interrupted()
        && player.transport.is_playing()
        && duration_s.is_none_or(|end| start.elapsed().as_secs_f64() < end)
    {
        let time = |position: i64| clock(position as f64 / rate_hz);
        if is_terminal {
            eprint!("\r{} / {} ", time(player.transport.position()), time(player.song.likely_len()));
            io::stderr().flush()?;
        }
        let error = player.error();
        if error.is_some() && error != told {
            eprintln!("warning: only the mix is played: {}", error.as_deref().unwrap_or_default());
            told = error;
        }
        thread::sleep(Duration::from_millis(50));
    }
    player.transport.set_playing(false);
    if is_terminal {
        eprintln!();
    }
    println!(
        "played until {}, late {} times",
        clock(player.transport.position() as f64 / rate_hz),
        player.transport.num_late()
    );
    Ok(())
}

fn tell_seeks(player: Arc<Player>, is_over: Arc<AtomicBool>) -> Result<()> {
    thread::Builder::new().spawn(move || {
        let mut num_told = player.transport.num_seeks();
        while !is_over.load(Ordering::Acquire) {
            let num_seeks = player.transport.num_seeks();
            if num_seeks != num_told {
                num_told = num_seeks;
                let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let delay_ms = 1000.0 * player.transport.seek_delay().as_secs_f64();
                eprintln!(
                    "seek {num_seeks}: sound {delay_ms:.1} ms after it was asked for, seen at {:.3}",
                    at.as_secs_f64()
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
    })?;
    Ok(())
}
