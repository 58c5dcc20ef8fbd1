//! System packages on Debian and its descendants.

use crate::process::{run, say};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// What building the plugin needs: nice-plug's windowing and its standalone's audio backends.
pub const BUILD_PACKAGES: [&str; 13] = [
    "pkg-config",
    "python3",
    "libx11-dev",
    "libx11-xcb-dev",
    "libxcb1-dev",
    "libxcb-dri2-0-dev",
    "libxcb-icccm4-dev",
    "libxcursor-dev",
    "libxkbcommon-dev",
    "libxkbcommon-x11-dev",
    "libgl1-mesa-dev",
    "libasound2-dev",
    "libjack-jackd2-dev",
];

/// What the tests make use of when it is there: slicqt's gate counts instructions with it.
pub const TEST_PACKAGES: [&str; 1] = ["valgrind"];

/// Installs those of `packages` that are missing when this is Debian and we are root; otherwise names them.
pub fn install_missing(packages: &[&str]) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    let Some(missing) = missing(packages) else {
        say(format!("This is not Debian: see to it that the equivalents of these are there: {}", packages.join(" ")));
        return Ok(());
    };
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root() {
        bail!("system packages are missing; run this as root, then try again:\n  apt-get install {list}");
    }
    say(format!("Installing system packages: {list}"));
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
        command
    };
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(&missing))
}

/// The ones of `packages` that are not installed; `None` where there is no dpkg.
fn missing<'a>(packages: &[&'a str]) -> Option<Vec<&'a str>> {
    // dpkg-query fails when it has never heard of one of the names, but still lists the others.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"])
        .args(packages)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_there = |package: &str| listed.lines().any(|line| line.strip_prefix("installed ") == Some(package));
    Some(packages.iter().copied().filter(|package| !is_there(package)).collect())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_packages_are_missing_and_known_ones_are_not() {
        let Some(missing) = missing(&["dpkg", "no-such-package-as-this"]) else {
            println!("skipped: no dpkg here");
            return;
        };
        assert_eq!(missing, ["no-such-package-as-this"]);
    }
}
