//! `unbraid eval`: how close the stems come to the true ones.

mod aligned;
mod estimates;
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

use self::estimates::{EstimateFolder, Lengths};
use self::song::{Measures, Outcome, Source};
use self::stems::{Judged, estimated_stems, judged_stems, of_song};
use crate::console;
use crate::installation::Installation;
use crate::oracle::OracleMask;
use crate::progress::{Progress, ProgressKind};
use crate::report::{Failure, ModelInfo, Report, write_beside};

/// Measures how close separated stems are to the true ones.
///
/// Each song is a folder with vocals, drums, bass and other as wav, flac or ogg, as in MUSDB18-HQ. If a song lacks a stem,
/// the list "stems" in its song.json says which ones it has. The model separates the sum of the stems, exactly as
/// `unbraid separate` would; with --estimates, stems from any program are scored instead. A song that cannot be scored is
/// left out and counted, and the exit status is 1.
#[derive(clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// Folder of song folders, or one song's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Score these stems instead of a model's: DIR/SONG/vocals.wav and so on, by the names of the songs in --data
    ///
    /// Not all four have to be there; instrumental, no_vocals, accompaniment or other stand for the sum of all stems that
    /// have no file of their own.
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    estimates: Option<PathBuf>,

    /// Pad estimates that are shorter than the true stems with silence
    #[arg(long, requires = "estimates")]
    pad: bool,

    /// Cut estimates that are longer than the true stems
    #[arg(long, requires = "estimates")]
    trim: bool,

    /// Name of the model, or a path to its folder, as ./mine [default: mix]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Score these stems instead of the model's, as in vocals,accompaniment
    ///
    /// Names are vocals, drums, bass and other; other, accompaniment and rest stand for the sum of those not named.
    #[arg(long, value_delimiter = ',', value_name = "STEMS")]
    stems: Vec<String>,

    /// Only the global SDR, which needs less time and memory
    #[arg(long)]
    global_only: bool,

    /// The oracle mask for the upper bound: what the model's transform would give a network that knows the stems
    #[arg(long, value_enum, default_value_t = OracleName::Irm1, value_name = "MASK")]
    oracle: OracleName,

    /// Songs at a time [default: number of cores]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// No table and no progress
    #[arg(long, short)]
    quiet: bool,

    /// How to show progress
    #[arg(long, value_enum, value_name = "KIND", default_value_t = ProgressKind::Auto)]
    progress: ProgressKind,

    /// Also write all medians and global SDRs to this file; - prints them instead of the table
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
           Stems decoded from lossy files lack high frequencies, which leaves the filters ill-conditioned: do not trust
           their ISR, SIR and SAR, neither here nor from museval. SDR and global need no filters.
  global   10 log10(sum s^2 / sum (s - s')^2) over the whole song and both channels, mean over the songs; silence as the
           estimate scores 0
  mix      the same for the mix in place of the estimate
  oracle   the same for a mask on the model's own transform that knows the true stems, at the model's sample rate only:
           irm1 divides magnitudes, irm2 powers; phase is the best mask between 0 and 1; mix-phase has true magnitudes
  leak     where a song is known not to have a stem (its song.json does not list it, or the file is silent): the level of
           what is given for it against that of the mix, -120 at least (less is better); not part of the means of SDR

A model may have fewer stems than the songs: its other, accompaniment or rest is compared with the sum of all stems that
it does not name. Where a song has other but no bass, the bass line is taken to be inside other, and the model's bass
and other together are compared with it, in the row bass+other.

Each song in progress takes about 0.26 MB of memory per second of music for each of truth, estimate and oracle, plus 0.2 GB
for a few seconds at its end; --global-only avoids both.

Examples:
  unbraid eval --data musdb18hq/test --out scores/test --json scores.json
      scores/test/SONG.json can be read by museval (EvalStore.add_eval_dir(\"scores\"))
  unbraid eval --data songs --model my-model --global-only
  unbraid eval --data musdb18hq/test --estimates separated --trim
      scores the output of any program: separated/SONG/vocals.wav and so on
  unbraid eval --data songs --stems vocals,accompaniment
      scores a model of four stems as one that only separates the vocals";

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
    let dirs = StemFolder::find_all(&args.data)?;
    let installation = match &args.estimates {
        Some(_) => None,
        None => Some(Installation::load(args.model.as_deref())?),
    };
    let rows = match &installation {
        Some(installation) => {
            let manifest = &installation.model.manifest;
            judged_stems(&format!("model {}", manifest.name), &manifest.stems, &args.stems)?
        }
        None => Vec::new(),
    };
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)
            .map_err(|error| anyhow!("{}: could not make the folder: {error}", out.display()))?;
    }
    let no_oracle = args.global_only || installation.is_none();
    let oracle = if no_oracle { None } else { args.oracle.mask() };
    let num_cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = args.jobs.map_or(num_cores, NonZeroUsize::get);
    let threads_per_song = (num_cores / jobs.min(dirs.len()).max(1)).max(1);
    if let Some(installation) = &installation {
        installation.set_threads_per_song(threads_per_song);
    }
    let measures = Measures { is_bss_eval: !args.global_only, oracle, threads_per_song };
    let progress = Progress::new(if args.quiet { ProgressKind::None } else { args.progress });
    let evaluation = Evaluation { args, installation: installation.as_ref(), rows, measures, progress };
    let (mut songs, mut failed) = (Vec::new(), Vec::new());
    for (dir, outcome) in dirs.iter().zip(evaluation.evaluate_all(&dirs, jobs)) {
        match outcome {
            Ok(outcome) => songs.push(outcome.report),
            Err(error) => failed.push(Failure { name: audio::song_name(dir), error: error.to_string() }),
        }
    }

    let num_failed = failed.len();
    let model = match (&installation, &args.estimates) {
        (Some(installation), _) => ModelInfo {
            name: installation.model.manifest.name.clone(),
            dir: installation.model.dir.clone(),
            sha256: installation.model.manifest.graph.sha256.clone(),
        },
        (None, estimates) => {
            ModelInfo { name: "estimates".into(), dir: estimates.clone().unwrap_or_default(), sha256: String::new() }
        }
    };
    let report = Report::new(model, args.data.clone(), oracle.map(OracleMask::name), songs, failed);
    match &args.json {
        Some(path) if path.as_os_str() == "-" => console::print(report.json()?),
        json => {
            if !args.quiet {
                console::print(report.table());
            }
            if let Some(path) = json {
                write_beside(path, &report.json()?)?;
            }
        }
    }
    match num_failed {
        0 => Ok(()),
        _ => bail!("{num_failed} of {} songs could not be judged", dirs.len()),
    }
}

/// What is the same for all songs.
struct Evaluation<'a> {
    args: &'a Args,
    installation: Option<&'a Installation>,
    /// Those of the model; estimates have their own for each song.
    rows: Vec<Judged>,
    measures: Measures,
    progress: Progress,
}

impl Evaluation<'_> {
    /// Several songs at a time; the outcomes are in the order of the songs. A song that fails does not keep the others
    /// from being judged.
    fn evaluate_all(&self, dirs: &[PathBuf], jobs: usize) -> Vec<Result<Outcome>> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<Result<Outcome>>>> = Mutex::new(dirs.iter().map(|_| None).collect());
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(dirs.len()) {
                scope.spawn(|| {
                    loop {
                        let song_idx = next.fetch_add(1, Ordering::Relaxed);
                        let Some(dir) = dirs.get(song_idx) else { break };
                        let outcome = self.evaluate(dir);
                        if let Err(error) = &outcome {
                            self.progress.complain(format_args!("error: {error}"));
                        }
                        outcomes.lock().expect("nobody panics with the lock")[song_idx] = Some(outcome);
                    }
                });
            }
        });
        outcomes.into_inner().expect("nobody panics with the lock").into_iter().flatten().collect()
    }

    fn evaluate(&self, dir: &Path) -> Result<Outcome> {
        let song = StemFolder::open(dir)?;
        let estimates = match &self.args.estimates {
            Some(estimates) => Some(EstimateFolder::open(estimates, &song.name())?),
            None => None,
        };
        let lengths = Lengths { pad: self.args.pad, trim: self.args.trim };
        let (source, rows) = match (&estimates, self.installation) {
            (Some(folder), _) => {
                let whose = format!("estimates of {}", song.name());
                (Source::Files(folder, lengths), estimated_stems(&whose, &folder.names, &self.args.stems)?)
            }
            (None, Some(installation)) => (Source::Model(installation), self.rows.clone()),
            (None, None) => unreachable!("without estimates there is a model"),
        };
        let (rows, silent) = of_song(&rows, &song);
        if rows.is_empty() {
            bail!("{}: has none of the stems that are judged", song.dir().display());
        }
        let bar = self.progress.song(&song.name(), song.reader()?.num_samples());
        let outcome = song::evaluate(&source, &rows, &silent, &self.measures, &song, &bar);
        bar.finish_and_clear();
        let outcome = outcome?;
        if let (Some(out), Some(text)) = (&self.args.out, &outcome.museval_json) {
            write_beside(&out.join(format!("{}.json", song.name())), text)?;
        }
        Ok(outcome)
    }
}
