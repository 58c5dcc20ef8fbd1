//! What all crates of Unbraid agree on, in one place: the names of the stems, of the default model, of environment
//! variables and of the ONNX Runtime library; [`Stereo`] audio; files that are written whole or not at all; SHA-256; the text of a panic.
//!
//! Nothing here is for the audio thread.
#![warn(missing_docs)]

/// A stretch of stereo audio: `[channel][sample]`, left and right, of one length.
pub type Stereo = [Vec<f32>; 2];

mod hash;
mod names;
mod panic;
mod whole_file;

pub use hash::{FileHash, sha256_bytes, sha256_digest, sha256_file};
pub use names::{
    DEFAULT_MODEL, MODEL_VARIABLE, MODELS_URL_VARIABLE, RUNTIME_VARIABLE, STEMS, is_windows_device,
    runtime_library_name,
};
pub use panic::panic_message;
pub use whole_file::{part_path, put_in_place, replace_dir, write_whole, write_whole_with};
