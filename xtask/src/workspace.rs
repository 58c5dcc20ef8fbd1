//! Where things lie in the checkout.

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the root of the workspace").to_path_buf()
}

/// Cargo's target folder: everything that is built or downloaded lands in it.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where release builds land.
pub fn release() -> PathBuf {
    target().join("release")
}

/// The installable folders.
pub fn bundled() -> PathBuf {
    target().join("bundled")
}
