//! What is drawn lies where it sounds, and is as loud.

use std::f64::consts::TAU;

use super::*;
use slicqt::Design;

const RATE_HZ: f64 = 44_100.0;
const COLUMNS_PER_S: f64 = 997.0;

fn designs() -> Vec<Design> {
    ["bark-262", "mel-32", "cq:60:60", "linear:120:50", "stft:2048:512"].map(|text| text.parse().unwrap()).to_vec()
}

fn axes(time_s: [f64; 2]) -> Axes {
    // No frame ends just in the middle of a column, where rounding would decide.
    let width = ((time_s[1] - time_s[0]) * COLUMNS_PER_S).round() as usize;
    Axes { time_s, frequency_hz: [20.0, RATE_HZ / 2.0], width, height: 300 }
}

fn draw(design: &Design, axes: &Axes, samples: &[f32]) -> Raster {
    let plan = Plan::new(design).unwrap();
    let mut spectrogram = Spectrogram::new(&plan, RATE_HZ, axes.clone());
    // Blocks of any length.
    samples.chunks(1234).for_each(|block| spectrogram.push(block));
    spectrogram.finish()
}

fn sine(seconds: f64, frequency_hz: f64, amplitude: f64) -> Vec<f32> {
    let sample = |i: usize| (amplitude * (TAU * frequency_hz * i as f64 / RATE_HZ).sin()) as f32;
    (0..(seconds * RATE_HZ) as usize).map(sample).collect()
}

/// In every row, at any place within the slices, nothing is louder than the column of the click (or its neighbours).
#[test]
fn a_click_is_drawn_at_its_time() {
    let axes = axes([0.0, 1.0]);
    for design in designs() {
        for click in [14_000, 17_001, 20_777, 22_050, 26_543, 30_000] {
            let mut samples = vec![0.0; 44_100];
            samples[click] = 1.0;
            let raster = draw(&design, &axes, &samples);
            let column = axes.columns(click as f64 / RATE_HZ, click as f64 / RATE_HZ).start;
            for row in 0..axes.height {
                let loudest = (0..axes.width).map(|c| raster.level_db(row, c)).fold(-300.0, f32::max);
                // The middle of the click's column may belong to the next frame.
                let level = (column - 1..=column + 1).map(|c| raster.level_db(row, c)).fold(-300.0, f32::max);
                assert!(loudest > -90.0, "{design}: row {row} is dark");
                assert!(level > loudest - 0.1, "{design}, sample {click}, row {row}: {level}, loudest {loudest} dB");
            }
            // And a high row shows it for no longer than its frames last.
            let sounding = (0..axes.width).filter(|c| raster.level_db(10, *c) > raster.level_db(10, column) - 20.0);
            let longest = if design.to_string().starts_with("stft") { 60 } else { 30 };
            assert!(sounding.count() < longest, "{design}");
        }
    }
}

/// In the middle of the picture, nothing is louder than the row of the sine, and that is its amplitude.
#[test]
fn a_sine_is_drawn_at_its_frequency_as_loud_as_it_is_and_steady() {
    let axes = axes([0.5, 1.5]);
    let mut num_sines = 0;
    for design in designs() {
        let plan = Plan::<f32>::new(&design).unwrap();
        for wanted_hz in [110.0, 440.0, 1000.0, 5000.0, 12_000.0] {
            let hz = |bin: &slicqt::Bin| bin.position as f64 * RATE_HZ / plan.slice_len() as f64;
            let distance = |bin: &slicqt::Bin| (hz(bin) - wanted_hz).abs();
            let bin = plan.bins().iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            let frequency_hz = hz(bin);
            // So close to 0 Hz a window takes in the mirror image too, and the level beats.
            if 4 * bin.position < bin.num_frames {
                continue;
            }
            num_sines += 1;
            let raster = draw(&design, &axes, &sine(2.0, frequency_hz, 0.5));
            let row = axes.rows(frequency_hz, frequency_hz).start;
            for column in 0..axes.width {
                let level = raster.level_db(row, column);
                let loudest = (0..axes.height).map(|row| raster.level_db(row, column)).fold(-300.0, f32::max);
                let at = format!("{design}, {frequency_hz:.1} Hz, column {column}");
                assert!(level >= loudest - 0.01, "{at}: {level}, loudest {loudest} dB");
                assert!((level + 6.02).abs() < 0.3, "{at}: {level} dB instead of -6.02");
            }
            let far = axes.rows(frequency_hz * 3.0_f64.min(18_000.0 / frequency_hz), 20_000.0).start;
            assert!(raster.level_db(far, 500) < -40.0, "{design}: {frequency_hz} Hz far away");
        }
    }
    assert!(num_sines >= 20, "{num_sines}");
}

/// A part of the picture is the part of the picture.
#[test]
fn zooming_in_changes_nothing() {
    let mut samples = sine(3.0, 330.0, 0.2);
    (0..samples.len()).step_by(7919).for_each(|i| samples[i] += 0.5);
    for design in designs() {
        let (whole, part) = (axes([0.0, 3.0]), axes([1.0, 2.0]));
        let (whole_raster, part_raster) = (draw(&design, &whole, &samples), draw(&design, &part, &samples));
        for row in 0..part.height {
            for column in 0..part.width {
                let (part, whole) =
                    (part_raster.level_db(row, column), whole_raster.level_db(row, column + part.width));
                assert!((part - whole).abs() < 0.01 || whole < -100.0, "{design}: {row}, {column}: {part}, {whole} dB");
            }
        }
    }
}

#[test]
fn silence_is_dark() {
    let axes = axes([0.0, 0.1]);
    assert!(draw(&Design::mel_32(), &axes, &[0.0; 100]).max_db() <= -299.0);
}
