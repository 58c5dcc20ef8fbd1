//! Which names are harmless as names of files, on every system.

use crate::limits::{MAX_FILE_NAME_LEN, MAX_STEM_NAME_LEN};

/// What the name of a model must be.
pub(crate) const FILE_NAME: &str = "the name of a file or folder: up to 100 bytes without / \\ : * ? \" < > |, no dot or space at either end, and no \
     name of a device as nul or com1";

/// Whether this names one file or folder, and the same one on every system: no path, no drive, no stream, no device.
pub(crate) fn is_file_name(name: &str) -> bool {
    let is_allowed = |c: char| !c.is_control() && !r#"/\:*?"<>|"#.contains(c);
    (1..=MAX_FILE_NAME_LEN).contains(&name.len())
        && name.chars().all(is_allowed)
        // Hidden files, unfinished imports, `.` and `..` begin with a dot; Windows drops dots and spaces at the end.
        && !name.starts_with(['.', ' '])
        && !name.ends_with(['.', ' '])
        && !base::is_windows_device(name)
}

/// What the name of a stem must be.
pub(crate) const STEM_NAME: &str = "names of 1 to 32 of a-z 0-9 _ + -, and no name of a device as nul or com1";

/// Whether this can name a stem, and so the file that it is written to.
pub(crate) fn is_stem_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+-".contains(&byte);
    (1..=MAX_STEM_NAME_LEN).contains(&name.len()) && name.bytes().all(is_allowed) && !base::is_windows_device(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_one_component_on_every_system() {
        for name in ["first", "xumx-sliCQ", "My model 2", "a.b", "model.onnx", "größer", &"x".repeat(100)] {
            assert!(is_file_name(name), "{name}");
        }
        let long = "x".repeat(101);
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "/a",
            r"a\b",
            r"\\server\share",
            "C:",
            "c:model",
            "a:stream",
            "a.",
            "a ",
            " a",
            "nul",
            "COM1.onnx",
            "a\nb",
            "a\0",
            "\u{7f}",
            "a*",
            "a?",
            "<a>",
            "a|b",
            "\"a\"",
            &long,
        ] {
            assert!(!is_file_name(name), "{name:?}");
        }
    }

    #[test]
    fn names_of_stems_are_plain() {
        for name in ["vocals", "bass+other", "lead_2", "no-drums", "0", &"x".repeat(32)] {
            assert!(is_stem_name(name), "{name}");
        }
        let long = "x".repeat(33);
        for name in ["", "Vocals", "a b", "a.b", "../x", "/x", r"a\b", "a:b", "é", "aux", "com1", "a\n", &long] {
            assert!(!is_stem_name(name), "{name:?}");
        }
    }
}
