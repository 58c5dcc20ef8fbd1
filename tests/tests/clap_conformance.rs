//! What clap-validator 0.4.1 asks of an effect, in a host of our own; the rest of it is in `clap`, `controls`, `latency` and
//! `state`. Without an editor: hosts with one open are in `editor_window`. Not asked here: buffers in place, an unknown factory, sleep
//! masks, transport.

use separator::testing::TestModel;
use std::collections::HashSet;
use std::iter::repeat;
use std::time::{Duration, Instant};
use tests::host::{Automation, Library, Plugin, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::{isolated_with_model, say};
use tests::places;
use tests::signal::{Random, Stereo, noise, silence};

const IDS: [&str; 2] = [UNBRAID, UNBRAID_MULTI_OUT];

/// Runs `body` for both plugins.
fn for_both(test: &str, body: impl Fn(&Library, &mut Plugin, &str)) {
    isolated_with_model(test, &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        for id in IDS {
            let mut plugin = Plugin::new(&library, id);
            plugin.set_offline(true);
            body(&library, &mut plugin, id);
        }
    });
}

fn assert_clean(outputs: &[Stereo], what: &str) {
    let is_clean = |x: &f32| x.is_finite() && !x.is_subnormal();
    assert!(outputs.iter().flatten().flatten().all(is_clean), "{what}: not finite, or subnormal");
}

#[test]
fn the_library_describes_itself_and_makes_nothing_else() {
    for_both("the_library_describes_itself_and_makes_nothing_else", |library, _, id| {
        let descriptors = library.descriptors();
        assert_eq!(descriptors.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), IDS);
        for (id, name, features) in descriptors {
            assert!(!name.is_empty() && features.iter().any(|feature| feature == "audio-effect"), "{id}: {features:?}");
            let different: HashSet<_> = features.iter().collect();
            assert_eq!(different.len(), features.len(), "{id}: a feature twice");
        }
        assert!(library.makes(id));
        for wrong in [format!("{id} "), format!("{id}x"), id[1..].to_owned(), String::new()] {
            assert!(!library.makes(&wrong), "{wrong:?}");
        }
    });
}

/// Hosts scan in moments and activate while a user waits. The bounds leave room for a busy machine; VALIDATION has what was
/// measured.
#[test]
fn scan_and_activation_are_quick() {
    isolated_with_model("scan_and_activation_are_quick", &TestModel::identity(), || {
        let median = |mut times: Vec<Duration>| {
            times.sort();
            times[times.len() / 2]
        };
        let scan = || {
            let start = Instant::now();
            let library = Library::load(&places::clap());
            library.descriptors().len();
            library.plugin_ids().iter().for_each(|id| drop(Plugin::new(&library, id)));
            start.elapsed()
        };
        let scans: Vec<_> = (0..9).map(|_| scan()).collect();
        let library = Library::load(&places::clap());
        let activations = (0..9).map(|_| {
            // A new one each time, with an engine and a model to open.
            let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
            let start = Instant::now();
            let processor = plugin.activate(48_000.0, 512);
            let passed = start.elapsed();
            plugin.deactivate(processor);
            passed
        });
        let activations: Vec<_> = activations.collect();
        let (first, scan, activation) = (scans[0], median(scans), median(activations));
        say(&format!("  scan {scan:.1?} (the first {first:.1?}), activation {activation:.1?}"));
        assert!(scan < Duration::from_millis(500) && activation < Duration::from_millis(1_000));
    });
}

#[test]
fn any_rate_will_do() {
    for_both("any_rate_will_do", |_, plugin, id| {
        let rates = [
            1_000.0, 8_000.0, 11_025.0, 12_345.678, 22_050.0, 44_100.0, 44_100.5, 48_000.0, 88_200.0, 96_000.0,
            192_000.0, 384_000.0, 768_000.0,
        ];
        for rate in rates {
            let mut processor = plugin.activate(rate, 512);
            let outputs = processor.render(&noise(20 * 512, 1), repeat(512), &[]);
            assert_clean(&outputs, &format!("{id}, {rate} Hz"));
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn any_block_size_will_do() {
    for_both("any_block_size_will_do", |_, plugin, id| {
        let mut random = Random::new(1);
        for max_len in [1, 2, 3, 16, 100, 441, 512, 1_000, 2_048, 16_384] {
            let mut processor = plugin.activate(44_100.0, max_len);
            let lens: Vec<usize> = (0..40).map(|_| random.between(1, max_len)).collect();
            let len = 40 * max_len + lens.iter().sum::<usize>();
            let outputs = processor.render(&noise(len, 1), std::iter::repeat_n(max_len, 40).chain(lens), &[]);
            assert_clean(&outputs, &format!("{id}, blocks up to {max_len}"));
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn subnormal_input_and_silence_come_out_clean() {
    for_both("subnormal_input_and_silence_come_out_clean", |_, plugin, id| {
        let mut processor = plugin.activate(44_100.0, 512);
        let tiny = silence(40_000).map(|channel| channel.iter().map(|_| 1e-40).collect());
        let outputs = processor.render(&tiny, repeat(512), &[]);
        // The main output is the input, bit for bit; what is computed of it is not subnormal.
        assert_clean(&outputs[1..], id);
        processor.reset();
        let outputs = processor.render(&silence(40_000), repeat(512), &[]);
        assert!(outputs.iter().flatten().flatten().all(|&x| x == 0.0), "{id}: silence is not silent");
        plugin.deactivate(processor);
    });
}

#[test]
fn after_a_reset_and_an_activation_the_same_comes_out() {
    for_both("after_a_reset_and_an_activation_the_same_comes_out", |_, plugin, id| {
        let input = noise(60_000, 1);
        let mut processor = plugin.activate(44_100.0, 512);
        let expected = processor.render(&input, repeat(512), &[]);
        processor.reset();
        assert!(processor.render(&input, repeat(512), &[]) == expected, "{id}: after a reset");
        plugin.deactivate(processor);
        let mut processor = plugin.activate(44_100.0, 512);
        assert!(processor.render(&input, repeat(512), &[]) == expected, "{id}: after an activation");
        plugin.deactivate(processor);
    });
}

#[test]
fn parameters_have_sound_ranges_and_stay_in_them() {
    for_both("parameters_have_sound_ranges_and_stay_in_them", |_, plugin, id| {
        let params = plugin.params().to_vec();
        let ids: HashSet<_> = params.iter().map(|param| param.id).collect();
        assert_eq!(ids.len(), params.len(), "{id}: an id twice");
        for param in &params {
            let [low, default, high] = param.range;
            assert!(low < high && (low..=high).contains(&default), "{id}: {param:?}");
            assert_eq!(plugin.value(&param.name), default, "{id}: {} in a new instance", param.name);
        }
        // Fuzzed: values at the bounds and between, many at once.
        let mut random = Random::new(1);
        let mut processor = plugin.activate(44_100.0, 512);
        for _ in 0..30 {
            let mut automation: Vec<Automation> = params
                .iter()
                .map(|param| {
                    let [low, _, high] = param.range;
                    let place = [0.0, 1.0, f64::from(random.unit())][random.between(0, 2)];
                    let sample_idx = random.between(0, 2_047);
                    Automation { sample_idx, param: param.id, value: low + place * (high - low) }
                })
                .collect();
            automation.sort_by_key(|change| change.sample_idx);
            let outputs = processor.render(&noise(2_048, 2), repeat(512), &automation);
            assert_clean(&outputs, id);
            for param in &params {
                let value = plugin.value(&param.name);
                assert!((param.range[0]..=param.range[2]).contains(&value), "{id}: {} is {value}", param.name);
            }
        }
        plugin.deactivate(processor);
    });
}

#[test]
fn states_come_back_byte_for_byte_and_nonsense_is_refused() {
    for_both("states_come_back_byte_for_byte_and_nonsense_is_refused", |library, plugin, id| {
        assert!(!plugin.load_state(&[]), "{id}: an empty state");
        let mut random = Random::new(1);
        for _ in 0..3 {
            let nonsense: Vec<u8> = (0..1 << 20).map(|_| random.between(0, 255) as u8).collect();
            assert!(!plugin.load_state(&nonsense), "{id}: a megabyte of nonsense");
        }
        let params = plugin.params().to_vec();
        for _ in 0..100 {
            let automation: Vec<Automation> = params
                .iter()
                .map(|param| {
                    let [low, _, high] = param.range;
                    Automation { sample_idx: 0, param: param.id, value: low + f64::from(random.unit()) * (high - low) }
                })
                .collect();
            let mut processor = plugin.activate(44_100.0, 64);
            processor.render(&noise(64, 1), [64], &automation);
            plugin.deactivate(processor);
            let state = plugin.save_state();
            let piece_len = random.between(1, 300);
            assert_eq!(plugin.save_state_in_pieces(piece_len), state, "{id}: pieces of {piece_len}");
            let mut other = Plugin::new(library, id);
            assert!(other.load_state_in_pieces(&state, piece_len), "{id}: pieces of {piece_len}");
            assert!(other.save_state() == state, "{id}: saved, loaded, saved: {}", String::from_utf8_lossy(&state));
            for param in &params {
                assert_eq!(other.value(&param.name), plugin.value(&param.name), "{id}: {}", param.name);
            }
        }
    });
}
