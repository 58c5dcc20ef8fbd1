//! `band-gru`: bands of a plain STFT, GRUs over time and across the bands, masks by softmax over the stems.
//!
//! After BSRNN (Luo and Yu 2023) in a form that streams: every band of a slice becomes a vector (a dense layer of its
//! own); layers of a GRU over time, whose weights all bands share and whose state each band has for itself, and of a
//! GRU up and down the bands of the slice, both with a layer norm before and a residual around them; and a small
//! network of its own per band makes the masks of its bins.

mod bands;

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel};
use crate::layers::{BandLinear, BiGru, Gru, Norm, Ops, Unary};
use crate::transform::Transform;
use anyhow::{Result, ensure};
use bands::BandGroup;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn, no_grad};

/// The entry in the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "band-gru",
    about: "bands of a plain STFT, GRUs over time (shared by the bands) and across the bands; causal",
    defaults: |_| {
        let config = BandGruConfig { width: 64, hidden: 32, layers: 3, decoder: 64, band_scale: 1.0, dropout: 0.1 };
        super::settings(&config)
    },
    build: |vs, settings, transform| Ok(Box::new(Streamed::new(BandGru::new(vs, super::parse(settings)?, transform)?))),
};

/// Settings of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandGruConfig {
    /// Width of a band's vector, and of the GRU over time.
    pub width: i64,
    /// Width of each direction of the GRU across the bands.
    pub hidden: i64,
    /// Pairs of GRUs.
    pub layers: usize,
    /// Width of the hidden layer that makes masks.
    pub decoder: i64,
    /// Factor on the widths of the bands: above 1 for fewer.
    pub band_scale: f64,
    /// Share of the values that are dropped before the masks are made, in training.
    pub dropout: f64,
}

/// Magnitudes of left, right, mid and side.
const NUM_INPUTS: i64 = 4;
/// Two features of each: logarithm and square root.
const NUM_FEATURES: i64 = 2 * NUM_INPUTS;
const STEMS: i64 = 4;
const NUM_MASKS: i64 = 2 * STEMS;
/// Added to amplitudes before the logarithm: -80 dB.
const FLOOR: f64 = 1e-4;

struct BandGru {
    config: BandGruConfig,
    groups: Vec<BandGroup>,
    num_bins: i64,
    /// Turns `|c|` into the amplitude of a sine.
    amplitude: f64,
    /// `[feature][bin]` Minus the mean of the features over the training data.
    feature_offset: Tensor,
    /// `[feature][bin]` One over their deviation.
    feature_scale: Tensor,
    /// `[group]`
    encoder: Vec<BandLinear>,
    layers: Vec<Layer>,
    norm: Norm,
    /// `[group]`
    decoder: Vec<(BandLinear, BandLinear)>,
}

struct Layer {
    time_norm: Norm,
    time: Gru,
    band_norm: Norm,
    band: BiGru,
    mix: crate::layers::Linear,
}

impl BandGru {
    fn new(vs: &nn::Path, config: BandGruConfig, transform: &Transform) -> Result<Self> {
        let plan = &transform.plan;
        ensure!(
            plan.bins().iter().all(|bin| bin.num_frames == 1),
            "expected a plain STFT, as --transform stft:2048:512, got {}",
            transform.design
        );
        ensure!(config.layers > 0 && config.width > 0, "expected at least one layer of some width");
        ensure!((0.0..1.0).contains(&config.dropout), "dropout: expected 0 to 1, got {}", config.dropout);
        let groups = bands::split(plan, config.band_scale);
        let (width, hidden) = (config.width, config.hidden);
        let num_bins = plan.num_bins() as i64;
        let path = |name: &str, i: usize| vs / name / i;
        let encoder = groups
            .iter()
            .enumerate()
            .map(|(i, group)| BandLinear::new(&path("encoder", i), group.num_bands, NUM_FEATURES * group.width, width));
        let layers = (0..config.layers).map(|i| {
            let vs = path("layer", i);
            Layer {
                time_norm: Norm::new(&(&vs / "time_norm"), width),
                time: Gru::new(&(&vs / "time"), width, width),
                band_norm: Norm::new(&(&vs / "band_norm"), width),
                band: BiGru::new(&(&vs / "band"), width, hidden),
                mix: crate::layers::Linear::new(&(&vs / "mix"), 2 * hidden, width),
            }
        });
        let decoder = groups.iter().enumerate().map(|(i, group)| {
            let vs = path("decoder", i);
            let inner = BandLinear::new(&(&vs / "inner"), group.num_bands, width, config.decoder);
            let outer = BandLinear::new(&(&vs / "outer"), group.num_bands, config.decoder, NUM_MASKS * group.width);
            (inner, outer)
        });
        Ok(BandGru {
            num_bins,
            amplitude: 4.0 / plan.slice_len() as f64,
            feature_offset: vs.zeros_no_train("feature_offset", &[NUM_FEATURES, num_bins]),
            feature_scale: vs.ones_no_train("feature_scale", &[NUM_FEATURES, num_bins]),
            encoder: encoder.collect(),
            layers: layers.collect(),
            norm: Norm::new(&(vs / "norm"), width),
            decoder: decoder.collect(),
            groups,
            config,
        })
    }

    /// Features `[S][B][feature][bin]`, as they are.
    fn features<O: Ops>(&self, ops: &mut O, magnitudes: &O::Value) -> O::Value {
        let (amplitude, floor) = (ops.number(self.amplitude), ops.number(FLOOR));
        let amplitudes = ops.mul(magnitudes, &amplitude);
        let amplitudes = ops.add(&amplitudes, &floor);
        let logarithms = ops.unary(Unary::Log, &amplitudes);
        let roots = ops.unary(Unary::Sqrt, &amplitudes);
        ops.concat(&[logarithms, roots], 0)
    }

    fn num_padding_bins(&self) -> i64 {
        self.groups.last().map_or(0, |last| last.first_bin + last.num_bins()) - self.num_bins
    }

    /// `[S][B][band][width]`
    fn encode<O: Ops>(&self, ops: &mut O, features: &O::Value) -> O::Value {
        let mut bands = Vec::new();
        for (group, dense) in self.groups.iter().zip(&self.encoder) {
            let own = ops.narrow(features, 1, group.first_bin, group.num_bins());
            let own = ops.reshape(&own, &[NUM_FEATURES, group.num_bands, group.width]);
            let own = ops.permute(&own, &[1, 0, 2]);
            let own = ops.reshape(&own, &[group.num_bands, NUM_FEATURES * group.width]);
            bands.push(ops.band_linear(&own, dense));
        }
        ops.concat(&bands, 0)
    }

    /// Masks' logits `[S][B][mask][bin]`.
    fn decode<O: Ops>(&self, ops: &mut O, x: &O::Value) -> O::Value {
        let mut logits = Vec::new();
        for (group, (inner, outer)) in self.groups.iter().zip(&self.decoder) {
            let own = ops.narrow(x, 0, group.first_band, group.num_bands);
            let own = ops.band_linear(&own, inner);
            let own = ops.unary(Unary::Tanh, &own);
            let own = ops.band_linear(&own, outer);
            let own = ops.reshape(&own, &[group.num_bands, NUM_MASKS, group.width]);
            let own = ops.permute(&own, &[1, 0, 2]);
            logits.push(ops.reshape(&own, &[NUM_MASKS, group.num_bins()]));
        }
        let logits = ops.concat(&logits, 1);
        ops.narrow(&logits, 1, 0, self.num_bins)
    }
}

impl Description for BandGru {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side]
    }

    fn num_coefs(&self) -> i64 {
        self.num_bins
    }

    fn device(&self) -> Device {
        self.feature_offset.device()
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        no_grad(|| {
            let state = super::State::default();
            let mut ops = crate::layers::TensorOps::new(&state, super::Mode::Apply);
            let features = self.features(&mut ops, inputs).flatten(0, 1);
            self.feature_offset.copy_(&-features.mean_dim([0].as_slice(), false, Kind::Float));
            let deviation = features.std_dim([0].as_slice(), true, false);
            self.feature_scale.copy_(&(deviation + 0.01).reciprocal());
        });
    }

    fn masks<O: Ops>(&self, ops: &mut O, magnitudes: &O::Value) -> O::Value {
        let features = self.features(ops, magnitudes);
        let (offset, scale) = (ops.constant(&self.feature_offset), ops.constant(&self.feature_scale));
        let features = ops.add(&features, &offset);
        let features = ops.mul(&features, &scale);
        let features = ops.pad(&features, self.num_padding_bins());
        let mut x = self.encode(ops, &features);
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = ops.norm(&x, &layer.time_norm);
            let past = ops.gru_in_time(&normed, &layer.time, &format!("time_{i}"));
            x = ops.add(&x, &past);
            let normed = ops.norm(&x, &layer.band_norm);
            let across = ops.gru_across(&normed, &layer.band);
            let across = ops.linear(&across, &layer.mix);
            x = ops.add(&x, &across);
        }
        let x = ops.norm(&x, &self.norm);
        let x = if self.config.dropout > 0.0 { ops.dropout(&x, self.config.dropout) } else { x };
        let logits = self.decode(ops, &x);
        let logits = ops.reshape(&logits, &[STEMS, 2, self.num_bins]);
        ops.softmax(&logits, 0)
    }
}
