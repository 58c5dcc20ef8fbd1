//! The bundles that `cargo xtask bundle` has made run anywhere: no path of this machine is in what the loader reads, and
//! no library is asked for that a host may lack.
#![cfg(target_os = "linux")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// None, with a note, before anything was bundled.
fn bundled() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let bundled = target.join("bundled");
    if !bundled.join("cli/unbraid-play").is_file() {
        println!("skipped: {} holds no bundles; run `cargo xtask bundle` first", bundled.display());
        return None;
    }
    Some(bundled)
}

/// What the dynamic section of a file says, line by line. None where there is no readelf.
fn dynamic_section(file: &Path) -> Option<Vec<String>> {
    let output = Command::new("readelf").arg("--dynamic").arg(file).env("LC_ALL", "C").output().ok()?;
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Names of the libraries that a file asks for.
fn needed(file: &Path) -> Option<Vec<String>> {
    let lines = dynamic_section(file)?;
    for line in &lines {
        assert!(!line.contains("RPATH") && !line.contains("RUNPATH"), "{}: {line}", file.display());
    }
    let name = |line: &String| Some(line.split_once("(NEEDED)")?.1.split(['[', ']']).nth(1)?.to_owned());
    Some(lines.iter().filter_map(name).collect())
}

#[test]
fn binaries_ask_for_what_every_system_has() {
    let Some(bundled) = bundled() else { return };
    let everywhere =
        ["libgcc_s.so.1", "libm.so.6", "libc.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux"];
    let vst3 = format!("vst3/Unbraid.vst3/Contents/{}-linux/Unbraid.so", std::env::consts::ARCH);
    // Only what plays by itself needs a sound library.
    for (file, more) in [
        ("clap/Unbraid/Unbraid.clap", None),
        (vst3.as_str(), None),
        ("cli/unbraid", None),
        ("cli/unbraid-play", Some("libasound.so.2")),
        ("cli/unbraid-standalone", Some("libasound.so.2")),
    ] {
        let Some(needed) = needed(&bundled.join(file)) else {
            println!("skipped: no readelf here");
            return;
        };
        assert!(!needed.is_empty(), "{file}");
        for name in needed {
            let is_known = everywhere.iter().any(|known| name.starts_with(known)) || more == Some(&name[..]);
            assert!(is_known, "{file} needs {name}");
        }
    }
}

#[test]
fn every_bundle_has_the_licences_of_all_crates() {
    let Some(bundled) = bundled() else { return };
    for resources in ["clap/Unbraid", "vst3/Unbraid.vst3/Contents/Resources", "cli"] {
        let path = bundled.join(resources).join("licences/DEPENDENCIES.txt");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for part in ["egui ", "ort ", "cpal ", "---- text 1 ----"] {
            assert!(text.contains(part), "{}: {part}", path.display());
        }
    }
}
