//! Which model plays, which one bounces, and what the host is told of the latency.

use separator::testing::TestModel;
use slicqt::Design;
use std::iter::repeat;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::isolated::{bundle_with_models, isolated, messages};
use tests::measure::{delayed, difference_db, excerpt, first_difference, power_db};
use tests::signal::{Stereo, noise};
use tests::{host, vst3_host};

const RATE: f64 = 44_100.0;
const BLOCK_LEN: usize = 512;

/// A quick model whose vocals are the mix, and a slow one whose drums are.
fn two_models() -> [(&'static str, TestModel); 2] {
    let quick = TestModel { design: Design::stft(1024, 256, RATE), ..TestModel::identity() };
    let slow = TestModel { design: Design::stft(4096, 1024, RATE), ..TestModel::with_masks([0.0, 1.0, 0.0, 0.0]) };
    [("mix", quick), ("slow", slow)]
}

/// The latency of one of them alone.
fn latency_of(name: &str) -> usize {
    let (_, model) = two_models().into_iter().find(|(known, _)| *known == name).expect("a test model");
    let dir = tempfile::tempdir().expect("a folder");
    let manifest = model.write(dir.path()).expect("a model").manifest;
    separator::latency_samples(&manifest, RATE, BLOCK_LEN)
}

/// A state that says this of its models, as JSON; the field is text within the state's JSON.
fn state(models: &str) -> String {
    let field = models.replace('\\', "\\\\").replace('"', "\\\"");
    format!(r#"{{"version":"","params":{{}},"fields":{{"model":"{field}"}}}}"#)
}

/// CLAP's states have a length in front.
fn with_length(json: &str) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat()
}

fn wait_for_message(text: &str) {
    let start = Instant::now();
    while !messages().contains(text) {
        assert!(start.elapsed() < Duration::from_secs(30), "no {text:?} in the log:\n{}", messages());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Which of vocals and drums is heard, after the latency and some more.
fn heard(outputs: &[Stereo], latency: usize) -> [bool; 2] {
    let inside = latency + 5_000..outputs[0][0].len();
    [1, 2].map(|port| power_db(&excerpt(&outputs[port], inside.clone())) > -60.0)
}

fn clap_with(path: &Path, state: &str) -> (host::Library, host::Plugin) {
    let library = host::Library::load(path);
    let mut plugin = host::Plugin::new(&library, host::UNBRAID_MULTI_OUT);
    assert!(plugin.load_state(&with_length(state)));
    (library, plugin)
}

const BOUNCING: &str = r#"{"name":"mix","bouncing":{"name":"slow"},"has_constant_latency":false}"#;

#[test]
fn clap_bounces_have_their_own_model() {
    let test = "clap_bounces_have_their_own_model";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let (_library, mut plugin) = clap_with(&clap, &state(BOUNCING));
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, BLOCK_LEN);
        let latency = plugin.latency();
        assert_eq!(latency, latency_of("slow"), "the slower of the two counts");
        let input = noise(latency + 40_000, 1);
        // At once, and after having played.
        for is_offline in [true, false, true, false] {
            plugin.set_offline(is_offline);
            processor.reset();
            if !is_offline {
                wait_for_message("Unbraid runs the model");
            }
            let outputs = processor.render(&input, repeat(BLOCK_LEN), &[]);
            assert_eq!(heard(&outputs, latency), [!is_offline, is_offline], "offline: {is_offline}");
            assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "the mix is the mix");
            if is_offline {
                assert!(difference_db(&outputs[0], &outputs[2]) < -80.0, "from the first sample on");
            }
        }
        plugin.deactivate(processor);
    });
}

#[test]
fn vst3_bounces_have_their_own_model() {
    let test = "vst3_bounces_have_their_own_model";
    let vst3 = bundle_with_models(test, "vst3", &two_models());
    isolated(test, &[], || {
        let library = vst3_host::Library::load(&vst3);
        let mut plugin = vst3_host::Plugin::new(&library, "Unbraid Multi-Out");
        assert!(plugin.load_state(state(BOUNCING).as_bytes()));
        plugin.setup(vst3_host::Mode::Realtime, RATE, BLOCK_LEN);
        plugin.activate();
        let latency = plugin.latency();
        assert_eq!(latency, latency_of("slow"));
        let input = noise(latency + 40_000, 1);
        wait_for_message("Unbraid runs the model");
        for is_offline in [true, false, true] {
            plugin.set_block_mode(if is_offline { vst3_host::Mode::Offline } else { vst3_host::Mode::Realtime });
            plugin.restart_processing();
            let outputs = plugin.render(&input, repeat(BLOCK_LEN), &[], vst3_host::Outputs::Connected);
            assert_eq!(heard(&outputs, latency), [!is_offline, is_offline], "offline: {is_offline}");
        }
    });
}

#[test]
fn both_models_and_their_hashes_are_in_the_state() {
    let test = "both_models_and_their_hashes_are_in_the_state";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let (library, mut plugin) = clap_with(&clap, &state(BOUNCING));
        let processor = plugin.activate(RATE, BLOCK_LEN);
        let saved = plugin.save_state();
        let text = String::from_utf8_lossy(&saved).into_owned();
        for (name, model) in two_models() {
            let dir = tempfile::tempdir().expect("a folder");
            let manifest = model.write(dir.path()).expect("a model").manifest;
            assert!(text.contains(name) && text.contains(&manifest.graph.sha256), "{name}: {text}");
        }
        assert!(!text.contains('/'), "names, and no paths: {text}");
        let mut other = host::Plugin::new(&library, host::UNBRAID);
        assert!(other.load_state(&saved));
        assert_eq!(other.save_state(), saved, "saved again it is the same");
        plugin.deactivate(processor);
    });
}

#[test]
fn a_project_without_its_model_says_which_and_plays_the_mix() {
    let test = "a_project_without_its_model_says_which_and_plays_the_mix";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let (_library, mut plugin) = clap_with(&clap, &state(r#"{"name":"gone","has_constant_latency":false}"#));
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, BLOCK_LEN);
        let latency = plugin.latency();
        wait_for_message("model 'gone' not found");
        let input = noise(latency + 20_000, 1);
        let outputs = processor.render(&input, repeat(BLOCK_LEN), &[]);
        assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None);
        // Elsewhere, where the model is installed, the project has it again.
        assert!(String::from_utf8_lossy(&plugin.save_state()).contains("gone"));
        plugin.deactivate(processor);
    });
}

#[test]
fn a_bounce_without_its_model_says_which_and_has_the_one_that_plays() {
    let test = "a_bounce_without_its_model_says_which_and_has_the_one_that_plays";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let models = r#"{"name":"slow","bouncing":{"name":"gone"},"has_constant_latency":false}"#;
        let (_library, mut plugin) = clap_with(&clap, &state(models));
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, BLOCK_LEN);
        let latency = plugin.latency();
        assert_eq!(latency, latency_of("slow"));
        wait_for_message("Offline renders are made with the model that plays: model 'gone' not found");
        let outputs = processor.render(&noise(latency + 40_000, 1), repeat(BLOCK_LEN), &[]);
        assert_eq!(heard(&outputs, latency), [false, true]);
        plugin.deactivate(processor);
    });
}

#[test]
fn another_version_of_the_model_is_told() {
    let test = "another_version_of_the_model_is_told";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let hash = "0123456789abcdef".repeat(4);
        let models = format!(r#"{{"name":"slow","sha256":"{hash}","has_constant_latency":false}}"#);
        let (_library, mut plugin) = clap_with(&clap, &state(&models));
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, BLOCK_LEN);
        let latency = plugin.latency();
        wait_for_message("another version");
        let outputs = processor.render(&noise(latency + 40_000, 1), repeat(BLOCK_LEN), &[]);
        assert_eq!(heard(&outputs, latency), [false, true]);
        assert!(String::from_utf8_lossy(&plugin.save_state()).contains(&hash), "until the user chooses");
        plugin.deactivate(processor);
    });
}

/// Whether the plugin asks for a restart within a second.
fn wants_restart(plugin: &mut host::Plugin) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        if plugin.idle() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn with_a_constant_latency_another_model_changes_nothing_but_the_stems() {
    let test = "with_a_constant_latency_another_model_changes_nothing_but_the_stems";
    let clap = bundle_with_models(test, "clap", &two_models());
    isolated(test, &[], || {
        let constant = |name: &str| state(&format!(r#"{{"name":"{name}","has_constant_latency":true}}"#));
        let (_library, mut plugin) = clap_with(&clap, &constant("mix"));
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, BLOCK_LEN);
        let latency = plugin.latency();
        // Models of the user's may be slower still.
        assert!(latency >= latency_of("slow"), "{latency}");
        let input = noise(latency + 40_000, 1);
        for (name, expected) in [("mix", [true, false]), ("slow", [false, true]), ("mix", [true, false])] {
            assert!(plugin.load_state(&with_length(&constant(name))));
            assert!(!wants_restart(&mut plugin), "a restart for {name}");
            let start = Instant::now();
            loop {
                let outputs = processor.render(&input, repeat(BLOCK_LEN), &[]);
                let inside = latency..input[0].len();
                let mix = excerpt(&delayed(&input, latency), inside.clone());
                assert!(excerpt(&outputs[0], inside) == mix, "the mix goes on");
                if heard(&outputs, latency) == expected {
                    break;
                }
                assert!(start.elapsed() < Duration::from_secs(30), "{name} does not come in");
            }
            assert_eq!(plugin.latency(), latency);
        }
        plugin.deactivate(processor);
        let processor = plugin.activate(RATE, BLOCK_LEN);
        assert_eq!(plugin.latency(), latency, "and so it stays");
        // Without it the latency is that of the model, from the next activation on.
        assert!(plugin.load_state(&with_length(&state("\"mix\""))));
        assert!(wants_restart(&mut plugin), "the latency can be shorter now");
        plugin.deactivate(processor);
        let processor = plugin.activate(RATE, BLOCK_LEN);
        assert_eq!(plugin.latency(), latency_of("mix"));
        plugin.deactivate(processor);
    });
}
