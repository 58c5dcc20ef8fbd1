//! `cdae-lstm`: per bucket and stem, dense layers around an LSTM over the slices, as Open-Unmix has them.
//!
//! X-UMX and the LSTM variant of xumx-sliCQ run Open-Unmix's stack (dense, batch norm, tanh; LSTM; dense over both of
//! them; dense, sigmoid) over every frame. Here a step is a slice: all F M magnitudes of a bucket and both channels at
//! once, so that an hour has as many steps as slices, and the dense layers see the course inside the slice. All
//! buckets and stems are `G = 4 * buckets` groups of one batched LSTM. Causal unless `causal=false`, which adds an LSTM
//! that runs backwards from the end of the song.

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel, LookAhead};
use crate::layers::{BandLinear, BatchNorm, GroupedLstm, Linear, Ops, Unary};
use crate::transform::Transform;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// The entry in the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "cdae-lstm",
    about: "dense, LSTM, dense per bucket and stem, as Open-Unmix; one step per slice, causal unless causal=false",
    defaults: |_| super::settings(&LstmConfig { hidden: 32, layers: 1, causal: true }),
    build: |vs, settings, transform| {
        Ok(Box::new(Streamed::new(BucketLstm::new(vs, super::parse(settings)?, transform.clone()))))
    },
};

/// Settings of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Width of the dense layers and of the LSTM, for each bucket and stem.
    pub hidden: i64,
    /// Layers of the LSTM.
    pub layers: usize,
    /// Whether it runs forwards only.
    pub causal: bool,
}

const STEMS: i64 = 4;

/// The network.
struct BucketLstm {
    config: LstmConfig,
    transform: Arc<Transform>,
    /// `[coef]` Added to magnitudes, and the factor after that; the same for all frames of a bin.
    input_mean: Tensor,
    input_scale: Tensor,
    /// `[bucket]`, each from `[channel * coef of the bucket]` to `[stem * hidden]`
    dense_in: Vec<Linear>,
    norm_in: BatchNorm,
    /// `[layer]`
    forwards: Vec<GroupedLstm>,
    /// `[layer]`; empty if causal.
    backwards: Vec<GroupedLstm>,
    /// Of each group, from what it recalls.
    dense_middle: BandLinear,
    norm_middle: BatchNorm,
    /// `[bucket]`, each of the stems' `[hidden]` to `[channel * coef of the bucket]`
    dense_out: Vec<BandLinear>,
    /// `[stem][channel][coef]`
    bias_out: Tensor,
}

impl BucketLstm {
    fn new(vs: &nn::Path, config: LstmConfig, transform: Arc<Transform>) -> Self {
        let (hidden, buckets) = (config.hidden, transform.plan.buckets());
        let groups = STEMS * buckets.len() as i64;
        let num_coefs = transform.plan.num_coefs() as i64;
        let num_inputs = |bucket: &slicqt::Bucket| 2 * bucket.coefs.len() as i64;
        let dense_in = buckets
            .iter()
            .enumerate()
            .map(|(i, bucket)| Linear::without_bias(&(vs / "dense_in" / i), num_inputs(bucket), STEMS * hidden));
        let dense_out = buckets
            .iter()
            .enumerate()
            .map(|(i, bucket)| BandLinear::without_bias(&(vs / "dense_out" / i), STEMS, hidden, num_inputs(bucket)));
        let layers = |name: &str| -> Vec<GroupedLstm> {
            (0..config.layers).map(|layer| GroupedLstm::new(&(vs / name / layer), groups, hidden, hidden)).collect()
        };
        let recalled = if config.causal { 2 * hidden } else { 3 * hidden };
        BucketLstm {
            input_mean: vs.zeros_no_train("input_mean", &[num_coefs]),
            input_scale: vs.ones_no_train("input_scale", &[num_coefs]),
            dense_in: dense_in.collect(),
            norm_in: BatchNorm::new(&(vs / "norm_in"), groups * hidden),
            forwards: layers("forwards"),
            backwards: if config.causal { vec![] } else { layers("backwards") },
            dense_middle: BandLinear::without_bias(&(vs / "dense_middle"), groups, recalled, hidden),
            norm_middle: BatchNorm::new(&(vs / "norm_middle"), groups * hidden),
            dense_out: dense_out.collect(),
            // Masks start near 1/4.
            bias_out: vs.var("bias_out", &[STEMS, 2, num_coefs], nn::Init::Const(-1.0)),
            config,
            transform,
        }
    }

    fn groups(&self) -> i64 {
        STEMS * self.transform.plan.buckets().len() as i64
    }

    /// `[group][hidden]` through a batch norm over both.
    fn normalize<O: Ops>(&self, ops: &mut O, norm: &BatchNorm, x: &O::Value) -> O::Value {
        let flat = ops.reshape(x, &[self.groups() * self.config.hidden]);
        let normed = ops.batch_norm(&flat, norm, 0);
        ops.reshape(&normed, &[self.groups(), self.config.hidden])
    }
}

impl Description for BucketLstm {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn look_ahead(&self) -> LookAhead {
        if self.config.causal { LookAhead::Slices(0) } else { LookAhead::Unbounded }
    }

    fn num_coefs(&self) -> i64 {
        self.transform.plan.num_coefs() as i64
    }

    fn device(&self) -> Device {
        self.bias_out.device()
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        no_grad(|| {
            for bin in self.transform.plan.bins() {
                let (start, len) = (bin.coef_offset as i64, bin.num_frames as i64);
                let own = inputs.narrow(-1, start, len);
                self.input_mean.narrow(0, start, len).copy_(&-own.mean(Kind::Float));
                self.input_scale.narrow(0, start, len).copy_(&(own.std(true) + 1e-4).reciprocal());
            }
        });
    }

    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let hidden = self.config.hidden;
        let (mean, scale) = (ops.constant(&self.input_mean), ops.constant(&self.input_scale));
        let x = ops.add(inputs, &mean);
        let x = ops.mul(&x, &scale);
        let buckets = self.transform.plan.buckets();
        let mut dense = Vec::new();
        for (bucket, layer) in buckets.iter().zip(&self.dense_in) {
            let own = ops.narrow(&x, 1, bucket.coefs.start as i64, bucket.coefs.len() as i64);
            let own = ops.reshape(&own, &[2 * bucket.coefs.len() as i64]);
            dense.push(ops.linear(&own, layer));
        }
        let dense = ops.concat(&dense.iter().collect::<Vec<_>>(), 0);
        let dense = ops.reshape(&dense, &[self.groups(), hidden]);
        let dense = self.normalize(ops, &self.norm_in, &dense);
        let dense = ops.unary(Unary::Tanh, &dense);
        let mut past = ops.alias(&dense);
        for (i, layer) in self.forwards.iter().enumerate() {
            past = ops.grouped_lstm_in_time(&past, layer, &["h", "c"].map(|kind| format!("lstm_{kind}_{i}")));
        }
        let mut recalled = vec![ops.alias(&dense), past];
        if !self.backwards.is_empty() {
            let mut future = dense;
            for layer in &self.backwards {
                future = ops.grouped_lstm_back(&future, layer);
            }
            recalled.push(future);
        }
        let recalled = ops.concat(&recalled.iter().collect::<Vec<_>>(), 1);
        let middle = ops.band_linear(&recalled, &self.dense_middle);
        let middle = self.normalize(ops, &self.norm_middle, &middle);
        let middle = ops.unary(Unary::Relu, &middle);
        let mut logits = Vec::new();
        for (i, (bucket, layer)) in buckets.iter().zip(&self.dense_out).enumerate() {
            let own = ops.narrow(&middle, 0, i as i64 * STEMS, STEMS);
            let own = ops.band_linear(&own, layer);
            logits.push(ops.reshape(&own, &[STEMS, 2, bucket.coefs.len() as i64]));
        }
        let logits = ops.concat(&logits.iter().collect::<Vec<_>>(), 2);
        let bias = ops.constant(&self.bias_out);
        let logits = ops.add(&logits, &bias);
        ops.unary(Unary::Sigmoid, &logits)
    }
}
