//! Published weights (`../shared/golden`: the reference with random weights), imported and streamed.

#![allow(clippy::needless_range_loop)]

mod common;
use common::*;
use models::{
    Model,
    import::{ImportOptions, SETTINGS_FILE, import},
};
use safetensors::SafeTensors;
use separator::{
    Network, Pipeline, SeparatorError, Wiener,
    testing::{TestModel, runtime},
};
use slicqt::{Complex, Design, Plan, inverse_whole};
use std::{collections::BTreeMap, fs, path::PathBuf};
use tempfile::TempDir;

const NUM_SLICES: usize = 17;
const NUM_SAMPLES: usize = 16_128;

/// A file of the golden folder by tensor, or `None` with a word on the terminal.
fn golden(name: &str) -> Option<BTreeMap<String, Vec<f32>>> {
    let path = golden_dir().join(name);
    let Ok(bytes) = fs::read(&path) else {
        eprintln!("SKIPPED: no golden data at {}", path.display());
        return None;
    };
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Some(tensors.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect())
}

fn golden_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden")
}

/// The golden weights as a model.
fn imported(is_realtime: bool) -> (TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("tiny.safetensors");
    fs::copy(golden_dir().join("tiny_rt_random_state.safetensors"), &weights).unwrap();
    let settings = format!(
        r#"{{"args": {{"fscale": "mel", "fbins": 32, "fmin": 115.5, "fgamma": 0.0, "sample_rate": 44100.0,
             "seq_dur": 0.04644, "realtime": {is_realtime}}}}}"#
    );
    fs::write(dir.path().join(SETTINGS_FILE), settings).unwrap();
    let options = ImportOptions { models_dir: dir.path().join("models"), name: None, licence: None, replace: false };
    let imported = import(&weights, &options).unwrap();
    println!("{} parameters, {} operations", imported.num_params, imported.num_nodes);
    assert_eq!(imported.num_params, 3_488_834);
    assert!(imported.num_nodes < 150, "{} operations", imported.num_nodes);
    (dir, imported.model)
}

fn plan() -> Plan<f32> {
    Plan::new(&Design::mel_32()).unwrap()
}

/// `[part][bin][slice][frame][value]` of all buckets to `[slice][part][coef][value]`.
fn by_slice(
    plan: &Plan<f32>,
    golden: &BTreeMap<String, Vec<f32>>,
    name: &str,
    num_parts: usize,
    width: usize,
) -> Vec<f32> {
    let num_coefs = plan.num_coefs();
    let mut values = vec![f32::NAN; NUM_SLICES * num_parts * num_coefs * width];
    for (b, bucket) in plan.buckets().iter().enumerate() {
        let Some(tensor) = golden.get(&format!("{name}{b:02}")) else { continue };
        let mut tensor = tensor.iter();
        for part in 0..num_parts {
            for bin in 0..bucket.num_bins {
                for slice in 0..NUM_SLICES {
                    for m in 0..bucket.num_frames {
                        let coef = bucket.coefs.start + bin * bucket.num_frames + m;
                        let start = ((slice * num_parts + part) * num_coefs + coef) * width;
                        values[start..start + width].fill_with(|| *tensor.next().unwrap());
                    }
                }
            }
        }
        assert!(tensor.next().is_none(), "{name}{b:02} is as large as its bucket");
    }
    values
}

fn complex(values: &[f32]) -> Vec<Complex<f32>> {
    values.chunks_exact(2).map(|pair| Complex::new(pair[0], pair[1])).collect()
}

/// The masks that the streamed network gives for the golden slices, `[slice][stem][channel][coef]`.
fn streamed_masks(model: &Model, plan: &Plan<f32>, x: &[Complex<f32>]) -> Vec<f32> {
    let mut network = Network::open(&runtime(), model).unwrap();
    let (slice_len, masks_len) = (2 * plan.num_coefs(), 8 * plan.num_coefs());
    let silence = vec![0.0; slice_len];
    let mut masks = Vec::new();
    for slice in 0..NUM_SLICES + model.manifest.look_ahead_slices {
        let mut out = vec![f32::NAN; masks_len];
        if slice == NUM_SLICES {
            network.end().unwrap();
        }
        match x.chunks_exact(slice_len).nth(slice) {
            Some(c) => network.run_into(&c.iter().map(|c| c.norm()).collect::<Vec<_>>(), &mut out).unwrap(),
            None => network.run_into(&silence, &mut out).unwrap(),
        }
        masks.extend(out);
    }
    masks.split_off(model.manifest.look_ahead_slices * masks_len)
}

/// Largest difference where a value is expected, and how many there were.
fn worst(expected: &[f32], actual: &[f32]) -> (f32, usize) {
    assert_eq!(expected.len(), actual.len());
    let pairs = expected.iter().zip(actual).filter(|(expected, _)| !expected.is_nan());
    pairs.fold((0.0, 0), |(worst, n), (a, b)| {
        let distance = (a - b).abs();
        (if distance.is_nan() { f32::INFINITY } else { distance.max(worst) }, n + 1)
    })
}

fn shown(values: &[f32]) -> String {
    values.iter().map(|value| format!("{value:.1e}")).collect::<Vec<_>>().join(" ")
}

/// Largest difference per bucket of masks `[slice][stem][channel][coef]`, where one is expected.
fn worst_by_bucket(plan: &Plan<f32>, expected: &[f32], actual: &[f32]) -> Vec<f32> {
    let of = |range: std::ops::Range<usize>| {
        let rows = expected.chunks_exact(plan.num_coefs()).zip(actual.chunks_exact(plan.num_coefs()));
        rows.map(|(a, b)| worst(&a[range.clone()], &b[range.clone()]).0).fold(0.0, f32::max)
    };
    plan.buckets().iter().map(|bucket| of(bucket.coefs.clone())).collect()
}

/// The masks of bucket 0 for a stem as `transform.md` defines them, over the whole song and in f64:
/// `[slice][channel][bin][frame]`.
fn exact_masks(is_realtime: bool, stem: usize, x: &[f32]) -> Vec<f64> {
    let state = golden("tiny_rt_random_state.safetensors").unwrap();
    let get = |name: &str| -> Vec<f64> {
        let key = match name.starts_with("input") {
            true => format!("sliced_umx.0.{name}"),
            false => format!("sliced_umx.0.cdaes.{stem}.{name}"),
        };
        state[&key].iter().map(|x| f64::from(*x)).collect()
    };
    let (num_bins, m, p) = (9, 16, 8);
    let num_halves = 2 * NUM_SLICES;
    let norm = |layer: usize, channel: usize, value: f64| -> f64 {
        let of = |name: &str| get(&format!("{layer}.{name}"))[channel];
        ((value - of("running_mean")) / (of("running_var") + 1e-5).sqrt() * of("weight") + of("bias")).max(0.0)
    };
    let norms = |layer: usize, values: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        values.into_iter().enumerate().map(|(c, v)| v.into_iter().map(|v| norm(layer, c, v)).collect()).collect()
    };
    let (mean, scale) = (get("input_mean"), get("input_scale"));
    let weights = [0, 3, 6, 9].map(|layer| get(&format!("{layer}.weight")));
    let bias = get("9.bias");
    let mut masks = vec![0.0; NUM_SLICES * 2 * num_bins * m];
    for bin in 0..num_bins {
        let padding = if is_realtime { m - 1 } else { 0 };
        let input = [0, 1].map(|channel| {
            let magnitude = |i: usize| f64::from(x[2 * i]).hypot(x[2 * i + 1].into()) as f32;
            let first = (channel * num_bins + bin) * NUM_SLICES * m;
            let values = (first..first + NUM_SLICES * m).map(|i| (f64::from(magnitude(i)) + mean[bin]) * scale[bin]);
            std::iter::repeat_n(0.0, padding).chain(values).collect::<Vec<f64>>()
        });
        let len_1 = (input[0].len() - m) / p + 1;
        let conv_1 = |o: usize, n: usize| -> f64 {
            let taps = (0..2).flat_map(|c| (0..m).map(move |t| (c, t)));
            taps.map(|(c, t)| weights[0][(o * 2 + c) * m + t] * input[c][n * p + t]).sum()
        };
        let h = norms(1, (0..50).map(|o| (0..len_1).map(|n| conv_1(o, n)).collect()).collect());
        let conv_2 = |o: usize, n: usize| -> f64 {
            let taps = (0..50).flat_map(|c| (0..4).map(move |t| (c, t)));
            taps.map(|(c, t)| weights[1][(o * 50 + c) * 4 + t] * h[c][n + t]).sum()
        };
        let h = norms(4, (0..51).map(|o| (0..len_1 - 3).map(|n| conv_2(o, n)).collect()).collect());
        let mut sums = vec![vec![0.0; len_1]; 50];
        for (c, h) in h.iter().enumerate() {
            for (n, h) in h.iter().enumerate() {
                for (o, sums) in sums.iter_mut().enumerate() {
                    (0..4).for_each(|t| sums[n + t] += weights[2][(c * 50 + o) * 4 + t] * h);
                }
            }
        }
        let h = norms(7, sums);
        let mut sums = [vec![bias[0]; (len_1 + 1) * p], vec![bias[1]; (len_1 + 1) * p]];
        for (c, h) in h.iter().enumerate() {
            for (n, h) in h.iter().enumerate() {
                for (o, sums) in sums.iter_mut().enumerate() {
                    (0..m).for_each(|t| sums[n * p + t] += weights[3][(c * 2 + o) * m + t] * h);
                }
            }
        }
        for (channel, sums) in sums.iter().enumerate() {
            for (i, sum) in sums.iter().enumerate().take(num_halves * p) {
                masks[((i / m * 2 + channel) * num_bins + bin) * m + i % m] = 1.0 / (1.0 + (-sum).exp());
            }
        }
    }
    masks
}

/// Ours and the published masks of bucket 0 against the exact ones. The golden weights are random, and in this bucket
/// (DC and the lowest bands) they drive the sigmoid's argument beyond 100: f32 leaves several 1e-6 there, whoever
/// computes it.
fn check_bucket_0(is_realtime: bool, plan: &Plan<f32>, x: &[f32], expected: &[f32], masks: &[f32]) {
    let of = |values: &[f32], stem: usize| -> Vec<f64> {
        let rows = values.chunks_exact(plan.num_coefs()).enumerate().filter(|(row, _)| row / 2 % 4 == stem);
        rows.flat_map(|(_, row)| row[..144].iter().map(|value| f64::from(*value))).collect()
    };
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).fold(0f64, |worst, (a, b)| worst.max((a - b).abs()));
    let (mut ours, mut published) = (0f64, 0f64);
    for stem in 0..4 {
        let exact = exact_masks(is_realtime, stem, x);
        ours = ours.max(distance(&exact, &of(masks, stem)));
        published = published.max(distance(&exact, &of(expected, stem)));
    }
    println!("bucket 0 against f64: ours {ours:.1e}, published {published:.1e}");
    assert!(published < 1e-5, "the oracle is right");
    assert!(ours < 1e-5, "{ours:.1e}");
}

#[test]
fn realtime_masks_are_the_published_ones() {
    let Some(io) = golden("tiny_rt_random_io.safetensors") else { return };
    let (_dir, model) = imported(true);
    assert_eq!(model.manifest.look_ahead_slices, 2);
    assert_eq!(model.manifest.offline, None);
    let plan = plan();
    let x = complex(&by_slice(&plan, &io, "x", 2, 2));
    let masks = streamed_masks(&model, &plan, &x);
    let expected = by_slice(&plan, &io, "mask", 8, 1);
    let worst = worst_by_bucket(&plan, &expected, &masks);
    println!("realtime masks by bucket, stream against published batch: {}", shown(&worst));
    assert!(worst[1..].iter().all(|worst| *worst <= 5e-6), "{worst:?}");
    assert!(worst[0] <= 1.5e-5, "{worst:?}");
    check_bucket_0(true, &plan, &io["x00"], &expected, &masks);
}

#[test]
fn realtime_waveforms_are_the_right_inverse_of_the_published_coefficients() {
    let Some(io) = golden("tiny_rt_random_io.safetensors") else { return };
    let (_dir, model) = imported(true);
    let plan = plan();
    let x = complex(&by_slice(&plan, &io, "x", 2, 2));
    let num_coefs = plan.num_coefs();
    let channel_of = |coefs: &[Complex<f32>], num_parts: usize, part: usize| -> Vec<Complex<f32>> {
        coefs.chunks_exact(num_coefs).skip(part).step_by(num_parts).flatten().copied().collect()
    };
    let mix = [0, 1].map(|channel| inverse_whole(&plan, &channel_of(&x, 2, channel), NUM_SAMPLES));
    let y = complex(&by_slice(&plan, &io, "y", 8, 2));
    // Unbraid shares out what the masks lack to 1; the published network does not.
    let masks = by_slice(&plan, &io, "mask", 8, 1);
    let shared = |slice: usize, stem: usize, channel: usize, coef: usize| {
        let of = |stem: usize| masks[((slice * 4 + stem) * 2 + channel) * num_coefs + coef];
        (1.0 - (0..4).map(of).sum::<f32>()) / 4.0 + of(stem)
    };
    let stems = separate(&model, 44_100.0, &mix, || 777);
    let (mut worst_own, mut worst_published, mut worst_stem) = (0f32, 0f32, 0f32);
    for stem in 0..4 {
        for channel in 0..2 {
            let part = stem * 2 + channel;
            let expected = inverse_whole(&plan, &channel_of(&y, 8, part), NUM_SAMPLES);
            // The network's own masks, through the same inverse.
            let own: Vec<Complex<f32>> = {
                let masks = streamed_masks(&model, &plan, &x);
                let c = channel_of(&x, 2, channel);
                let masks = masks.chunks_exact(num_coefs).skip(part).step_by(8).flatten();
                c.iter().zip(masks).map(|(c, mask)| c * mask).collect()
            };
            worst_own = worst_own.max(worst(&expected, &inverse_whole(&plan, &own, NUM_SAMPLES)).0);
            let published = &io["wav"][part * NUM_SAMPLES..(part + 1) * NUM_SAMPLES];
            worst_published = worst_published.max(worst(&expected, published).0);
            // Through the pipeline, from samples to samples.
            let c = channel_of(&x, 2, channel);
            let c: Vec<_> =
                c.iter().enumerate().map(|(i, c)| c * shared(i / num_coefs, stem, channel, i % num_coefs)).collect();
            let expected = inverse_whole(&plan, &c, NUM_SAMPLES);
            worst_stem = worst_stem.max(worst(&expected, &stems[stem][channel]).0);
        }
    }
    println!(
        "waveforms against the right inverse of the published coefficients: ours {worst_own:.1e}, published {worst_published:.1e}"
    );
    println!("stems of the pipeline against the published masks, shared out: {worst_stem:.1e}");
    assert!(worst_own <= 1e-4, "{worst_own}");
    assert!(worst_stem <= 1e-4, "{worst_stem}");
}

#[test]
fn offline_masks_and_wiener_filter_are_the_published_ones() {
    let Some(io) = golden("tiny_rt_random_io.safetensors") else { return };
    let Some(offline) = golden("tiny_offline_wiener_random_io.safetensors") else { return };
    let (_dir, model) = imported(false);
    let plan = plan();
    let x = complex(&by_slice(&plan, &io, "x", 2, 2));
    let expected_masks = by_slice(&plan, &offline, "mask", 8, 1);
    let masks = streamed_masks(&model, &plan, &x);
    let worst_mask = worst_by_bucket(&plan, &expected_masks, &masks);
    println!("offline masks by bucket, stream against published batch: {}", shown(&worst_mask));
    assert!(worst_mask[1..].iter().all(|worst| *worst <= 5e-6), "{worst_mask:?}");
    assert!(worst_mask[0] <= 1.5e-5, "{worst_mask:?}");
    check_bucket_0(false, &plan, &io["x00"], &expected_masks, &masks);
    assert_eq!(worst(&expected_masks, &masks).1, 8 * NUM_SLICES * (9 * 16 + 2 * 20 + 60 + 212));

    let expected = by_slice(&plan, &offline, "y", 8, 2);
    // From the published masks: what f32 leaves in them, the filter would enlarge.
    let masks: Vec<f32> = expected_masks.iter().map(|mask| if mask.is_nan() { 0.5 } else { *mask }).collect();
    let mut wiener = Wiener::new(plan.buckets(), 4, 5000);
    let mut estimates = Vec::new();
    let num_coefs = plan.num_coefs();
    for step in 0..NUM_SLICES + wiener.delay_slices() {
        if step < NUM_SLICES {
            let part = |channel: usize| x[(step * 2 + channel) * num_coefs..][..num_coefs].to_vec();
            wiener.push(&[part(0), part(1)], &masks[step * 8 * num_coefs..(step + 1) * 8 * num_coefs]);
        } else {
            wiener.end();
        }
        wiener.pull();
        for part in 0..8 {
            let mut coefs = plan.make_coefs();
            wiener.estimate_into(part / 2, part % 2, &mut coefs);
            estimates.extend(coefs.iter().flat_map(|c| [c.re, c.im]));
        }
    }
    let estimates = estimates.split_off(wiener.delay_slices() * 16 * num_coefs);
    let (worst, num_compared) = worst(&expected, &estimates);
    println!("Wiener filter against the published one: {worst:.1e} of {num_compared}");
    assert!(worst <= 1e-5, "{worst}");
    assert_eq!(num_compared, 16 * NUM_SLICES * (9 * 16 + 2 * 20 + 60 + 212));
}

/// A slice of the mix, `[channel][coef]`, and its masks, `[stem][channel][coef]`.
type MaskedSlice = ([Vec<Complex<f32>>; 2], Vec<f32>);

/// Windows that end within slices: estimates of a long stream are those of its windows one by one.
#[test]
fn wiener_windows_are_independent_and_cut_slices() {
    let plan = plan();
    let num_coefs = plan.num_coefs();
    let mut random = Random::new(5);
    let slices: Vec<MaskedSlice> = (0..40)
        .map(|_| {
            let coefs =
                [0, 1].map(|_| (0..num_coefs).map(|_| Complex::new(random.sample(), random.sample()) * 30.0).collect());
            (coefs, (0..8 * num_coefs).map(|_| random.sample() + 0.5).collect())
        })
        .collect();
    let run = |window_len: usize, slices: &[MaskedSlice]| {
        let mut wiener = Wiener::new(plan.buckets(), 4, window_len);
        let mut out = Vec::new();
        for step in 0..slices.len() + wiener.delay_slices() {
            match slices.get(step) {
                Some((coefs, masks)) => wiener.push(coefs, masks),
                None => wiener.end(),
            }
            wiener.pull();
            if step >= wiener.delay_slices() {
                let mut coefs = plan.make_coefs();
                wiener.estimate_into(2, 1, &mut coefs);
                out.push(coefs);
            }
        }
        out
    };
    // Bucket 0 has 16 frames: windows of 40 frames cut slices in half; two windows are five slices.
    let whole = run(40, &slices);
    let bucket = &plan.buckets()[0];
    for start in [0, 5, 35] {
        let parts = run(40, &slices[start..start + 5]);
        for (slice, part) in parts.iter().enumerate() {
            assert!(whole[start + slice][bucket.coefs.clone()] == part[bucket.coefs.clone()], "slices from {start}");
        }
    }
    let single = run(1_000, &slices);
    assert!(whole[0][bucket.coefs.clone()] != single[0][bucket.coefs.clone()], "the windows matter");
    let sum: Complex<f32> = whole.iter().flatten().sum();
    assert!(sum.norm().is_finite() && whole.iter().flatten().all(|c| c.norm() > 0.0));
}

/// With constant masks `m_j` the filter gives every stem `m_j^2 / sum m^2` of the mix, nearly: so its windows, its
/// delay and the song's end must be where they belong.
#[test]
fn wiener_filtered_stems_lie_on_the_mix() {
    let masks = [0.8f32, 0.4, 0.2, 0.4];
    for (wiener_window_frames, look_ahead_slices) in [(40, 0), (64, 2), (5000, 2)] {
        let test_model = TestModel {
            wiener_window_frames: Some(wiener_window_frames),
            look_ahead_slices,
            ..TestModel::with_masks(masks)
        };
        let (_dir, model) = write_model(&test_model);
        for len in [20_011, 30_240] {
            let mut mix = noise(len, 4);
            mix.iter_mut().flatten().for_each(|x| *x *= 20.0);
            let stems = separate(&model, 44_100.0, &mix, || 3000);
            for (stem, mask) in stems.iter().zip(masks) {
                let share = mask * mask / masks.iter().map(|mask| mask * mask).sum::<f32>();
                let expected: Vec<f32> = mix[0].iter().map(|x| x * share).collect();
                // The first and the last slices hold little, and the filter's epsilon weighs on them.
                let inside = 2016..len - 2016;
                let error = error_db(&expected[inside.clone()], &stem[0][inside]);
                assert!(error < -20.0, "windows of {wiener_window_frames}, {len} samples: {error:.1} dB");
            }
        }
    }
}

#[test]
fn offline_models_separate_files_and_refuse_to_play_live() {
    if golden("tiny_rt_random_io.safetensors").is_none() {
        return;
    }
    let (_dir, model) = imported(false);
    let config = separator::EngineConfig { sample_rate_hz: 44_100.0, max_block_len: 512 };
    match separator::Engine::start(runtime(), &model, &config) {
        Err(SeparatorError::ForFilesOnly { name }) => assert_eq!(name, "tiny"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it should be refused"),
    }
    for rate in [44_100.0, 48e3] {
        for len in [1, 1008, 20_011] {
            let mix = noise(len, 3);
            let stems = separate(&model, rate, &mix, || 5000);
            for channel in 0..2 {
                let sum: Vec<f32> = (0..len).map(|n| stems.iter().map(|stem| stem[channel][n]).sum()).collect();
                assert!(error_db(&mix[channel], &sum) < -110.0, "{rate} Hz, {len} samples");
            }
        }
    }
}

/// A sound moves no stem's sample that lies earlier than the reported latency lets it.
#[test]
fn look_ahead_of_the_network_is_what_the_manifest_says() {
    if golden("tiny_rt_random_io.safetensors").is_none() {
        return;
    }
    let (_dir, model) = imported(true);
    let delay = Pipeline::new(&runtime(), &model).unwrap().delay_samples();
    assert_eq!(delay, 3 * 1008);
    let quiet = noise(40 * 1008, 1);
    let mut loud = quiet.clone();
    let at = 20 * 1008;
    loud[0][at..].iter_mut().for_each(|x| *x *= 3.0);
    let (quiet, loud) = (separate(&model, 44_100.0, &quiet, || 1008), separate(&model, 44_100.0, &loud, || 1008));
    let first = |stem: usize| (0..at).find(|&n| quiet[stem][1][n] != loud[stem][1][n]).unwrap();
    let earliest = (0..4).map(first).min().unwrap();
    println!("the network hears a change {} samples before it comes, {delay} are waited for", at - earliest);
    assert!(at - earliest <= delay, "it looks further ahead than is waited for");
    assert!(at - earliest > delay - 1008, "more is waited for than it looks ahead");
}
