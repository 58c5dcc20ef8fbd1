//! `cargo xtask screenshots`: the pictures of the editor in `docs/pictures`, which the plugin's tests compare with.

use crate::process::{self, cargo};
use crate::workspace;
use anyhow::Result;
use std::fs;

/// Draws them anew, without a window or a display.
pub fn run() -> Result<()> {
    fs::create_dir_all(workspace::root().join("docs/pictures"))?;
    let args = ["test", "--release", "--package", "plugin", "--test", "editor", "pictures", "--", "--nocapture"];
    process::run(cargo().args(args).env("UNBRAID_WRITE_SCREENSHOTS", "1"))
}
