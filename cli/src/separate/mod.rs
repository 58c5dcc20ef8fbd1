//! `unbraid separate`: songs in, stems out.
//!
//! [`songs`] finds the inputs, [`stems`] and [`format`] say what to make of them, [`names`] where it goes; [`song`] does
//! the work.

mod format;
mod names;
mod song;
mod songs;
mod stems;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use audio::ReadOptions;
use serde_json::json;

use self::format::{Bits, FormatName};
use self::names::{Job, Pattern};
use self::song::{Done, Request};
use crate::console;
use crate::installation::Installation;
use crate::interruption;
use crate::progress::{Progress, ProgressKind, readable};

/// Separates songs into stems.
///
/// Reads wav (RF64 and W64, too), aiff, caf, flac, ogg (Vorbis, Opus), mp3, m4a and mp4 (AAC-LC, ALAC; fragmented, too),
/// webm and mkv; other formats (HE-AAC, WavPack, WMA, ...) through an installed ffmpeg. Any sample rate, any length; mono
/// is fine, surround is mixed down. The stems are stereo, have the song's sample rate and exactly its length, line up with
/// it, and add up to it. A file gets its name when it is complete.
#[derive(clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// Songs, folders of songs (with all folders below them), or - for the standard input
    #[arg(required = true, value_name = "SONG")]
    songs: Vec<PathBuf>,

    /// Folder for the stems, or - for the standard output (one song, one stem, wav)
    #[arg(long, short, value_name = "DIR", default_value = "separated")]
    out: PathBuf,

    /// Only these stems, as in vocals,drums [default: all of the model's]
    #[arg(long, value_delimiter = ',', value_name = "STEMS")]
    stems: Vec<String>,

    /// One stem and the sum of all others: vocals gives vocals and instrumental, drums gives drums and no_drums
    #[arg(long, value_name = "STEM", conflicts_with = "stems")]
    two_stems: Option<String>,

    /// File format of the stems
    #[arg(long, short, value_enum, default_value_t = FormatName::Wav, hide_possible_values = false)]
    format: FormatName,

    /// Bits of a sample, in wav and flac [default: float in wav, 24 in flac]
    #[arg(long, value_enum, value_name = "BITS")]
    bits: Option<Bits>,

    /// Bit rate of mp3 [default: 320], m4a [default: 256] or opus [default: 192], in kbit/s
    #[arg(long, value_name = "KBPS", value_parser = clap::value_parser!(u32).range(8..=512))]
    bitrate: Option<u32>,

    /// No dither at 16 bit
    #[arg(long)]
    no_dither: bool,

    /// File names below --out, with the placeholders {song}, {stem}, {model} and {ext} (the song's) [default: {song}/{stem}]
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,

    /// All files in one folder: as --name '{song} - {stem}'
    #[arg(long, conflicts_with = "name")]
    flat: bool,

    /// Skip songs whose stems all exist: resumes a batch that was stopped
    ///
    /// Without it, stems of an earlier run are replaced.
    #[arg(long)]
    skip_existing: bool,

    /// Start this many seconds into the song
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = seconds)]
    start: f64,

    /// Separate this many seconds [default: to the end]
    #[arg(long, value_name = "S", value_parser = seconds)]
    duration: Option<f64>,

    /// Refuse songs with damaged packets, instead of replacing these with silence
    #[arg(long)]
    strict: bool,

    /// Separate truncated songs as far as they go, instead of refusing them
    #[arg(long, conflicts_with = "strict")]
    keep_going: bool,

    /// Songs at a time [default: number of cores]; with fewer songs than cores, each is separated on several
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Name of the model, or a path to its folder, as ./mine [default: mix]
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,

    /// Only errors and warnings
    #[arg(long, short)]
    quiet: bool,

    /// How to show progress
    #[arg(long, value_enum, value_name = "KIND", default_value_t = ProgressKind::Auto)]
    progress: ProgressKind,

    /// Print a JSON object for each song instead of a line
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  unbraid separate song.mp3
      writes separated/song/vocals.wav, drums.wav, bass.wav and other.wav
  unbraid separate song.mp3 --two-stems vocals --format mp3
      writes separated/song/vocals.mp3 and instrumental.mp3
  unbraid separate ~/Music --out stems --format flac --skip-existing
      a whole collection, keeping its folders; run it again to resume
  unbraid separate song.flac --flat --out .
      writes 'song - vocals.wav' and so on here
  unbraid separate - --out - --stems vocals < song.mp3 | play -
      in a pipeline

A damaged packet becomes silence of the same length, with a warning; --strict refuses such files. Truncated files are
refused; --keep-going separates them as far as they go. The exit status is 1 if a song failed, 130 after Ctrl-C.";

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_string())?;
    if seconds.is_finite() && seconds >= 0.0 { Ok(seconds) } else { Err("expected seconds from 0 up".into()) }
}

/// Separates every song; one that fails does not keep the others from being done.
pub fn run(args: &Args) -> Result<()> {
    let to_stdout = args.out.as_os_str() == "-";
    if args.duration == Some(0.0) {
        bail!("--duration: expected more than 0 seconds");
    }
    let format = format::file_format(args.format, args.bits, args.bitrate)?;
    let is_stem_file = args.format == FormatName::Stem;
    let found = songs::find_songs(&args.songs, &args.out)?;
    let pattern = match &args.name {
        Some(text) => Pattern::new(text)?,
        None => Pattern::new(if args.flat { names::FLAT } else { names::FOLDERS })?,
    };
    let installation = Installation::load(args.model.as_deref())?;
    let manifest = &installation.model.manifest;
    let wanted = match &args.two_stems {
        Some(name) => stems::two(name, &manifest.stems)?,
        None => stems::chosen(&args.stems, &manifest.stems)?,
    };
    if to_stdout && (found.len() != 1 || wanted.len() != 1) {
        bail!("--out -: expected one song and one stem, as with --stems vocals");
    }
    let jobs = if is_stem_file {
        if wanted.len() != 4 {
            bail!("--format stem: such files have four stems, got {}", wanted.len());
        }
        stem_file_jobs(found, &args.out)?
    } else {
        names::plan(found, &wanted, &args.out, &pattern, &manifest.name, format.extension())?
    };
    let out_was_there = args.out.exists();
    interruption::listen()?;
    let songs_at_a_time = args.jobs.map_or_else(num_cores, NonZeroUsize::get);
    let threads_per_song = (num_cores() / songs_at_a_time.min(jobs.len())).max(1);
    installation.set_threads_per_song(threads_per_song);
    let request = Request {
        installation: &installation,
        stems: &wanted,
        format,
        is_dithered: !args.no_dither,
        read_options: ReadOptions { skip_damaged: !args.strict, keep_going: args.keep_going },
        threads_per_song,
        start_s: args.start,
        duration_s: args.duration,
        to_stdout,
        is_stem_file,
    };
    let is_quiet = args.quiet || to_stdout;
    let progress = Progress::new(if args.quiet { ProgressKind::None } else { args.progress });
    let num_failed = AtomicUsize::new(0);
    for_each(&jobs, songs_at_a_time, |job| {
        if interruption::is_interrupted() {
            return;
        }
        let is_skipped = args.skip_existing && !to_stdout && song::is_done(job);
        let result = if is_skipped { Ok(None) } else { song::separate(&request, job, &progress).map(Some) };
        if result.is_err() {
            num_failed.fetch_add(1, Ordering::Relaxed);
            song::remove_empty_dirs(job, &args.out);
        }
        tell(job, &result, &progress, args.json && !to_stdout, is_quiet);
    });
    if !out_was_there && !to_stdout {
        // Only if nothing came into it.
        let _ = std::fs::remove_dir(&args.out);
    }
    if interruption::is_interrupted() {
        bail!("stopped; stems of songs that were not finished are removed");
    }
    match num_failed.into_inner() {
        0 => Ok(()),
        num_failed => bail!("{num_failed} of {} songs could not be separated", jobs.len()),
    }
}

/// A single file for each song.
fn stem_file_jobs(songs: Vec<songs::SongFile>, out: &Path) -> Result<Vec<Job>> {
    // By the ending, not by a pattern of stems.
    let whole = [stems::Stem { name: "stem".into(), parts: vec![0] }];
    names::plan(songs, &whole, out, &Pattern::new("{song}.{stem}")?, "", "mp4")
}

/// Runs `work` on every job, several at a time, beginning in their order.
fn for_each(jobs: &[Job], num_threads: usize, work: impl Fn(&Job) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..num_threads.min(jobs.len()) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

fn num_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn tell(job: &Job, result: &Result<Option<Done>>, progress: &Progress, is_json: bool, is_quiet: bool) {
    let (song, place) = (job.song.name(), job.place());
    if let Ok(Some(done)) = result {
        for warning in &done.warnings {
            let about = if warning.starts_with(&place.display().to_string()) { "" } else { &format!("{song}: ") };
            progress.complain(format_args!("warning: {about}{warning}"));
        }
    }
    match result {
        // Its message is that the whole run was stopped.
        Err(_) if interruption::is_interrupted() => {}
        Err(error) => progress.complain(format_args!("error: {error}")),
        Ok(_) => {}
    }
    if is_json {
        console::print_line(match result {
            Ok(Some(done)) => json!({
                "song": song, "status": "done", "files": job.files, "seconds": done.seconds,
                "elapsed_s": done.elapsed_s, "warnings": done.warnings,
            }),
            Ok(None) => json!({ "song": song, "status": "skipped", "files": job.files }),
            Err(error) => json!({ "song": song, "status": "failed", "error": error.to_string() }),
        });
    } else if !is_quiet {
        match result {
            Ok(Some(done)) => console::print_line(format_args!(
                "{song} -> {}: {} in {} ({:.1} x real time)",
                place.display(),
                readable(done.seconds),
                readable(done.elapsed_s),
                done.seconds / done.elapsed_s.max(1e-9)
            )),
            Ok(None) => console::print_line(format_args!("{song}: skipped, its stems are there")),
            Err(_) => {}
        }
    }
}
