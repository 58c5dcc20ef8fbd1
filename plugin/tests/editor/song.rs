//! Ten seconds of a song, as the editor sees it: each stem is heard alone by the engine's own transform.

use separator::{NUM_LEVELS, NUM_ROWS, Pipeline, SpectrumColumn, SpectrumFeed, testing};
use slicqt::{Design, Timing};
use std::{
    f64::consts::TAU,
    sync::{Arc, OnceLock},
};

const RATE_HZ: f64 = 44_100.0;
const LEN_S: f64 = 10.5;
/// Length of a beat, in s.
const BEAT_S: f64 = 0.5;

/// The columns of the song, through the transform of the default model: bins with few frames and bins with many.
pub fn columns() -> &'static [SpectrumColumn] {
    static COLUMNS: OnceLock<Vec<SpectrumColumn>> = OnceLock::new();
    COLUMNS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let model = testing::TestModel {
            design: Design::bark_262(),
            timing: Timing::Trimmed,
            ..testing::TestModel::identity()
        };
        let model = model.write(dir.path()).unwrap();
        let stems = stems().map(|stem| heard(Pipeline::new(&testing::runtime(), &model).unwrap(), &stem));
        let column = |idx: usize| SpectrumColumn {
            levels: std::array::from_fn(|row| levels(stems.each_ref().map(|stem| stem[idx].levels[row][0]))),
            ..stems[0][idx]
        };
        (0..stems[0].len()).map(column).collect()
    })
}

/// `[mix, then stem]` of a row; the mix is as loud as the loudest.
fn levels(stems: [u8; 4]) -> [u8; NUM_LEVELS] {
    let [vocals, drums, bass, other] = stems;
    [vocals.max(drums).max(bass).max(other), vocals, drums, bass, other]
}

fn heard(mut pipeline: Pipeline, samples: &[f32]) -> Vec<SpectrumColumn> {
    let feed = Arc::new(SpectrumFeed::default());
    pipeline.publish_spectra(feed.clone(), 0.0);
    feed.set_wanted(true);
    let mut stems = vec![[vec![0.0; pipeline.hop_len()], vec![0.0; pipeline.hop_len()]]; 4];
    let (mut columns, mut next) = (Vec::new(), 0);
    for hop in samples.chunks_exact(pipeline.hop_len()) {
        pipeline.process_hop([hop, hop], &mut stems).unwrap();
        next = feed.read(next, &mut |column| columns.push(*column));
    }
    assert!(columns.iter().all(|column| column.levels.len() == NUM_ROWS));
    columns
}

/// `[stem][sample]`
fn stems() -> [Vec<f32>; 4] {
    let samples = |at: &dyn Fn(f64) -> f64| -> Vec<f32> {
        (0..(LEN_S * RATE_HZ) as usize).map(|n| at(n as f64 / RATE_HZ) as f32).collect()
    };
    let noise = |n: usize| {
        let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
        (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    // Two bars of phrases, with vibrato, and a rest after each.
    let vocals = |t: f64| {
        let (phrase, into) = ((t / 2.5) as usize, t % 2.5);
        let pitch_hz = [220.0, 293.7, 261.6, 329.6, 196.0][phrase % 5];
        let cycles = pitch_hz * t + 3.0 * (TAU * 5.5 * t).sin() / TAU * (into / 2.0).min(1.0);
        let voice: f64 = (1..=14).map(|k| (TAU * f64::from(k) * cycles).sin() / f64::from(k)).sum();
        0.12 * voice * (into * 8.0).min(1.0) * ((2.0 - into) * 6.0).clamp(0.0, 1.0)
    };
    // Kick, hi-hat and snare.
    let drums = |t: f64| {
        let beat = (t / BEAT_S) as usize;
        let (into, into_half) = (t % BEAT_S, t % (BEAT_S / 2.0));
        let kick = (TAU * 55.0 * into + 4.0 * (1.0 - (-into * 40.0).exp())).sin() * (-into * 14.0).exp();
        let hiss = noise((t * RATE_HZ) as usize);
        let snare = if beat % 2 == 1 { hiss * (-into * 18.0).exp() } else { 0.0 };
        let hat = (hiss - noise((t * RATE_HZ) as usize + 1)) * (-into_half * 60.0).exp();
        0.5 * if beat.is_multiple_of(2) { kick } else { 0.0 } + 0.25 * snare + 0.06 * hat
    };
    let bass = |t: f64| {
        let (note, into) = ((t / BEAT_S) as usize, t % BEAT_S);
        let pitch_hz = [55.0, 55.0, 73.4, 65.4, 82.4, 82.4, 61.7, 49.0][note % 8];
        let voice: f64 = (1..=5).map(|k| (TAU * f64::from(k) * pitch_hz * t).sin() / f64::from(k * k)).sum();
        0.3 * voice * (-into * 3.0).exp() * (into * 100.0).min(1.0)
    };
    // A chord that is held, a bar long.
    let other = |t: f64| {
        let (chord, into) = ((t / 2.0) as usize, t % 2.0);
        let root_hz = [440.0, 587.3, 523.3, 659.3][chord % 4];
        let note = |ratio: f64| (1..=3).map(|k| (TAU * f64::from(k) * root_hz * ratio * t).sin()).sum::<f64>();
        0.03 * [1.0, 1.26, 1.5].map(note).iter().sum::<f64>() * (into * 10.0).min(1.0)
    };
    [samples(&vocals), samples(&drums), samples(&bass), samples(&other)]
}
