//! The bundled CLAP in a host of our own: ports, tail, log.

use separator::testing::TestModel;
use std::iter::repeat;
use std::time::{Duration, Instant};
use tests::host::{Automation, Library, LogSeverity, Outputs, Plugin, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::{isolated, isolated_with_model, scratch_dir};
use tests::measure::{best_delay, delayed, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{noise, silence};

const RATE: f64 = 44_100.0;

#[test]
fn with_unconnected_stems_the_main_output_is_delayed_and_mixed() {
    let test = "with_unconnected_stems_the_main_output_is_delayed_and_mixed";
    isolated_with_model(test, &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let input = noise(60_000, 1);
        for outputs in [Outputs::NoMemory, Outputs::MainOnly] {
            let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
            plugin.set_offline(true);
            let (param, value) = (plugin.param("Vocals").id, plugin.value_of("Vocals", "mute"));
            let mut processor = plugin.activate(RATE, 512);
            processor.set_outputs(outputs);
            let latency = plugin.latency();
            let output = processor.render(&input, repeat(512), &[]).swap_remove(0);
            assert_eq!(first_difference(&delayed(&input, latency), &output), None, "{outputs:?}");
            let mute = Automation { sample_idx: 0, param, value };
            let output = processor.render(&input, repeat(512), &[mute]).swap_remove(0);
            let rest = power_db(&excerpt(&output, latency + 4_410..60_000));
            assert!(rest < -100.0, "{outputs:?}: {rest:.1} dB of the vocals are left");
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn the_tail_is_there_before_the_first_block_and_after_silence() {
    isolated_with_model("the_tail_is_there_before_the_first_block_and_after_silence", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        for id in [UNBRAID, UNBRAID_MULTI_OUT] {
            let mut plugin = Plugin::new(&library, id);
            let mut processor = plugin.activate(RATE, 512);
            assert_eq!(processor.tail(), Some(2 * plugin.latency()));
            processor.render(&silence(3 * plugin.latency()), repeat(512), &[]);
            assert_eq!(processor.tail(), Some(2 * plugin.latency()));
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn mono_tracks_get_mono_or_stereo() {
    isolated_with_model("mono_tracks_get_mono_or_stereo", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let [left, _] = noise(60_000, 1);
        let input = [left.clone(), left];
        for (id, num_stems) in [(UNBRAID, 0), (UNBRAID_MULTI_OUT, 4)] {
            for (name, num_inputs, num_outputs) in [("Mono", 1, 1), ("Mono to stereo", 1, 2), ("Stereo", 2, 2)] {
                let mut plugin = Plugin::new(&library, id);
                plugin.select_ports(name);
                assert_eq!(plugin.ports(), [&[num_inputs][..], &vec![num_outputs; 1 + num_stems]]);
                plugin.set_offline(true);
                let mut processor = plugin.activate(RATE, 512);
                let latency = plugin.latency();
                let outputs = processor.render(&input, repeat(512), &[]);
                assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "{id}: {name}");
                if num_stems > 0 {
                    assert_eq!(best_delay(&input, &outputs[1], latency, 4), latency, "{name}");
                }
                plugin.deactivate(processor);
            }
        }
    });
}

/// Waits until the host's log holds a message of this severity with `words` in it.
fn the_host_is_told(plugin: &mut Plugin, severity: LogSeverity, words: &str) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if plugin.messages().iter().any(|(of, message)| *of == severity && message.contains(words)) {
            return;
        }
        plugin.idle();
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no {severity} with {words:?}: {:?}", plugin.messages());
}

#[test]
fn the_hosts_log_says_how_it_goes() {
    isolated_with_model("the_hosts_log_says_how_it_goes", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        let processor = plugin.activate(RATE, 512);
        the_host_is_told(&mut plugin, LogSeverity::Info, "runs the model");
        plugin.deactivate(processor);
    });
}

#[test]
fn the_hosts_log_and_the_log_file_say_what_is_wrong() {
    let test = "the_hosts_log_and_the_log_file_say_what_is_wrong";
    let home = scratch_dir(test).join("home");
    let envs = [
        (tests::isolated::MODEL_VARIABLE, "/no/such/model".as_ref()),
        // As it is for users.
        ("NICE_LOG", "".as_ref()),
        ("XDG_STATE_HOME", home.as_os_str()),
        ("HOME", home.as_os_str()),
    ];
    isolated(test, &envs, || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        let processor = plugin.activate(RATE, 512);
        the_host_is_told(&mut plugin, LogSeverity::Error, "/no/such/model");
        plugin.deactivate(processor);
        if cfg!(target_os = "linux") {
            let log = std::fs::read_to_string(home.join("unbraid/unbraid.log")).expect("a log file");
            assert!(log.contains("ERROR") && log.contains("/no/such/model"), "{log}");
        }
    });
}
