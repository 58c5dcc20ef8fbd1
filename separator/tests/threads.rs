//! Several threads give the bits of one.

mod common;

use common::{Stereo, bits, noise, write_model};
use models::{InputKind, Model, OutputKind};
use separator::{
    FileSeparator, Pipeline,
    testing::{TestModel, runtime},
};
use slicqt::{Design, Timing};
use std::path::Path;

fn separate(model: &Model, rate: f64, input: &Stereo, num_threads: usize) -> Result<Vec<Stereo>, String> {
    let pipeline = Pipeline::new(&runtime(), model).unwrap();
    let mut stems: Vec<Stereo> = vec![Default::default(); pipeline.num_stems()];
    let mut separator = FileSeparator::with_threads(pipeline, rate, num_threads).unwrap();
    let mut append = |new: &[Stereo]| {
        let channels = stems.iter_mut().flatten().zip(new.iter().flatten());
        channels.for_each(|(stem, new)| stem.extend_from_slice(new));
    };
    for start in (0..input[0].len()).step_by(5000) {
        let end = input[0].len().min(start + 5000);
        let block = [&input[0][start..end], &input[1][start..end]];
        separator.push(block, &mut append).map_err(|error| error.to_string())?;
    }
    separator.finish(&mut append).map_err(|error| error.to_string())?;
    Ok(stems)
}

fn assert_same(model: &Model, rate: f64, input: &Stereo, what: &str) {
    let expected = separate(model, rate, input, 1).unwrap();
    for num_threads in [2, 3, 5] {
        let actual = separate(model, rate, input, num_threads).unwrap();
        for (stem, (expected, actual)) in expected.iter().flatten().zip(actual.iter().flatten()).enumerate() {
            assert_eq!(actual.len(), input[0].len(), "{what}, {num_threads} threads");
            let first = bits(expected).iter().zip(bits(actual)).position(|(a, b)| *a != b);
            assert_eq!(first, None, "{what}, {num_threads} threads: channel {stem} differs from this sample on");
        }
    }
}

/// Sound, two seconds of silence in which nothing is heard, twelve seconds of it, and sound.
fn with_silence(rate: f64) -> Stereo {
    let mut mix = noise((18.0 * rate) as usize, 7);
    for samples in &mut mix {
        samples[rate as usize..3 * rate as usize].fill(0.0);
        samples[4 * rate as usize..16 * rate as usize].fill(0.0);
    }
    mix
}

#[test]
fn every_kind_of_model() {
    let stft = |fft_len, hop_len| (Design::stft(fft_len, hop_len, 44_100.0), Timing::Whole);
    let base = TestModel { listens: true, fade_in_hops: Some(300), ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) };
    for (design, timing) in [(Design::mel_32(), Timing::Trimmed), stft(1024, 256), stft(4096, 1024)] {
        for look_ahead_slices in [0, 2] {
            let model = TestModel { design: design.clone(), timing, look_ahead_slices, ..base.clone() };
            let (_dir, model) = write_model(&model);
            assert_same(&model, 44_100.0, &with_silence(44_100.0), &format!("{design}, {look_ahead_slices} ahead"));
        }
    }
    let coefs = base.of_kind(InputKind::Complex, OutputKind::Coefs);
    let (_dir, model) = write_model(&TestModel { look_ahead_slices: 1, ..coefs });
    assert_same(&model, 44_100.0, &noise(100_000, 3), "coefficients");
}

#[test]
fn every_rate_and_length() {
    let model = TestModel { listens: true, fade_in_hops: Some(30), ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) };
    let (_dir, model) = write_model(&model);
    assert_same(&model, 48e3, &with_silence(48e3), "48 kHz");
    assert_same(&model, 8e3, &noise(50_000, 4), "8 kHz");
    for len in [0, 1, 1007, 1008, 1009, 8064, 8065, 40_000] {
        for rate in [44_100.0, 96e3] {
            assert_same(&model, rate, &noise(len, 5), &format!("{len} samples at {rate} Hz"));
        }
    }
}

/// Every few slices the masks become so large that the network is reset, and what other threads have computed with its
/// memory must be computed again.
#[test]
fn a_network_that_goes_astray_is_reset_at_the_same_slices() {
    for hop_len in [128, 1024] {
        let design = Design::stft(4 * hop_len, hop_len, 44_100.0);
        let astray =
            TestModel { design, listens: true, fade_in_hops: Some(7), ..TestModel::with_masks([1.6e6, 0.5, 0.2, 0.1]) };
        let (_dir, model) = write_model(&astray);
        assert_same(&model, 44_100.0, &noise(200_000, 6), &format!("hops of {hop_len}"));
    }
}

#[test]
fn a_network_that_breaks_is_told() {
    let (_dir, model) = write_model(&TestModel { fails_from: Some(50.0), ..TestModel::identity() });
    let mut input = noise(300_000, 8);
    input.iter_mut().flatten().for_each(|sample| *sample *= 1e-3);
    input[0][200_000..].iter_mut().for_each(|sample| *sample *= 1e6);
    for num_threads in [1, 2, 4] {
        let message = separate(&model, 44_100.0, &input, num_threads).unwrap_err();
        assert!(message.contains("model.onnx"), "{num_threads} threads: {message}");
    }
}

/// Threads end with their separator, in the middle of a file too.
#[test]
fn a_separator_can_be_dropped_at_any_time() {
    let (_dir, model) = write_model(&TestModel::identity());
    let input = noise(60_000, 9);
    for len in [0, 500, 60_000] {
        let pipeline = Pipeline::new(&runtime(), &model).unwrap();
        let mut separator = FileSeparator::with_threads(pipeline, 44_100.0, 3).unwrap();
        separator.push([&input[0][..len], &input[1][..len]], &mut |_| {}).unwrap();
    }
}

#[test]
fn the_shipped_models() {
    for name in ["first", "mix"] {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models")).join(name);
        let model = Model::load(&dir).unwrap();
        let mut input = noise(300_000, 10);
        input.iter_mut().flatten().enumerate().for_each(|(n, sample)| *sample *= (n as f32 / 9000.0).sin());
        assert_same(&model, 44_100.0, &input, name);
    }
}
