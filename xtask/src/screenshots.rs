//! `cargo xtask screenshots`: the pictures of the editor in `docs/pictures`, which the plugin's tests compare with.

use crate::process::{self, cargo};
use crate::workspace;
use anyhow::Result;
use std::fs;

/// Draws them anew, without a window or a display.
pub fn run() -> Result<()> {
    fs::create_dir_all(workspace::root().join("docs/pictures"))?;
    for (package, test) in [("plugin", "editor"), ("player", "window")] {
        let args = ["test", "--release", "--package", package, "--test", test, "picture", "--", "--nocapture"];
        process::run(cargo().args(args).env("UNBRAID_WRITE_SCREENSHOTS", "1"))?;
    }
    Ok(())
}
