//! Unbraid with a sound card instead of a host: what the input hears, through the engine, to the output.

use anyhow::Result;
use clap::Parser;
use player::{
    device, installation,
    live::{Cards, Live},
    window,
};
use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};
use unbraid_plugin::editor::settings::SettingsFile;

/// Takes apart what a sound card records, and plays it with the stems' faders, mutes and solos.
#[derive(Parser)]
#[command(name = "unbraid-standalone", version)]
struct Args {
    /// Name of a model, or its folder (with a slash in it)
    #[arg(long)]
    model: Option<String>,
    /// The sound card that records; `null`: silence
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// The sound card that plays; `null`: none, in real time all the same
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Samples per second; else what the output prefers
    #[arg(long, value_name = "HZ")]
    rate: Option<u32>,
    /// Prints the names of the sound cards
    #[arg(long)]
    list_devices: bool,
    /// Runs without a window, until it is ended or --duration is over
    #[arg(long)]
    no_window: bool,
    /// Ends after so many seconds, if there is no window
    #[arg(long, value_name = "S")]
    duration: Option<f64>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
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
    let preferred = || device::preferred_rate_hz(args.output.as_deref()).unwrap_or(48_000);
    let cards = Cards {
        input: args.input.clone(),
        output: args.output.clone(),
        sample_rate_hz: args.rate.unwrap_or_else(preferred),
    };
    let live = Live::start(installation::find(args.model.as_deref())?, &cards)?;
    live.follow_choice();
    if args.no_window {
        let start = Instant::now();
        while args.duration.is_none_or(|end| start.elapsed().as_secs_f64() < end) {
            thread::sleep(Duration::from_millis(50));
        }
    } else {
        let shown = window::Shown {
            params: live.params.clone(),
            board: live.board.clone(),
            meters: live.meters.clone(),
            spectra: live.spectra.clone(),
        };
        window::Window::new(shown, None, SettingsFile::of_user())
            .run("Unbraid")
            .map_err(|error| error.context("--no-window goes without one"))?;
    }
    let status = live.board.get();
    println!("ended; {:?}, late {} times, {} gaps in the input", status.activity, status.late_hops, live.num_gaps());
    Ok(())
}
