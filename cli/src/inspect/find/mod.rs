//! `unbraid inspect --find`: random designs, ranked by what oracle masks reach on true stems.

mod designs;
mod excerpts;
mod ranking;
mod search_file;
mod trial;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, bail};
use audio::StemFolder;
use indicatif::{ProgressBar, ProgressStyle};
use slicqt::Design;

use search_file::{JudgedSong, Search};
use trial::Trial;

/// What the user asks for.
pub struct Request {
    /// Folder of song folders.
    pub data: PathBuf,
    /// Random designs to try.
    pub num_trials: u64,
    pub seed: u64,
    /// Ends of the latency classes.
    pub latencies_ms: Vec<f64>,
    /// Of each song.
    pub seconds: f64,
    /// Designs to measure besides.
    pub named: Vec<Design>,
    /// Designs to print of each class.
    pub num_best: usize,
    pub num_threads: usize,
    /// Table to write: Markdown, CSV or, to resume later, JSON.
    pub out: Option<PathBuf>,
}

/// One design to be measured.
#[derive(Clone)]
enum Job {
    Named(Design),
    Drawn { number: u64, range_ms: [f64; 2] },
}

/// Measures every design that is not measured yet, and prints the best ones.
pub fn run(request: &Request) -> Result<()> {
    if request.latencies_ms.is_empty() || request.latencies_ms.iter().any(|ms| !(*ms > 0.0 && ms.is_finite())) {
        bail!("--latency-ms: expected numbers of ms above 0, got {:?}", request.latencies_ms);
    }
    let sample_rate_hz = StemFolder::open_all(&request.data)?[0].reader()?.sample_rate_hz();
    if let Some(design) = request.named.iter().find(|design| design.sample_rate_hz() != f64::from(sample_rate_hz)) {
        bail!("--also {design}: expected {sample_rate_hz} Hz as the songs have, got {} Hz", design.sample_rate_hz());
    }
    let mut search = Search::open(request)?;
    let excerpts = excerpts::load(&request.data, request.seconds, sample_rate_hz)?;
    search.songs = excerpts.iter().map(JudgedSong::from).collect();

    let jobs = jobs(request, &search.trials);
    let bar = ProgressBar::new(jobs.len() as u64);
    let template = "{wide_bar:.cyan/dim} {pos} of {len} designs  {elapsed} gone, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(500));

    let (next, is_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut num_empty = 0;
    std::thread::scope(|scope| -> Result<()> {
        let (sender, results) = mpsc::channel();
        for _ in 0..request.num_threads.clamp(1, jobs.len().max(1)) {
            let (sender, jobs, next, is_stopped, excerpts) = (sender.clone(), &jobs, &next, &is_stopped, &excerpts);
            scope.spawn(move || {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = measure(job, request.seed, f64::from(sample_rate_hz), excerpts);
                    if is_stopped.load(Ordering::Relaxed) || sender.send(result).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut collect = || -> Result<()> {
            for result in &results {
                bar.inc(1);
                match result? {
                    Some(trial) => {
                        bar.suspend(|| crate::console::complain(line(&trial)));
                        search.add(trial);
                        search.save()?;
                    }
                    None => num_empty += 1,
                }
            }
            Ok(())
        };
        let result = collect();
        is_stopped.store(true, Ordering::Relaxed);
        result
    })?;
    bar.finish_and_clear();
    search.save()?;
    if num_empty > 0 {
        crate::console::complain(format_args!("{num_empty} draws gave no design: their scale cannot be that fast"));
    }
    print!("{}", ranking::markdown(&search.trials, &request.latencies_ms, request.num_best));
    Ok(())
}

/// What is not among `done`, the named designs first. Trial by trial the draws go round the latency classes.
fn jobs(request: &Request, done: &[Trial]) -> Vec<Job> {
    let ranges_ms = ranking::ranges_ms(&request.latencies_ms);
    let is_named_done = |design: &&Design| !done.iter().any(|t| t.number.is_none() && t.design == design.to_string());
    let named = request.named.iter().filter(is_named_done).cloned().map(Job::Named);
    let is_drawn_done = |number: &u64| !done.iter().any(|trial| trial.number == Some(*number));
    let drawn = (0..request.num_trials)
        .filter(is_drawn_done)
        .map(|number| Job::Drawn { number, range_ms: ranges_ms[(number % ranges_ms.len() as u64) as usize] });
    named.chain(drawn).collect()
}

fn measure(job: &Job, seed: u64, sample_rate_hz: f64, excerpts: &[excerpts::Excerpt]) -> Result<Option<Trial>> {
    match job {
        Job::Named(design) => Trial::run(None, design, excerpts).map(Some),
        Job::Drawn { number, range_ms } => match designs::draw(seed, *number, *range_ms, sample_rate_hz) {
            Some(design) => Trial::run(Some(*number), &design, excerpts).map(Some),
            None => Ok(None),
        },
    }
}

fn line(trial: &Trial) -> String {
    format!(
        "{:>5}  {:7.1} ms  {:9.0} coefs/s  IRM1 {:6.2} dB  mix phase {:6.2} dB  {}",
        trial.number.map_or_else(|| "named".to_string(), |number| number.to_string()),
        trial.latency_ms,
        trial.coefs_per_s,
        trial.sdr_db.irm1,
        trial.sdr_db.mix_phase,
        trial.design
    )
}
