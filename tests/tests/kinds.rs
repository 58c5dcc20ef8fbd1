//! Networks of every kind, with any number of stems, through a host and through the command line program: one result.

use audio::{WavFormat, WavWriter, read_all};
use models::{InputKind, Model, OutputKind};
use separator::testing::TestModel;
use slicqt::Design;
use std::iter::repeat;
use std::path::Path;
use std::process::{Command, Stdio};
use tests::host::{Library, Plugin, UNBRAID_MULTI_OUT};
use tests::isolated::{MODEL_VARIABLE, is_child, isolated, scratch_dir};
use tests::measure::{delayed, difference_db, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::{Stereo, noise};

const RATE: f64 = 44_100.0;
const KINDS: [(InputKind, OutputKind); 5] = [
    (InputKind::Magnitude, OutputKind::Mask),
    (InputKind::Magnitude, OutputKind::ComplexMask),
    (InputKind::Complex, OutputKind::Mask),
    (InputKind::Complex, OutputKind::ComplexMask),
    (InputKind::Complex, OutputKind::Coefs),
];

/// What the plugin's outputs must hold: stems by name, those that it has no output for in "other".
fn mapped(names: &[String], stems: &[Stereo]) -> [Stereo; 4] {
    let mut outputs = [(); 4].map(|()| [vec![0.0; stems[0][0].len()], vec![0.0; stems[0][0].len()]]);
    for (name, stem) in names.iter().zip(stems) {
        let slot = separator::STEMS.iter().position(|known| known == name).unwrap_or(3);
        for (sum, part) in outputs[slot].iter_mut().zip(stem) {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
    outputs
}

/// Through the plugin in a host, and through the program: the same stems.
fn check_model(dir: &Path) {
    let model = Model::load(&dir.join("model")).expect("a model");
    let input = noise(40_000, 5);
    let song = dir.join("song.wav");
    let mut writer = WavWriter::create(&song, 44_100, WavFormat::Float32).expect("a file");
    writer.write([&input[0], &input[1]]).expect("a file");
    writer.finish().expect("a file");
    let (program, out) = (places::target().join("bundled/cli/unbraid"), dir.join("stems"));
    let mut run = Command::new(program);
    run.arg("separate").arg(&song).arg("--out").arg(&out).arg("--model").arg(&model.dir);
    assert!(run.stdout(Stdio::null()).status().expect("the bundle holds the program").success());
    let names = &model.manifest.stems;
    let stems: Vec<Stereo> = names
        .iter()
        .map(|name| read_all(out.join(format!("song/{name}.wav"))).expect("a stem for every name").samples)
        .collect();

    let library = Library::load(&places::clap());
    let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
    plugin.set_offline(true);
    let mut processor = plugin.activate(RATE, 512);
    let latency = plugin.latency();
    let outputs = processor.render(&input, repeat(512), &[]);
    plugin.deactivate(processor);
    assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "0 dB is the input");
    for (port_idx, expected) in mapped(names, &stems).iter().enumerate() {
        let inside = latency + 2_000..40_000;
        let (expected, actual) =
            (excerpt(&delayed(expected, latency), inside.clone()), excerpt(&outputs[1 + port_idx], inside));
        if power_db(&expected) < -90.0 {
            assert!(power_db(&actual) < -90.0, "stem {port_idx} is silent in the file");
        } else {
            let difference = difference_db(&expected, &actual);
            assert!(difference < -100.0, "stem {port_idx}: {difference:.1} dB");
        }
    }
}

fn check(test: &str, names: &[&str]) {
    for (input_kind, output_kind) in KINDS {
        let dir = scratch_dir(test).join(format!("{input_kind:?}-{output_kind:?}"));
        let test_model = TestModel { design: Design::stft(1_024, 256, RATE), ..TestModel::identity() };
        let test_model = test_model.with_num_stems(names.len()).of_kind(input_kind, output_kind);
        let stems = names.iter().map(|name| (*name).to_owned()).collect();
        let model = TestModel { stems, ..test_model }.write(&dir.join("model")).expect("a model can be written");
        // In the child, the environment says which of the kinds it is for.
        isolated(test, &[(MODEL_VARIABLE, model.dir.as_os_str())], || {
            let model_dir = std::env::var_os(MODEL_VARIABLE).expect("set by the parent");
            check_model(Path::new(&model_dir).parent().expect("a folder in a folder"));
        });
        if is_child() {
            return;
        }
    }
}

#[test]
fn two_stems_of_every_kind() {
    check("two_stems_of_every_kind", &["vocals", "accompaniment"]);
}

#[test]
fn six_stems_of_every_kind() {
    check("six_stems_of_every_kind", &["drums", "guitar", "piano", "other", "vocals", "bass"]);
}
