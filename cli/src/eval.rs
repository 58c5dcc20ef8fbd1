//! `unbraid eval`: how close the stems come to the true ones.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use audio::{STEM_NAMES, SdrMeter, StemFolder};
use separator::FileSeparator;

use crate::installation::Installation;
use crate::progress::song_bar;
use crate::report::{ModelInfo, Report, Score, SongReport};

/// Measures the SDR of separated stems against true ones.
///
/// Every song is a folder with vocals, drums, bass and other as wav, flac or ogg. A stem that a song does not have is
/// declared by a song.json whose "stems" lists those that it has; it is not scored. The model gets the sum of the stems.
///
/// Printed for every stem, in dB: SDR = 10 log10(sum s^2 / sum (s - s')^2) over the whole song and both channels; the same
/// for the mix in place of the estimate; and the gain of the one over the other. Silence as the estimate scores 0 dB.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of song folders, or one song's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Name or folder of the model [default: first]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Also write the scores to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Samples read at a time.
const BLOCK_LEN: usize = 16_384;

/// Evaluates every song and prints the table.
pub fn run(args: &Args) -> Result<()> {
    let songs = StemFolder::open_all(&args.data)?;
    let installation = Installation::load(args.model.as_deref())?;
    let manifest = &installation.model.manifest;
    let mut model_stems = [0; STEM_NAMES.len()];
    for (model_stem, name) in model_stems.iter_mut().zip(STEM_NAMES) {
        let Some(stem_idx) = manifest.stems.iter().position(|stem| stem == name) else {
            bail!("model {}: expected the stem \"{name}\", but it has {}", manifest.name, manifest.stems.join(", "));
        };
        *model_stem = stem_idx;
    }
    let mut song_reports = Vec::with_capacity(songs.len());
    for song in &songs {
        song_reports.push(evaluate(&installation, &model_stems, song)?);
    }
    let model = ModelInfo {
        name: manifest.name.clone(),
        dir: installation.model.dir.clone(),
        sha256: manifest.graph.sha256.clone(),
    };
    let report = Report::new(model, args.data.clone(), song_reports);
    report.print().map_err(|error| anyhow!("could not write the table to the standard output: {error}"))?;
    match &args.json {
        Some(path) => report.write_json(path),
        None => Ok(()),
    }
}

/// True stems that the separator has not answered yet: `[stem_idx][channel_idx]`, a queue of samples.
type Waiting = [[VecDeque<f32>; 2]; STEM_NAMES.len()];

fn evaluate(
    installation: &Installation,
    model_stems: &[usize; STEM_NAMES.len()],
    song: &StemFolder,
) -> Result<SongReport> {
    let mut reader = song.reader()?;
    let sample_rate_hz = reader.sample_rate_hz();
    let mut separator = FileSeparator::new(installation.pipeline()?, f64::from(sample_rate_hz));
    let bar = song_bar(&song.name(), reader.num_samples());

    let mut meters = [SdrMeter::new(); STEM_NAMES.len()];
    let mut mix_meters = [SdrMeter::new(); STEM_NAMES.len()];
    let mut waiting = Waiting::default();
    let mut block: [[Vec<f32>; 2]; STEM_NAMES.len()] = Default::default();
    let mut mix = [Vec::new(), Vec::new()];
    let (mut num_samples, mut separation_time) = (0, Duration::ZERO);
    loop {
        let len = reader.read_block(BLOCK_LEN, &mut block)?;
        mix_into(&block, &mut mix);
        for (stem_idx, stem) in block.iter().enumerate() {
            mix_meters[stem_idx].add([&stem[0], &stem[1]], [&mix[0], &mix[1]]);
            for (waiting, samples) in waiting[stem_idx].iter_mut().zip(stem) {
                waiting.extend(samples);
            }
        }
        let start = Instant::now();
        let mut sink = |separated: &[[Vec<f32>; 2]]| {
            for (stem_idx, meter) in meters.iter_mut().enumerate() {
                meter_add(meter, &mut waiting[stem_idx], &separated[model_stems[stem_idx]]);
            }
        };
        if len == 0 {
            separator.finish(&mut sink)?;
            separation_time += start.elapsed();
            break;
        }
        separator.push([&mix[0], &mix[1]], &mut sink)?;
        separation_time += start.elapsed();
        num_samples += len as u64;
        bar.set_position(num_samples);
    }
    bar.finish_and_clear();

    let scores = std::array::from_fn(|stem_idx| {
        song.file(stem_idx)?;
        Score::new(meters[stem_idx].sdr_db()?, mix_meters[stem_idx].sdr_db()?)
    });
    let seconds = num_samples as f64 / f64::from(sample_rate_hz);
    Ok(SongReport::new(song.name(), seconds, separation_time.as_secs_f64(), scores))
}

/// The sum of the stems.
fn mix_into(stems: &[[Vec<f32>; 2]], mix: &mut [Vec<f32>; 2]) {
    for (channel_idx, mix) in mix.iter_mut().enumerate() {
        mix.clear();
        mix.resize(stems[0][channel_idx].len(), 0.0);
        for stem in stems {
            mix.iter_mut().zip(&stem[channel_idx]).for_each(|(mix, x)| *mix += x);
        }
    }
}

/// Compares an estimate with the oldest samples that wait, which it answers.
fn meter_add(meter: &mut SdrMeter, waiting: &mut [VecDeque<f32>; 2], estimate: &[Vec<f32>; 2]) {
    let len = estimate[0].len();
    let [left, right] = waiting;
    meter.add([&left.make_contiguous()[..len], &right.make_contiguous()[..len]], [&estimate[0], &estimate[1]]);
    left.drain(..len);
    right.drain(..len);
}
