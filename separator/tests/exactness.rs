//! What must hold to the bit, or within a stated error, when the worker keeps up.

mod common;
use common::*;
use models::Model;
use separator::{latency_samples, testing::TestModel};

const RATES: [f64; 7] = [32e3, 44_100.0, 48e3, 88_200.0, 96e3, 176_400.0, 192e3];

/// Masks that differ, do not sum to 1, and depend on the past.
fn moody_model() -> TestModel {
    TestModel { fade_in_hops: Some(6), ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) }
}

fn render_new(model: &Model, rate: f64, input: &Stereo, block_len: impl FnMut() -> usize) -> Output {
    let (_engine, mut audio) = start(model, rate, 512);
    render(&mut audio, input, block_len)
}

fn assert_same(a: &Output, b: &Output, what: &str) {
    for (a, b) in a.stems.iter().flatten().chain(&a.delayed).zip(b.stems.iter().flatten().chain(&b.delayed)) {
        assert!(bits(a) == bits(b), "{what}: not the same bits");
    }
}

#[test]
fn offline_output_does_not_depend_on_the_blocks() {
    let (_dir, model) = write_model(&moody_model());
    for rate in [44_100.0, 48e3] {
        let input = noise(40_000, 1);
        let whole = render_new(&model, rate, &input, || 40_000);
        assert_eq!(whole.num_missing, 0);
        for len in [32, 441, 512, 4096] {
            let cut = render_new(&model, rate, &input, || len);
            assert_same(&whole, &cut, &format!("{rate} Hz, blocks of {len}"));
        }
        let mut random = Random::new(2);
        let cut = render_new(&model, rate, &input, || (random.next() % 1500) as usize);
        assert_same(&whole, &cut, &format!("{rate} Hz, random blocks"));
    }
}

#[test]
fn after_a_reset_it_is_as_new() {
    let (_dir, model) = write_model(&TestModel { look_ahead_slices: 2, ..moody_model() });
    for rate in [44_100.0, 96e3] {
        let (_engine, mut audio) = start(&model, rate, 512);
        let other = noise(17_777, 3);
        let input = noise(20_000, 4);
        let new = render_new(&model, rate, &input, || 512);
        for len in [1, 5_000, 17_777] {
            render(&mut audio, &other.each_ref().map(|channel| channel[..len].to_vec()), || 300);
            audio.reset();
            let again = render(&mut audio, &input, || 512);
            assert_eq!(again.num_missing, 0);
            assert_same(&new, &again, &format!("{rate} Hz, after {len} samples"));
        }
    }
}

#[test]
fn delayed_mix_is_the_input_bit_for_bit() {
    let (_dir, model) = write_model(&TestModel::identity());
    for rate in RATES {
        for block_len in [32, 441, 512, 4096] {
            let (_engine, mut audio) = start(&model, rate, block_len);
            let latency = latency_samples(&model.manifest, rate, block_len);
            assert_eq!(audio.latency_samples(), latency);
            let mut input = noise(latency + 5000, 5);
            input[0][7] = f32::NAN;
            input[1][8] = f32::from_bits(1);
            let output = render(&mut audio, &input, || block_len);
            for (delayed, input) in output.delayed.iter().zip(&input) {
                assert!(delayed[..latency].iter().all(|&x| x == 0.0));
                assert_eq!(bits(&delayed[latency..]), bits(&input[..5000]));
            }
        }
    }
}

#[test]
fn identity_stem_is_the_delayed_mix_with_no_offset() {
    let (_dir, model) = write_model(&TestModel::identity());
    let (mut worst_direct, mut worst_resampled) = (f64::MIN, f64::MIN);
    for rate in RATES {
        // A second of music with room before and after: edges of the file are not band-limited.
        let len = rate as usize;
        let mut input = band_limited(len, rate);
        for channel in &mut input {
            for (n, sample) in channel.iter_mut().enumerate() {
                let fade = (n.min(len - n) as f64 / (0.1 * rate)).min(1.0);
                *sample *= (0.5 - 0.5 * (std::f64::consts::PI * fade).cos()) as f32;
            }
            channel.resize(len + 30_000, 0.0);
        }
        let output = render_new(&model, rate, &input, || 441);
        assert_eq!(output.num_missing, 0);
        for channel in 0..2 {
            let error = error_db(&output.delayed[channel], &output.stems[0][channel]);
            println!("{rate} Hz: vocals against delayed mix {error:.1} dB");
            if rate == 44_100.0 {
                assert!(error < -100.0, "{rate} Hz: {error:.1} dB");
                worst_direct = worst_direct.max(error);
            } else {
                assert!(error < -80.0, "{rate} Hz: {error:.1} dB");
                worst_resampled = worst_resampled.max(error);
            }
        }
    }
    println!("worst: {worst_direct:.1} dB at the model's rate, {worst_resampled:.1} dB through the resampler");
}

#[test]
fn impulse_comes_out_of_the_stem_at_the_reported_latency() {
    let (_dir, model) = write_model(&TestModel::identity());
    for rate in [44_100.0, 48e3, 96e3] {
        for block_len in [32, 441, 512, 4096] {
            let (_engine, mut audio) = start(&model, rate, block_len);
            let latency = audio.latency_samples();
            let at = 3001;
            let mut input = [vec![0.0; latency + 8000], vec![0.0; latency + 8000]];
            input[0][at] = 1.0;
            let output = render(&mut audio, &input, || block_len);
            let peak =
                |samples: &[f32]| (0..samples.len()).max_by(|&a, &b| samples[a].abs().total_cmp(&samples[b].abs()));
            assert_eq!(peak(&output.stems[0][0]), Some(at + latency), "{rate} Hz, blocks of {block_len}");
            assert_eq!(peak(&output.delayed[0]), Some(at + latency));
        }
    }
}

/// The network's masks come two slices late: everything else must wait for them, no more and no less.
#[test]
fn look_ahead_delays_by_a_hop_per_slice_and_changes_no_bit() {
    let (_dir, causal) = write_model(&moody_model());
    let (_dir2, looking) = write_model(&TestModel { look_ahead_slices: 2, ..moody_model() });
    for rate in [44_100.0, 48e3] {
        let input = noise(30_011, 10);
        let (expected, actual) = (separate(&causal, rate, &input, || 777), separate(&looking, rate, &input, || 777));
        for (expected, actual) in expected.iter().flatten().zip(actual.iter().flatten()) {
            assert!(bits(expected) == bits(actual), "{rate} Hz: stems of files");
        }
        for block_len in [64, 4096] {
            let latency = |model: &Model| latency_samples(&model.manifest, rate, block_len);
            let (early, late) = (latency(&causal), latency(&looking));
            if rate == 44_100.0 {
                assert_eq!(late, early + 2 * 1008);
            }
            let padded = input.clone().map(|channel| [channel, vec![0.0; late]].concat());
            let (_engine, mut audio) = start(&looking, rate, block_len);
            assert_eq!(audio.latency_samples(), late);
            let output = render(&mut audio, &padded, || block_len);
            assert_eq!(output.num_missing, 0);
            for (stem, expected) in output.stems.iter().flatten().zip(expected.iter().flatten()) {
                assert!(stem[late..] == expected[..], "{rate} Hz, blocks of {block_len}: the plugin's stems");
            }
            assert_eq!(bits(&output.delayed[0][late..]), bits(&input[0]), "with unity gains the mix is the input");
        }
    }
}

#[test]
fn impulse_through_a_look_ahead_comes_out_at_the_reported_latency() {
    for look_ahead_slices in [1, 2, 5] {
        let (_dir, model) = write_model(&TestModel { look_ahead_slices, ..TestModel::identity() });
        let (_engine, mut audio) = start(&model, 44_100.0, 512);
        let latency = audio.latency_samples();
        assert_eq!(latency, (3 + look_ahead_slices) * 1008 + 1008 / 4);
        let mut input = [vec![0.0; latency + 8000], vec![0.0; latency + 8000]];
        input[0][7001] = 1.0;
        let output = render(&mut audio, &input, || 512);
        let loudest =
            |samples: &[f32]| (0..samples.len()).max_by(|&a, &b| samples[a].abs().total_cmp(&samples[b].abs()));
        assert_eq!(loudest(&output.stems[0][0]), Some(7001 + latency), "{look_ahead_slices} slices");
        assert!((output.stems[0][0][7001 + latency] - 1.0).abs() < 1e-4);
    }
}

#[test]
fn stems_sum_to_the_delayed_mix_at_every_rate() {
    let (_dir, model) = write_model(&moody_model());
    for rate in RATES {
        let input = noise(60_000, 6);
        let output = render_new(&model, rate, &input, || 512);
        for channel in 0..2 {
            let sum: Vec<f32> =
                (0..output.delayed[0].len()).map(|n| output.stems.iter().map(|stem| stem[channel][n]).sum()).collect();
            let error = error_db(&output.delayed[channel], &sum);
            assert!(error < -120.0, "{rate} Hz: {error:.1} dB");
        }
    }
}

#[test]
fn files_give_the_stems_of_the_plugin_without_its_latency() {
    let (_dir, model) = write_model(&moody_model());
    for rate in [22_050.0, 44_100.0, 44_056.0, 48e3] {
        for len in [0, 1, 1007, 30_011] {
            let input = noise(len, 7);
            let stems = separate(&model, rate, &input, || 777);
            let again = separate(&model, rate, &input, || 100_000);
            let (_engine, mut audio) = start(&model, rate, 512);
            let latency = audio.latency_samples();
            let longer = input.clone().map(|channel| [channel, vec![0.0; latency]].concat());
            let output = render(&mut audio, &longer, || 512);
            for stem in 0..4 {
                for channel in 0..2 {
                    assert_eq!(stems[stem][channel].len(), len);
                    assert!(stems[stem][channel] == again[stem][channel], "{rate} Hz, {len} samples");
                    assert!(stems[stem][channel] == output.stems[stem][channel][latency..], "{rate} Hz, {len} samples");
                }
            }
        }
    }
}

#[test]
fn stems_are_in_the_plugin_s_order_whatever_the_model_s_is() {
    let stems = ["bass", "other", "vocals", "drums"].map(String::from).to_vec();
    let (_dir, model) = write_model(&TestModel { stems, ..TestModel::with_masks([0.1, 0.2, 0.3, 0.4]) });
    let input = band_limited(20_000, 44_100.0);
    let output = render_new(&model, 44_100.0, &input, || 512);
    for (stem, mask) in output.stems.iter().zip([0.3, 0.4, 0.1, 0.2]) {
        let expected: Vec<f32> = output.delayed[0].iter().map(|x| x * mask).collect();
        assert!(error_db(&expected, &stem[0]) < -80.0);
    }
}

#[test]
fn samples_that_are_not_finite_do_no_lasting_harm() {
    let (_dir, model) = write_model(&moody_model());
    for rate in [44_100.0, 48e3] {
        let clean = noise(60_000, 8);
        let mut dirty = clean.clone();
        for (n, value) in [(100, f32::NAN), (101, f32::INFINITY), (5000, f32::NEG_INFINITY), (5003, f32::MAX)] {
            dirty[0][n] = value;
        }
        let clean = render_new(&model, rate, &clean, || 512);
        let dirty = render_new(&model, rate, &dirty, || 512);
        assert!(dirty.stems.iter().flatten().flatten().all(|x| x.is_finite()));
        let end = clean.delayed[0].len() - 20_000;
        for (clean, dirty) in clean.stems.iter().flatten().zip(dirty.stems.iter().flatten()) {
            assert!(error_db(&clean[end..], &dirty[end..]) < -100.0, "{rate} Hz");
        }
    }
}

#[test]
fn masks_that_are_not_numbers_give_equal_shares() {
    let (_dir, model) = write_model(&TestModel::with_masks([f32::NAN, 0.0, 0.0, 0.0]));
    let output = render_new(&model, 44_100.0, &noise(20_000, 9), || 512);
    let expected: Vec<f32> = output.delayed[0].iter().map(|x| x / 4.0).collect();
    for stem in &output.stems {
        assert!(error_db(&expected, &stem[0]) < -100.0);
    }
}

/// The designs of low latency, at every rate, in blocks of 1 to 4096: aligned, summing to the mix, at the reported latency,
/// and the same bits however the stream is cut.
#[test]
fn plain_stfts_with_small_hops_are_as_exact_as_sliced_transforms() {
    for (slice_len, hop_len) in [(3072, 768), (1024, 256), (512, 128)] {
        let design = slicqt::Design::stft(slice_len, hop_len, 44_100.0);
        let (_dir, identity) = write_model(&TestModel { design: design.clone(), ..TestModel::identity() });
        let (_dir2, moody) = write_model(&TestModel { design, ..moody_model() });
        for rate in [44_100.0, 48e3, 96e3] {
            let mut impulse = [vec![0.0; 24_000], vec![0.0; 24_000]];
            impulse[1][5003] = 1.0;
            let input = noise(12_000, 12);
            let mut first: Option<Output> = None;
            for block_len in [4096, 1, 64, 441, 512] {
                let what = format!("{slice_len}:{hop_len}, {rate} Hz, blocks of {block_len}");
                let (_engine, mut audio) = start(&identity, rate, block_len);
                let latency = audio.latency_samples();
                assert_eq!(latency, latency_samples(&identity.manifest, rate, block_len), "{what}");
                let output = render(&mut audio, &impulse, || block_len);
                let stem = &output.stems[0][1];
                let peak = (0..stem.len()).max_by(|&a, &b| stem[a].abs().total_cmp(&stem[b].abs()));
                assert_eq!(peak, Some(5003 + latency), "{what}");
                assert_eq!(output.num_missing, 0);
                // The announced block sets the latency; how the stream is cut then changes nothing.
                let (_engine, mut audio) = start(&moody, rate, 4096);
                let output = render(&mut audio, &input, || block_len);
                let sum: Vec<f32> = (0..12_000).map(|n| output.stems.iter().map(|stem| stem[0][n]).sum()).collect();
                assert!(error_db(&output.delayed[0], &sum) < -120.0, "{what}");
                match &first {
                    Some(first) => assert_same(first, &output, &what),
                    None => first = Some(output),
                }
            }
        }
    }
}
