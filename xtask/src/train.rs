//! `cargo xtask train`: libtorch from its PyPI wheels, then the trainer.

use crate::process::{self, cargo, say, step};
use crate::wheel::{Wheel, install_dir, unpack};
use crate::{apt, workspace};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of PyTorch that the `tch` crate in the lock file is made for, and the two CUDA libraries that
/// `libtorch_cpu.so` itself is linked with, GPU or not.
const WHEELS: [Wheel; 3] = [
    Wheel {
        file_name: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
    },
    Wheel {
        file_name: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
    Wheel {
        file_name: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    },
];

/// Sets up libtorch and hands `args` to the trainer's `command`.
pub fn run(command: &str, args: &[String]) -> Result<()> {
    let mut trainer = cargo_with_libtorch()?;
    say("Building and running the trainer");
    process::run(trainer.args(["run", "--release", "--package", "trainer", "--", command]).args(args))
}

/// Sets up libtorch and runs the trainer's tests.
pub fn test() -> Result<()> {
    let mut tests = cargo_with_libtorch()?;
    step("The trainer's tests", || process::run(tests.args(["test", "--release", "--package", "trainer"])))
}

/// Cargo with what building and running against libtorch takes.
fn cargo_with_libtorch() -> Result<Command> {
    apt::install_missing(&["g++", "python3"])?;
    let dir = install_libtorch()?;
    let torch = dir.join("torch");
    let mut library_path = vec![torch.join("lib"), dir.join("nvidia/cu13/lib")];
    library_path.extend(std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths));
    let mut cargo = cargo();
    cargo.env("LIBTORCH", &torch).env("LD_LIBRARY_PATH", std::env::join_paths(library_path)?);
    Ok(cargo)
}

/// Puts libtorch into `target/libtorch` (1.2 GB).
fn install_libtorch() -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "libtorch is pinned for x86_64 Linux only; elsewhere install PyTorch 2.11, set LIBTORCH, and run \
         `cargo run --release -p trainer -- train ...`"
    );
    let dir = workspace::target().join("libtorch");
    let stamp = WHEELS.map(|wheel| wheel.sha256).join("\n");
    install_dir(&dir, &stamp, |part| {
        for wheel in &WHEELS {
            let path = wheel.fetch()?;
            step(&format!("Unpacking {}", wheel.file_name), || unpack(&path, part, place))?;
        }
        Ok(())
    })?;
    Ok(dir)
}

/// Libraries, headers and licences; not the Python code.
fn place(name: &str) -> Option<PathBuf> {
    let kept = ["torch/lib/", "torch/include/", "nvidia/cu13/lib/"];
    let is_licence = name.contains(".dist-info/") && (name.contains("LICENSE") || name.contains("License"));
    (is_licence || kept.iter().any(|folder| name.starts_with(folder))).then(|| Path::new(name).to_path_buf())
}
