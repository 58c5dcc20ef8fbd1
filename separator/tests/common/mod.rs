//! Signals and drivers that several tests share.
#![allow(dead_code, unused_imports, reason = "every test uses some of it")]
#![allow(clippy::needless_range_loop)]

use models::Model;
use separator::{AudioSide, BlockStatus, Engine, EngineConfig, EngineState, FileSeparator, Pipeline, testing};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub use separator::Stereo;

/// What came out of an audio side.
pub struct Output {
    pub delayed: Stereo,
    pub stems: [Stereo; 4],
    pub num_missing: usize,
}

/// A small generator of pseudo-random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed * 2 + 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// -0.5..0.5
    pub fn sample(&mut self) -> f32 {
        (self.next() % (1 << 24)) as f32 / (1 << 24) as f32 - 0.5
    }
}

pub fn noise(len: usize, seed: u64) -> Stereo {
    let mut random = Random::new(seed);
    [0, 1].map(|_| (0..len).map(|_| random.sample()).collect())
}

/// Sines between 50 Hz and 18 kHz.
pub fn band_limited(len: usize, sample_rate_hz: f64) -> Stereo {
    let sines = [(50.0, 0.1), (440.0, 0.2), (1_234.5, 0.1), (5_000.0, 0.05), (11_111.0, 0.05), (17_999.0, 0.05)];
    [0.0, 1.0].map(|phase| {
        let sample = |n: usize| {
            let t = n as f64 / sample_rate_hz;
            sines.iter().map(|(f, a)| a * (std::f64::consts::TAU * f * t + phase).sin()).sum::<f64>() as f32
        };
        (0..len).map(sample).collect()
    })
}

pub fn write_model(model: &testing::TestModel) -> (TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let model = model.write(dir.path()).unwrap();
    (dir, model)
}

pub fn start(model: &Model, sample_rate_hz: f64, max_block_len: usize) -> (Engine, AudioSide) {
    Engine::start(testing::runtime(), model, &EngineConfig { sample_rate_hz, max_block_len }).unwrap()
}

pub fn wait_until_running(engine: &Engine) {
    let start = Instant::now();
    while engine.status().state == EngineState::Loading {
        assert!(start.elapsed() < Duration::from_secs(30), "the model does not load");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(engine.status().state, EngineState::Running);
}

impl Output {
    pub fn new() -> Self {
        Output { delayed: Default::default(), stems: Default::default(), num_missing: 0 }
    }

    /// One block through an audio side; its output is appended.
    pub fn process(&mut self, audio: &mut AudioSide, input: [&[f32]; 2], wait: bool) -> BlockStatus {
        let len = input[0].len();
        let start = self.delayed[0].len();
        let channels = self.delayed.iter_mut().chain(self.stems.iter_mut().flatten());
        channels.for_each(|channel| channel.resize(start + len, f32::NAN));
        let [left, right] = self.delayed.each_mut().map(|channel| &mut channel[start..]);
        let mut stems = self.stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[start..]));
        let status = audio.process_into(input, [left, right], &mut stems, wait);
        self.num_missing += status.num_missing;
        status
    }
}

/// A whole signal through an audio side as in an offline render, in blocks of the lengths that `block_len` gives.
pub fn render(audio: &mut AudioSide, input: &Stereo, mut block_len: impl FnMut() -> usize) -> Output {
    let mut output = Output::new();
    let mut position = 0;
    while position < input[0].len() {
        let end = input[0].len().min(position + block_len());
        output.process(audio, [&input[0][position..end], &input[1][position..end]], true);
        position = end;
    }
    output
}

/// The stems of a whole file, pushed in blocks of the lengths that `block_len` gives.
pub fn separate(
    model: &Model,
    sample_rate_hz: f64,
    input: &Stereo,
    mut block_len: impl FnMut() -> usize,
) -> Vec<Stereo> {
    let pipeline = Pipeline::new(&testing::runtime(), model).unwrap();
    let mut stems: Vec<Stereo> = vec![Default::default(); pipeline.num_stems()];
    let mut separator = FileSeparator::new(pipeline, sample_rate_hz);
    let mut append = |new: &[Stereo]| {
        let channels = stems.iter_mut().flatten().zip(new.iter().flatten());
        channels.for_each(|(stem, new)| stem.extend_from_slice(new));
    };
    let mut position = 0;
    while position < input[0].len() {
        let end = input[0].len().min(position + block_len());
        separator.push([&input[0][position..end], &input[1][position..end]], &mut append).unwrap();
        position = end;
    }
    separator.finish(&mut append).unwrap();
    stems
}

/// Peak of the difference over the peak of the reference.
pub fn error_db(reference: &[f32], actual: &[f32]) -> f64 {
    assert_eq!(reference.len(), actual.len());
    let peak = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0, |peak: f64, value| if value.is_nan() { f64::INFINITY } else { peak.max(value.abs().into()) })
    };
    let error = peak(&mut reference.iter().zip(actual).map(|(a, b)| a - b));
    20.0 * (error / peak(&mut reference.iter().copied())).log10()
}

pub fn bits(samples: &[f32]) -> Vec<u32> {
    samples.iter().map(|sample| sample.to_bits()).collect()
}
