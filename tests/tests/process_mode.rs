//! Offline, the host waits for the stems, and in real time it never does, whatever was announced before.

use separator::testing::TestModel;
use std::iter::repeat;
use tests::isolated::isolated_with_model;
use tests::measure::{excerpt, power_db};
use tests::signal::noise;
use tests::vst3_host::{Automation, Library, Mode, Outputs, Plugin};
use tests::{host, places};

const RATE: f64 = 44_100.0;

/// How much of the vocals, which are the whole mix here, is left when they are turned off, in dB of the mix.
fn rest_db(input: &tests::signal::Stereo, output: &tests::signal::Stereo, latency: usize) -> f64 {
    let num_samples = input[0].len();
    let inside = excerpt(output, latency + 10_000..num_samples);
    power_db(&inside) - power_db(input)
}

#[test]
fn vst3_a_bounce_has_its_stems_at_once_and_whenever_the_mode_changes() {
    let test = "vst3_a_bounce_has_its_stems_at_once_and_whenever_the_mode_changes";
    isolated_with_model(test, &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid");
        let mute = Automation { sample_idx: 0, param: plugin.param("Vocals"), value: 0.0 };
        let input = noise(200_000, 1);
        let mut seen = Vec::new();
        for mode in [Mode::Offline, Mode::Realtime, Mode::Offline, Mode::Prefetch, Mode::Offline] {
            // Set up once, as most hosts do.
            plugin.setup(mode, RATE, 512);
            plugin.activate();
            let output = plugin.render(&input, repeat(512), &[mute], Outputs::Connected).swap_remove(0);
            if mode == Mode::Offline {
                seen.push(rest_db(&input, &output, plugin.latency()));
            }
            plugin.deactivate();
        }
        println!("  vocals off, offline: {seen:.1?} dB are left");
        assert!(seen.iter().all(|&rest| rest < -80.0), "{seen:.1?} dB are left of the vocals");
    });
}

#[test]
fn vst3_a_bounce_has_its_stems_without_a_new_setup() {
    let test = "vst3_a_bounce_has_its_stems_without_a_new_setup";
    isolated_with_model(test, &TestModel::identity(), || {
        let library = Library::load(&places::vst3());
        let mut plugin = Plugin::new(&library, "Unbraid");
        let mute = Automation { sample_idx: 0, param: plugin.param("Vocals"), value: 0.0 };
        let input = noise(200_000, 1);
        plugin.setup(Mode::Realtime, RATE, 512);
        plugin.activate();
        for mode in [Mode::Offline, Mode::Realtime, Mode::Offline] {
            plugin.set_block_mode(mode);
            // Playing before leaves gaps where it was faster than real time; a bounce begins with a seek.
            plugin.restart_processing();
            let output = plugin.render(&input, repeat(512), &[mute], Outputs::Connected).swap_remove(0);
            if mode == Mode::Offline {
                let rest = rest_db(&input, &output, plugin.latency());
                assert!(rest < -80.0, "{rest:.1} dB are left of the vocals");
            }
        }
    });
}

#[test]
fn clap_a_bounce_has_its_stems_without_a_new_activation() {
    let test = "clap_a_bounce_has_its_stems_without_a_new_activation";
    isolated_with_model(test, &TestModel::identity(), || {
        let library = host::Library::load(&places::clap());
        let mut plugin = host::Plugin::new(&library, host::UNBRAID);
        let value = plugin.value_of("Vocals", "-inf dB");
        let mute = host::Automation { sample_idx: 0, param: plugin.param("Vocals").id, value };
        plugin.set_offline(false);
        let mut processor = plugin.activate(RATE, 512);
        let input = noise(200_000, 1);
        processor.render(&input, repeat(512), &[mute]);
        for _ in 0..2 {
            plugin.set_offline(true);
            let output = processor.render(&input, repeat(512), &[]).swap_remove(0);
            let rest = rest_db(&input, &output, plugin.latency());
            assert!(rest < -80.0, "{rest:.1} dB are left of the vocals");
            plugin.set_offline(false);
            processor.render(&input, repeat(512), &[]);
            processor.reset();
        }
        plugin.deactivate(processor);
    });
}
