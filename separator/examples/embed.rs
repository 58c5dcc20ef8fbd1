//! The engine in a program of your own: a stereo stream in, the delayed mix and four stems out, block by block.
//!
//! `cargo xtask setup && cargo run --release -p unbraid-separator --example embed [MODEL_FOLDER]`

use std::path::PathBuf;

use models::Model;
use separator::{Engine, EngineConfig, EngineState, STEMS, find_runtime};

const BLOCK_LEN: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let model = std::env::args().nth(1).map_or(repository.join("models/mix"), PathBuf::from);
    let model = Model::load(&model)?;
    let library = find_runtime(&[repository.join("target/onnxruntime")])?;
    let config = EngineConfig { sample_rate_hz: 48_000.0, max_block_len: BLOCK_LEN };

    // `Engine` stays with the main thread; `AudioSide` moves to the audio thread, which never allocates, locks or waits.
    let (engine, mut audio) = Engine::start(library, &model, &config)?;
    let latency = audio.latency_samples();
    println!("{}: latency {latency} samples", model.manifest.name);
    while engine.status().state == EngineState::Loading {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }

    // Two seconds of a tone with a beat, as a host would hand them over.
    let tone = |n: usize| {
        let t = n as f32 / 48_000.0;
        0.3 * (440.0 * std::f32::consts::TAU * t).sin() * (8.0 * t).fract()
    };
    let mut energy = [0.0f64; STEMS.len()];
    let mut worst = 0f32;
    for block_idx in 0..2 * 48_000 / BLOCK_LEN {
        let input: Vec<f32> = (0..BLOCK_LEN).map(|i| tone(block_idx * BLOCK_LEN + i)).collect();
        let mut mix = [[0.0; BLOCK_LEN], [0.0; BLOCK_LEN]];
        let mut stems = [[[0.0; BLOCK_LEN]; 2]; 4];
        let [left, right] = &mut mix;
        let mut outputs = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..]));
        // The last argument: this loop is no audio thread and may wait for the stems.
        audio.process_into([&input, &input], [left, right], &mut outputs, true);
        for (energy, stem) in energy.iter_mut().zip(&stems) {
            *energy += stem[0].iter().map(|x| f64::from(x * x)).sum::<f64>();
        }
        for (i, mix) in mix[0].iter().enumerate() {
            worst = worst.max((mix - stems.iter().map(|stem| stem[0][i]).sum::<f32>()).abs());
        }
    }
    for (stem, energy) in STEMS.iter().zip(energy) {
        println!("{stem:<7} energy {energy:.1}");
    }
    println!("the stems add up to the mix within {worst:.1e}; {:?}", engine.status());
    Ok(())
}
