//! Published weights (`../shared/golden`: the reference with random weights), imported and streamed.

#![allow(clippy::needless_range_loop)]

mod common;
mod exact;
use common::*;
use models::{
    Model,
    import::{ImportOptions, SETTINGS_FILE, import},
};
use safetensors::SafeTensors;
use separator::{
    Graph, Pipeline, SeparatorError, Wiener,
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
    assert!(imported.num_nodes < 160, "{} operations", imported.num_nodes);
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
    let mut network = Graph::open(&runtime(), model).unwrap().make_state().unwrap();
    let (slice_len, masks_len) = (2 * plan.num_coefs(), 8 * plan.num_coefs());
    let silence = vec![0.0; slice_len];
    let mut masks = Vec::new();
    for slice in 0..NUM_SLICES + model.manifest.look_ahead_slices {
        let mut out = vec![f32::NAN; masks_len];
        if slice == NUM_SLICES {
            network.end();
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

fn shown(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.1e}")).collect::<Vec<_>>().join(" ")
}

/// Largest difference per bucket of `[slice][part][coef]`, where both are numbers.
fn worst_by_bucket<T: Copy>(
    plan: &Plan<f32>,
    expected: &[T],
    actual: &[T],
    distance: impl Fn(T, T) -> f64,
) -> Vec<f64> {
    let rows = || expected.chunks_exact(plan.num_coefs()).zip(actual.chunks_exact(plan.num_coefs()));
    let of = |range: std::ops::Range<usize>| {
        let pairs = rows().flat_map(|(a, b)| a[range.clone()].iter().zip(&b[range.clone()]));
        pairs.map(|(a, b)| distance(*a, *b)).fold(0.0, f64::max)
    };
    assert_eq!(expected.len(), actual.len());
    plan.buckets().iter().map(|bucket| of(bucket.coefs.clone())).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Largest difference and root mean square, in bucket 0, where both are numbers.
fn in_bucket_0(plan: &Plan<f32>, exact: &[f64], actual: &[f32]) -> (f64, f64) {
    let rows = exact.chunks_exact(plan.num_coefs()).zip(actual.chunks_exact(plan.num_coefs()));
    let coefs = plan.buckets()[0].coefs.clone();
    let differences = rows.flat_map(|(a, b)| a[coefs.clone()].iter().zip(&b[coefs.clone()]));
    let differences: Vec<f64> = differences.map(|(a, b)| (a - f64::from(*b)).abs()).collect();
    let mean = differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64;
    (differences.into_iter().fold(0.0, f64::max), mean.sqrt())
}

/// Masks of all buckets within 5e-6 of the formulas in f64, and of the golden data wherever these are. In bucket 0 (DC and
/// the lowest bands) they are not: the golden weights are random, drive the sigmoid's argument beyond 100 there, and
/// f32 leaves several 1e-6, whoever computes it. There we must be nearer to f64 than the golden data.
fn check_masks(name: &str, plan: &Plan<f32>, exact: &[f64], golden: &[f32], ours: &[f32]) {
    let distance = |a: f64, b: f64| (a - b).abs();
    let to_golden = worst_by_bucket(plan, &wide(golden), &wide(ours), distance);
    let to_exact = worst_by_bucket(plan, exact, &wide(ours), distance);
    let golden_to_exact = worst_by_bucket(plan, exact, &wide(golden), distance);
    println!("{name} masks by bucket, stream against published batch: {}", shown(&to_golden));
    println!("{name} masks by bucket, stream against f64: {}", shown(&to_exact));
    println!("{name} masks by bucket, published batch against f64: {}", shown(&golden_to_exact));
    assert!(ours.iter().all(|mask| !mask.is_nan()));
    assert!(to_exact.iter().all(|worst| *worst <= 5e-6), "{to_exact:?}");
    assert!(to_golden[1..].iter().all(|worst| *worst <= 5e-6), "{to_golden:?}");
    let in_0 = exact.chunks_exact(plan.num_coefs()).flat_map(|row| &row[plan.buckets()[0].coefs.clone()]);
    println!("{name}, bucket 0: the smallest mask is {:.0e}", in_0.fold(1f64, |least, mask| least.min(*mask)));
    let (ours, golden) = (in_bucket_0(plan, exact, ours), in_bucket_0(plan, exact, golden));
    println!("{name}, bucket 0 against f64: ours {:.1e}, root mean square {:.2e}", ours.0, ours.1);
    println!("{name}, bucket 0 against f64: published {:.1e}, root mean square {:.2e}", golden.0, golden.1);
    assert!(golden.0 > 5e-6 && golden.0 < 1e-5, "the golden data has changed: {}", golden.0);
    assert!(ours.1 < golden.1, "ours {ours:?}, published {golden:?}");
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
    let exact = exact::masks(&golden("tiny_rt_random_state.safetensors").unwrap(), &plan, true, &x);
    check_masks("realtime", &plan, &exact, &expected, &masks);
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
    let exact_masks = exact::masks(&golden("tiny_rt_random_state.safetensors").unwrap(), &plan, false, &x);
    check_masks("offline", &plan, &exact_masks, &expected_masks, &masks);
    assert_eq!(worst(&expected_masks, &masks).1, 8 * NUM_SLICES * (9 * 16 + 2 * 20 + 60 + 212));

    let expected = by_slice(&plan, &offline, "y", 8, 2);
    // The filter alone, from the published masks.
    let given: Vec<f32> = expected_masks.iter().map(|mask| if mask.is_nan() { 0.5 } else { *mask }).collect();
    let filtered = wiener_filtered(&plan, &x, &given);
    let (worst_filter, num_compared) = worst(&expected, &values(&filtered));
    println!("Wiener filter against the published one: {worst_filter:.1e} of {num_compared}");
    assert!(worst_filter <= 1e-5, "{worst_filter}");
    assert_eq!(num_compared, 16 * NUM_SLICES * (9 * 16 + 2 * 20 + 60 + 212));

    // Network and filter.
    let exact = exact::wiener(&plan, &x, &exact_masks);
    let ours: Vec<Complex<f64>> = wiener_filtered(&plan, &x, &masks).iter().map(wide_complex).collect();
    let published: Vec<Complex<f64>> = complex(&expected).iter().map(wide_complex).collect();
    let distance = |a: Complex<f64>, b: Complex<f64>| (a.re - b.re).abs().max((a.im - b.im).abs());
    let to_golden = worst_by_bucket(&plan, &published, &ours, distance);
    let to_exact = worst_by_bucket(&plan, &exact, &ours, distance);
    let golden_to_exact = worst_by_bucket(&plan, &exact, &published, distance);
    let silence = vec![Complex::default(); x.len()];
    let peak = worst_by_bucket(&plan, &x, &silence, |c, _| c.norm().into());
    println!("masks and Wiener filter by bucket, ours against published: {}", shown(&to_golden));
    println!("masks and Wiener filter by bucket, ours against f64: {}", shown(&to_exact));
    println!("masks and Wiener filter by bucket, published against f64: {}", shown(&golden_to_exact));
    println!("largest coefficients of the mix by bucket: {}", shown(&peak));
    // What the filter makes of arguments of the sigmoid that are 1e-6 off, up and down in turn.
    let nudged =
        exact_masks.iter().enumerate().map(|(i, mask)| mask + mask * (1.0 - mask) * [1e-6, -1e-6][i * 7919 / 64 % 2]);
    let nudged = exact::wiener(&plan, &x, &nudged.collect::<Vec<_>>());
    let nudged = worst_by_bucket(&plan, &exact, &nudged, distance);
    println!("of arguments of the sigmoid 1e-6 off the filter makes, by bucket: {}", shown(&nudged));
    assert!(ours.iter().all(|y| y.re.is_finite() && y.im.is_finite()));
    assert!(to_golden[1..].iter().all(|worst| *worst <= 1e-5), "{to_golden:?}");
    assert!(to_exact[1..].iter().all(|worst| *worst <= 1e-5), "{to_exact:?}");
    // In bucket 0 the published masks and filter are not within 1e-5 of the formulas themselves: that would take the
    // sigmoid's arguments, sums of terms beyond 100, within 1e-6. There it is 1e-5 of the largest coefficient.
    assert!(golden_to_exact[0] > 1e-5, "the golden data has changed: {golden_to_exact:?}");
    assert!(to_exact[0] <= 1e-5 * peak[0], "{to_exact:?}");
}

fn values(coefs: &[Complex<f32>]) -> Vec<f32> {
    coefs.iter().flat_map(|c| [c.re, c.im]).collect()
}

fn wide_complex(c: &Complex<f32>) -> Complex<f64> {
    Complex::new(c.re.into(), c.im.into())
}

/// Estimates `[slice][stem][channel][coef]` of our filter from coefficients `[slice][channel][coef]` and masks.
fn wiener_filtered(plan: &Plan<f32>, x: &[Complex<f32>], masks: &[f32]) -> Vec<Complex<f32>> {
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
            estimates.extend(coefs);
        }
    }
    estimates.split_off(wiener.delay_slices() * 8 * num_coefs)
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
