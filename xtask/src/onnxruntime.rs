//! The ONNX Runtime library, taken from its PyPI wheel and given a name of our own: other plugins in the same host may
//! bring a different `libonnxruntime.so.1`.

use crate::process::say;
use crate::wheel::{Wheel, install_dir, unpack};
use crate::workspace;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Not a newer one: from 1.29 on, the published libraries for Linux and macOS send telemetry from the moment they are
/// opened, and nothing but an environment variable of the whole process stops that (`ORT_DISABLE_TELEMETRY`).
const VERSION: &str = "1.28.0";

/// The wheel for one platform.
struct Platform {
    os: &'static str,
    arch: &'static str,
    wheel: Wheel,
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        os: "linux",
        arch: "x86_64",
        wheel: Wheel {
            file_name: "onnxruntime-1.28.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            sha256: "a166b78ee04f3a37fa1ef82034b6a3ce96d9684e582d4d30b296de83e9998bb5",
        },
    },
    Platform {
        os: "linux",
        arch: "aarch64",
        wheel: Wheel {
            file_name: "onnxruntime-1.28.0-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
            sha256: "8d66f9ceb29909c70839e4e4fb3435c7b490050d8f162bd5f3aba4ca01ee517f",
        },
    },
    Platform {
        os: "macos",
        arch: "aarch64",
        wheel: Wheel {
            file_name: "onnxruntime-1.28.0-cp311-cp311-macosx_14_0_arm64.whl",
            sha256: "f5c5daabd28aad610f83fdcf32acec8fb57e6adc6c6a39fe2a3c755db957b410",
        },
    },
    Platform {
        os: "windows",
        arch: "x86_64",
        wheel: Wheel {
            file_name: "onnxruntime-1.28.0-cp311-cp311-win_amd64.whl",
            sha256: "0d650aeee29368414367b65529e90afe4bf1bab76254789063b8b2f7ea3013c8",
        },
    },
];

/// Where the library lies once `install` has run.
pub fn library() -> PathBuf {
    dir().join(base::runtime_library_name())
}

/// Puts the library and its licences into `target/onnxruntime`.
pub fn install() -> Result<()> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let Some(Platform { wheel, .. }) = PLATFORMS.iter().find(|platform| platform.os == os && platform.arch == arch)
    else {
        bail!("there is no pinned ONNX Runtime for {arch} {os}; add its wheel to xtask/src/onnxruntime.rs");
    };
    install_dir(&dir(), wheel.sha256, |part| {
        let path = wheel.fetch()?;
        say(format!("Unpacking ONNX Runtime {VERSION}"));
        unpack(&path, part, place)?;
        let name = library().file_name().map(PathBuf::from).unwrap_or_default();
        if !part.join(&name).is_file() {
            bail!("{} holds no ONNX Runtime library", path.display());
        }
        Ok(())
    })
}

fn dir() -> PathBuf {
    workspace::target().join("onnxruntime")
}

/// Which files of the wheel are kept, and under which names.
fn place(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let file_name = path.file_name()?.to_str()?;
    let is_library = file_name == "onnxruntime.dll"
        || file_name.starts_with("libonnxruntime.so.")
        || (file_name.starts_with("libonnxruntime.") && file_name.ends_with(".dylib"));
    if is_library && path.parent()? == Path::new("onnxruntime/capi") {
        return library().file_name().map(PathBuf::from);
    }
    ["LICENSE", "ThirdPartyNotices.txt"].contains(&file_name).then(|| PathBuf::from(file_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_library_and_its_licences_are_kept() {
        assert_eq!(place("onnxruntime/capi/libonnxruntime.so.1.28.0").unwrap(), library().file_name().unwrap());
        assert_eq!(place("onnxruntime/LICENSE").unwrap(), Path::new("LICENSE"));
        assert_eq!(place("onnxruntime/capi/libonnxruntime_providers_shared.so"), None);
        assert_eq!(place("onnxruntime/capi/onnxruntime_pybind11_state.so"), None);
    }

    #[test]
    fn every_pin_is_of_the_one_version() {
        for platform in PLATFORMS {
            assert!(platform.wheel.file_name.starts_with(&format!("onnxruntime-{VERSION}-cp311-cp311-")));
            assert_eq!(platform.wheel.sha256.len(), 64);
        }
    }
}
