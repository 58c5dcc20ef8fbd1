//! `x-umx`, `x-umx-causal`, `umx`: Open-Unmix (Stöter et al. 2019), and CrossNet-Open-Unmix (Sawata et al. 2021).
//!
//! For each stem, over the magnitudes of a plain STFT's slice up to a bandwidth: dense, batch norm, tanh; LSTMs over the slices;
//! dense over both, batch norm, ReLU; dense, batch norm, ReLU: a mask of all bins. Every bin has an offset and a factor
//! before the first and after the last layer. X-UMX runs the four side by side and has them share what they hear: what goes
//! into the LSTMs, and what goes into the second dense layer, is the mean over the stems.
//!
//! As published, the LSTMs run both ways, and the network is one for whole songs; `unidirectional=true` streams.

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel, LookAhead, Network, Settings};
use crate::layers::{BandLinear, BatchNorm, Lstm, Ops, Unary};
use crate::transform::Transform;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// As published.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "x-umx",
    about: "the published X-UMX on a plain STFT (4096:1024 there): four Open-Unmix that share what they hear",
    defaults: |_| defaults(false, true),
    build,
};

/// With LSTMs that run forwards only.
pub const CAUSAL: Architecture = Architecture {
    name: "x-umx-causal",
    about: "the same, unidirectional: it streams",
    defaults: |_| defaults(true, true),
    build,
};

/// Without the crossing.
pub const UMX: Architecture = Architecture {
    name: "umx",
    about: "Open-Unmix as published, for four stems at once; unidirectional=true streams",
    defaults: |_| defaults(false, false),
    build,
};

fn build(vs: &nn::Path, settings: &Settings, transform: &Arc<Transform>) -> Result<Box<dyn Network>> {
    Ok(Box::new(Streamed::new(Umx::new(vs, super::parse(settings)?, transform)?)))
}

fn defaults(unidirectional: bool, crossing: bool) -> Settings {
    super::settings(&UmxConfig { hidden_size: 512, nb_layers: 3, bandwidth: 16_000.0, unidirectional, crossing })
}

/// Settings of the network, with the names and defaults of the published program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UmxConfig {
    /// Width of the dense layers, and of both directions of an LSTM together.
    pub hidden_size: i64,
    /// LSTMs one after the other.
    pub nb_layers: usize,
    /// Highest frequency that is looked at, in Hz; masks reach to the top.
    pub bandwidth: f64,
    /// Whether the LSTMs run forwards only.
    pub unidirectional: bool,
    /// Whether the stems share what they hear.
    pub crossing: bool,
}

const STEMS: i64 = 4;
const CHANNELS: i64 = 2;
/// Share of the values that are dropped between LSTMs, in training.
const DROPOUT: f64 = 0.4;

struct Umx {
    config: UmxConfig,
    /// Bins that are looked at, and all.
    bins: [i64; 2],
    /// `[stem][1][bin]`
    input_mean: Tensor,
    input_scale: Tensor,
    dense_1: (BandLinear, BatchNorm),
    /// `[stem][layer][forwards, backwards unless it is unidirectional]`
    lstm: Vec<Vec<Vec<Lstm>>>,
    dense_2: (BandLinear, BatchNorm),
    dense_3: (BandLinear, BatchNorm),
    /// `[stem][1][bin]`
    output_scale: Tensor,
    output_mean: Tensor,
}

impl Umx {
    fn new(vs: &nn::Path, config: UmxConfig, transform: &Transform) -> Result<Self> {
        let plan = &transform.plan;
        ensure!(
            plan.bins().iter().all(|bin| bin.num_frames == 1),
            "expected a plain STFT, as --transform stft:4096:1024, got {}",
            transform.design
        );
        let hidden = config.hidden_size;
        ensure!(hidden > 1 && hidden % 2 == 0, "hidden_size: expected an even number, got {hidden}");
        ensure!(config.nb_layers > 0, "nb_layers: expected at least 1");
        ensure!(config.bandwidth > 0.0, "bandwidth: expected more than 0 Hz, got {} Hz", config.bandwidth);
        let num_bins = plan.num_bins() as i64;
        let top_hz = transform.design.sample_rate_hz() / 2.0;
        let last = (config.bandwidth / top_hz * (num_bins - 1) as f64).floor() as i64;
        let bins = [num_bins.min(last + 1), num_bins];
        let dense = |name: &str, inputs: i64, outputs: i64| {
            let vs = vs / name;
            let norm = BatchNorm::new(&(&vs / "norm"), STEMS * outputs);
            (BandLinear::without_bias(&(&vs / "dense"), STEMS, inputs, outputs), norm)
        };
        let (ends, width): (&[&str], i64) =
            if config.unidirectional { (&[""], hidden) } else { (&["", "_reverse"], hidden / 2) };
        let lstm = (0..STEMS).map(|stem| {
            let vs = vs / "lstm" / stem;
            let layer = |layer: usize| {
                ends.iter().map(|end| Lstm::new(&vs, &format!("l{layer}{end}"), hidden, width)).collect()
            };
            (0..config.nb_layers).map(layer).collect()
        });
        let per_bin = |name: &str, bins: i64, value: f64| vs.var(name, &[STEMS, 1, bins], nn::Init::Const(value));
        Ok(Umx {
            input_mean: per_bin("input_mean", bins[0], 0.0),
            input_scale: per_bin("input_scale", bins[0], 1.0),
            dense_1: dense("dense_1", CHANNELS * bins[0], hidden),
            lstm: lstm.collect(),
            dense_2: dense("dense_2", 2 * hidden, hidden),
            dense_3: dense("dense_3", hidden, CHANNELS * bins[1]),
            output_scale: per_bin("output_scale", bins[1], 1.0),
            output_mean: per_bin("output_mean", bins[1], 1.0),
            bins,
            config,
        })
    }

    /// `[stem][input]` to `[stem][output]`.
    fn dense<O: Ops>(ops: &mut O, x: &O::Value, layer: &(BandLinear, BatchNorm)) -> O::Value {
        let y = ops.band_linear(x, &layer.0);
        let num_outputs = layer.0.weight.size()[2];
        let flat = ops.reshape(&y, &[STEMS * num_outputs]);
        let normed = ops.batch_norm(&flat, &layer.1, 0);
        ops.reshape(&normed, &[STEMS, num_outputs])
    }

    /// The mean over the stems, for each of them; or what each has.
    fn cross<O: Ops>(&self, ops: &mut O, x: &O::Value) -> O::Value {
        if !self.config.crossing {
            return ops.alias(x);
        }
        let mean = ops.mean(x, 0);
        ops.concat(&[&mean; STEMS as usize], 0)
    }

    /// What the LSTMs of a stem make of `[1][hidden]`.
    fn recall<O: Ops>(&self, ops: &mut O, x: O::Value, stem: usize) -> O::Value {
        let mut x = x;
        for (i, layer) in self.lstm[stem].iter().enumerate() {
            if i > 0 {
                x = ops.dropout(&x, DROPOUT);
            }
            let states = ["h", "c"].map(|kind| format!("lstm_{stem}_{i}_{kind}"));
            let past = ops.lstm_in_time(&x, &layer[0], &states);
            x = match layer.get(1) {
                Some(backwards) => {
                    let future = ops.lstm_back(&x, backwards);
                    ops.concat(&[&past, &future], 1)
                }
                None => past,
            };
        }
        x
    }
}

impl Description for Umx {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn look_ahead(&self) -> LookAhead {
        if self.config.unidirectional { LookAhead::Slices(0) } else { LookAhead::Unbounded }
    }

    fn num_coefs(&self) -> i64 {
        self.bins[1]
    }

    fn device(&self) -> Device {
        self.input_mean.device()
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        no_grad(|| {
            let rows = inputs.narrow(-1, 0, self.bins[0]).reshape([-1, self.bins[0]]);
            let deviation = rows.std_dim([0].as_slice(), true, false);
            // As published: no bin counts for more than ten thousand of the strongest.
            let deviation = deviation.maximum(&(deviation.max() * 1e-4)).clamp_min(1e-8);
            self.input_mean.copy_(&-rows.mean_dim([0].as_slice(), false, Kind::Float));
            self.input_scale.copy_(&deviation.reciprocal());
        });
    }

    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let [bins, all_bins] = self.bins;
        let x = ops.narrow(inputs, 1, 0, bins);
        let x = ops.reshape(&x, &[1, CHANNELS, bins]);
        let (mean, scale) = (ops.constant(&self.input_mean), ops.constant(&self.input_scale));
        let x = ops.concat(&[&x; STEMS as usize], 0);
        let x = ops.add(&x, &mean);
        let x = ops.mul(&x, &scale);
        let x = ops.reshape(&x, &[STEMS, CHANNELS * bins]);
        let x = Self::dense(ops, &x, &self.dense_1);
        let own = ops.unary(Unary::Tanh, &x);
        let heard = self.cross(ops, &own);
        let recalled: Vec<O::Value> = (0..STEMS)
            .map(|stem| {
                let x = ops.narrow(&heard, 0, stem, 1);
                self.recall(ops, x, stem as usize)
            })
            .collect();
        let recalled = ops.concat(&recalled.iter().collect::<Vec<_>>(), 0);
        let both = ops.concat(&[&own, &recalled], 1);
        let x = self.cross(ops, &both);
        let x = Self::dense(ops, &x, &self.dense_2);
        let x = ops.unary(Unary::Relu, &x);
        let x = Self::dense(ops, &x, &self.dense_3);
        let x = ops.reshape(&x, &[STEMS, CHANNELS, all_bins]);
        let (scale, mean) = (ops.constant(&self.output_scale), ops.constant(&self.output_mean));
        let x = ops.mul(&x, &scale);
        let x = ops.add(&x, &mean);
        ops.unary(Unary::Relu, &x)
    }
}
