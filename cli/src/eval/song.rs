//! One song through the streaming separation, and everything that is measured on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use audio::{SdrMeter, StemFolder};
use base::Stereo;
use metrics::{BssEval, Config, Ratios};
use separator::FileSeparator;
use slicqt::Plan;

use super::aligned::Aligned;
use super::estimates::{EstimateFolder, EstimateReader, Lengths};
use super::stems::Judged;
use crate::eval::museval_json;
use crate::installation::Installation;
use crate::oracle::{Oracle, OracleMask};
use crate::progress::SongProgress;
use crate::report::{Measured, Score, SongReport};

/// Samples read at a time.
const BLOCK_LEN: usize = 16_384;

/// What is measured.
pub struct Measures {
    /// Not only the global SDR.
    pub is_bss_eval: bool,
    /// The bound that knows the true stems, if wanted.
    pub oracle: Option<OracleMask>,
    /// Threads that separate a song.
    pub threads_per_song: usize,
}

/// A song's scores, and what museval would write about it.
pub struct Outcome {
    pub report: SongReport,
    pub museval_json: Option<String>,
}

/// Where estimates come from.
pub enum Source<'a> {
    Model(&'a Installation),
    Files(&'a EstimateFolder, Lengths),
}

/// The same, while a song is on its way.
enum Stream {
    Model(Box<FileSeparator>),
    Files(EstimateReader),
}

/// Takes the estimates of the song from `source` and measures them, those of the oracle, and the mix in their place. Of the
/// rows in `silent` the true stems are silent.
pub fn evaluate(
    source: &Source,
    judged: &[Judged],
    silent: &[Judged],
    measures: &Measures,
    song: &StemFolder,
    bar: &SongProgress,
) -> Result<Outcome> {
    let rows: Vec<Judged> = judged.iter().chain(silent).cloned().collect();
    let mut reader = song.reader()?;
    let sample_rate_hz = reader.sample_rate_hz();
    let (mut stream, mut oracle) = match source {
        Source::Files(folder, lengths) => (Stream::Files(folder.reader(sample_rate_hz, *lengths)?), None),
        Source::Model(installation) => {
            let pipeline = installation.pipeline()?;
            // At another rate, the model's transform has other bins: no bound for the model.
            let oracle = measures.oracle.filter(|_| pipeline.sample_rate_hz() == sample_rate_hz);
            let oracle = oracle.map(|mask| OracleStream::new(pipeline.plan(), rows.len(), mask));
            let rate_hz = f64::from(sample_rate_hz);
            let separator = FileSeparator::with_threads(pipeline, rate_hz, measures.threads_per_song)?;
            (Stream::Model(Box::new(separator)), oracle)
        }
    };

    let num_sets = 1 + usize::from(oracle.is_some());
    let mut meters = Meters::new(judged.len(), rows.len(), num_sets, measures.is_bss_eval.then_some(sample_rate_hz));
    // The true stems come first, then the estimates, then those of the oracle.
    let mut aligned = Aligned::new(1 + num_sets, rows.len());
    let mut block: [Stereo; 4] = Default::default();
    let mut mix = Stereo::default();
    let (mut num_samples, mut separation_time) = (0, Duration::ZERO);
    loop {
        let len = reader.read_block(BLOCK_LEN, &mut block)?;
        check_finite(&block, song, num_samples, sample_rate_hz)?;
        let truth: Vec<Stereo> = rows.iter().map(|row| sum(&block, &row.truth)).collect();
        aligned.push(0, &truth);
        if let Some(oracle) = &mut oracle {
            oracle.push(&truth, &mut |estimates| aligned.push(2, estimates));
        }
        sum_into(&block, &[0, 1, 2, 3], &mut mix);
        let start = Instant::now();
        let mut separated_time = Duration::ZERO;
        let mut sink = |separated: &[Stereo]| {
            let start = Instant::now();
            let estimates: Vec<Stereo> = rows.iter().map(|row| sum(separated, &row.estimate)).collect();
            aligned.push(1, &estimates);
            separated_time += start.elapsed();
        };
        stream = match (stream, len) {
            (Stream::Model(separator), 0) => {
                separator.finish(&mut sink)?;
                separation_time += start.elapsed().saturating_sub(separated_time);
                break;
            }
            (Stream::Files(mut files), 0) => {
                files.end()?;
                break;
            }
            (Stream::Model(mut separator), _) => {
                separator.push([&mix[0], &mix[1]], &mut sink)?;
                separation_time += start.elapsed().saturating_sub(separated_time);
                Stream::Model(separator)
            }
            (Stream::Files(mut files), _) => {
                sink(&files.read(len)?);
                Stream::Files(files)
            }
        };
        aligned.drain(false, |stems| meters.add(stems));
        num_samples += len as u64;
        bar.set_position(num_samples);
    }
    if let Some(oracle) = &mut oracle {
        oracle.finish(num_samples, &mut |estimates| aligned.push(2, estimates));
    }
    aligned.drain(true, |stems| meters.add(stems));

    if measures.is_bss_eval {
        bar.set_message("BSSEval");
    }
    let seconds = num_samples as f64 / f64::from(sample_rate_hz);
    let leakage =
        rows.iter().zip(&meters.levels).filter_map(|(row, level)| Some((row.name.clone(), level.leakage_db()?)));
    let leakage_db = leakage.collect();
    let (scores, windows) = meters.finish();
    let museval_json = windows.map(|windows| {
        let targets = judged.iter().zip(&windows).filter_map(|(row, w)| Some((row.name.as_str(), w.as_deref()?)));
        museval_json::text(targets)
    });
    let scores = judged.iter().zip(scores).filter_map(|(row, score)| Some((row.name.clone(), score?))).collect();
    let names = rows.iter().map(|row| row.name.clone()).collect();
    let report = SongReport::new(song.name(), seconds, separation_time.as_secs_f64(), names, scores, leakage_db);
    Ok(Outcome { report, museval_json })
}

/// A song with such samples has no scores: an error that names the first of them.
fn check_finite(block: &[Stereo; 4], song: &StemFolder, num_before: u64, rate_hz: u32) -> Result<()> {
    for (stem_idx, stem) in block.iter().enumerate() {
        if let Some(at) = stem.iter().filter_map(|channel| channel.iter().position(|x| !x.is_finite())).min() {
            let file = song.file(stem_idx).unwrap_or(song.dir());
            let seconds = (num_before + at as u64) as f64 / f64::from(rate_hz);
            bail!("{}: the sample at {seconds:.3} s is NaN or infinite; export the stem again", file.display());
        }
    }
    Ok(())
}

/// Everything that is measured, row by row.
struct Meters {
    /// `[set][row]`
    sdr: Vec<Vec<SdrMeter>>,
    /// `[row]`
    mix_sdr: Vec<SdrMeter>,
    bss_eval: Option<BssEval>,
    /// `[row]`, silent rows too.
    levels: Vec<Levels>,
}

/// Energies of a row over the song.
#[derive(Clone, Copy, Default)]
struct Levels {
    truth: f64,
    estimate: f64,
    mix: f64,
}

/// The lowest leakage that is told, in dB.
const LOWEST_LEAKAGE_DB: f64 = -120.0;

impl Levels {
    /// The estimate against the mix in dB, where the true stem is silent and the mix is not.
    fn leakage_db(&self) -> Option<f64> {
        let leakage_db = 10.0 * (self.estimate / self.mix).log10();
        (self.truth == 0.0 && self.mix > 0.0).then_some(leakage_db.max(LOWEST_LEAKAGE_DB))
    }
}

fn energy(stereo: &Stereo) -> f64 {
    stereo.iter().flatten().map(|x| f64::from(*x).powi(2)).sum()
}

impl Meters {
    /// For `num_rows` with a true stem, of `num_all` rows.
    fn new(num_rows: usize, num_all: usize, num_sets: usize, bss_eval_rate_hz: Option<u32>) -> Meters {
        // Of a single stem there is nothing to tell apart.
        let bss_eval = bss_eval_rate_hz.filter(|_| num_rows > 1);
        Meters {
            sdr: vec![vec![SdrMeter::new(); num_rows]; num_sets],
            mix_sdr: vec![SdrMeter::new(); num_rows],
            bss_eval: bss_eval.map(|rate_hz| BssEval::new(Config::museval(num_rows, num_sets, rate_hz))),
            levels: vec![Levels::default(); num_all],
        }
    }

    /// `stems`: `[truth, estimates, oracle][row][channel][sample]`.
    fn add(&mut self, stems: &[Vec<Stereo>]) {
        let (truth, sets) = stems.split_first().expect("the true stems come first");
        let all: Vec<usize> = (0..truth.len()).collect();
        let mix = sum(truth, &all);
        for ((level, truth), estimate) in self.levels.iter_mut().zip(truth).zip(&sets[0]) {
            level.truth += energy(truth);
            level.estimate += energy(estimate);
            level.mix += energy(&mix);
        }
        let num_rows = self.mix_sdr.len();
        let truth = &truth[..num_rows];
        for (row, truth) in truth.iter().enumerate() {
            for (meters, estimates) in self.sdr.iter_mut().zip(sets) {
                meters[row].add([&truth[0], &truth[1]], [&estimates[row][0], &estimates[row][1]]);
            }
            self.mix_sdr[row].add([&truth[0], &truth[1]], [&mix[0], &mix[1]]);
        }
        if let Some(bss_eval) = &mut self.bss_eval {
            let sets: Vec<&[Stereo]> = sets.iter().map(|set| &set[..num_rows]).collect();
            bss_eval.add(truth, &sets);
        }
    }

    /// The scores of each row, and the windows of the estimates.
    fn finish(self) -> (Vec<Option<Score>>, Option<Vec<metrics::SourceScores>>) {
        let mut bss = self.bss_eval.map(BssEval::finish);
        let medians =
            |source: Option<&metrics::SourceScores>| source.and_then(|windows| Some(Ratios::median(windows.as_ref()?)));
        let scores = (0..self.mix_sdr.len()).map(|row| {
            let of_set = |set: usize| {
                let bss = bss.as_ref().map(|scores| &scores.sets[set][row]);
                Some(Measured::new(self.sdr.get(set)?[row].sdr_db()?, medians(bss)))
            };
            let of_mix = medians(bss.as_ref().map(|scores| &scores.mix[row]));
            let oracle = if self.sdr.len() > 1 { of_set(1) } else { None };
            Score::new(of_set(0)?, Measured::new(self.mix_sdr[row].sdr_db()?, of_mix), oracle)
        });
        let scores = scores.collect();
        (scores, bss.as_mut().map(|scores| scores.sets.swap_remove(0)))
    }
}

/// The oracle over a song: its hops, and its delay cut off.
struct OracleStream {
    oracle: Oracle,
    hop_len: usize,
    /// `[row][channel][sample]`, the hop being filled.
    hop: Vec<Stereo>,
    /// Samples that come out before the song's first.
    num_early: usize,
    num_given: u64,
}

impl OracleStream {
    fn new(plan: &Arc<Plan>, num_rows: usize, mask: OracleMask) -> OracleStream {
        let oracle = Oracle::new(Arc::clone(plan), num_rows, mask);
        let num_early = oracle.delay_samples();
        OracleStream {
            oracle,
            hop_len: plan.hop_len(),
            hop: vec![Stereo::default(); num_rows],
            num_early,
            num_given: 0,
        }
    }

    fn push(&mut self, truth: &[Stereo], sink: &mut dyn FnMut(&[Stereo])) {
        let mut start = 0;
        while start < truth[0][0].len() {
            let end = truth[0][0].len().min(start + self.hop_len - self.hop[0][0].len());
            for (hop, truth) in self.hop.iter_mut().flatten().zip(truth.iter().flatten()) {
                hop.extend_from_slice(&truth[start..end]);
            }
            start = end;
            if self.hop[0][0].len() == self.hop_len {
                self.process_hop(u64::MAX, sink);
            }
        }
    }

    /// Gives the rest: together as many samples as the song has.
    fn finish(&mut self, num_samples: u64, sink: &mut dyn FnMut(&[Stereo])) {
        while self.num_given < num_samples {
            self.hop.iter_mut().flatten().for_each(|hop| hop.resize(self.hop_len, 0.0));
            self.process_hop(num_samples, sink);
        }
    }

    fn process_hop(&mut self, num_samples: u64, sink: &mut dyn FnMut(&[Stereo])) {
        let estimates = self.oracle.process_hop(&self.hop);
        let start = self.num_early.min(self.hop_len);
        let len = (num_samples - self.num_given).min((self.hop_len - start) as u64) as usize;
        let inside: Vec<Stereo> =
            estimates.iter().map(|stem| stem.each_ref().map(|x| x[start..start + len].to_vec())).collect();
        self.num_early -= start;
        self.num_given += len as u64;
        self.hop.iter_mut().flatten().for_each(Vec::clear);
        sink(&inside);
    }
}

/// The sum of some stems of `[stem][channel][sample]`.
fn sum(stems: &[Stereo], stem_idxs: &[usize]) -> Stereo {
    let mut sum = Stereo::default();
    sum_into(stems, stem_idxs, &mut sum);
    sum
}

fn sum_into(stems: &[Stereo], stem_idxs: &[usize], sum: &mut Stereo) {
    for (channel_idx, sum) in sum.iter_mut().enumerate() {
        sum.clear();
        sum.resize(stems[0][channel_idx].len(), 0.0);
        for stem_idx in stem_idxs {
            sum.iter_mut().zip(&stems[*stem_idx][channel_idx]).for_each(|(sum, x)| *sum += x);
        }
    }
}
