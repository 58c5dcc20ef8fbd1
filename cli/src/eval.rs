//! `unbraid eval`: how close the stems come to the true ones.

mod aligned;
mod museval_json;
mod song;
mod stems;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow, bail};
use audio::StemFolder;
use clap::ValueEnum;
use indicatif::MultiProgress;

use self::song::{Measures, Outcome};
use self::stems::{Judged, judged_stems, of_song};
use crate::installation::Installation;
use crate::oracle::OracleMask;
use crate::progress::song_bar;
use crate::report::{ModelInfo, Report, write_beside};

/// Measures how close separated stems come to the true ones.
///
/// Every song is a folder with vocals, drums, bass and other as wav, flac or ogg. A stem that a song does not have is
/// declared by a song.json whose "stems" lists those that it has. The model gets the sum of the stems, through the same
/// streaming separation as `unbraid separate`.
#[derive(clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// Folder of song folders, or one song's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Name of the model, or a path to its folder, as ./mine [default: first]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Judge these stems instead of the model's, as in vocals,accompaniment
    ///
    /// Names are vocals, drums, bass and other; other, accompaniment and rest stand for all that is not named.
    #[arg(long, value_delimiter = ',', value_name = "STEMS")]
    stems: Vec<String>,

    /// Only the global SDR, which needs less time and memory
    #[arg(long)]
    global_only: bool,

    /// The mask of the upper bound: what the model's transform could give to a network that knows the stems
    #[arg(long, value_enum, default_value_t = OracleName::Irm1, value_name = "MASK")]
    oracle: OracleName,

    /// Songs at a time [default: number of cores]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Also write all medians and global SDRs to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Also write the ratios of every second, in the format of museval: DIR/SONG.json
    #[arg(long, value_name = "DIR", conflicts_with = "global_only")]
    out: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
What is printed, in dB (more is better):
  SDR      source to distortion: the stem against everything that is wrong with the estimate
  ISR      image to spatial distortion: the stem against what filters of its own channels would explain
  SIR      source to interference: against what filters of the other stems would explain
  SAR      sources to artifacts: against what no stem explains
           These four are BSSEval v4, as museval 0.4.1 computes it: filters of 512 taps from the whole song, windows of
           1 s; the median over the windows in which no stem and no estimate is silent, then over the songs.
           Stems decoded from lossy files lack highs, and then the filters are hardly determined: do not trust ISR, SIR
           and SAR of them, neither here nor from museval. SDR and global need no filters.
  global   10 log10(sum s^2 / sum (s - s')^2) over the whole song and both channels, mean over the songs; silence as the
           estimate scores 0
  mix      the same for the mix in place of the estimate
  oracle   the same for a mask on the model's own transform that knows the true stems, at the model's sample rate only:
           irm1 divides magnitudes, irm2 powers; phase is the best mask between 0 and 1; mix-phase has true magnitudes

A model may have fewer stems than the songs: its other, accompaniment or rest is compared with the sum of all stems that
it does not name. Where a song has other but no bass, the bass line is taken to be inside other, and the model's bass
and other together are compared with it, in the row bass+other.

Each song at a time takes about 0.26 MB per second of music for each of truth, estimate and oracle, and at the end 0.2 GB
for a few seconds; --global-only does without.

Examples:
  unbraid eval --data musdb18hq/test --out scores/test --json scores.json
      scores/test/SONG.json can be read by museval (EvalStore.add_eval_dir(\"scores\"))
  unbraid eval --data songs --model my-model --global-only
  unbraid eval --data songs --stems vocals,accompaniment
      judges a model of four stems as one that only takes the voice out";

/// Oracle masks, as the command line names them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OracleName {
    Irm1,
    Irm2,
    Phase,
    MixPhase,
    /// No upper bound
    None,
}

impl OracleName {
    fn mask(self) -> Option<OracleMask> {
        match self {
            OracleName::Irm1 => Some(OracleMask::IdealRatio1),
            OracleName::Irm2 => Some(OracleMask::IdealRatio2),
            OracleName::Phase => Some(OracleMask::PhaseSensitive),
            OracleName::MixPhase => Some(OracleMask::MixPhase),
            OracleName::None => None,
        }
    }
}

/// Evaluates every song and prints the table.
pub fn run(args: &Args) -> Result<()> {
    let songs = StemFolder::open_all(&args.data)?;
    let installation = Installation::load(args.model.as_deref())?;
    let manifest = &installation.model.manifest;
    let rows = judged_stems(&format!("model {}", manifest.name), &manifest.stems, &args.stems)?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)
            .map_err(|error| anyhow!("{}: could not make the folder: {error}", out.display()))?;
    }
    let oracle = if args.global_only { None } else { args.oracle.mask() };
    let measures = Measures { is_bss_eval: !args.global_only, oracle };
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let outcomes = evaluate_all(&installation, &rows, &measures, &songs, jobs, args.out.as_deref())?;

    let model = ModelInfo {
        name: manifest.name.clone(),
        dir: installation.model.dir.clone(),
        sha256: manifest.graph.sha256.clone(),
    };
    let oracle = oracle.map(OracleMask::name);
    let songs = outcomes.into_iter().map(|outcome| outcome.report).collect();
    let report = Report::new(model, args.data.clone(), oracle, songs);
    report.print().map_err(|error| anyhow!("could not write the table to the standard output: {error}"))?;
    match &args.json {
        Some(path) => report.write_json(path),
        None => Ok(()),
    }
}

/// Several songs at a time; the outcomes are in the order of the songs. The first error ends it all.
fn evaluate_all(
    installation: &Installation,
    rows: &[Judged],
    measures: &Measures,
    songs: &[StemFolder],
    jobs: usize,
    out: Option<&Path>,
) -> Result<Vec<Outcome>> {
    let bars = MultiProgress::new();
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Result<Outcome>>>> = Mutex::new(songs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(songs.len()) {
            scope.spawn(|| {
                while let Some(song) = songs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = evaluate(installation, rows, measures, song, &bars, out);
                    if outcome.is_err() {
                        next.store(songs.len(), Ordering::Relaxed);
                    }
                    let song_idx = songs.iter().position(|s| std::ptr::eq(s, song)).expect("it is one of them");
                    outcomes.lock().expect("nobody panics with the lock")[song_idx] = Some(outcome);
                }
            });
        }
    });
    // Songs that were not begun have none, but then another one has an error.
    outcomes.into_inner().expect("nobody panics with the lock").into_iter().flatten().collect()
}

fn evaluate(
    installation: &Installation,
    rows: &[Judged],
    measures: &Measures,
    song: &StemFolder,
    bars: &MultiProgress,
    out: Option<&Path>,
) -> Result<Outcome> {
    let rows = of_song(rows, song);
    if rows.is_empty() {
        bail!("{}: has none of the stems that are judged", song.dir().display());
    }
    let bar = bars.add(song_bar(&song.name(), song.reader()?.num_samples()));
    let outcome = song::evaluate(installation, &rows, measures, song, &bar);
    bar.finish_and_clear();
    let outcome = outcome?;
    if let (Some(out), Some(text)) = (out, &outcome.museval_json) {
        write_beside(&out.join(format!("{}.json", song.name())), text)?;
    }
    Ok(outcome)
}
