//! The exported graph against the network that it came from: the graph slice by slice with its own state, through
//! ONNX Runtime, the network over all slices in one batch.

use crate::checkpoint::Checkpoint;
use crate::example::NUM_INPUTS;
use crate::grid::{Grid, NUM_CELLS};
use crate::network::{Mode, Network, to_cpu};
use anyhow::{Result, bail};
use models::Model;
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::Plan;
use std::path::PathBuf;
use tch::{Device, Tensor, nn, no_grad};

/// Slices that are compared.
const NUM_SLICES: usize = 12;
/// Largest difference between two masks that passes.
const TOLERANCE: f32 = 1e-4;

/// The largest difference between any two masks on random magnitudes.
///
/// # Errors
/// If it exceeds the tolerance, or the graph cannot be run.
pub fn check(checkpoint: &Checkpoint, plan: &Plan<f32>, grid: &Grid, model: &Model) -> Result<f32> {
    let library =
        separator::find_runtime(&[PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/onnxruntime"))])?;
    let runtime = separator::Runtime::load(&library)?;
    let mut graph = separator::Network::open(&runtime, model)?;
    let vs = nn::VarStore::new(Device::Cpu);
    let network = Network::new(&vs.root(), &checkpoint.state.network);
    checkpoint.restore_average(&vs)?;

    let num_coefs = plan.num_coefs();
    let mut rng = StdRng::seed_from_u64(7);
    // Random levels per slice, so that the recurrent state moves.
    let magnitudes: Vec<f32> = (0..NUM_SLICES)
        .flat_map(|_| {
            let level = 10f32.powf(rng.random_range(-4.0..1.0));
            (0..NUM_INPUTS * num_coefs).map(|_| level * rng.random::<f32>()).collect::<Vec<_>>()
        })
        .collect();

    let mut features = vec![0.0; NUM_SLICES * NUM_INPUTS * grid.len()];
    for (features, magnitudes) in features.chunks_exact_mut(grid.len()).zip(magnitudes.chunks_exact(num_coefs)) {
        grid.pool_into(magnitudes, features);
    }
    let shape = [NUM_SLICES as i64, NUM_INPUTS as i64, grid.num_bins as i64, NUM_CELLS as i64];
    let features = Tensor::from_slice(&features).reshape(shape);
    let (cells, _) = no_grad(|| network.forward(&features, 1, &network.zero_state(1), Mode::Apply));
    let cells: Vec<f32> = to_cpu(&cells).reshape([-1]).try_into().expect("a flat f32 tensor");

    let (mut expected, mut masks) = (vec![0.0; num_coefs], vec![f32::NAN; 8 * num_coefs]);
    let mut worst = 0f32;
    for (s, magnitudes) in magnitudes.chunks_exact(NUM_INPUTS * num_coefs).enumerate() {
        graph.run_into(magnitudes, &mut masks)?;
        for (m, masks) in masks.chunks_exact(num_coefs).enumerate() {
            grid.expand_into(&cells[(s * 8 + m) * grid.len()..(s * 8 + m + 1) * grid.len()], &mut expected);
            for (mask, expected) in masks.iter().zip(&expected) {
                let difference = (mask - expected).abs();
                // A mask that is not a number must not pass as a small difference.
                if difference.is_nan() || difference > TOLERANCE {
                    bail!(
                        "slice {s}, mask {m}: the graph gives {mask}, the network {expected} (over {TOLERANCE} apart)"
                    );
                }
                worst = worst.max(difference);
            }
        }
    }
    Ok(worst)
}
