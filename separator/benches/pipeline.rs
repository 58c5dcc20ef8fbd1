//! What separation costs: without a network (transforms, masks, resampling), with the shipped one, and the audio
//! thread's share.

#[path = "../../models/tests/weights/mod.rs"]
mod weights;

use divan::{Bencher, black_box};
use models::import::{ImportOptions, import};
use separator::{Engine, EngineConfig, FileSeparator, Pipeline, testing::TestModel, testing::runtime};
use std::path::Path;

fn main() {
    divan::main();
}

fn bark_model() -> (tempfile::TempDir, models::Model) {
    let dir = tempfile::tempdir().unwrap();
    let test_model = TestModel { design: slicqt::Design::bark_262(), ..TestModel::identity() };
    let model = test_model.write(dir.path()).unwrap();
    (dir, model)
}

/// One hop of bark-262, 205 ms of music.
#[divan::bench]
fn hop(bencher: Bencher) {
    let (_dir, model) = bark_model();
    let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
    let hop = vec![0.1; pipeline.hop_len()];
    let mut stems = vec![[hop.clone(), hop.clone()]; pipeline.num_stems()];
    bencher.bench_local(|| pipeline.process_hop([black_box(&hop), &hop], &mut stems).unwrap());
}

fn shipped_model() -> models::Model {
    models::Model::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/first"))).unwrap()
}

/// A network in the form of the published ones, with random weights: its name, and whether it is for files.
fn published_model(design: &str) -> (tempfile::TempDir, models::Model) {
    let (design, settings) = match design {
        "mel-32" => (slicqt::Design::mel_32(), r#""fscale": "mel", "fbins": 32, "fmin": 115.5"#),
        _ => (slicqt::Design::bark_262(), r#""fscale": "bark", "fbins": 262, "fmin": 32.9"#),
    };
    let dir = tempfile::tempdir().unwrap();
    let tensors = weights::state_dict_of(&slicqt::Plan::new(&design).unwrap());
    let settings = format!(r#"{{"args": {{{settings}, "realtime": true}}}}"#);
    let weights = weights::write_pth_with(dir.path(), &tensors, &settings);
    let models_dir = dir.path().join("models");
    let options = ImportOptions { models_dir, name: Some("random".into()), licence: None, replace: false };
    let imported = import(&weights, &options).unwrap();
    eprintln!("{} parameters, {} operations", imported.num_params, imported.num_nodes);
    (dir, imported.model)
}

/// One hop of a published network (mel-32: 22.9 ms of music, bark-262: 204.8 ms), transforms included.
#[divan::bench(args = ["mel-32", "bark-262"])]
fn hop_of_published(bencher: Bencher, design: &str) {
    let (_dir, model) = published_model(design);
    let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
    let hop = vec![0.1; pipeline.hop_len()];
    let mut stems = vec![[hop.clone(), hop.clone()]; pipeline.num_stems()];
    bencher.bench_local(|| pipeline.process_hop([black_box(&hop), &hop], &mut stems).unwrap());
}

/// Checking, opening and warming up a published network.
#[divan::bench(args = ["mel-32", "bark-262"], sample_count = 5)]
fn open_published(bencher: Bencher, design: &str) {
    let (_dir, model) = published_model(design);
    let runtime = runtime();
    bencher.bench_local(|| Pipeline::new(&runtime, &models::Model::load(&model.dir).unwrap()).unwrap());
}

/// One hop of the shipped model, network and all.
#[divan::bench]
fn hop_of_first(bencher: Bencher) {
    let mut pipeline = Pipeline::new(&runtime(), &shipped_model()).unwrap();
    let hop = vec![0.1; pipeline.hop_len()];
    let mut stems = vec![[hop.clone(), hop.clone()]; pipeline.num_stems()];
    bencher.bench_local(|| pipeline.process_hop([black_box(&hop), &hop], &mut stems).unwrap());
}

/// Checking, opening and warming up the shipped model.
#[divan::bench(sample_count = 10)]
fn open_first(bencher: Bencher) {
    let runtime = runtime();
    bencher.bench_local(|| Pipeline::new(&runtime, &shipped_model()).unwrap());
}

/// One second through the whole-file separator, by the sample rate.
#[divan::bench(args = [44_100, 48_000, 96_000, 192_000], sample_count = 10)]
fn second(bencher: Bencher, sample_rate_hz: usize) {
    let (_dir, model) = bark_model();
    let pipeline = Pipeline::new(&runtime(), &model).unwrap();
    let mut separator = FileSeparator::new(pipeline, sample_rate_hz as f64);
    let second = vec![0.1; sample_rate_hz];
    bencher.bench_local(|| separator.push([black_box(&second), &second], &mut |_| ()).unwrap());
}

/// One block of 512 on the audio thread (11.6 ms of music), stems present.
#[divan::bench]
fn block(bencher: Bencher) {
    let (_dir, model) = bark_model();
    let config = EngineConfig { sample_rate_hz: 44_100.0, max_block_len: 512 };
    let (_engine, mut audio) = Engine::start(runtime(), &model, &config).unwrap();
    let input = vec![0.1; 512];
    let mut output = vec![vec![0.0; 512]; 10];
    bencher.bench_local(|| {
        let mut channels = output.iter_mut().map(Vec::as_mut_slice);
        let mut stereo = || [channels.next().unwrap(), channels.next().unwrap()];
        let (delayed, mut stems) = (stereo(), [stereo(), stereo(), stereo(), stereo()]);
        audio.process_into([black_box(&input), &input], delayed, &mut stems, true)
    });
}
