//! States from anywhere, loaded at any time.

use separator::testing::TestModel;
use slicqt::Design;
use std::iter::repeat;
use std::time::{Duration, Instant};
use tests::isolated::{bundle_with_models, isolated, isolated_with_model};
use tests::measure::{best_delay, delayed, difference_db, excerpt, first_difference, power_db};
use tests::signal::{Random, Stereo, noise};
use tests::{host, places, vst3_host};

const RATE: f64 = 44_100.0;

/// States of each sort to try; more of them by hand: `UNBRAID_FUZZ_CASES=100000`.
fn num_states() -> usize {
    std::env::var("UNBRAID_FUZZ_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(1_000)
}

/// The JSON of a state; CLAP's has a length in front.
fn with_length(json: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes()[..], json].concat()
}

/// States that are well-formed, and mostly nonsense.
fn mutated_state(random: &mut Random) -> String {
    let names = [
        "vocals",
        "drums",
        "bass",
        "other",
        "bypass",
        "automation",
        "nobody",
        "vocals_solo",
        "drums_mute",
        "bass_pan",
        "dry_wet",
        "output",
    ];
    let params: Vec<String> = names
        .iter()
        .filter_map(|name| {
            if random.unit() < 0.2 {
                return None;
            }
            let exponent = 80.0 * (f64::from(random.unit()) - 0.5);
            let number = 10.0_f64.powf(exponent) * if random.unit() < 0.5 { -1.0 } else { 1.0 };
            let value = match random.between(0, 7) {
                0 => format!(r#"{{"i32":{}}}"#, random.between(0, 4_000_000_000) as i32),
                1 => format!(r#"{{"bool":{}}}"#, random.unit() < 0.5),
                2 => r#"{"string":"loud"}"#.to_owned(),
                3 => r#"{"f32":3.4e38}"#.to_owned(),
                4 => format!(r#"{{"f32":{}}}"#, 100.0 * f64::from(random.unit()) - 50.0),
                _ => format!(r#"{{"f32":{number:e}}}"#),
            };
            Some(format!(r#""{name}":{value}"#))
        })
        .collect();
    let model = [r#""model":"\"mix\"""#, r#""model":"17""#, r#""model":"\"../..\"""#, r#""x":"\"y\"""#, ""];
    format!(r#"{{"version":"9","params":{{{}}},"fields":{{{}}}}}"#, params.join(","), model[random.between(0, 4)])
}

fn is_finite(outputs: &[Stereo]) -> bool {
    outputs.iter().flatten().flatten().all(|sample| sample.is_finite() && sample.abs() < 100.0)
}

#[test]
fn a_thousand_strange_states_make_no_strange_sound() {
    isolated_with_model("a_thousand_strange_states_make_no_strange_sound", &TestModel::identity(), || {
        let mut random = Random::new(1);
        let library = host::Library::load(&places::clap());
        let mut plugin = host::Plugin::new(&library, host::UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, 512);
        let vst3_library = vst3_host::Library::load(&places::vst3());
        let mut vst3_plugin = vst3_host::Plugin::new(&vst3_library, "Unbraid");
        vst3_plugin.setup(vst3_host::Mode::Offline, RATE, 512);
        vst3_plugin.activate();
        let input = noise(1_536, 1);
        processor.render(&noise(20_000, 1), repeat(512), &[]);
        vst3_plugin.render(&noise(20_000, 1), repeat(512), &[], vst3_host::Outputs::Connected);
        let mut num_taken = 0;
        for _ in 0..num_states() {
            let state = mutated_state(&mut random);
            num_taken += usize::from(plugin.load_state(&with_length(state.as_bytes())));
            vst3_plugin.load_state(state.as_bytes());
            assert!(is_finite(&processor.render(&input, repeat(512), &[])), "CLAP: {state}");
            let outputs = vst3_plugin.render(&input, repeat(512), &[], vst3_host::Outputs::Connected);
            assert!(is_finite(&outputs), "VST3: {state}");
            for param in plugin.params().to_vec() {
                let value = plugin.value(&param.name);
                assert!((param.range[0]..=param.range[2]).contains(&value), "{}: {value} by {state}", param.name);
            }
        }
        assert!(num_taken > num_states() / 2, "most of them are well-formed, {num_taken} were taken");
        // And bytes that are no state at all.
        let state = plugin.save_state();
        for _ in 0..num_states() {
            let mut damaged = state.clone();
            for _ in 0..random.between(1, 4) {
                let byte_idx = random.between(0, damaged.len() - 1);
                damaged[byte_idx] ^= 1 << random.between(0, 7);
            }
            damaged.truncate(random.between(0, damaged.len()));
            plugin.load_state(&damaged);
            vst3_plugin.load_state(damaged.get(8..).unwrap_or_default());
            assert!(is_finite(&processor.render(&input, repeat(512), &[])));
        }
        plugin.deactivate(processor);
    });
}

/// Two models with different latencies, by their names.
fn two_models() -> [(&'static str, TestModel); 2] {
    let other = TestModel { design: Design::stft(2_048, 1_024, RATE), ..TestModel::identity() };
    [("mix", TestModel::identity()), ("other", other)]
}

const OTHER_MODEL: &str = r#"{"version":"","params":{},"fields":{"model":"\"other\""}}"#;
const FIRST_MODEL: &str = r#"{"version":"","params":{},"fields":{"model":"\"first\""}}"#;
const MIX_MODEL: &str = r#"{"version":"","params":{},"fields":{"model":"\"mix\""}}"#;

/// A model of the same latency comes in while the music goes on: what was the vocals becomes the drums, without a gap.
#[test]
fn a_state_with_a_model_of_the_same_latency_needs_no_restart() {
    let test = "a_state_with_a_model_of_the_same_latency_needs_no_restart";
    let drums = TestModel::with_masks([0.0, 1.0, 0.0, 0.0]);
    let clap = bundle_with_models(test, "clap", &[("mix", TestModel::identity()), ("other", drums)]);
    isolated(test, &[], || {
        let library = host::Library::load(&clap);
        let mut plugin = host::Plugin::new(&library, host::UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, 512);
        let latency = plugin.latency();
        let input = noise(latency + 20_000, 1);
        let inside = latency..input[0].len();
        let outputs = processor.render(&input, repeat(512), &[]);
        let is_there = |output: &Stereo| power_db(&excerpt(output, inside.clone())) > -40.0;
        assert_eq!([1, 2].map(|port_idx| is_there(&outputs[port_idx])), [true, false]);
        assert!(plugin.load_state(&with_length(OTHER_MODEL.as_bytes())));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            assert!(!plugin.idle(), "a restart is asked for");
            let outputs = processor.render(&input, repeat(512), &[]);
            let sum = [0, 1].map(|c| (0..input[0].len()).map(|i| (1..5).map(|p| outputs[p][c][i]).sum()).collect());
            assert!(difference_db(&outputs[0], &sum) < -80.0, "the stems sum to the mix all the time");
            if [1, 2].map(|port_idx| is_there(&outputs[port_idx])) == [false, true] {
                plugin.deactivate(processor);
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the other model has not come in");
    });
}

/// Projects that were made with the default model of earlier versions go on with it.
#[test]
fn a_state_that_names_an_earlier_default_plays_that_model() {
    let test = "a_state_that_names_an_earlier_default_plays_that_model";
    let drums = TestModel::with_masks([0.0, 1.0, 0.0, 0.0]);
    let clap = bundle_with_models(test, "clap", &[("mix", TestModel::identity()), ("first", drums)]);
    isolated(test, &[], || {
        let library = host::Library::load(&clap);
        for (state, expected) in [(None, [true, false]), (Some(FIRST_MODEL), [false, true])] {
            let mut plugin = host::Plugin::new(&library, host::UNBRAID_MULTI_OUT);
            plugin.set_offline(true);
            if let Some(state) = state {
                assert!(plugin.load_state(&with_length(state.as_bytes())));
            }
            let mut processor = plugin.activate(RATE, 512);
            let latency = plugin.latency();
            let input = noise(latency + 20_000, 1);
            let outputs = processor.render(&input, repeat(512), &[]);
            let is_there = |port: usize| power_db(&excerpt(&outputs[port], latency..input[0].len())) > -40.0;
            assert_eq!([1, 2].map(is_there), expected);
            let saved = String::from_utf8_lossy(&plugin.save_state()).into_owned();
            assert!(saved.contains(if state.is_some() { "first" } else { base::DEFAULT_MODEL }), "{saved}");
            plugin.deactivate(processor);
        }
    });
}

/// Whether the plugin asks for a restart within a second; without one, that is long enough to say no.
fn wants_restart(mut asked: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        if asked() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn clap_a_state_with_another_model_asks_for_a_restart() {
    let test = "clap_a_state_with_another_model_asks_for_a_restart";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let library = host::Library::load(&clap);
        let mut plugin = host::Plugin::new(&library, host::UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let processor = plugin.activate(RATE, 512);
        let first_latency = plugin.latency();
        assert!(plugin.load_state(&with_length(MIX_MODEL.as_bytes())));
        assert!(!wants_restart(|| plugin.idle()), "it is the model that runs");
        assert!(plugin.load_state(&with_length(OTHER_MODEL.as_bytes())));
        assert!(wants_restart(|| plugin.idle()), "another model");
        assert_eq!(plugin.latency(), first_latency, "constant while active");
        plugin.deactivate(processor);
        let mut processor = plugin.activate(RATE, 512);
        let latency = plugin.latency();
        assert_ne!(latency, first_latency);
        let input = noise(latency + 30_000, 1);
        let outputs = processor.render(&input, repeat(512), &[]);
        assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None);
        assert_eq!(best_delay(&input, &outputs[1], latency, 8), latency);
        plugin.deactivate(processor);
    });
}

#[test]
fn vst3_a_state_with_another_model_asks_for_a_restart() {
    let test = "vst3_a_state_with_another_model_asks_for_a_restart";
    let vst3 = bundle_with_models(test, "vst3", &two_models());
    isolated(test, &[], || {
        let library = vst3_host::Library::load(&vst3);
        let mut plugin = vst3_host::Plugin::new(&library, "Unbraid Multi-Out");
        plugin.setup(vst3_host::Mode::Offline, RATE, 512);
        plugin.activate();
        let first_latency = plugin.latency();
        plugin.take_restart_flags();
        assert!(plugin.load_state(MIX_MODEL.as_bytes()));
        assert!(!wants_restart(|| plugin.take_restart_flags() != 0), "it is the model that runs");
        assert!(plugin.load_state(OTHER_MODEL.as_bytes()));
        assert!(wants_restart(|| plugin.take_restart_flags() != 0), "another model");
        plugin.deactivate();
        plugin.activate();
        let latency = plugin.latency();
        assert_ne!(latency, first_latency);
        let input = noise(latency + 30_000, 1);
        let outputs = plugin.render(&input, repeat(512), &[], vst3_host::Outputs::Connected);
        assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None);
        assert_eq!(best_delay(&input, &outputs[1], latency, 8), latency);
    });
}
