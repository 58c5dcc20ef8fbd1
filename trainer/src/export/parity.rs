//! The exported graph against the network that it came from: the graph slice by slice with its own state, or a block in one
//! run, through ONNX Runtime, the network over all slices in one batch.

use crate::batch::example::Contents;
use crate::network::{InputKind, LookAhead, Mode, Network};
use crate::precision::to_cpu;
use crate::transform::Transform;
use anyhow::{Result, bail};
use models::Model;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::path::PathBuf;
use tch::{Tensor, no_grad};

/// Slices that are compared.
const NUM_SLICES: usize = 12;
/// Largest difference between two masks that passes.
const TOLERANCE: f32 = 1e-4;

/// The largest difference between any two masks on random inputs.
///
/// # Errors
/// If it exceeds the tolerance, or the graph cannot be run.
pub fn check(network: &dyn Network, transform: &Transform, model: &Model) -> Result<f32> {
    let library =
        separator::find_runtime(&[PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/onnxruntime"))])?;
    let runtime = separator::Runtime::load(&library)?;
    let mut graph = separator::Graph::open(&runtime, model)?.make_state()?;
    let block_slices = model.manifest.offline.as_ref().and_then(|offline| offline.block_slices);
    let look_ahead = match (network.look_ahead(), block_slices) {
        (LookAhead::Slices(num_slices), _) => num_slices,
        (LookAhead::Unbounded, Some(_)) => 0,
        (LookAhead::Unbounded, None) => bail!("it cannot be streamed"),
    };
    let (num_slices, slices_per_run) = block_slices.map_or((NUM_SLICES, 1), |num_slices| (num_slices, num_slices));

    let contents = Contents::of(network);
    let (layout, num_coefs) = (contents.layout, transform.plan.num_coefs());
    let (num_inputs, num_masks) = (contents.planes().num_planes(), 4 * contents.num_mask_planes());
    let positions = layout.num_positions(transform);
    let mut rng = StdRng::seed_from_u64(7);
    // Random levels per slice, so that the recurrent state moves. Magnitudes are not negative.
    let lowest = if contents.input_kind == InputKind::Magnitude { 0.0 } else { -1.0 };
    let planes: Vec<f32> = (0..num_slices)
        .flat_map(|_| {
            let level = 10f32.powf(rng.random_range(-4.0..1.0));
            (0..num_inputs * num_coefs).map(|_| level * rng.random_range(lowest..1.0f32)).collect::<Vec<_>>()
        })
        .collect();
    let mut inputs = vec![0.0; num_slices * num_inputs * positions];
    layout.pool_planes_into(transform, &planes, &mut inputs);
    let shape = [1, num_slices as i64, num_inputs as i64, positions as i64];
    let inputs = Tensor::from_slice(&inputs).reshape(shape);
    let (all_masks, _) = no_grad(|| network.forward(&inputs, &network.zero_state(1), Mode::Apply));
    let all_masks: Vec<f32> = to_cpu(&all_masks).reshape([-1]).try_into().expect("a flat f32 tensor");

    let mut masks = vec![f32::NAN; num_slices * num_masks * num_coefs];
    let runs = planes.chunks_exact(slices_per_run * num_inputs * num_coefs);
    for (planes, masks) in runs.zip(masks.chunks_exact_mut(slices_per_run * num_masks * num_coefs)) {
        graph.run_into(planes, masks)?;
    }
    let mut expected = vec![0.0; num_coefs];
    let mut worst = 0f32;
    for (s, masks) in masks.chunks_exact(num_masks * num_coefs).enumerate() {
        if s < look_ahead {
            continue; // these masks belong to no slice
        }
        for (m, masks) in masks.chunks_exact(num_coefs).enumerate() {
            layout.expand_into(transform, &all_masks[(s * num_masks + m) * positions..][..positions], &mut expected);
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
