//! `cdae-lstm`: per bucket and stem, dense layers around an LSTM over the slices, as Open-Unmix has them.
//!
//! X-UMX and the LSTM variant of xumx-sliCQ run Open-Unmix's stack (dense, batch norm, tanh; LSTM; dense over both of
//! them; dense, sigmoid) over every frame. Here a step is a slice: all F M magnitudes of a bucket and both channels at
//! once, so that an hour has as many steps as slices, and the dense layers see the course inside the slice. All
//! buckets and stems are `G = 4 * buckets` groups of one batched LSTM. Causal unless `causal=false`, which adds an LSTM
//! that runs backwards from the end of the song.

mod graph;

use super::weights::NORM_EPSILON;
use super::{
    Architecture, Channel, GraphBuilder, GraphOutput, Layout, LookAhead, Mode, Network, State, Weights,
    recurrent::{check_causal, state_names},
};
use crate::transform::Transform;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::nn::{self, ModuleT};
use tch::{Kind, Tensor, no_grad};

/// The entry in the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "cdae-lstm",
    about: "dense, LSTM, dense per bucket and stem, as Open-Unmix; one step per slice, causal unless causal=false",
    defaults: |_| super::settings(&LstmConfig { hidden: 32, layers: 1, causal: true }),
    build: |vs, settings, transform| Ok(Box::new(BucketLstm::new(vs, super::parse(settings)?, transform.clone()))),
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
pub struct BucketLstm {
    pub(super) config: LstmConfig,
    pub(super) transform: Arc<Transform>,
    /// `[coef]` Added to magnitudes, and the factor after that; the same for all frames of a bin.
    input_mean: Tensor,
    input_scale: Tensor,
    /// `[bucket]`, each `[channel * coef of the bucket][stem * hidden]`
    dense_in: Vec<Tensor>,
    norm_in: nn::BatchNorm,
    /// `[layer]`
    forwards: Vec<Layer>,
    /// `[layer]`; empty if causal.
    backwards: Vec<Layer>,
    /// `[G][2 or 3 times hidden][hidden]`
    dense_middle: Tensor,
    norm_middle: nn::BatchNorm,
    /// `[bucket]`, each `[stem][hidden][channel * coef of the bucket]`
    dense_out: Vec<Tensor>,
    /// `[stem * channel][coef]`
    bias_out: Tensor,
}

/// A layer of G LSTMs; gates in the order i f g o.
struct Layer {
    /// `[G][hidden][4 * hidden]`
    from_input: Tensor,
    from_state: Tensor,
    /// `[G][1][4 * hidden]`
    bias: Tensor,
}

impl Layer {
    fn new(vs: &nn::Path, groups: i64, hidden: i64) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        let weight = |name: &str, rows: i64| {
            vs.var(name, &[groups, rows, 4 * hidden], nn::Init::Uniform { lo: -bound, up: bound })
        };
        Layer {
            from_input: weight("from_input", hidden),
            from_state: weight("from_state", hidden),
            bias: weight("bias", 1),
        }
    }

    /// `x` `[G][S][B][hidden]` from the state `(h, c)`, each `[G][B][hidden]`.
    fn forward(&self, x: &Tensor, h: &Tensor, c: &Tensor, reverse: bool) -> (Tensor, Tensor, Tensor) {
        let (num_slices, batch_size) = (x.size()[1], x.size()[2]);
        let gates = self.bias.baddbmm(&x.flatten(1, 2), &self.from_input, 1.0, 1.0);
        let gates = gates.unflatten(1, [num_slices, batch_size]);
        let (mut h, mut c) = (h.shallow_clone(), c.shallow_clone());
        let mut outputs = Vec::with_capacity(num_slices as usize);
        for step in 0..num_slices {
            let s = if reverse { num_slices - 1 - step } else { step };
            let gates = gates.select(1, s).baddbmm(&h, &self.from_state, 1.0, 1.0).chunk(4, 2);
            c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
            h = gates[3].sigmoid() * c.tanh();
            outputs.push(h.shallow_clone());
        }
        if reverse {
            outputs.reverse();
        }
        (Tensor::stack(&outputs, 1), h, c)
    }
}

impl BucketLstm {
    fn new(vs: &nn::Path, config: LstmConfig, transform: Arc<Transform>) -> Self {
        let (hidden, buckets) = (config.hidden, transform.plan.buckets());
        let groups = STEMS * buckets.len() as i64;
        let num_coefs = transform.plan.num_coefs() as i64;
        let uniform = |vs: nn::Path, name: &str, shape: &[i64], fan_in: i64| {
            let bound = 1.0 / (fan_in as f64).sqrt();
            vs.var(name, shape, nn::Init::Uniform { lo: -bound, up: bound })
        };
        let num_inputs = |bucket: &slicqt::Bucket| 2 * bucket.coefs.len() as i64;
        let dense_in = buckets.iter().enumerate().map(|(i, bucket)| {
            let len = num_inputs(bucket);
            uniform(vs / "dense_in" / i, "weight", &[len, STEMS * hidden], len)
        });
        let dense_out = buckets
            .iter()
            .enumerate()
            .map(|(i, bucket)| uniform(vs / "dense_out" / i, "weight", &[STEMS, hidden, num_inputs(bucket)], hidden));
        let norm = |name: &str| {
            let config = nn::BatchNormConfig { eps: NORM_EPSILON, ws_init: nn::Init::Const(1.0), ..Default::default() };
            nn::batch_norm1d(vs / name, groups * hidden, config)
        };
        let layers = |name: &str| -> Vec<Layer> {
            (0..config.layers).map(|layer| Layer::new(&(vs / name / layer), groups, hidden)).collect()
        };
        let middle_inputs = if config.causal { 2 * hidden } else { 3 * hidden };
        BucketLstm {
            input_mean: vs.zeros_no_train("input_mean", &[num_coefs]),
            input_scale: vs.ones_no_train("input_scale", &[num_coefs]),
            dense_in: dense_in.collect(),
            norm_in: norm("norm_in"),
            forwards: layers("forwards"),
            backwards: if config.causal { vec![] } else { layers("backwards") },
            dense_middle: uniform(vs.clone(), "dense_middle", &[groups, middle_inputs, hidden], middle_inputs),
            norm_middle: norm("norm_middle"),
            dense_out: dense_out.collect(),
            // Masks start near 1/4.
            bias_out: vs.var("bias_out", &[STEMS * 2, num_coefs], nn::Init::Const(-1.0)),
            config,
            transform,
        }
    }

    fn groups(&self) -> i64 {
        self.dense_middle.size()[0]
    }

    /// `[G][S][B][hidden]` through a batch norm over G and hidden.
    fn normalize(&self, norm: &nn::BatchNorm, x: &Tensor, train: bool) -> Tensor {
        let size = x.size();
        let rows = x.permute([1, 2, 0, 3]).reshape([size[1] * size[2], size[0] * size[3]]);
        let rows = norm.forward_t(&rows, train);
        rows.reshape([size[1], size[2], size[0], size[3]]).permute([2, 0, 1, 3])
    }
}

impl Network for BucketLstm {
    fn layout(&self) -> Layout {
        Layout::Coefs
    }

    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn look_ahead(&self) -> LookAhead {
        if self.config.causal { LookAhead::Slices(0) } else { LookAhead::Unbounded }
    }

    fn macs_per_slice(&self) -> u64 {
        let (hidden, directions) = (self.config.hidden as u64, if self.config.causal { 1 } else { 2 });
        let dense = 2 * 2 * self.transform.plan.num_coefs() as u64 * STEMS as u64 * hidden;
        let lstm = directions * self.config.layers as u64 * 8 * hidden * hidden;
        dense + self.groups() as u64 * (lstm + (1 + directions) * hidden * hidden)
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

    fn zero_state(&self, batch_size: i64) -> State {
        if !self.config.causal {
            return State::default();
        }
        let options = (Kind::Float, self.bias_out.device());
        let zeros = || Tensor::zeros([self.groups(), batch_size, self.config.hidden], options);
        State { tensors: state_names(self.config.layers).map(|name| (name, zeros())).collect() }
    }

    fn forward(&self, inputs: &Tensor, state: &State, mode: Mode) -> (Tensor, State) {
        let (b, s, hidden) = (inputs.size()[0], inputs.size()[1], self.config.hidden);
        let x = (inputs + &self.input_mean) * &self.input_scale;
        let own = |bucket: &slicqt::Bucket| x.narrow(-1, bucket.coefs.start as i64, bucket.coefs.len() as i64);
        let buckets = self.transform.plan.buckets();
        let dense: Vec<Tensor> =
            buckets.iter().zip(&self.dense_in).map(|(bucket, w)| own(bucket).flatten(2, 3).matmul(w)).collect();
        // [B][S][G * hidden] to [G][S][B][hidden]
        let dense = Tensor::cat(&dense, 2).reshape([b, s, self.groups(), hidden]).permute([2, 1, 0, 3]);
        let dense = self.normalize(&self.norm_in, &dense, mode.is_train()).tanh();

        let mut states = Vec::new();
        let mut recalled = vec![dense.shallow_clone()];
        let mut below = dense.shallow_clone();
        for (i, layer) in self.forwards.iter().enumerate() {
            let zeros = || Tensor::zeros([self.groups(), b, hidden], (Kind::Float, inputs.device()));
            let (h, c) = match state.tensors.get(2 * i..2 * i + 2) {
                Some(given) => (given[0].1.shallow_clone(), given[1].1.shallow_clone()),
                None => (zeros(), zeros()),
            };
            let (out, h, c) = layer.forward(&below, &h, &c, false);
            if self.config.causal {
                states.extend([h, c]);
            }
            below = out;
        }
        recalled.push(below);
        if !self.backwards.is_empty() {
            let zeros = Tensor::zeros([self.groups(), b, hidden], (Kind::Float, inputs.device()));
            let backwards = self.backwards.iter().fold(dense, |x, layer| layer.forward(&x, &zeros, &zeros, true).0);
            recalled.push(backwards);
        }
        let middle = Tensor::cat(&recalled, 3).flatten(1, 2).bmm(&self.dense_middle).unflatten(1, [s, b]);
        let middle = self.normalize(&self.norm_middle, &middle, mode.is_train()).relu();
        // [G][S][B][hidden] to [bucket][stem][S * B][hidden]
        let middle = middle.reshape([-1, STEMS, s * b, hidden]);
        let logits: Vec<Tensor> = self
            .dense_out
            .iter()
            .enumerate()
            .map(|(i, w)| middle.select(0, i as i64).bmm(w).reshape([STEMS, s, b, 2, -1]))
            .collect();
        let logits = Tensor::cat(&logits, 4).permute([2, 1, 0, 3, 4]);
        let state = State { tensors: state_names(self.config.layers).zip(states).collect() };
        ((logits + self.bias_out.reshape([STEMS, 2, -1])).sigmoid(), state)
    }

    fn write_graph(&self, graph: &mut GraphBuilder, magnitudes: &str, weights: &Weights) -> Result<GraphOutput> {
        check_causal(self.config.causal)?;
        let memory = self.zero_state(1);
        let states = memory.inputs(graph);
        let (masks, next) = graph::write(graph, magnitudes, &states, weights, self)?;
        Ok(GraphOutput::new(masks, memory.outputs(graph, &next)))
    }
}
