//! [`super`] as the tensors that [`models::cdae`] writes graphs of, as it does of published weights.

use super::Cdae;
use crate::network::weights::Weights;
use crate::precision::to_cpu;
use anyhow::Result;
use models::cdae::{BatchNorm, BucketStacks, Stack};
use tch::Tensor;

const STEMS: usize = 4;

/// The network with `weights`, stems apart.
///
/// # Errors
/// If a weight is missing.
pub fn tensors(network: &Cdae, weights: &Weights) -> Result<models::cdae::Cdae> {
    let buckets = network.buckets.iter().enumerate().map(|(i, own)| {
        let get = |name: &str| weights.get(&format!("bucket.{i}.{name}"));
        Ok(BucketStacks {
            bucket: own.bucket.clone(),
            mean: flat(get("input_mean")?),
            scale: flat(get("input_scale")?),
            stacks: (0..STEMS).map(|stem| stack(&get, stem)).collect::<Result<_>>()?,
        })
    });
    let config = &network.config;
    Ok(models::cdae::Cdae {
        form: config.form.into(),
        outer: config.outer as usize,
        inner: config.inner as usize,
        buckets: buckets.collect::<Result<_>>()?,
    })
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    to_cpu(tensor).reshape([-1]).try_into().expect("a flat f32 tensor")
}

fn stack<'a>(get: &impl Fn(&str) -> Result<&'a Tensor>, stem: usize) -> Result<Stack> {
    // Stems lie side by side along the first axis.
    let own = |name: &str| -> Result<Vec<f32>> { Ok(flat(&get(name)?.chunk(STEMS as i64, 0)[stem])) };
    let norm = |name: &str| -> Result<BatchNorm> {
        let own = |tensor: &str| own(&format!("{name}.{tensor}"));
        Ok(BatchNorm {
            weight: own("weight")?,
            bias: own("bias")?,
            mean: own("running_mean")?,
            var: own("running_var")?,
        })
    };
    Ok(Stack {
        conv_1: own("conv1")?,
        norm_1: norm("norm1")?,
        conv_2: own("conv2")?,
        norm_2: norm("norm2")?,
        transposed_1: own("conv3")?,
        norm_3: norm("norm3")?,
        transposed_2: own("conv4")?,
        bias: own("bias4")?,
    })
}
