//! Names that several crates must spell alike.

/// The four stems of the plugin, in the order of its parameters and outputs.
pub const STEMS: [&str; 4] = ["vocals", "drums", "bass", "other"];

/// The model of whoever names none.
pub const DEFAULT_MODEL: &str = "mix";

/// Environment variable with the name or the folder of a model; overrides the project's.
pub const MODEL_VARIABLE: &str = "UNBRAID_MODEL";

/// Environment variable with the path of the ONNX Runtime library; goes before every folder.
pub const RUNTIME_VARIABLE: &str = "UNBRAID_ONNXRUNTIME";

/// Environment variable with the address of a server that mirrors published weights.
pub const MODELS_URL_VARIABLE: &str = "UNBRAID_MODELS_URL";

/// File name of the ONNX Runtime library as Unbraid ships it. A name of our own: several plugins in one host may each
/// bring a different `libonnxruntime`.
pub fn runtime_library_name() -> &'static str {
    if cfg!(windows) {
        "unbraid_onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        "libunbraid_onnxruntime.dylib"
    } else {
        "libunbraid_onnxruntime.so"
    }
}

/// Whether Windows would open a device instead of a file of this name, whatever its extension and its folder.
/// (Microsoft, "Naming Files, Paths, and Namespaces".)
pub fn is_windows_device(file_name: &str) -> bool {
    // Windows ignores everything from the first dot or colon, and spaces before it.
    let stem = file_name.split(['.', ':']).next().unwrap_or("").trim_end_matches(' ').to_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].contains(&stem.as_str()) {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    // The superscript digits of Latin-1 count as digits here.
    port.is_some_and(|number| {
        let mut chars = number.chars();
        matches!((chars.next(), chars.next()), (Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_windows_are_known_with_any_extension() {
        for name in ["con", "NUL", "aux.wav", "Com1", "lpt9.tar.gz", "COM\u{b2}.txt", "nul .wav", "prn:x", "conin$"] {
            assert!(is_windows_device(name), "{name}");
        }
        for name in ["vocals", "console", "com", "com10", "lptx", "auxiliary.wav", "first", ""] {
            assert!(!is_windows_device(name), "{name}");
        }
    }
}
