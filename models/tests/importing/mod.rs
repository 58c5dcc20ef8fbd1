//! Imports into an empty folder of models, and what must be said when they fail.

use models::import::{ImportOptions, import};
use std::{fs, path::Path};

pub fn options(dir: &Path) -> ImportOptions {
    ImportOptions { models_dir: dir.join("models"), name: None, licence: Some("CC0-1.0".into()), replace: false }
}

/// The message of an import that must fail, and must leave nothing behind.
pub fn refusal(weights: &Path, dir: &Path) -> String {
    let message = import(weights, &options(dir)).expect_err("it should be refused").to_string();
    let left = fs::read_dir(dir.join("models")).map_or(0, |entries| entries.count());
    assert_eq!(left, 0, "{message}");
    message
}

pub fn assert_names(message: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in: {message}");
}
