//! What an editor sees of the stems: levels, times, and nothing while nobody looks.
#![allow(
    clippy::needless_range_loop,
    reason = "`for stem in 0..4` says more than enumerate over one of several arrays"
)]

mod common;
use common::*;
use separator::{
    LEVEL_STEP_DB, MIN_LEVEL_DB, NUM_ROWS, Pipeline, SpectrumColumn, SpectrumFeed, row_frequency_hz,
    testing::{TestModel, runtime},
};
use slicqt::{Design, Timing};
use std::sync::Arc;

const RATE_HZ: f64 = 44_100.0;
const MASKS: [f32; 4] = [0.5, 0.25, 0.125, 0.0625];

fn models() -> Vec<TestModel> {
    let stft = |fft_len, hop_len| (Design::stft(fft_len, hop_len, RATE_HZ), Timing::Whole);
    let (trimmed, whole) = (Timing::Trimmed, Timing::Whole);
    let mut designs = vec![stft(4096, 1024), stft(3072, 768), stft(512, 128)];
    designs.extend([(Design::mel_32(), whole), (Design::mel_32(), trimmed), (Design::bark_262(), trimmed)]);
    let model = |(design, timing)| TestModel { design, timing, ..TestModel::with_masks(MASKS) };
    designs.into_iter().map(model).collect()
}

fn pipeline(model: &TestModel) -> Pipeline {
    Pipeline::new(&runtime(), &write_model(model).1).unwrap()
}

/// Everything that is published of `mix`, and of a second of silence after it.
fn columns(pipeline: &mut Pipeline, feed: &SpectrumFeed, mix: &[f32]) -> Vec<SpectrumColumn> {
    let mut columns = Vec::new();
    let mut stems = vec![[vec![0.0; pipeline.hop_len()], vec![0.0; pipeline.hop_len()]]; 4];
    let mut mix = mix.to_vec();
    mix.resize(mix.len() + RATE_HZ as usize, 0.0);
    let mut next = feed.num_written();
    for hop in mix.chunks_exact(pipeline.hop_len()) {
        pipeline.process_hop([hop, hop], &mut stems).unwrap();
        next = feed.read(next, &mut |column| columns.push(*column));
    }
    columns
}

fn watched(model: &TestModel, mix: &[f32]) -> Vec<SpectrumColumn> {
    let feed = Arc::new(SpectrumFeed::default());
    let mut pipeline = pipeline(model);
    pipeline.publish_spectra(feed.clone(), 0.0);
    feed.set_wanted(true);
    columns(&mut pipeline, &feed, mix)
}

fn sine(len: usize, frequency_hz: f64) -> Vec<f32> {
    (0..len).map(|n| (std::f64::consts::TAU * frequency_hz * n as f64 / RATE_HZ).sin() as f32).collect()
}

fn db(level: u8) -> f32 {
    MIN_LEVEL_DB + f32::from(level) * LEVEL_STEP_DB
}

/// The highest level in the rows around `frequency_hz`.
fn level_db(column: &SpectrumColumn, level: usize, frequency_hz: f64) -> f32 {
    let rows = (0..NUM_ROWS).filter(|&row| (row_frequency_hz(row) / frequency_hz).log2().abs() < 0.5);
    rows.map(|row| db(column.levels[row][level])).fold(MIN_LEVEL_DB, f32::max)
}

#[test]
fn a_tone_has_its_level_in_the_mix_and_in_each_stem() {
    for model in models() {
        let columns = watched(&model, &sine(2 * RATE_HZ as usize, 5000.0));
        for column in columns.iter().filter(|column| (0.8..1.2).contains(&column.start_s)) {
            let what =
                |level| format!("{}, {} s: {:.1} dB", model.design, column.start_s, level_db(column, level, 5e3));
            // A tone between two wide bins is in both.
            assert!(level_db(column, 0, 5e3).abs() < 3.5, "mix: {}", what(0));
            for stem in 0..4 {
                // The residual of the masks is split equally.
                let mask = MASKS[stem] + (1.0 - MASKS.iter().sum::<f32>()) / 4.0;
                let difference = level_db(column, stem + 1, 5e3) - level_db(column, 0, 5e3) - 20.0 * mask.log10();
                assert!(difference.abs() < 0.5, "stem {stem}, {difference:.1} dB off: {}", what(stem + 1));
            }
            // Nothing elsewhere.
            assert!(db(column.levels[12][0]) < -50.0 && db(column.levels[106][0]) < -50.0, "{}", model.design);
        }
    }
}

#[test]
fn columns_follow_each_other_also_in_silence() {
    for model in models() {
        let mut mix = sine(RATE_HZ as usize, 440.0);
        mix.resize(3 * RATE_HZ as usize, 0.0);
        let columns = watched(&model, &mix);
        for pair in columns.windows(2) {
            let gap_s = pair[1].start_s - pair[0].start_s - pair[0].len_s;
            assert!(gap_s.abs() < 1e-9, "{}: {gap_s} s at {} s", model.design, pair[0].start_s);
        }
        let len_s = columns.iter().map(|column| column.len_s).sum::<f64>();
        assert!((3.0..4.1).contains(&len_s), "{}: {len_s} s", model.design);
        assert!(columns[0].len_s < 0.024, "{}: {} s", model.design, columns[0].len_s);
        assert_eq!(columns.last().unwrap().levels, [[0; 5]; NUM_ROWS]);
    }
}

#[test]
fn a_click_is_where_it_was() {
    for model in models() {
        for at in [50_000, 61_234] {
            let mut mix = vec![0.0; 2 * RATE_HZ as usize];
            mix[at] = 1.0;
            let columns = watched(&model, &mix);
            let at_s = at as f64 / RATE_HZ;
            let loudest = columns.iter().max_by_key(|column| column.levels[100][0]).unwrap();
            // A slice of an STFT has no time of its own within it.
            let slack_s = loudest.len_s;
            let range = loudest.start_s - slack_s..loudest.start_s + loudest.len_s + slack_s;
            assert!(range.contains(&at_s), "{}: {at_s} s is not in {range:?}", model.design);
        }
    }
}

#[test]
fn nothing_is_measured_while_nobody_looks_and_the_stems_are_the_same() {
    for model in models() {
        let mix: Vec<f32> = noise(RATE_HZ as usize, 3)[0].clone();
        let feed = Arc::new(SpectrumFeed::default());
        let run = |is_wanted: bool, has_feed: bool| {
            let mut pipeline = pipeline(&model);
            if has_feed {
                pipeline.publish_spectra(feed.clone(), 0.0);
            }
            feed.set_wanted(is_wanted);
            let mut stems = vec![[vec![0.0; pipeline.hop_len()], vec![0.0; pipeline.hop_len()]]; 4];
            let mut all = Vec::new();
            for hop in mix.chunks_exact(pipeline.hop_len()) {
                pipeline.process_hop([hop, hop], &mut stems).unwrap();
                all.push(stems.clone());
            }
            all
        };
        let (without, closed) = (run(false, false), run(false, true));
        assert_eq!(feed.num_written(), 0);
        let open = run(true, true);
        assert!(feed.num_written() > 0);
        assert!(without == closed && closed == open, "{}", model.design);
    }
}

#[test]
fn an_engine_publishes_and_so_does_the_model_that_comes_next() {
    let (_dir, model) = write_model(&TestModel::with_masks(MASKS));
    let (engine, mut audio) = start(&model, RATE_HZ, 512);
    let feed = Arc::new(SpectrumFeed::default());
    engine.publish_spectra(feed.clone());
    wait_until_running(&engine);
    let mut block = [vec![0.1; 512], vec![0.1; 512]];
    let mut play = |num_blocks: usize| {
        for _ in 0..num_blocks {
            let input = [vec![0.1; 512], vec![0.1; 512]];
            let mut stems = [(); 4].map(|()| input.clone());
            let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(Vec::as_mut_slice));
            let delayed = block.each_mut().map(Vec::as_mut_slice);
            audio.process_into(input.each_ref().map(Vec::as_slice), delayed, &mut stems, true);
        }
    };
    play(200);
    assert_eq!(feed.num_written(), 0);
    feed.set_wanted(true);
    play(200);
    let before = feed.num_written();
    assert!(before > 50, "{before}");
    engine.choose(runtime(), &model).unwrap();
    wait_until_running(&engine);
    play(400);
    let after = feed.num_written();
    assert!(after > before + 100, "{before}, {after}");
    feed.set_wanted(false);
    play(50);
    let at_end = feed.num_written();
    play(200);
    assert_eq!(feed.num_written(), at_end);
}
