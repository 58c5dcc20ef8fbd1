//! Sharper and softer masks, through the engine and alone.

mod common;
use common::*;
use models::{InputKind, Model, OutputKind};
use separator::{AudioSide, Pipeline, testing};
use slicqt::{Design, Timing};
use testing::TestModel;

const MASKS: [f32; 4] = [0.4, 0.3, 0.2, 0.1];

fn test_model() -> TestModel {
    TestModel { design: Design::stft(1024, 256, 44_100.0), ..TestModel::with_masks(MASKS) }
}

/// All kinds of networks whose masks are those above.
fn all_kinds() -> Vec<(String, TestModel)> {
    let kinds = [
        (InputKind::Magnitude, OutputKind::Mask),
        (InputKind::Complex, OutputKind::ComplexMask),
        (InputKind::Complex, OutputKind::Coefs),
    ];
    let designs = [(Design::stft(1024, 256, 44_100.0), Timing::Whole), (Design::mel_32(), Timing::Trimmed)];
    let mut all = Vec::new();
    for (input, output) in kinds {
        for (design, timing) in &designs {
            for look_ahead_slices in [0, 2] {
                let name = format!("{output:?} on {design}, {look_ahead_slices} ahead");
                let model = TestModel { design: design.clone(), timing: *timing, look_ahead_slices, ..test_model() };
                all.push((name, model.of_kind(input, output)));
            }
        }
    }
    all
}

/// The stems of `input`, with sensitivities that change with the sample of the input.
fn render_with(
    audio: &mut AudioSide,
    input: &Stereo,
    mut block_len: impl FnMut() -> usize,
    changes: &[(usize, [f32; 4])],
) -> Output {
    let mut output = Output::new();
    let mut position = 0;
    while position < input[0].len() {
        for (_, sensitivities) in changes.iter().filter(|(at, _)| *at <= position) {
            audio.set_sensitivities(*sensitivities);
        }
        let next = changes.iter().map(|(at, _)| *at).find(|at| *at > position).unwrap_or(input[0].len());
        let end = next.min(position + block_len());
        output.process(audio, [&input[0][position..end], &input[1][position..end]], true);
        position = end;
    }
    output
}

/// Peak of what the stems lack to the mix, relative to it.
fn rest_db(output: &Output) -> f64 {
    let sum: Vec<f32> =
        (0..output.delayed[0].len()).map(|n| output.stems.iter().map(|stem| stem[0][n]).sum()).collect();
    error_db(&output.delayed[0], &sum)
}

fn rms(samples: &[f32]) -> f64 {
    (samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / samples.len() as f64).sqrt()
}

/// The share that each stem should have.
fn shares(sensitivities: [f32; 4]) -> [f64; 4] {
    let bent: [f64; 4] = std::array::from_fn(|i| f64::from(MASKS[i]).powf(4.0_f64.powf(-f64::from(sensitivities[i]))));
    bent.map(|share| share / bent.iter().sum::<f64>())
}

#[test]
fn every_kind_of_network_gets_sharper_and_softer_and_sums_to_the_mix() {
    let input = noise(40_000, 1);
    for (name, model) in all_kinds() {
        let (_dir, model) = write_model(&model);
        for rate in [44_100.0, 48e3] {
            for sensitivities in [[-1.0, 0.0, 0.0, 0.0], [0.5, 0.0, -0.5, 1.0]] {
                let (_engine, mut audio) = start(&model, rate, 512);
                let output = render_with(&mut audio, &input, || 512, &[(0, sensitivities)]);
                assert!(rest_db(&output) < -110.0, "{name}: {:.1} dB", rest_db(&output));
                assert_eq!(output.num_missing, 0);
                if rate == 44_100.0 {
                    let mix = rms(&output.delayed[0][20_000..]);
                    for (stem, expected) in output.stems.iter().zip(shares(sensitivities)) {
                        let found = rms(&stem[0][20_000..]) / mix;
                        assert!((found - expected).abs() < 0.01, "{name}: {found:.3} for {expected:.3}");
                    }
                }
            }
        }
    }
}

/// At 0 nothing differs, in no bit, also after it was something else.
#[test]
fn neutral_is_what_the_network_says() {
    let input = noise(60_000, 2);
    for (name, model) in all_kinds() {
        let (_dir, model) = write_model(&model);
        let (_engine, mut plain) = start(&model, 48e3, 512);
        let expected = render(&mut plain, &input, || 512);
        let (_engine, mut audio) = start(&model, 48e3, 512);
        let changes = [(0, [0.0; 4]), (10_000, [0.7, 0.0, -0.2, 0.0]), (20_000, [0.0; 4])];
        let output = render_with(&mut audio, &input, || 512, &changes);
        let latency = audio.latency_samples();
        for (stem, expected) in output.stems.iter().zip(&expected.stems) {
            let is_same = |range: std::ops::Range<usize>| bits(&stem[0][range.clone()]) == bits(&expected[0][range]);
            assert!(is_same(0..latency.min(8_000)) && is_same(latency + 26_000..60_000), "{name}");
        }
        assert_ne!(bits(&output.stems[0][0]), bits(&expected.stems[0][0]), "{name}");
    }
}

/// What changes with an input sample changes the stems of that sample: in the middle of the change, half of it is done.
#[test]
fn a_change_lands_on_the_music() {
    for (name, model) in all_kinds() {
        let (_dir, model) = write_model(&model);
        let (hop_len, slice_len) = (model.manifest.hop_len, model.manifest.transform.slice_len);
        let (_engine, mut audio) = start(&model, 44_100.0, 512);
        let at = 60 * hop_len;
        let input = [vec![0.25; 2 * at], vec![0.25; 2 * at]];
        // A steady tone in the middle of the spectrum would do as well; a constant shows the share sample by sample.
        let output = render_with(&mut audio, &input, || 100, &[(at, [-1.0, 0.0, 0.0, 0.0])]);
        let drums = &output.stems[1][0][audio.latency_samples()..];
        let share = |n: usize| f64::from(drums[n]) / 0.25;
        let (before, after) = (f64::from(MASKS[1]), shares([-1.0, 0.0, 0.0, 0.0])[1]);
        assert!((share(at - slice_len) - before).abs() < 0.01, "{name}: {:.3} before", share(at - slice_len));
        assert!((share(at + slice_len) - after).abs() < 0.01, "{name}: {:.3} after", share(at + slice_len));
        let middle = (at - slice_len..at + slice_len).find(|&n| share(n) > (before + after) / 2.0).unwrap();
        let error = middle as i64 - at as i64;
        assert!(error.unsigned_abs() as usize <= hop_len / 2 + 64, "{name}: {error} samples beside the change");
    }
}

/// However the stream is cut into blocks; a reset is as good as a new engine.
#[test]
fn blocks_do_not_matter_and_a_reset_forgets() {
    let (_dir, model) = write_model(&test_model());
    let input = noise(30_000, 3);
    let changes = [(0, [0.3, 0.0, 0.0, -0.6]), (7_001, [0.0, 0.1, 0.0, 0.0]), (7_050, [0.0, 0.1, 0.9, 0.0])];
    let (_engine, mut audio) = start(&model, 48e3, 512);
    let expected = render_with(&mut audio, &input, || 512, &changes);
    let mut random = Random::new(4);
    for _ in 0..2 {
        audio.reset();
        let output = render_with(&mut audio, &input, || 1 + random.next() as usize % 700, &changes);
        for (stem, expected) in output.stems.iter().zip(&expected.stems) {
            assert_eq!(bits(&stem[0]), bits(&expected[0]));
        }
    }
}

/// Stems that the plugin does not know go by what they are part of.
#[test]
fn a_guitar_has_the_sensitivity_of_other() {
    let model = TestModel {
        stems: ["guitar", "vocals"].map(String::from).to_vec(),
        masks: vec![0.3, 0.7],
        imaginary: vec![0.0; 2],
        ..test_model()
    };
    let (_dir, model) = write_model(&model);
    let level = |sensitivities| {
        let (_engine, mut audio) = start(&model, 44_100.0, 512);
        let output = render_with(&mut audio, &noise(20_000, 5), || 512, &[(0, sensitivities)]);
        rms(&output.stems[3][0])
    };
    assert!(level([0.0, 0.0, 0.0, -1.0]) < 0.1 * level([0.0, -1.0, -1.0, 0.0]));
}

#[test]
#[should_panic]
fn another_number_of_sensitivities_is_refused() {
    let (_dir, model): (_, Model) = write_model(&test_model());
    Pipeline::new(&testing::runtime(), &model).unwrap().set_sensitivities(&[0.0; 3]);
}
