//! The latency that the host is told is the one that is there, and at 0 dB nothing else happens to the sound.

use separator::testing::TestModel;
use slicqt::Design;
use std::iter::repeat;
use tests::host::{Library, Plugin, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::isolated_with_model;
use tests::measure::{delayed, first_difference};
use tests::places;
use tests::signal::{Random, impulse, noise};

/// With the transform of the shipped models, whose latency is thus theirs.
fn bark_identity() -> TestModel {
    TestModel { design: Design::bark_262(), ..TestModel::identity() }
}

#[test]
fn an_impulse_comes_out_at_the_reported_latency() {
    isolated_with_model("an_impulse_comes_out_at_the_reported_latency", &bark_identity(), || {
        let library = Library::load(&places::clap());
        for rate in [44_100.0, 48_000.0, 96_000.0] {
            for block_len in [32, 441, 512, 4096] {
                for id in [UNBRAID, UNBRAID_MULTI_OUT] {
                    let mut plugin = Plugin::new(&library, id);
                    plugin.set_offline(true);
                    let mut processor = plugin.activate(rate, block_len);
                    let latency = plugin.latency();
                    let input = impulse(latency + 20_000, 1_000);
                    // The mix, and in Multi-Out the vocals too, which are the mix in this model.
                    for (port_idx, output) in
                        processor.render(&input, repeat(block_len), &[]).iter().enumerate().take(2)
                    {
                        for channel in output {
                            let peak = (0..channel.len()).max_by(|a, b| channel[*a].total_cmp(&channel[*b]));
                            assert_eq!(peak, Some(1_000 + latency), "{id} {rate} {block_len} output {port_idx}");
                        }
                    }
                    plugin.deactivate(processor);
                    println!("  {id} at {rate} Hz, blocks of {block_len}: {latency} samples");
                }
            }
        }
    });
}

#[test]
fn the_latency_is_constant_and_known_at_activation() {
    isolated_with_model("the_latency_is_constant_and_known_at_activation", &bark_identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        for rate in [44_100.0, 96_000.0, 44_100.0] {
            // In real time, where the model is still loading when the latency is asked for.
            plugin.set_offline(false);
            let mut processor = plugin.activate(rate, 512);
            let latency = plugin.latency();
            for _ in 0..20 {
                processor.render(&noise(4_410, 1), repeat(512), &[]);
                std::thread::sleep(std::time::Duration::from_millis(50));
                assert!(!plugin.idle(), "the plugin asks for a restart");
                assert_eq!(plugin.latency(), latency);
            }
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn at_0_db_the_output_is_the_delayed_input_bit_for_bit() {
    isolated_with_model("at_0_db_the_output_is_the_delayed_input_bit_for_bit", &bark_identity(), || {
        let library = Library::load(&places::clap());
        for rate in [22_050.0, 32_000.0, 44_100.0, 48_000.0, 88_200.0, 96_000.0, 176_400.0, 192_000.0] {
            for (is_offline, block_len) in [(true, 512), (false, 441), (true, 4096)] {
                for id in [UNBRAID, UNBRAID_MULTI_OUT] {
                    let mut plugin = Plugin::new(&library, id);
                    plugin.set_offline(is_offline);
                    let mut processor = plugin.activate(rate, block_len);
                    let input = noise(2 * plugin.latency() + 10_000, 2);
                    let output = processor.render(&input, repeat(block_len), &[]);
                    let expected = delayed(&input, plugin.latency());
                    assert_eq!(first_difference(&expected, &output[0]), None, "{id} {rate} {block_len}");
                    plugin.deactivate(processor);
                }
            }
        }
    });
}

#[test]
fn however_the_stream_is_cut_the_output_is_the_same() {
    isolated_with_model("however_the_stream_is_cut_the_output_is_the_same", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        for rate in [44_100.0, 48_000.0] {
            let render = |block_lens: &mut dyn Iterator<Item = usize>| {
                let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
                plugin.set_offline(true);
                let vocals = plugin.param("Vocals").id;
                let value = plugin.value_of("Vocals", "-7 dB");
                let mut processor = plugin.activate(rate, 4096);
                let change = tests::host::Automation { sample_idx: 30_001, param: vocals, value };
                let output = processor.render(&noise(100_000, 3), block_lens, &[change]);
                plugin.deactivate(processor);
                output
            };
            let expected = render(&mut repeat(512));
            let mut random = Random::new(4);
            for mut block_lens in [
                Box::new(repeat(1usize)) as Box<dyn Iterator<Item = usize>>,
                Box::new(repeat(4096)),
                Box::new(repeat(441)),
                Box::new(std::iter::repeat_with(|| random.between(1, 4096))),
            ] {
                let actual = render(&mut block_lens);
                for (port_idx, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
                    assert_eq!(first_difference(expected, actual), None, "{rate} Hz, output {port_idx}");
                }
            }
        }
    });
}
