//! Networks that take many slices at once: what comes out does not show the blocks, but for what the network makes of
//! them.

mod common;
use common::*;
use models::Model;
use separator::{
    Engine, EngineConfig, Pipeline, SeparatorError,
    testing::{TestModel, runtime},
};
use slicqt::{Design, OverlapAdd, Plan, Slicer};

/// Masks that follow the music, slice by slice.
fn listening() -> TestModel {
    TestModel { listens: true, ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) }
}

fn stft() -> Design {
    Design::stft(4096, 1024, 44_100.0)
}

/// All hops of a mix through a pipeline, and silence until the last stems are out: `[stem][channel][sample]`.
fn stream(pipeline: &mut Pipeline, mix: &Stereo) -> Vec<Stereo> {
    let hop_len = pipeline.hop_len();
    let num_hops = (mix[0].len() + pipeline.delay_samples()).div_ceil(hop_len);
    let padded = mix.clone().map(|mut channel| {
        channel.resize(num_hops * hop_len, 0.0);
        channel
    });
    let mut hop = vec![[vec![0.0; hop_len], vec![0.0; hop_len]]; pipeline.num_stems()];
    let mut stems = vec![Stereo::default(); hop.len()];
    for hop_idx in 0..num_hops {
        let range = hop_idx * hop_len..(hop_idx + 1) * hop_len;
        pipeline.process_hop([&padded[0][range.clone()], &padded[1][range]], &mut hop).unwrap();
        for (stem, hop) in stems.iter_mut().flatten().zip(hop.iter().flatten()) {
            stem.extend_from_slice(hop);
        }
    }
    stems
}

#[test]
fn blocks_give_every_slice_its_own_masks() {
    for (design, blocks) in [
        (Design::mel_32(), vec![(1, 0, 0), (2, 0, 0), (2, 1, 0), (7, 3, 0), (64, 63, 0), (3, 0, 1), (9, 2, 3)]),
        (stft(), vec![(1, 0, 0), (5, 4, 0), (16, 15, 0), (16, 1, 7)]),
    ] {
        let (_dir, by_slice) = write_model(&TestModel { design: design.clone(), ..listening() });
        for (num_slices, lead, margin_slices) in blocks {
            let blocks = Some((num_slices, lead));
            let test_model = TestModel { design: design.clone(), blocks, margin_slices, ..listening() };
            let (_dir, by_block) = write_model(&test_model);
            let delay = |model: &Model| Pipeline::new(&runtime(), model).unwrap().delay_samples();
            let hop_len = by_slice.manifest.hop_len;
            assert_eq!(delay(&by_block), delay(&by_slice) + (num_slices - 1 - margin_slices) * hop_len);
            for (rate, len) in
                [(44_100.0, 0), (44_100.0, 1), (44_100.0, 3 * hop_len), (44_100.0, 20_011), (48e3, 20_011)]
            {
                let mix = noise(len, 3);
                let expected = separate(&by_slice, rate, &mix, || 777);
                for block_len in [100, 777, 100_000] {
                    let actual = separate(&by_block, rate, &mix, || block_len);
                    for (expected, actual) in expected.iter().flatten().zip(actual.iter().flatten()) {
                        let what = format!("{design}, {num_slices} slices, {lead} before, {rate} Hz, {len} samples");
                        assert!(bits(expected) == bits(actual), "{what}");
                    }
                }
            }
        }
    }
}

/// With masks that depend on nothing but the place in the block, every slice must have that of its place.
#[test]
fn blocks_begin_where_the_manifest_says() {
    for design in [Design::mel_32(), stft()] {
        let plan = Plan::<f32>::new(&design).unwrap();
        let hop_len = plan.hop_len();
        for (num_slices, lead, margin) in [(4, 0, 0), (4, 1, 0), (4, 3, 0), (40, 17, 0), (4, 1, 1), (40, 17, 5)] {
            let test_model = TestModel {
                design: design.clone(),
                blocks: Some((num_slices, lead)),
                margin_slices: margin,
                ..TestModel::with_masks([0.8, 0.0, 0.0, 0.0])
            };
            let (_dir, model) = write_model(&test_model);
            let mix = noise(30 * hop_len, 5);
            let stems = stream(&mut Pipeline::new(&runtime(), &model).unwrap(), &mix);
            let (mut slicer, mut overlap_add) = (Slicer::new(&plan), OverlapAdd::new(&plan));
            let (mut slice, mut coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
            let mut expected = vec![0.0; (num_slices - 1 - margin) * hop_len];
            for (n, hop) in mix[0].chunks_exact(hop_len).enumerate() {
                let place = margin + (n + lead) % (num_slices - 2 * margin);
                let mask = 0.8 * (place + 1) as f32 / num_slices as f32;
                slicer.slice_into(&plan, hop, &mut slice);
                plan.forward_into(&slice, &mut coefs, &mut scratch);
                // What the masks lack to 1 is shared out.
                coefs.iter_mut().for_each(|c| *c *= mask + (1.0 - mask) / 4.0);
                plan.inverse_into(&coefs, &mut slice, &mut scratch);
                let mut out = vec![0.0; hop_len];
                overlap_add.add_into(&slice, &mut out);
                expected.extend(out);
            }
            let error = error_db(&expected, &stems[0][0][..expected.len()]);
            assert!(error < -100.0, "{design}, {num_slices} slices, {lead} before, margins of {margin}: {error:.1} dB");
        }
    }
}

#[test]
fn stems_of_blocks_sum_to_the_mix() {
    let (_dir, model) = write_model(&TestModel { blocks: Some((7, 3)), ..TestModel::with_masks([0.3, 0.9, 0.1, 0.4]) });
    let mix = noise(50_000, 6);
    let stems = separate(&model, 44_100.0, &mix, || 4000);
    for channel in 0..2 {
        let sum: Vec<f32> = (0..50_000).map(|n| stems.iter().map(|stem| stem[channel][n]).sum()).collect();
        assert!(error_db(&mix[channel], &sum) < -120.0);
    }
}

#[test]
fn after_a_reset_a_block_is_as_new() {
    let test_model = TestModel { blocks: Some((9, 4)), ..listening() };
    let (_dir, model) = write_model(&test_model);
    let mix = noise(40 * 1008, 7);
    let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
    let new = stream(&mut pipeline, &mix);
    for num_hops in [1, 4, 5, 9, 23] {
        pipeline.reset();
        stream(&mut pipeline, &noise(num_hops * 1008, 8));
        pipeline.reset();
        let again = stream(&mut pipeline, &mix);
        for (new, again) in new.iter().flatten().zip(again.iter().flatten()) {
            assert!(bits(new) == bits(again), "after {num_hops} hops");
        }
    }
}

/// A Wiener filter behind blocks waits for both, and knows the song's end.
#[test]
fn a_wiener_filter_behind_blocks_is_that_behind_slices() {
    for design in [Design::mel_32(), stft()] {
        let wiener = TestModel { design: design.clone(), wiener_window_frames: Some(40), ..listening() };
        let (_dir, by_slice) = write_model(&wiener);
        let (_dir, by_block) = write_model(&TestModel { blocks: Some((16, 15)), ..wiener });
        for len in [1, 5000, 61_440, 61_441] {
            let mix = noise(len, 9);
            let (expected, actual) =
                (separate(&by_slice, 44_100.0, &mix, || 999), separate(&by_block, 44_100.0, &mix, || 999));
            for (expected, actual) in expected.iter().flatten().zip(actual.iter().flatten()) {
                assert!(bits(expected) == bits(actual), "{design}, {len} samples");
            }
        }
    }
}

/// A slice of four hops holds samples of the song for three hops after its end: their masks are still needed.
#[test]
fn the_song_s_last_samples_have_all_their_slices() {
    let masks = [0.8, 0.4, 0.2, 0.4];
    let test_model = TestModel { design: stft(), wiener_window_frames: Some(40), ..TestModel::with_masks(masks) };
    let (_dir, model) = write_model(&test_model);
    for len in [40 * 1024, 40 * 1024 + 1, 41 * 1024 - 1] {
        let mut mix = noise(len, 10);
        mix.iter_mut().flatten().for_each(|x| *x *= 20.0);
        let stems = separate(&model, 44_100.0, &mix, || 3000);
        let share = masks[0] * masks[0] / masks.iter().map(|mask| mask * mask).sum::<f32>();
        let tail = len - 1000..len;
        let expected: Vec<f32> = mix[0][tail.clone()].iter().map(|x| x * share).collect();
        let power = |x: &mut dyn Iterator<Item = f32>| x.map(|x| f64::from(x * x)).sum::<f64>();
        let error = power(&mut expected.iter().zip(&stems[0][0][tail]).map(|(a, b)| a - b));
        let error_db = 10.0 * (error / power(&mut expected.iter().copied())).log10();
        println!("{len} samples: {error_db:.1} dB");
        assert!(error_db < -15.0, "{len} samples: {error_db:.1} dB");
    }
}

#[test]
fn manifest_and_graph_must_agree_about_blocks() {
    let (_dir, model) = write_model(&TestModel { blocks: Some((8, 3)), ..TestModel::identity() });
    let refusal = |edit: fn(&mut models::Manifest)| {
        let mut model = model.clone();
        edit(&mut model.manifest);
        model.manifest.write(&model.dir).unwrap();
        let opened = Model::load(&model.dir).map_err(SeparatorError::from);
        opened.and_then(|model| Pipeline::new(&runtime(), &model)).err().expect("it should be refused").to_string()
    };
    let message = refusal(|m| m.offline.as_mut().unwrap().block_slices = Some(16));
    assert!(
        message.contains("input.shape: expected [16, 4, 2156]") && message.contains("got [8, 4, 2156]"),
        "{message}"
    );
    let message = refusal(|m| {
        m.offline.as_mut().unwrap().block_slices = Some(16);
        (m.input.shape[0], m.output.shape[0]) = (16, 16);
    });
    assert!(message.contains("manifest.toml: input.shape") && message.contains("got f32 [16, 4, 2156]"), "{message}");
    assert!(message.contains("(8, 4, 2156)"), "{message}");
    let message = refusal(|m| m.output.shape.swap(0, 1));
    assert!(message.contains("output.shape: expected [8, 4, 2, 2156]"), "{message}");
    let message = refusal(|m| m.offline = None);
    assert!(message.contains("input.shape: expected [4, 2156]"), "{message}");
}

/// Whatever their stems are.
#[test]
fn models_of_blocks_refuse_to_play_live() {
    let mut two_stems = TestModel { blocks: Some((8, 3)), ..TestModel::with_masks([1.0, 0.0, 0.0, 0.0]) };
    (two_stems.stems, two_stems.masks) = (vec!["vocals".into(), "accompaniment".into()], vec![0.5, 0.5]);
    let (_dir, model) = write_model(&two_stems);
    match Engine::start(runtime(), &model, &EngineConfig { sample_rate_hz: 44_100.0, max_block_len: 512 }) {
        Err(error @ SeparatorError::ForFilesOnly { .. }) => {
            let message = error.to_string();
            assert!(message.contains("unbraid separate --model test"), "{message}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it should be refused"),
    }
}
