//! Silence that lasts costs nothing and changes nothing; music that fades out leaves no denormals behind.

mod common;
use common::*;
use models::{InputKind, Model, OutputKind};
use separator::{Pipeline, testing::TestModel, testing::runtime};
use slicqt::Timing;

/// All hops of a mix, whose length is a whole number of them: the stems, and for each hop whether it cost nothing.
fn stream(pipeline: &mut Pipeline, mix: &Stereo) -> (Vec<Stereo>, Vec<bool>) {
    let hop_len = pipeline.hop_len();
    let mut hop = vec![[vec![0.0; hop_len], vec![0.0; hop_len]]; pipeline.num_stems()];
    let mut stems = vec![Stereo::default(); hop.len()];
    let mut settled = vec![];
    for (left, right) in mix[0].chunks_exact(hop_len).zip(mix[1].chunks_exact(hop_len)) {
        pipeline.process_hop([left, right], &mut hop).unwrap();
        settled.push(pipeline.is_settled());
        for (stem, hop) in stems.iter_mut().flatten().zip(hop.iter().flatten()) {
            stem.extend_from_slice(hop);
        }
    }
    (stems, settled)
}

/// With a network that remembers nothing, music after silence is as music from the start.
#[test]
fn after_silence_all_is_as_if_it_had_been_computed() {
    for timing in [Timing::Whole, Timing::Trimmed] {
        for (kind, look_ahead_slices) in [(OutputKind::Mask, 0), (OutputKind::Mask, 2), (OutputKind::Coefs, 0)] {
            let model = TestModel { listens: true, timing, look_ahead_slices, ..TestModel::identity() };
            let (_dir, model) = write_model(&model.of_kind(InputKind::Complex, kind));
            let hop_len = model.manifest.hop_len;
            let music = noise(20 * hop_len, 1);
            let with_gap = music.clone().map(|channel| [&*channel, &vec![0.0; 30 * hop_len], &*channel].concat());
            let (expected, settled) = stream(&mut Pipeline::new(&runtime(), &model).unwrap(), &music);
            assert!(!settled.contains(&true), "music is not silence");
            let (actual, settled) = stream(&mut Pipeline::new(&runtime(), &model).unwrap(), &with_gap);
            let num_settled = settled[20..50].iter().filter(|&&is_settled| is_settled).count();
            assert!((22..=28).contains(&num_settled), "{num_settled} of 30 hops of silence cost nothing");
            assert!(!settled[..20].contains(&true) && !settled[50..].contains(&true));
            for (expected, actual) in expected.iter().flatten().zip(actual.iter().flatten()) {
                assert!(actual[50 * hop_len..] == expected[..], "{timing:?}, {kind:?}");
                assert!(actual[26 * hop_len..50 * hop_len].iter().all(|&x| x == 0.0), "silence");
            }
        }
    }
}

/// The same through resamplers, which skip silence by themselves. At 48 kHz 7 hops of 1008 samples are 7680 host samples,
/// after which the grids of both rates meet again.
#[test]
fn after_silence_resamplers_go_on_as_from_the_start() {
    const PERIOD: usize = 7680;
    let (_dir, model) = write_model(&TestModel { listens: true, ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) });
    let music = noise(5 * PERIOD, 3);
    let twice = music.clone().map(|channel| [&*channel, &vec![0.0; 4 * PERIOD], &*channel].concat());
    let stems = separate(&model, 48e3, &twice, || 1000);
    for stem in stems.iter().flatten() {
        assert!(stem[..5 * PERIOD] == stem[9 * PERIOD..]);
        // From the kernels' reach on, silence is nothing but zeros.
        assert!(stem[6 * PERIOD..8 * PERIOD].iter().all(|&x| x == 0.0));
    }
}

/// A counter never settles: it is stopped after ten seconds, and goes on from there.
#[test]
fn a_network_that_never_settles_is_left_alone_after_ten_seconds() {
    let (_dir, model) = write_model(&TestModel { fade_in_hops: Some(1000), ..TestModel::identity() });
    let hop_len = model.manifest.hop_len;
    let num_hops = (12.0 * 44_100.0 / hop_len as f64) as usize;
    let silence = [vec![0.0; num_hops * hop_len], vec![0.0; num_hops * hop_len]];
    let (_, settled) = stream(&mut Pipeline::new(&runtime(), &model).unwrap(), &silence);
    let first = settled.iter().position(|&is_settled| is_settled).expect("it rests");
    let seconds = first as f64 * hop_len as f64 / 44_100.0;
    assert!((10.0..10.1).contains(&seconds), "{seconds} s");
    assert!(settled[first..].iter().all(|&is_settled| is_settled));
}

/// How soon the shipped network does, after music.
#[test]
fn the_shipped_network_rests() {
    let shipped = Model::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/first")).unwrap();
    let hop_len = shipped.manifest.hop_len;
    let mix = noise(10 * hop_len, 7).map(|channel| [channel, vec![0.0; 60 * hop_len]].concat());
    let (stems, settled) = stream(&mut Pipeline::new(&runtime(), &shipped).unwrap(), &mix);
    let first = settled.iter().position(|&is_settled| is_settled).expect("it rests");
    println!("after {} hops of silence", first - 10);
    assert!(stems.iter().flatten().all(|samples| samples[first * hop_len..].iter().all(|&x| x == 0.0)));
}

/// The resamplers too run without denormals, in and out (V5).
#[test]
fn stems_of_denormals_and_of_fades_through_them_hold_none() {
    let (_dir, model) = write_model(&TestModel::with_masks([0.1, 0.5, 0.05, 0.2]));
    let (_dir2, one) = write_model(&TestModel::identity().with_num_stems(1));
    for model in [&model, &one] {
        for rate in [44_100.0, 48e3, 96e3] {
            // From full scale to 1e-42, 6 dB every 100 samples.
            let fade = noise(15_000, 8).map(|channel| {
                channel.iter().enumerate().map(|(n, x)| x * 0.5f32.powf(n as f32 / 100.0)).collect::<Vec<_>>()
            });
            let low = noise(15_000, 9).map(|channel| channel.iter().map(|x| x * 1e-39).collect::<Vec<_>>());
            for (mix, name) in [(fade, "fade"), (low, "denormals")] {
                assert!(mix[0].iter().any(|x| x.is_subnormal()));
                let stems = separate(model, rate, &mix, || 512);
                let num_denormal = stems.iter().flatten().flatten().filter(|x| x.is_subnormal()).count();
                assert_eq!(num_denormal, 0, "{name}, {rate} Hz, {} stems", stems.len());
            }
        }
    }
}
