//! What cannot be used is refused with a message that names the thing and says what to do.

mod common;
use common::*;
use models::{Model, StateSpec};
use separator::{Pipeline, Runtime, SeparatorError, find_runtime, testing, testing::TestModel};
use std::{fs, path::PathBuf};

fn refusal(edit: impl FnOnce(&mut Model)) -> String {
    let (_dir, mut model) = write_model(&TestModel { fade_in_hops: Some(2), ..TestModel::identity() });
    edit(&mut model);
    Pipeline::new(&testing::runtime(), &model).err().expect("the model should be refused").to_string()
}

fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

#[test]
fn manifest_and_graph_must_agree() {
    let message = refusal(|model| model.manifest.input.name = "spectrum".into());
    assert_names(&message, &["manifest.toml", "input.name", "magnitudes", "got spectrum"]);
    let message = refusal(|model| model.manifest.output.name = "gains".into());
    assert_names(&message, &["output.name", "masks", "got gains"]);
    let message = refusal(|model| model.manifest.input.shape = vec![2, 2156]);
    assert_names(&message, &["input.shape", "4, 2156", "got f32 [2, 2156]"]);
    let message = refusal(|model| model.manifest.states[0].shape = vec![3]);
    assert_names(&message, &["states.count.shape", "1", "got f32 [3]"]);
    let message = refusal(|model| model.manifest.states.clear());
    assert_names(&message, &["states", "count", "nothing about 'count'"]);
    let extra = StateSpec { input: "h".into(), output: "h_next".into(), shape: vec![1] };
    let message = refusal(|model| model.manifest.states.push(extra));
    assert_names(&message, &["states.h.name", "count", "got h"]);
}

#[test]
fn manifest_and_transform_must_agree() {
    let message = refusal(|model| model.manifest.transform.num_coefs = 2000);
    assert_names(&message, &["transform.num_coefs", "expected 2156", "got 2000"]);
    let message = refusal(|model| model.manifest.transform.design = "mel:40:115.5".parse().unwrap());
    assert_names(&message, &["transform.slice_len", "got 2016"]);
    let message = refusal(|model| model.manifest.transform.design = "mel:2:115.5".parse().unwrap());
    assert_names(&message, &["transform.design", "at least 4, got 2"]);
    let message = refusal(|model| model.manifest.transform.transition_len = 500);
    assert_names(&message, &["transform.transition_len", "expected 504", "got 500"]);
}

#[test]
fn truncated_graph_is_refused() {
    let (dir, _) = write_model(&TestModel::identity());
    let path = dir.path().join("model.onnx");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = Model::load(dir.path()).unwrap_err().to_string();
    assert_names(&message, &["model.onnx", "sha256", "damaged", "again"]);
    // And if somebody writes the hash of the damaged file into the manifest:
    let message = refusal(|model| rewrite(model, |bytes| bytes.truncate(bytes.len() / 2)));
    assert_names(&message, &["model.onnx", "an ONNX model", "another export"]);
}

#[test]
fn a_graph_that_only_onnx_runtime_can_judge_is_refused_with_what_it_says() {
    let message = refusal(|model| {
        rewrite(model, |bytes| {
            while let Some(name) = bytes.windows(9).position(|bytes| bytes == b"ReduceSum") {
                bytes[name..][..9].copy_from_slice(b"RadiceSum");
            }
        });
    });
    assert_names(&message, &["model.onnx", "ONNX Runtime", "RadiceSum", "again"]);
}

/// Another graph in place of the model's, with its hash in the manifest.
fn rewrite(model: &mut Model, edit: impl FnOnce(&mut Vec<u8>)) {
    let path = model.onnx_path();
    let mut bytes = fs::read(&path).unwrap();
    edit(&mut bytes);
    fs::write(&path, &bytes).unwrap();
    model.manifest.graph.sha256 = models::sha256_file(&path).unwrap().0;
}

#[test]
fn missing_and_foreign_libraries_are_refused_and_the_right_one_still_loads() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nothing.so");
    let message = Runtime::load(&missing).err().map(|error| error.to_string());
    // Another test of this process may have loaded the right one already: then every path gives that.
    if let Some(message) = message {
        assert_names(&message, &["nothing.so", "cargo xtask setup"]);
        let text = dir.path().join("text.so");
        fs::write(&text, "not a library").unwrap();
        assert_names(&Runtime::load(&text).err().unwrap().to_string(), &["text.so", "cargo xtask setup"]);
        let foreign = ["/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/libm.dylib", "/lib64/libm.so.6"];
        if let Some(foreign) = foreign.map(PathBuf::from).iter().find(|path| path.exists()) {
            assert_names(&Runtime::load(foreign).err().unwrap().to_string(), &["libm", "OrtGetApiBase", "setup"]);
        }
    }
    let runtime = testing::runtime();
    assert!(runtime.path().is_file());
    let again = Runtime::load(&missing).unwrap();
    assert_eq!(again.path(), runtime.path(), "one per process");
}

#[test]
fn library_is_looked_for_where_it_is_said() {
    if std::env::var_os(separator::RUNTIME_VARIABLE).is_some() {
        println!("skipped: {} is set", separator::RUNTIME_VARIABLE);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dirs = [dir.path().join("a"), dir.path().join("b")];
    let Err(SeparatorError::RuntimeNotFound { searched }) = find_runtime(&dirs) else { panic!("found nothing?") };
    assert_eq!(searched, dirs);
    let message = find_runtime(&dirs).unwrap_err().to_string();
    assert_names(&message, &["unbraid_onnxruntime", "cargo xtask setup", "UNBRAID_ONNXRUNTIME"]);
    fs::create_dir(&dirs[1]).unwrap();
    let path = dirs[1].join(separator::runtime_library_name());
    fs::write(&path, "").unwrap();
    assert_eq!(find_runtime(&dirs).unwrap(), path);
}
