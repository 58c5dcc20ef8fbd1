//! Imported weights in a host: the form of the published ones, with random numbers.

#[path = "../../models/tests/weights/mod.rs"]
mod weights;

use models::{
    Model,
    import::{ImportOptions, import},
};
use separator::{FileSeparator, Pipeline, Runtime, latency_samples};
use std::iter::repeat;
use std::path::PathBuf;
use tests::host::{Library, Plugin, UNBRAID_MULTI_OUT};
use tests::isolated::{MODEL_VARIABLE, isolated, messages, scratch_dir};
use tests::measure::{best_delay, delayed, difference_db, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{Stereo, noise};

const RATE: f64 = 44_100.0;

/// Weights of a small network, imported for streams or for files.
fn imported(test: &str, is_realtime: bool) -> PathBuf {
    let dir = scratch_dir(test);
    let model = dir.join("models/published");
    if !model.exists() {
        let settings = weights::SETTINGS.replace("\"realtime\": true", &format!("\"realtime\": {is_realtime}"));
        let file = weights::write_pth_with(&dir, &weights::state_dict(), &settings);
        let name = Some("published".to_owned());
        let options = ImportOptions { models_dir: dir.join("models"), name, licence: None, replace: false };
        import(&file, &options).expect("weights of the published form");
    }
    model
}

fn render(input: &Stereo, block_len: usize) -> (usize, Vec<Stereo>) {
    let library = Library::load(&places::clap());
    let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
    plugin.set_offline(true);
    let mut processor = plugin.activate(RATE, block_len);
    let latency = plugin.latency();
    let outputs = processor.render(input, repeat(block_len), &[]);
    plugin.deactivate(processor);
    (latency, outputs)
}

#[test]
fn a_realtime_model_streams_with_its_look_ahead_in_the_latency() {
    let test = "a_realtime_model_streams_with_its_look_ahead_in_the_latency";
    let dir = imported(test, true);
    isolated(test, &[(MODEL_VARIABLE, dir.as_os_str())], || {
        let model = Model::load(&dir).expect("an imported model");
        let hop_len = model.manifest.hop_len;
        let input = noise(80_000, 3);
        let (latency, outputs) = render(&input, 512);
        println!("  look-ahead of {} slices of {hop_len} samples: {latency} samples", model.manifest.look_ahead_slices);
        assert_eq!(model.manifest.look_ahead_slices, 2);
        assert_eq!(latency, latency_samples(&model.manifest, RATE, 512));
        // A hop to fill, one more for the slice, two to look ahead; a block for the worker (longer than a hop); a fade of a
        // quarter of a hop.
        assert_eq!(latency, 4 * hop_len + 512 + hop_len / 4);
        assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "0 dB is the input");

        // The same stems as those of the whole file, which nothing delays. `[stem][channel][sample]`
        let library = places::clap().with_file_name(separator::runtime_library_name());
        let runtime = Runtime::load(&library).expect("the bundle holds ONNX Runtime");
        let mut separator = FileSeparator::new(Pipeline::new(&runtime, &model).expect("a model"), RATE);
        let mut stems = vec![Stereo::default(); 4];
        let mut collect = |parts: &[Stereo]| {
            for (stem, part) in stems.iter_mut().flatten().zip(parts.iter().flatten()) {
                stem.extend_from_slice(part);
            }
        };
        separator.push([&input[0], &input[1]], &mut collect).expect("a graph that runs");
        separator.finish(&mut collect).expect("a graph that runs");
        for (stem_idx, name) in model.manifest.stems.iter().enumerate() {
            // The plugin's ports have an order of their own.
            let port = 1 + separator::STEMS.iter().position(|stem| stem == name).expect("a known stem");
            let expected = delayed(&stems[stem_idx], latency);
            let inside = latency + 10 * hop_len..70_000;
            let (expected, actual) = (excerpt(&expected, inside.clone()), excerpt(&outputs[port], inside));
            assert!(power_db(&actual) > -60.0, "{name} sounds");
            let difference = difference_db(&expected, &actual);
            assert!(difference < -100.0, "{name}: {difference:.1} dB");
        }
        assert_eq!(best_delay(&input, &outputs[0], latency, 8), latency);
    });
}

#[test]
fn a_model_for_files_is_refused_with_a_reason_and_the_mix_passes() {
    let test = "a_model_for_files_is_refused_with_a_reason_and_the_mix_passes";
    let dir = imported(test, false);
    isolated(test, &[(MODEL_VARIABLE, dir.as_os_str())], || {
        let input = noise(60_000, 4);
        let (latency, outputs) = render(&input, 441);
        assert!(latency > 0, "a project keeps its alignment");
        assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None);
        let log = messages();
        assert!(log.contains("passes the mix through") && log.contains("published"), "{log}");
        assert!(log.contains("unbraid separate"), "what to do with it instead: {log}");
    });
}
