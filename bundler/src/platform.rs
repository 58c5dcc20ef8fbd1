//! What things are called, and where they lie, on each platform.

/// An operating system (and processor) that can be bundled for.
///
/// On macOS both plugins are bundles: `Unbraid.clap/Contents/MacOS/Unbraid` with `Contents/Resources`. On Windows the
/// CLAP is a file in a folder as on Linux, and the VST3's binary is `Contents/x86_64-win/Unbraid.vst3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux on the processor of that name, as Rust has it: `x86_64`, `aarch64`.
    Linux(&'static str),
    /// macOS.
    MacOs,
    /// Windows on the processor of that name.
    Windows(&'static str),
}

impl Platform {
    /// The one that this was compiled for.
    pub fn current() -> Self {
        match std::env::consts::OS {
            "macos" => Platform::MacOs,
            "windows" => Platform::Windows(std::env::consts::ARCH),
            _ => Platform::Linux(std::env::consts::ARCH),
        }
    }

    /// What cargo calls the plugin.
    pub(crate) fn built_plugin(self) -> &'static str {
        match self {
            Platform::Linux(_) => "libunbraid_plugin.so",
            Platform::MacOs => "libunbraid_plugin.dylib",
            Platform::Windows(_) => "unbraid_plugin.dll",
        }
    }

    /// The command line program.
    pub(crate) fn program(self) -> &'static str {
        if matches!(self, Platform::Windows(_)) { "unbraid.exe" } else { "unbraid" }
    }

    /// What `unbraid play` starts, and the plugin without a host.
    pub(crate) fn player_programs(self) -> [&'static str; 2] {
        match self {
            Platform::Windows(_) => ["unbraid-play.exe", "unbraid-standalone.exe"],
            _ => ["unbraid-play", "unbraid-standalone"],
        }
    }

    /// ONNX Runtime, as the `separator` looks for it.
    pub(crate) fn runtime_library(self) -> &'static str {
        match self {
            Platform::Linux(_) => "libunbraid_onnxruntime.so",
            Platform::MacOs => "libunbraid_onnxruntime.dylib",
            Platform::Windows(_) => "unbraid_onnxruntime.dll",
        }
    }

    pub(crate) fn clap_folder(self) -> &'static str {
        if self == Platform::MacOs { "Unbraid.clap" } else { "Unbraid" }
    }

    pub(crate) fn clap_binary(self) -> &'static str {
        if self == Platform::MacOs { "Contents/MacOS/Unbraid" } else { "Unbraid.clap" }
    }

    pub(crate) fn clap_resources(self) -> &'static str {
        if self == Platform::MacOs { "Contents/Resources" } else { "" }
    }

    /// The folders' names are Steinberg's.
    pub(crate) fn vst3_binary(self) -> String {
        match self {
            Platform::Linux(arch) => format!("Contents/{arch}-linux/Unbraid.so"),
            Platform::MacOs => "Contents/MacOS/Unbraid".into(),
            Platform::Windows("aarch64") => "Contents/arm64-win/Unbraid.vst3".into(),
            Platform::Windows(arch) => format!("Contents/{arch}-win/Unbraid.vst3"),
        }
    }
}
