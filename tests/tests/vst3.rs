//! The bundled VST3 in a host of our own: what pedalboard does not do.

use separator::testing::TestModel;
use std::iter::repeat;
use tests::isolated::isolated_with_model;
use tests::measure::{best_delay, delayed, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{Random, Stereo, noise, silence};
use tests::vst3_host::{Automation, Library, Mode, Outputs, Plugin};

const RATE: f64 = 44_100.0;
const NAMES: [&str; 2] = ["Unbraid", "Unbraid Multi-Out"];
const UNCONNECTED: [Outputs; 4] = [Outputs::NoChannels, Outputs::NoArray, Outputs::NullChannels, Outputs::MainOnly];

fn mute(plugin: &Plugin, sample_idx: usize) -> Automation {
    Automation { sample_idx, param: plugin.param("Vocals"), value: 0.0 }
}

fn is_the_delayed(input: &Stereo, output: &Stereo, latency: usize) -> bool {
    first_difference(&delayed(input, latency), output).is_none()
}

#[test]
fn with_unconnected_stems_the_main_output_is_delayed_and_mixed() {
    let test = "with_unconnected_stems_the_main_output_is_delayed_and_mixed";
    isolated_with_model(test, &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let input = noise(60_000, 1);
        for outputs in UNCONNECTED {
            let mut plugin = Plugin::new(&library, "Unbraid Multi-Out");
            plugin.setup(Mode::Offline, RATE, 512);
            plugin.activate();
            let latency = plugin.latency();
            let output = plugin.render(&input, repeat(512), &[], outputs).swap_remove(0);
            assert!(is_the_delayed(&input, &output, latency), "{outputs:?}: not the delayed input");
            let changes = [mute(&plugin, 0)];
            let output = plugin.render(&input, repeat(512), &changes, outputs).swap_remove(0);
            let rest = power_db(&excerpt(&output, latency + 4_410..60_000));
            assert!(rest < -100.0, "{outputs:?}: {rest:.1} dB of the vocals are left");
        }
    });
}

#[test]
fn a_value_that_no_block_has_brought_yet_is_in_the_saved_state() {
    isolated_with_model("a_value_that_no_block_has_brought_yet_is_in_the_saved_state", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid");
        let value = plugin.value_of("Vocals", "-20 dB").expect("a gain");
        plugin.setup(Mode::Realtime, RATE, 512);
        plugin.activate();
        plugin.render(&noise(512, 1), repeat(512), &[], Outputs::Connected);
        plugin.set_value("Vocals", value);
        plugin.set_value("Bypass", 1.0);
        assert!((plugin.value("Vocals") - value).abs() < 1e-6, "the controller shows what it was given");
        assert_eq!(plugin.value("Bypass"), 1.0);
        let state = plugin.save_state();
        let mut other = Plugin::new(&library, "Unbraid");
        assert!(other.load_state(&state));
        assert!((other.value("Vocals") - value).abs() < 1e-6, "{} was loaded", other.value("Vocals"));
        assert_eq!(other.value("Bypass"), 1.0);

        // The blocks that follow bring other values, and then nothing is left of the ones before.
        let changes = [Automation { sample_idx: 0, param: plugin.param("Vocals"), value: 1.0 }];
        plugin.render(&noise(2_048, 1), repeat(512), &changes, Outputs::Connected);
        assert_eq!(plugin.value("Vocals"), 1.0);
        assert_eq!(plugin.value("Bypass"), 0.0, "the host never sent it");
        plugin.deactivate();
        assert_eq!(plugin.value("Vocals"), 1.0);

        // Not processing: at once.
        plugin.set_value("Vocals", value);
        assert!((plugin.value("Vocals") - value).abs() < 1e-6);
    });
}

/// Values for the controller come ahead of the sound or behind it; what is heard follows the blocks alone.
#[test]
fn a_value_for_the_controller_does_not_move_the_sound() {
    isolated_with_model("a_value_for_the_controller_does_not_move_the_sound", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid");
        plugin.setup(Mode::Offline, RATE, 512);
        plugin.activate();
        let input = noise(40_000, 1);
        let latency = plugin.latency();
        plugin.set_value("Vocals", 0.0);
        let changes = [mute(&plugin, 10_037)];
        let output = plugin.render(&input, repeat(512), &changes, Outputs::Connected).swap_remove(0);
        assert_eq!(first_difference(&delayed(&input, latency), &output), Some(10_037 + latency));
    });
}

#[test]
fn the_tail_is_there_before_the_first_block_and_after_silence() {
    isolated_with_model("the_tail_is_there_before_the_first_block_and_after_silence", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        for name in NAMES {
            let mut plugin = Plugin::new(&library, name);
            plugin.setup(Mode::Realtime, RATE, 512);
            plugin.activate();
            assert_eq!(plugin.tail(), 2 * plugin.latency());
            plugin.restart_processing();
            assert_eq!(plugin.tail(), 2 * plugin.latency());
            plugin.render(&silence(3 * plugin.latency()), repeat(512), &[], Outputs::Connected);
            assert_eq!(plugin.tail(), 2 * plugin.latency());
        }
    });
}

#[test]
fn mono_tracks_get_mono_or_stereo() {
    isolated_with_model("mono_tracks_get_mono_or_stereo", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let [left, _] = noise(60_000, 1);
        let input = [left.clone(), left];
        for (name, num_stems) in [(NAMES[0], 0), (NAMES[1], 4)] {
            for (num_inputs, num_outputs) in [(1, 1), (1, 2), (2, 2)] {
                let mut plugin = Plugin::new(&library, name);
                let outputs = vec![num_outputs; 1 + num_stems];
                assert!(plugin.set_buses(&[num_inputs], &outputs), "{name}: {num_inputs} to {num_outputs}");
                assert_eq!(plugin.buses(), [vec![num_inputs], outputs]);
                plugin.setup(Mode::Offline, RATE, 512);
                plugin.activate();
                let latency = plugin.latency();
                let rendered = plugin.render(&input, repeat(512), &[], Outputs::Connected);
                assert!(is_the_delayed(&input, &rendered[0], latency), "{name}: {num_inputs} to {num_outputs}");
                if num_stems > 0 {
                    assert_eq!(best_delay(&input, &rendered[1], latency, 4), latency);
                }
            }
            let mut plugin = Plugin::new(&library, name);
            assert!(!plugin.set_buses(&[2], &vec![1; 1 + num_stems]), "stereo to mono is another plugin's work");
        }
    });
}

#[test]
fn rates_and_block_sizes_may_change_between_activations() {
    isolated_with_model("rates_and_block_sizes_may_change_between_activations", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid Multi-Out");
        let mut random = Random::new(1);
        for (rate, max_block_len) in [(44_100.0, 512), (96_000.0, 64), (48_000.0, 4_096), (44_100.0, 512)] {
            plugin.setup(Mode::Offline, rate, max_block_len);
            plugin.activate();
            let latency = plugin.latency();
            let input = noise(2 * latency + 10_000, 1);
            let block_lens = std::iter::repeat_with(|| random.between(1, max_block_len));
            let rendered = plugin.render(&input, block_lens, &[], Outputs::Connected);
            assert!(is_the_delayed(&input, &rendered[0], latency), "{rate} Hz, blocks of up to {max_block_len}");
            assert_eq!(best_delay(&input, &rendered[1], latency, 8), latency, "{rate} Hz");
            plugin.deactivate();
        }
    });
}

/// Hosts deactivate and activate for many reasons, and some never say that processing starts, which resets: what was
/// played before is gone all the same.
#[test]
fn after_an_activation_nothing_of_before_is_heard() {
    isolated_with_model("after_an_activation_nothing_of_before_is_heard", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid Multi-Out");
        plugin.setup(Mode::Offline, RATE, 512);
        for input in [noise(20_000, 1), silence(20_000)] {
            plugin.activate_only();
            let is_silent = input == silence(20_000);
            for output in plugin.render(&input, repeat(512), &[], Outputs::Connected) {
                assert!(!is_silent || output == silence(20_000), "something of before is heard");
            }
            plugin.deactivate();
        }
    });
}

/// Hosts flush parameters with blocks of no samples, and some with none of the buses that were agreed on.
#[test]
fn blocks_without_samples_bring_parameters() {
    isolated_with_model("blocks_without_samples_bring_parameters", &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid");
        plugin.setup(Mode::Offline, RATE, 512);
        plugin.activate();
        let changes = [mute(&plugin, 0)];
        plugin.process_block_within([&[], &[]], &changes, Outputs::Connected, |process| process());
        assert_eq!(plugin.value("Vocals"), 0.0);
    });
}

#[test]
fn every_parameter_has_its_flags() {
    isolated_with_model("every_parameter_has_its_flags", &TestModel::identity(), || {
        const CAN_AUTOMATE: i32 = 1;
        const IS_BYPASS: i32 = 1 << 16;
        let library = Library::load(&places::vst3());
        for name in NAMES {
            let plugin = Plugin::new(&library, name);
            let flags: Vec<_> = plugin.params().iter().map(|param| (param.name.clone(), param.flags)).collect();
            let stems = ["Vocals", "Drums", "Bass", "Other"].into_iter().flat_map(|stem| {
                let switches = ["Mute", "Solo", "Pan", "Sensitivity"].map(|control| format!("{stem} {control}"));
                [stem.to_owned()].into_iter().chain(switches).map(|name| (name, CAN_AUTOMATE))
            });
            let rest = [
                ("Dry/Wet", CAN_AUTOMATE),
                ("Output", CAN_AUTOMATE),
                ("Bypass", CAN_AUTOMATE | IS_BYPASS),
                ("Automation", 0),
            ];
            let expected: Vec<_> = stems.chain(rest.map(|(name, flags)| (name.to_owned(), flags))).collect();
            assert_eq!(flags, expected, "{name}");
        }
    });
}
