//! Gains through host automation: they land on the music that they came with, they take away what they say, and they are
//! saved.

use audio::{StemFolder, StemReader};
use models::Model;
use separator::testing::{TestModel, runtime};
use separator::{FileSeparator, Pipeline};
use std::iter::repeat;
use tests::host::{Automation, Library, Plugin, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::{MODEL_VARIABLE, isolated, isolated_with_model};
use tests::measure::{delayed, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{Stereo, noise};

const STEMS: [&str; 4] = ["Vocals", "Drums", "Bass", "Other"];

/// What comes out of Unbraid when the vocals, which are the whole mix, are turned off with the input sample `sample_idx`.
fn mute_at(plugin: &mut Plugin, input: &Stereo, sample_idx: usize, block_len: usize) -> Stereo {
    plugin.set_offline(true);
    let change =
        Automation { sample_idx, param: plugin.param("Vocals").id, value: plugin.value_of("Vocals", "-inf dB") };
    let mut processor = plugin.activate(44_100.0, block_len);
    let output = processor.render(input, repeat(block_len), &[change]).swap_remove(0);
    plugin.deactivate(processor);
    output
}

#[test]
fn automation_lands_on_the_music_it_came_with() {
    isolated_with_model("automation_lands_on_the_music_it_came_with", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        for block_len in [1, 32, 512, 4096] {
            for sample_idx in [20_000, 20_001, 20_037, 20_480, 24_575] {
                let mut plugin = Plugin::new(&library, UNBRAID);
                let input = noise(60_000, 1);
                let output = mute_at(&mut plugin, &input, sample_idx, block_len);
                let latency = plugin.latency();
                let expected = delayed(&input, latency);
                let heard_from = sample_idx + latency;
                assert_eq!(first_difference(&expected, &output), Some(heard_from), "blocks of {block_len}");
                // A tenth of a second later the fade has long ended.
                let rest = power_db(&excerpt(&output, heard_from + 4_410..60_000));
                assert!(rest < -100.0, "{rest:.1} dB");
            }
        }
    });
}

#[test]
fn automation_acts_at_once_where_the_project_says_so() {
    isolated_with_model("automation_acts_at_once_where_the_project_says_so", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        let state = String::from_utf8_lossy(&plugin.save_state()[8..]).into_owned();
        let changed = state.replace(r#""automation":{"bool":false}"#, r#""automation":{"bool":true}"#);
        assert_ne!(changed, state, "the state holds the setting");
        let framed = [&(changed.len() as u64).to_le_bytes()[..], changed.as_bytes()].concat();
        assert!(plugin.load_state(&framed));
        assert_eq!(plugin.value("Automation"), 1.0);
        let input = noise(60_000, 1);
        for sample_idx in [20_000, 20_037] {
            let output = mute_at(&mut plugin, &input, sample_idx, 512);
            let expected = delayed(&input, plugin.latency());
            assert_eq!(first_difference(&expected, &output), Some(sample_idx));
            assert!(plugin.load_state(&framed), "back to unity");
        }
    });
}

/// A state is what the user has just chosen: it acts at once, and what was on its way from before is gone.
#[test]
fn a_state_loaded_while_playing_acts_at_once() {
    isolated_with_model("a_state_loaded_while_playing_acts_at_once", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        plugin.set_offline(true);
        let unity = plugin.save_state();
        let (param, value) = (plugin.param("Vocals").id, plugin.value_of("Vocals", "-inf dB"));
        let mut processor = plugin.activate(44_100.0, 512);
        let latency = plugin.latency();
        let input = noise(10 * 512 * 100, 1);
        let part = |range: std::ops::Range<usize>| excerpt(&input, 512 * range.start..512 * range.end);
        let mute = Automation { sample_idx: 0, param, value };
        processor.render(&part(0..100), repeat(512), &[]);
        // Muted, and taken back before it was heard.
        processor.render(&part(100..101), repeat(512), &[mute]);
        assert!(plugin.load_state(&unity));
        let output = processor.render(&part(101..300), repeat(512), &[]).swap_remove(0);
        let expected = excerpt(&input, 512 * 101 - latency..512 * 300 - latency);
        assert_eq!(first_difference(&expected, &output), None);
        // Muted for good, then the state of unity: back within the fade.
        let output = processor.render(&part(300..400), repeat(512), &[mute]).swap_remove(0);
        assert!(power_db(&excerpt(&output, latency + 4_410..51_200)) < -100.0);
        assert!(plugin.load_state(&unity));
        let output = processor.render(&part(400..500), repeat(512), &[]).swap_remove(0);
        let expected = excerpt(&input, 512 * 400 + 882 - latency..512 * 500 - latency);
        assert_eq!(first_difference(&expected, &excerpt(&output, 882..51_200)), None);
        plugin.deactivate(processor);
    });
}

#[test]
fn bypass_lands_on_the_music_too_and_keeps_the_latency() {
    isolated_with_model("bypass_lands_on_the_music_too_and_keeps_the_latency", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        plugin.set_offline(true);
        let (vocals, bypass) = (plugin.param("Vocals").id, plugin.param("Bypass").id);
        let mute = Automation { sample_idx: 0, param: vocals, value: plugin.value_of("Vocals", "-inf dB") };
        let change = Automation { sample_idx: 20_037, param: bypass, value: 1.0 };
        let mut processor = plugin.activate(44_100.0, 512);
        let latency = plugin.latency();
        let input = noise(60_000, 1);
        let output = processor.render(&input, repeat(512), &[mute, change]).swap_remove(0);
        let heard_from = 20_037 + latency;
        assert!(power_db(&excerpt(&output, latency + 4_410..heard_from)) < -100.0);
        let expected = delayed(&input, latency);
        let settled = heard_from + 882..60_000;
        assert_eq!(first_difference(&excerpt(&expected, settled.clone()), &excerpt(&output, settled)), None);
        assert_eq!(plugin.latency(), latency);
        plugin.deactivate(processor);
    });
}

#[test]
fn each_gain_acts_on_its_stem_by_what_it_says() {
    let model = TestModel::with_masks([0.4, 0.3, 0.2, 0.1]);
    isolated_with_model("each_gain_acts_on_its_stem_by_what_it_says", &model, || {
        let library = Library::load(&places::clap());
        for (stem_idx, name) in STEMS.iter().enumerate() {
            for (text, gain) in [("-inf dB", 0.0), ("-6 dB", 0.501_187), ("12 dB", 3.981_07f64)] {
                let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
                plugin.set_offline(true);
                let change =
                    Automation { sample_idx: 0, param: plugin.param(name).id, value: plugin.value_of(name, text) };
                let mut processor = plugin.activate(44_100.0, 512);
                let latency = plugin.latency();
                let input = noise(80_000, 2);
                let outputs = processor.render(&input, repeat(512), &[change]);
                let inside = latency + 10_000..80_000;
                let mix = power_db(&excerpt(&delayed(&input, latency), inside.clone()));
                let mask = [0.4, 0.3, 0.2, 0.1][stem_idx];
                let main = power_db(&excerpt(&outputs[0], inside.clone())) - mix;
                let expected = 20.0 * (1.0 + (gain - 1.0) * mask).log10();
                assert!((main - expected).abs() < 0.02, "{name} at {text}: mix {main:.2} dB, not {expected:.2}");
                let stem = power_db(&excerpt(&outputs[1 + stem_idx], inside)) - mix;
                let expected = 20.0 * (gain * mask).log10();
                assert!(
                    (stem - expected).abs() < 0.02 || (gain == 0.0 && stem == f64::NEG_INFINITY),
                    "{name} at {text}: stem {stem:.2} dB, not {expected:.2}"
                );
                plugin.deactivate(processor);
            }
        }
    });
}

#[test]
fn a_saved_state_comes_back() {
    isolated_with_model("a_saved_state_comes_back", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        let texts = ["-inf dB", "-12.5 dB", "3 dB", "12 dB"];
        let changes: Vec<_> = STEMS
            .iter()
            .zip(texts)
            .map(|(name, text)| Automation {
                sample_idx: 0,
                param: plugin.param(name).id,
                value: plugin.value_of(name, text),
            })
            .collect();
        let mut processor = plugin.activate(44_100.0, 512);
        processor.render(&noise(512, 1), repeat(512), &changes);
        let values = STEMS.map(|name| plugin.value(name));
        for (value, change) in values.iter().zip(&changes) {
            assert!((value - change.value).abs() < 1e-6);
        }
        let state = plugin.save_state();
        plugin.deactivate(processor);

        for id in [UNBRAID, UNBRAID_MULTI_OUT] {
            let mut other = Plugin::new(&library, id);
            assert_ne!(STEMS.map(|name| other.value(name)), values);
            assert!(other.load_state(&state), "{id} takes the state");
            assert_eq!(STEMS.map(|name| other.value(name)), values, "{id}");
            assert!(!other.load_state(b""), "an empty state is refused");
            assert!(!other.load_state(&[0x5a; 1000]), "noise is refused");
            assert_eq!(STEMS.map(|name| other.value(name)), values, "a refused state changes nothing");
        }
    });
}

/// How far below the true vocals lies what is left of them (or was damaged) when they have been taken out.
fn removal_db(vocals: &Stereo, backing: &Stereo, output: &Stereo) -> f64 {
    let left = [0, 1].map(|c| output[c].iter().zip(&backing[c]).map(|(out, backing)| out - backing).collect());
    power_db(vocals) - power_db(&left)
}

#[test]
fn vocals_go_from_a_real_song_as_far_as_from_a_file() {
    let Some(data) = places::shared("data/stems/valid") else { return };
    let model_dir = places::model();
    let envs = [(MODEL_VARIABLE, model_dir.as_os_str())];
    isolated("vocals_go_from_a_real_song_as_far_as_from_a_file", &envs, || {
        let library = Library::load(&places::clap());
        for folder in StemFolder::open_all(&data).expect("songs") {
            let mut reader = StemReader::open(&folder).expect("stems");
            let rate = f64::from(reader.sample_rate_hz());
            let mut stems: [Stereo; 4] = Default::default();
            let mut part: [Stereo; 4] = Default::default();
            // The half minute with the loudest vocals.
            while reader.read_block((30.0 * rate) as usize, &mut part).expect("stems") > 0 {
                if power_db(&part[0]) > power_db(&stems[0]) {
                    std::mem::swap(&mut stems, &mut part);
                }
            }
            let num_samples = stems[0][0].len();
            if num_samples == 0 {
                println!("  {}: nobody sings", folder.name());
                continue;
            }
            let sum = |range: std::ops::Range<usize>| -> Stereo {
                [0, 1].map(|c| {
                    (0..num_samples).map(|i| stems[range.clone()].iter().map(|stem| stem[c][i]).sum()).collect()
                })
            };
            let (mix, backing) = (sum(0..4), sum(1..4));

            let model = Model::load(&model_dir).expect("a model");
            let vocals_idx = model.manifest.stems.iter().position(|name| name == "vocals").expect("vocals");
            let pipeline = Pipeline::new(&runtime(), &model).expect("a pipeline");
            let mut separator = FileSeparator::new(pipeline, rate);
            let mut estimate: Stereo = Default::default();
            let mut keep = |stems: &[Stereo]| {
                for (channel, part) in estimate.iter_mut().zip(&stems[vocals_idx]) {
                    channel.extend_from_slice(part);
                }
            };
            separator.push([&mix[0], &mix[1]], &mut keep).expect("separation");
            separator.finish(&mut keep).expect("separation");
            let from_file = [0, 1].map(|c| mix[c].iter().zip(&estimate[c]).map(|(mix, vocals)| mix - vocals).collect());

            let mut plugin = Plugin::new(&library, UNBRAID);
            plugin.set_offline(true);
            let mut processor = plugin.activate(rate, 512);
            let latency = plugin.latency();
            let change = Automation {
                sample_idx: 0,
                param: plugin.param("Vocals").id,
                value: plugin.value_of("Vocals", "-inf dB"),
            };
            let padded = [0, 1].map(|c| [&mix[c][..], &vec![0.0; latency]].concat());
            // Muted before the music begins: after a reset gains are where they were sent last, without a fade.
            processor.render(&noise(512, 1), repeat(512), &[change]);
            processor.reset();
            let output = processor.render(&padded, repeat(512), &[]).swap_remove(0);
            let from_host = excerpt(&output, latency..latency + num_samples);
            plugin.deactivate(processor);

            let [file_db, host_db] = [&from_file, &from_host].map(|output| removal_db(&stems[0], &backing, output));
            println!("  {}: file {file_db:.2} dB, host {host_db:.2} dB", folder.name());
            assert!(host_db > file_db - 0.01, "file {file_db:.2} dB, host {host_db:.2} dB");
        }
    });
}
