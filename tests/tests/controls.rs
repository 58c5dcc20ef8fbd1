//! Mutes, solos, pans, dry/wet and output gain as hosts of both formats see them: grouped, on pages, as text, automated
//! and modulated to the sample, saved.

use clack_host::events::event_types::ParamModEvent;
use clack_host::prelude::*;
use separator::testing::TestModel;
use std::iter::repeat;
use tests::host::{self, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::isolated_with_model;
use tests::measure::{delayed, difference_db, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{Random, Stereo, noise, silence};
use tests::vst3_host;

const RATE: f64 = 44_100.0;
const MASKS: [f32; 4] = [0.4, 0.3, 0.2, 0.1];
/// 20 ms.
const RAMP_LEN: usize = 882;

/// Every parameter with the group that it is shown in.
fn names_and_groups() -> Vec<(String, String)> {
    let stems = ["Vocals", "Drums", "Bass", "Other"].into_iter().flat_map(|stem| {
        let controls = ["", " Mute", " Solo", " Pan", " Sensitivity"];
        controls.map(|control| (format!("{stem}{control}"), stem.to_owned()))
    });
    let rest = ["Dry/Wet", "Output", "Bypass", "Automation"];
    stems.chain(rest.map(|name| (name.to_owned(), String::new()))).collect()
}

#[test]
fn parameters_are_grouped_by_stem_in_both_formats() {
    isolated_with_model("parameters_are_grouped_by_stem_in_both_formats", &TestModel::identity(), || {
        let library = host::Library::load(&places::clap());
        let plugin = host::Plugin::new(&library, UNBRAID);
        let clap: Vec<_> = plugin.params().iter().map(|param| (param.name.clone(), param.module.clone())).collect();
        assert_eq!(clap, names_and_groups());
        let library = vst3_host::Library::load(&places::vst3());
        let plugin = vst3_host::Plugin::new(&library, "Unbraid");
        for ((name, group), param) in names_and_groups().into_iter().zip(plugin.params()) {
            assert_eq!(param.name, name);
            assert_eq!(param.unit, group, "the unit of {name}");
        }
    });
}

#[test]
fn controllers_get_a_page_for_each_kind_of_control() {
    isolated_with_model("controllers_get_a_page_for_each_kind_of_control", &TestModel::identity(), || {
        let library = host::Library::load(&places::clap());
        let mut plugin = host::Plugin::new(&library, UNBRAID);
        let of_stems = |control: &str| ["Vocals", "Drums", "Bass", "Other"].map(|stem| format!("{stem}{control}"));
        let global = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = [
            ("Levels", [&of_stems("")[..], &global(&["Dry/Wet", "Output"])].concat()),
            ("Mutes and solos", [of_stems(" Mute"), of_stems(" Solo")].concat()),
            ("Pan", of_stems(" Pan").to_vec()),
            ("Sensitivity", of_stems(" Sensitivity").to_vec()),
            ("Global", global(&["Dry/Wet", "Output", "Bypass"])),
        ];
        assert_eq!(plugin.remote_pages(), expected.map(|(name, params)| (name.to_owned(), params)));
    });
}

#[test]
fn what_is_shown_is_read_as_the_same_value_and_so_is_what_people_type() {
    let test = "what_is_shown_is_read_as_the_same_value_and_so_is_what_people_type";
    isolated_with_model(test, &TestModel::identity(), || {
        let library = host::Library::load(&places::clap());
        let mut clap = host::Plugin::new(&library, UNBRAID);
        let vst3_library = vst3_host::Library::load(&places::vst3());
        let vst3 = vst3_host::Plugin::new(&vst3_library, "Unbraid");
        let mut random = Random::new(1);
        for param in clap.params().to_vec() {
            for _ in 0..500 {
                let value = f64::from(random.unit()) * param.range[2];
                let mut buffer = [0; 64];
                let len = clap.text_into(param.id, value, &mut buffer);
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                let read = clap.value_of(&param.name, &text);
                let len = clap.text_into(param.id, read, &mut buffer);
                assert_eq!(String::from_utf8_lossy(&buffer[..len]), text, "{} in CLAP", param.name);
                let text = vst3.text_of(&param.name, value);
                let read = vst3.value_of(&param.name, &text).expect("its own text");
                assert_eq!(vst3.text_of(&param.name, read), text, "{} in VST3", param.name);
            }
        }
        for (name, typed, shown) in [
            ("Vocals", "-6", "-6.00 dB"),
            ("Vocals", "-6 dB", "-6.00 dB"),
            ("Vocals", "-inf", "-inf dB"),
            ("Output", "mute", "-inf dB"),
            ("Dry/Wet", "50", "50 %"),
            ("Dry/Wet", "50 %", "50 %"),
            ("Bass Pan", "L30", "L30"),
            ("Bass Pan", "0", "C"),
            ("Bass Sensitivity", "-30", "-30 %"),
            ("Bass Sensitivity", "soft", "+100 %"),
            ("Other Mute", "on", "On"),
            ("Other Solo", "0", "Off"),
        ] {
            let (value, mut buffer) = (clap.value_of(name, typed), [0; 64]);
            let len = clap.text_into(clap.param(name).id, value, &mut buffer);
            assert_eq!(String::from_utf8_lossy(&buffer[..len]), shown, "{name}, {typed} in CLAP");
            let value = vst3.value_of(name, typed).expect("what people type");
            // VST3 has units apart.
            let number = shown.trim_end_matches(" dB").trim_end_matches(" %");
            assert_eq!(vst3.text_of(name, value), number, "{name}, {typed} in VST3");
        }
    });
}

/// What is heard after a change, and of which stems by how much.
const CHANGES: [(&str, &str, [f64; 4], f64); 5] = [
    ("Vocals Mute", "on", [0.0, 1.0, 1.0, 1.0], 1.0),
    ("Drums Solo", "on", [0.0, 1.0, 0.0, 0.0], 1.0),
    ("Bass", "mute", [1.0, 1.0, 0.0, 1.0], 1.0),
    ("Output", "-6 dB", [1.0; 4], 0.501_187),
    // Panned hard to the left, a stem that lies in the middle is 3 dB louder there.
    ("Vocals Pan", "L100", [std::f64::consts::SQRT_2, 1.0, 1.0, 1.0], 1.0),
];

/// By what the left channel is multiplied in the end.
fn left_gain(stem_gains: [f64; 4], output_gain: f64) -> f64 {
    output_gain * stem_gains.iter().zip(MASKS).map(|(gain, mask)| gain * f64::from(mask)).sum::<f64>()
}

/// The same noise on both channels.
fn centred_noise(len: usize) -> Stereo {
    let [left, _] = noise(len, 1);
    [left.clone(), left]
}

fn assert_acts_from(output: &Stereo, input: &Stereo, latency: usize, came_with: usize, change: &str, gain: f64) {
    let expected = delayed(input, latency);
    let heard_from = came_with + latency;
    assert_eq!(first_difference(&expected, output), Some(heard_from), "{change}");
    let settled = heard_from + RAMP_LEN..input[0].len();
    let scaled = expected[0].iter().map(|sample| (f64::from(*sample) * gain) as f32).collect();
    let left = |channel: Vec<f32>| excerpt(&[channel.clone(), channel], settled.clone());
    let difference = difference_db(&left(scaled), &left(output[0].clone()));
    assert!(difference < -60.0, "{change}: {difference:.1} dB from what it should be");
}

#[test]
fn automation_of_every_control_lands_on_the_music_in_both_formats() {
    let test = "automation_of_every_control_lands_on_the_music_in_both_formats";
    isolated_with_model(test, &TestModel::with_masks(MASKS), || {
        let (clap_library, vst3_library) =
            (host::Library::load(&places::clap()), vst3_host::Library::load(&places::vst3()));
        let input = centred_noise(60_000);
        for (name, text, stem_gains, output_gain) in CHANGES {
            let (gain, sample_idx) = (left_gain(stem_gains, output_gain), 20_037);
            let mut plugin = host::Plugin::new(&clap_library, UNBRAID);
            plugin.set_offline(true);
            let value = plugin.value_of(name, text);
            let change = host::Automation { sample_idx, param: plugin.param(name).id, value };
            let mut processor = plugin.activate(RATE, 512);
            let output = processor.render(&input, repeat(512), &[change]).swap_remove(0);
            assert_acts_from(&output, &input, plugin.latency(), sample_idx, &format!("{name} in CLAP"), gain);
            plugin.deactivate(processor);

            let mut plugin = vst3_host::Plugin::new(&vst3_library, "Unbraid");
            plugin.setup(vst3_host::Mode::Offline, RATE, 512);
            plugin.activate();
            let value = plugin.value_of(name, text).expect("a value");
            let change = vst3_host::Automation { sample_idx, param: plugin.param(name), value };
            let rendered = plugin.render(&input, repeat(512), &[change], vst3_host::Outputs::Connected);
            let latency = plugin.latency();
            assert_acts_from(&rendered[0], &input, latency, sample_idx, &format!("{name} in VST3"), gain);
        }
    });
}

/// A modulator pulls the fader down, and the value that is shown and saved stays.
#[test]
fn modulation_lands_on_the_music_and_is_not_saved() {
    isolated_with_model("modulation_lands_on_the_music_and_is_not_saved", &TestModel::with_masks(MASKS), || {
        let library = host::Library::load(&places::clap());
        let input = centred_noise(60_000);
        for (name, amount, gain) in [
            ("Vocals", -1.0, left_gain([0.0, 1.0, 1.0, 1.0], 1.0)),
            ("Drums Mute", 1.0, left_gain([1.0, 0.0, 1.0, 1.0], 1.0)),
        ] {
            let mut plugin = host::Plugin::new(&library, UNBRAID);
            plugin.set_offline(true);
            let saved = plugin.save_state();
            let (param, value) = (plugin.param(name).id, plugin.value(name));
            let mut processor = plugin.activate(RATE, 512);
            let (mut output, mut events) = (silence(60_000), EventBuffer::new());
            for start in (0..60_000).step_by(500) {
                events.clear();
                if start == 20_000 {
                    events.push(&ParamModEvent::new(37, param, Pckn::match_all(), amount));
                }
                processor.process_block([&input[0][start..start + 500], &input[1][start..start + 500]], &events);
                for (channel, block) in output.iter_mut().zip(processor.output(0)) {
                    channel[start..start + 500].copy_from_slice(&block[..500]);
                }
            }
            assert_acts_from(&output, &input, plugin.latency(), 20_037, &format!("{name}, modulated"), gain);
            assert_eq!(plugin.value(name), value, "the value itself is not touched");
            assert_eq!(plugin.save_state(), saved);
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn stems_sum_to_the_main_while_everything_is_automated() {
    isolated_with_model("stems_sum_to_the_main_while_everything_is_automated", &TestModel::with_masks(MASKS), || {
        let library = host::Library::load(&places::clap());
        for rate in [44_100.0, 48_000.0, 96_000.0] {
            let mut plugin = host::Plugin::new(&library, UNBRAID_MULTI_OUT);
            plugin.set_offline(true);
            let mut random = Random::new(rate as u64);
            let params: Vec<_> = plugin.params().iter().filter(|param| param.name != "Automation").cloned().collect();
            let mut changes: Vec<_> = (0..200)
                .map(|_| {
                    let param = &params[random.between(0, params.len() - 1)];
                    let value = f64::from(random.unit());
                    let value =
                        if param.name.ends_with("Mute") || param.name == "Bypass" { value.round() } else { value };
                    host::Automation { sample_idx: random.between(0, 99_999), param: param.id, value }
                })
                .collect();
            changes.sort_by_key(|change| change.sample_idx);
            let input = noise(100_000, 2);
            let mut processor = plugin.activate(rate, 512);
            let outputs = processor.render(&input, repeat(512), &changes);
            plugin.deactivate(processor);
            let sum: [Vec<f64>; 2] = [0, 1].map(|channel| {
                let sample = |idx: usize| outputs[1..].iter().map(|stem| f64::from(stem[channel][idx])).sum();
                (0..100_000).map(sample).collect()
            });
            // Over the loudest of all: where most is muted, little is left of sums of much.
            let all = outputs.iter().chain([&input]);
            let loudest = all.max_by(|a, b| power_db(a).total_cmp(&power_db(b))).expect("outputs");
            let error = [0, 1].map(|channel: usize| {
                let parts = outputs[0][channel].iter().zip(&sum[channel]);
                parts.map(|(main, sum)| (f64::from(*main) - sum) as f32).collect()
            });
            let difference = power_db(&error) - power_db(loudest);
            println!("  {rate} Hz: {difference:.1} dB");
            assert!(difference < -120.0, "{rate} Hz: {difference:.1} dB");
        }
    });
}

/// Projects of the first version know four gains and the bypass: whatever was set before, they sound as they did.
#[test]
fn a_state_with_gains_only_sounds_as_it_did() {
    isolated_with_model("a_state_with_gains_only_sounds_as_it_did", &TestModel::with_masks(MASKS), || {
        let library = host::Library::load(&places::clap());
        let json = r#"{"version":"0.1.0","params":{"bass":{"f32":0.0},"bypass":{"bool":false},"drums":{"f32":0.0},
            "other":{"f32":0.0},"vocals":{"f32":-72.0}},"fields":{"model":"\"first\""}}"#;
        let state = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
        let input = centred_noise(60_000);
        let render = |changed: &[(&str, &str)]| {
            let mut plugin = host::Plugin::new(&library, UNBRAID);
            plugin.set_offline(true);
            let changes: Vec<_> = changed
                .iter()
                .map(|(name, text)| {
                    let value = plugin.value_of(name, text);
                    host::Automation { sample_idx: 0, param: plugin.param(name).id, value }
                })
                .collect();
            let mut processor = plugin.activate(RATE, 512);
            processor.render(&noise(512, 1), repeat(512), &changes);
            assert!(plugin.load_state(&state));
            plugin.deactivate(processor);
            let mut processor = plugin.activate(RATE, 512);
            let output = processor.render(&input, repeat(512), &[]).swap_remove(0);
            plugin.deactivate(processor);
            output
        };
        let expected = render(&[]);
        let changed = [
            ("Vocals Solo", "on"),
            ("Bass Mute", "on"),
            ("Other Pan", "R50"),
            ("Dry/Wet", "20 %"),
            ("Output", "-20 dB"),
            ("Drums", "3 dB"),
        ];
        assert_eq!(first_difference(&expected, &render(&changed)), None);
    });
}
