//! Networks of every kind, of any number of stems, on every kind of transform: they all give stems that sum to the mix,
//! lie where they say, and do not depend on how the stream is cut.

mod common;
use common::*;
use models::{InputKind, Model, OutputKind};
use separator::{Pipeline, testing::TestModel, testing::runtime};
use slicqt::{Complex, Design, OverlapAdd, Plan, Slicer, Timing};

const KINDS: [(InputKind, OutputKind); 5] = [
    (InputKind::Magnitude, OutputKind::Mask),
    (InputKind::Magnitude, OutputKind::ComplexMask),
    (InputKind::Complex, OutputKind::Mask),
    (InputKind::Complex, OutputKind::ComplexMask),
    (InputKind::Complex, OutputKind::Coefs),
];

fn transforms() -> Vec<(Design, Timing)> {
    let stft = |fft_len, hop_len| (Design::stft(fft_len, hop_len, 44_100.0), Timing::Whole);
    vec![
        (Design::mel_32(), Timing::Whole),
        (Design::mel_32(), Timing::Trimmed),
        stft(3072, 768),
        stft(1024, 256),
        stft(512, 128),
        (Design::stft(1024, 256, 44_100.0), Timing::Trimmed),
    ]
}

/// A network of a kind whose masks follow the music and the time.
fn model_of(design: &Design, timing: Timing, kind: (InputKind, OutputKind), num_stems: usize) -> TestModel {
    let model = TestModel { design: design.clone(), timing, fade_in_hops: Some(9), ..TestModel::identity() };
    let model = TestModel { listens: true, ..model.with_num_stems(num_stems).of_kind(kind.0, kind.1) };
    TestModel { imaginary: (0..num_stems).map(|n| 0.3 - 0.1 * n as f32).collect(), ..model }
}

/// All hops of a mix, whose length is a whole number of them, through a pipeline: `[stem][channel][sample]`.
fn stream(pipeline: &mut Pipeline, mix: &Stereo) -> Vec<Vec<Vec<f32>>> {
    let hop_len = pipeline.hop_len();
    let mut hop = vec![[vec![0.0; hop_len], vec![0.0; hop_len]]; pipeline.num_stems()];
    let mut stems = vec![vec![vec![]; 2]; hop.len()];
    for (left, right) in mix[0].chunks_exact(hop_len).zip(mix[1].chunks_exact(hop_len)) {
        pipeline.process_hop([left, right], &mut hop).unwrap();
        for (stem, hop) in stems.iter_mut().flatten().zip(hop.iter().flatten()) {
            stem.extend_from_slice(hop);
        }
    }
    stems
}

fn assert_sums_to(mix: &Stereo, stems: &[Stereo], what: &str) {
    for channel in 0..2 {
        let sum: Vec<f32> = (0..mix[0].len()).map(|n| stems.iter().map(|stem| stem[channel][n]).sum()).collect();
        let error = error_db(&mix[channel], &sum);
        assert!(error < -110.0, "{what}: the sum is {error:.1} dB off");
    }
}

#[test]
fn any_number_of_stems_of_any_kind_sums_to_the_mix_however_it_is_cut() {
    for (design, timing) in transforms() {
        for kind in KINDS {
            for num_stems in [1, 2, 6, 16] {
                let (_dir, model) = write_model(&model_of(&design, timing, kind, num_stems));
                for rate in [44_100.0, 48e3] {
                    let what = format!("{design}, {timing:?}, {kind:?}, {num_stems} stems, {rate} Hz");
                    let mix = noise(9_001, 1);
                    let stems = separate(&model, rate, &mix, || 777);
                    assert_eq!(stems.len(), num_stems, "{what}");
                    assert!(stems.iter().flatten().all(|samples| samples.len() == mix[0].len()), "{what}");
                    assert_sums_to(&mix, &stems, &what);
                    let whole = separate(&model, rate, &mix, || 100_000);
                    for (a, b) in stems.iter().flatten().zip(whole.iter().flatten()) {
                        assert!(bits(a) == bits(b), "{what}: the cuts are heard");
                    }
                    if num_stems > 1 {
                        assert!(stems[0][0][5_000..] != stems[1][0][5_000..], "{what}: stems differ");
                    }
                }
            }
        }
    }
}

/// Coefficients in, the same masks out, by every way that a network has to say so.
#[test]
fn all_kinds_say_the_same_when_they_mean_the_same() {
    for (design, timing) in transforms() {
        for look_ahead_slices in [0, 2] {
            let model = |kind: (InputKind, OutputKind)| {
                let model = TestModel { design: design.clone(), timing, look_ahead_slices, ..TestModel::identity() };
                model.with_num_stems(3).of_kind(kind.0, kind.1)
            };
            let mix = noise(12_000, 2);
            let (_dir, masks) = write_model(&model(KINDS[0]));
            let expected = separate(&masks, 44_100.0, &mix, || 1000);
            // 1/2, 1/4, 1/8, and a third of the 1/8 that is missing for each.
            let scaled: Vec<f32> = mix[0].iter().map(|x| x * (0.5 + 1.0 / 24.0)).collect();
            let error = error_db(&scaled, &expected[0][0]);
            assert!(error < -95.0, "{design}: {error:.1} dB");
            for kind in &KINDS[1..] {
                let (_dir, other) = write_model(&model(*kind));
                let actual = separate(&other, 44_100.0, &mix, || 1000);
                for (expected, actual) in expected.iter().flatten().zip(actual.iter().flatten()) {
                    let error = error_db(expected, actual);
                    assert!(error < -110.0, "{design}, {timing:?}, {kind:?}: {error:.1} dB");
                }
            }
        }
    }
}

/// Complex masks turn phases: against the transform itself.
#[test]
fn complex_masks_multiply_coefficients_as_complex_numbers() {
    for (design, timing) in transforms() {
        let plan = Plan::<f32>::new(&design).unwrap();
        let hop_len = plan.hop_len();
        let model = TestModel { design: design.clone(), timing, ..TestModel::identity() };
        let model = TestModel {
            masks: vec![0.5, 0.25],
            imaginary: vec![0.75, -0.25],
            ..model.with_num_stems(2).of_kind(InputKind::Complex, OutputKind::ComplexMask)
        };
        let (_dir, model) = write_model(&model);
        let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
        let (mut slicer, mut overlap_add) =
            (Slicer::with_timing(&plan, timing), OverlapAdd::with_timing(&plan, timing));
        let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
        // 0.5 + 0.75 i, and half of the 0.25 - 0.5 i that both masks together lack to 1.
        let mask = Complex::new(0.625, 0.5);
        let mix = noise(24 * hop_len, 3);
        let mut stems = vec![[vec![0.0; hop_len], vec![0.0; hop_len]]; 2];
        let (mut expected, mut actual) = (vec![], vec![]);
        for n in 0..24 {
            let hop = |channel: usize| &mix[channel][n * hop_len..][..hop_len];
            slicer.slice_into(&plan, hop(1), &mut slice);
            plan.forward_into(&slice, &mut coefs, &mut scratch);
            coefs.iter_mut().for_each(|c| *c *= mask);
            plan.inverse_into(&coefs, &mut slice, &mut scratch);
            let mut out = vec![0.0; hop_len];
            overlap_add.add_into(&slice, &mut out);
            expected.extend(out);
            pipeline.process_hop([hop(0), hop(1)], &mut stems).unwrap();
            actual.extend_from_slice(&stems[0][1]);
        }
        let error = error_db(&expected, &actual);
        assert!(error < -110.0, "{design}, {timing:?}: {error:.1} dB");
    }
}

#[test]
fn an_impulse_comes_out_at_the_delay() {
    for (design, timing) in transforms() {
        for kind in KINDS {
            for look_ahead_slices in [0, 3] {
                let model = TestModel { design: design.clone(), timing, look_ahead_slices, ..TestModel::identity() };
                let (_dir, model) = write_model(&model.of_kind(kind.0, kind.1));
                let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
                let (hop_len, delay) = (pipeline.hop_len(), pipeline.delay_samples());
                let (at, num_hops) = (2 * hop_len + 77, 5 + delay.div_ceil(hop_len));
                let mut mix = [vec![0.0; num_hops * hop_len], vec![0.0; num_hops * hop_len]];
                mix[0][at] = 1.0;
                let vocals = stream(&mut pipeline, &mix).swap_remove(0).swap_remove(0);
                let what = format!("{design}, {timing:?}, {kind:?}, {look_ahead_slices} slices");
                let peak = (0..vocals.len()).max_by(|&a, &b| vocals[a].abs().total_cmp(&vocals[b].abs()));
                assert_eq!(peak, Some(at + delay), "{what}");
                assert!((vocals[at + delay] - 1.0).abs() < 1e-4, "{what}");
            }
        }
    }
}

#[test]
fn reset_equals_new() {
    for (design, timing) in transforms() {
        for kind in KINDS {
            let (_dir, model) = write_model(&TestModel { look_ahead_slices: 1, ..model_of(&design, timing, kind, 3) });
            let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
            let mix = noise(15 * pipeline.hop_len(), 6);
            let mut run = || {
                let stems = stream(&mut pipeline, &mix);
                pipeline.reset();
                stems.concat()
            };
            let (new, again) = (run(), run());
            for (new, again) in new.iter().zip(&again) {
                assert!(bits(new) == bits(again), "{design}, {timing:?}, {kind:?}");
            }
        }
    }
}

#[test]
fn output_that_is_no_number_or_beyond_all_bounds_gives_equal_shares() {
    for kind in KINDS {
        for wrong in [f32::NAN, f32::INFINITY, 1e30, -1e30] {
            let model = TestModel::with_masks([wrong, -wrong, 0.0, 0.0]).of_kind(kind.0, kind.1);
            let (_dir, model) = write_model(&model);
            let mix = noise(20_000, 4);
            let stems = separate(&model, 44_100.0, &mix, || 5000);
            let expected: Vec<f32> = mix[0].iter().map(|x| x / 4.0).collect();
            for stem in &stems {
                let error = error_db(&expected, &stem[0]);
                assert!(error < -100.0, "{kind:?}, {wrong}: {error:.1} dB");
            }
        }
    }
}

/// Blocks of slices, of the kinds that a block can have.
#[test]
fn blocks_of_complex_slices_are_as_slices_one_by_one() {
    for kind in KINDS {
        let model = TestModel { listens: true, ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]).of_kind(kind.0, kind.1) };
        let (_dir, by_slice) = write_model(&model);
        let (_dir2, by_block) = write_model(&TestModel { blocks: Some((7, 3)), ..model });
        let mix = noise(20_011, 5);
        let stems_of = |model: &Model| separate(model, 44_100.0, &mix, || 777);
        for (a, b) in stems_of(&by_slice).iter().flatten().zip(stems_of(&by_block).iter().flatten()) {
            // Not to the bit: ONNX Runtime sums the planes of a block in another order.
            let error = error_db(a, b);
            assert!(error < -115.0, "{kind:?}: {error:.1} dB");
        }
    }
}
