//! A long life: random blocks in random surroundings, instances that come and go, and an instance that plays on and on. A
//! few thousand blocks and a minute here; by hand
//! `UNBRAID_SOAK_BLOCKS=1000000 UNBRAID_SOAK_MINUTES=30 cargo test --release -p tests --test soak`.

use separator::testing::TestModel;
use std::time::{Duration, Instant};
use tests::host::{Automation, Library, Plugin, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::{bundle_with_models, isolated, isolated_with_model, say};
use tests::places;
use tests::signal::{Random, Stereo, noise};

const MIX_STATE: &str = r#"{"version":"","params":{},"fields":{"model":"\"mix\""}}"#;
const OTHER_STATE: &str = r#"{"version":"","params":{},"fields":{"model":"\"other\""}}"#;

fn num_blocks() -> usize {
    std::env::var("UNBRAID_SOAK_BLOCKS").ok().and_then(|number| number.parse().ok()).unwrap_or(4_000)
}

/// A number in the wide range from `low` to `high`, small ones as often as large ones.
fn random_len(random: &mut Random, low: usize, high: usize) -> usize {
    (low as f64 * (high as f64 / low as f64).powf(random.unit().into())).round() as usize
}

/// Sound in pieces, each loud, silent or full of what is no number.
fn random_input(random: &mut Random, len: usize, rate: f64, with_nan: bool) -> Stereo {
    let mut input = noise(len, random.between(1, 1_000_000) as u64);
    let mut start = 0;
    while start < len {
        let end = len.min(start + random_len(random, 1, 20_000));
        match random.between(0, 9) {
            0..3 => input.iter_mut().for_each(|channel| channel[start..end].fill(0.0)),
            3 if with_nan => {
                let value = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX][random.between(0, 3)];
                input[random.between(0, 1)][start..end].fill(value);
            }
            _ => {}
        }
        start = end;
    }
    if !with_nan {
        input.iter_mut().for_each(|channel| smooth(channel, rate));
    }
    input
}

/// Takes away what lies near half the sampling rate of host or model: resampling does so too, and what it takes is
/// shared out among the stems. The mean of two neighbours, as often as it takes.
fn smooth(channel: &mut [f32], rate: f64) {
    let num_times = (8.0 * (rate / 44_100.0).powi(2)).ceil().max(8.0) as usize;
    for _ in 0..num_times {
        for n in (1..channel.len()).rev() {
            channel[n] = 0.5 * (channel[n] + channel[n - 1]);
        }
        channel[0] *= 0.5;
    }
}

/// What must hold of every sample, whatever is set: outputs `[port][channel][sample]`, the main one first.
fn check(input: &Stereo, outputs: &[Stereo], latency: usize, is_untouched: bool, with_nan: bool, what: &str) {
    let peak = input.iter().flatten().filter(|sample| sample.is_finite()).fold(1.0f32, |peak, x| peak.max(x.abs()));
    for channel in 0..2 {
        #[expect(clippy::needless_range_loop, reason = "several signals have this index")]
        for n in 0..input[0].len() {
            let heard = n.checked_sub(latency).map_or(0.0, |n| input[channel][n]);
            let main = outputs[0][channel][n];
            let stems: [f32; 4] = std::array::from_fn(|stem| outputs[stem + 1][channel][n]);
            let here = || format!("{what}, channel {channel}, sample {n}: {heard} in, {main} out, stems {stems:?}");
            if is_untouched {
                assert!(heard.to_bits() == main.to_bits(), "{}", here());
            }
            if with_nan {
                // Huge numbers are heard as such, and gains are at most 12 dB; only what goes in may be infinite.
                assert!(main.is_finite() || !heard.is_finite() || heard.abs() > 1e30, "{}", here());
                continue;
            }
            assert!(main.is_finite() && stems.iter().all(|stem| stem.is_finite()), "{}", here());
            let sum: f32 = stems.iter().sum();
            assert!((sum - main).abs() < 1e-4 * peak, "{}", here());
            if is_untouched {
                // Vocals or drums are the mix, or both while one model follows the other. A late hop would be shared out.
                assert!(stems[2].abs() < 1e-3 * peak && stems[3].abs() < 1e-3 * peak, "{}", here());
            }
        }
    }
}

/// In offline renders every stem is waited for, so nothing may ever be missing: any rate, any block, jumps of the
/// transport, automation, silence, what is no number, and models that change.
#[test]
fn random_blocks_give_no_wrong_late_or_non_finite_sample() {
    let test = "random_blocks_give_no_wrong_late_or_non_finite_sample";
    let drums = TestModel::with_masks([0.0, 1.0, 0.0, 0.0]);
    let clap = bundle_with_models(test, "clap", &[("mix", TestModel::identity()), ("other", drums)]);
    isolated(test, &[], || {
        let mut random = Random::new(1);
        let library = Library::load(&clap);
        let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let (mut num_done, mut num_activations, mut num_models, begin) = (0, 0, 0, Instant::now());
        while num_done < num_blocks() {
            num_activations += 1;
            let rate = [22_050.0, 44_100.0, 48_000.0, 88_200.0, 96_000.0][random.between(0, 4)];
            let max_len = random_len(&mut random, 1, 8_192);
            load(&mut plugin, [MIX_STATE, OTHER_STATE][random.between(0, 1)]);
            let mut processor = plugin.activate(rate, max_len);
            for stream in 0..random.between(1, 3) {
                // The transport has jumped.
                if stream > 0 {
                    processor.reset();
                }
                let (is_untouched, with_nan) = (random.between(0, 1) == 0, random.between(0, 3) == 0);
                let latency = plugin.latency();
                let lens: Vec<usize> =
                    (0..random.between(20, 200)).map(|_| random_len(&mut random, 1, max_len)).collect();
                let len = lens.iter().sum();
                let input = random_input(&mut random, len, rate, with_nan);
                let automation: Vec<Automation> =
                    if is_untouched { vec![] } else { automate(&mut random, &plugin, len) };
                let what = format!(
                    "activation {num_activations}, {rate} Hz, blocks up to {max_len}, {} changes",
                    automation.len()
                );
                let half = lens.len() / 2;
                let middle = lens[..half].iter().sum::<usize>();
                let mut parts = [0..middle, middle..len].into_iter();
                let mut outputs = vec![[vec![], vec![]]; 5];
                for (lens, range) in [&lens[..half], &lens[half..]].into_iter().zip(&mut parts) {
                    let part = input.each_ref().map(|channel| channel[range.clone()].to_vec());
                    let changes: Vec<Automation> = automation
                        .iter()
                        .filter(|change| range.contains(&change.sample_idx))
                        .map(|change| Automation { sample_idx: change.sample_idx - range.start, ..*change })
                        .collect();
                    if !part[0].is_empty() {
                        append(&mut outputs, processor.render(&part, lens.iter().copied(), &changes));
                    }
                    // Another model comes in behind the music. A state sets all controls as well: not where they count.
                    if is_untouched && random.between(0, 1) == 0 {
                        num_models += 1;
                        load(&mut plugin, [MIX_STATE, OTHER_STATE][random.between(0, 1)]);
                    }
                }
                check(&input, &outputs, latency, is_untouched, with_nan, &what);
                num_done += lens.len();
                if !is_untouched {
                    load(&mut plugin, MIX_STATE);
                    processor.reset();
                }
            }
            plugin.deactivate(processor);
        }
        say(&format!(
            "  {num_done} blocks, {num_activations} activations, {num_models} changes of the model, {:.0} s",
            begin.elapsed().as_secs_f64()
        ));
    });
}

fn load(plugin: &mut Plugin, state: &str) {
    let bytes = [&(state.len() as u64).to_le_bytes()[..], state.as_bytes()].concat();
    assert!(plugin.load_state(&bytes));
}

fn automate(random: &mut Random, plugin: &Plugin, len: usize) -> Vec<Automation> {
    let params = plugin.params();
    let mut changes: Vec<Automation> = (0..random.between(1, 100))
        .map(|_| {
            let param = &params[random.between(0, params.len() - 1)];
            let value = param.range[0] + f64::from(random.unit()) * (param.range[2] - param.range[0]);
            Automation { sample_idx: random.between(0, len - 1), param: param.id, value }
        })
        .collect();
    changes.sort_by_key(|change| change.sample_idx);
    changes
}

fn append(outputs: &mut [Stereo], new: Vec<Stereo>) {
    for (output, new) in outputs.iter_mut().flatten().zip(new.into_iter().flatten()) {
        output.extend(new);
    }
}

/// Resident memory in MB.
#[cfg(target_os = "linux")]
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line with the memory");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// Inserted, played, removed, and its library closed, again and again.
#[cfg(target_os = "linux")]
#[test]
fn instances_that_come_and_go_leave_memory_as_it_was() {
    const NUM_CYCLES: usize = 200;
    isolated_with_model("instances_that_come_and_go_leave_memory_as_it_was", &TestModel::identity(), || {
        let block = noise(512, 1);
        let mut memory = Vec::new();
        for cycle in 0..NUM_CYCLES {
            let library = Library::load(&places::clap());
            let mut plugin = Plugin::new(&library, [UNBRAID, UNBRAID_MULTI_OUT][cycle % 2]);
            plugin.set_offline(true);
            let mut processor = plugin.activate(44_100.0, 512);
            // Offline: the model has been opened when stems are there.
            (0..12).for_each(|_| drop(processor.render(&block, [512], &[])));
            plugin.deactivate(processor);
            drop((plugin, library));
            memory.push(resident_mb());
        }
        // What is kept for good (ONNX Runtime, the library itself) is there after the first quarter.
        let [before, after] = [NUM_CYCLES / 4, NUM_CYCLES - 1].map(|cycle| memory[cycle]);
        say(&format!("  {NUM_CYCLES} cycles: {before:.1} MB after a quarter, {after:.1} MB at the end"));
        assert!(after - before < 4.0, "{before:.1} MB, then {after:.1} MB");
        std::thread::sleep(Duration::from_millis(100));
    });
}

/// One instance plays on, with automation, and its state is saved now and then.
#[cfg(target_os = "linux")]
#[test]
fn an_instance_that_plays_on_leaves_memory_as_it_was() {
    const RATE: usize = 48_000;
    isolated_with_model("an_instance_that_plays_on_leaves_memory_as_it_was", &TestModel::identity(), || {
        let num_minutes = std::env::var("UNBRAID_SOAK_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        let mut random = Random::new(1);
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE as f64, 512);
        let input = noise(RATE, 1);
        let mut memory = Vec::new();
        for _ in 0..60 * num_minutes {
            let automation = automate(&mut random, &plugin, RATE);
            drop(processor.render(&input, std::iter::repeat(512), &automation));
            plugin.save_state();
            plugin.idle();
            memory.push(resident_mb());
        }
        plugin.deactivate(processor);
        let [before, after] = [memory[memory.len() / 10], memory[memory.len() - 1]];
        say(&format!("  {num_minutes} minutes: {before:.1} MB after a tenth, {after:.1} MB at the end"));
        assert!(after - before < 2.0, "{before:.1} MB, then {after:.1} MB");
    });
}
