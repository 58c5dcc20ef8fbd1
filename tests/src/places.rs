//! Where the tests find what the build made, and the data that only some checkouts have.

use std::path::{Path, PathBuf};

/// The bundled CLAP plugin. `UNBRAID_CLAP` points at another one.
pub fn clap() -> PathBuf {
    let path = match std::env::var_os("UNBRAID_CLAP") {
        Some(path) => PathBuf::from(path),
        None => target().join("bundled/clap/Unbraid/Unbraid.clap"),
    };
    assert!(path.exists(), "{} is not there: run `cargo xtask bundle` first", path.display());
    path
}

/// The bundled VST3 plugin. `UNBRAID_VST3` points at another one.
pub fn vst3() -> PathBuf {
    let path = match std::env::var_os("UNBRAID_VST3") {
        Some(path) => PathBuf::from(path),
        None => target().join("bundled/vst3/Unbraid.vst3"),
    };
    assert!(path.exists(), "{} is not there: run `cargo xtask bundle` first", path.display());
    path
}

/// The ONNX Runtime library that `cargo xtask setup` installs.
pub fn onnxruntime() -> PathBuf {
    let path = target().join("onnxruntime").join(separator::runtime_library_name());
    assert!(path.exists(), "{} is not there: run `cargo xtask setup` first", path.display());
    path
}

/// The bundled command line program.
pub fn program() -> PathBuf {
    target().join("bundled/cli").join(if cfg!(windows) { "unbraid.exe" } else { "unbraid" })
}

/// The excerpt of a song that ships with the repository.
pub fn demo_song() -> PathBuf {
    root().join("demo/song/rubidium.ogg")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A folder of the data that lies beside the checkout, or `None`, with a note on the console, where there is none.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(path);
    if !path.exists() {
        crate::isolated::say(&format!("SKIPPED: {} is not there", path.display()));
        return None;
    }
    Some(path)
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root of the workspace").to_path_buf()
}

/// The model that is shipped. `UNBRAID_MODEL` points at another one.
pub fn model() -> PathBuf {
    let path = match std::env::var_os(crate::isolated::MODEL_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => root().join("models").join(base::DEFAULT_MODEL),
    };
    assert!(path.exists(), "{} is not there", path.display());
    path
}
