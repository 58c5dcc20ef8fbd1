//! Runs the built program with a model of constant masks.

use std::path::{Path, PathBuf};
use std::process::Command;

use audio::{WavFormat, WavWriter};
use separator::testing::TestModel;

/// What a run left behind.
pub struct Outcome {
    pub is_success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// A folder for one test, with a model in it that gives each stem this share of the mix.
pub struct Workplace {
    dir: tempfile::TempDir,
}

impl Workplace {
    pub fn new(masks: [f32; 4]) -> Workplace {
        let dir = tempfile::tempdir().unwrap();
        TestModel::with_masks(masks).write(&dir.path().join("model")).unwrap();
        Workplace { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `unbraid ARGS` in the folder.
    pub fn unbraid(&self, args: &[&str]) -> Outcome {
        self.unbraid_with(args, &[])
    }

    /// The same with environment variables.
    pub fn unbraid_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .args(args)
            .current_dir(self.dir.path())
            .env("UNBRAID_MODEL", self.path("model"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { is_success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub fn write_wav(path: &Path, sample_rate_hz: u32, samples: [&[f32]; 2]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = WavWriter::create(path, sample_rate_hz, WavFormat::Float32).unwrap();
    writer.write(samples).unwrap();
    writer.finish().unwrap();
}

/// A sum of tones below 5 kHz that starts and ends softly; differs with `seed`.
pub fn tones(num_samples: usize, sample_rate_hz: u32, seed: u32) -> Vec<f32> {
    let period = std::f64::consts::TAU / f64::from(sample_rate_hz);
    (0..num_samples)
        .map(|i| {
            let edge = (i.min(num_samples - i) as f64 / f64::from(sample_rate_hz) * 50.0).min(1.0);
            let tone = |hz: f64| (i as f64 * period * (hz + 37.0 * f64::from(seed))).sin();
            (edge * (0.3 * tone(210.0) + 0.2 * tone(1730.0) + 0.1 * tone(4100.0))) as f32
        })
        .collect()
}
