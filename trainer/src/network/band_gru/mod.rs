//! `band-gru`: bands of a plain STFT, GRUs over time and across the bands, masks by softmax over the stems, or complex ones.
//!
//! After BSRNN (Luo and Yu 2023) in a form that streams: every band of a slice becomes a vector (a dense layer of its
//! own); layers of a GRU over time, whose weights all bands share and whose state each band has for itself, and of a
//! GRU up and down the bands of the slice, both with a layer norm before and a residual around them; and a small
//! network of its own per band makes the masks of its bins. A layer may also have attention over the last slices, and
//! with a look-ahead the layers see, besides the slice that they are about, what a GRU and attention make of those
//! after it ([`Future`]).

mod bands;
mod future;

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel, InputKind, LookAhead, OutputKind};
use crate::layers::{Attention, BandLinear, BiGru, Gru, Linear, Norm, Ops, Unary};
use crate::transform::Transform;
use anyhow::{Result, ensure};
use bands::BandGroup;
use future::{Future, attend};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn, no_grad};

/// The entry in the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "band-gru",
    about: "bands of a plain STFT, GRUs over time (shared by the bands) and across the bands; causal",
    defaults: |_| {
        let config = BandGruConfig {
            width: 64,
            hidden: 32,
            layers: 3,
            decoder: 64,
            band_scale: 1.0,
            complex: false,
            dropout: 0.1,
            attention: vec![0, 0],
            look_ahead: 0,
        };
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
    /// Whether it sees and masks phases: complex coefficients in, complex masks out.
    pub complex: bool,
    /// Share of the values that are dropped before the masks are made, in training.
    pub dropout: f64,
    /// `[layer]` Slices that the attention of a layer spans; 0, or no entry: none.
    #[serde(default)]
    pub attention: Vec<i64>,
    /// Slices after the one that masks are for.
    #[serde(default)]
    pub look_ahead: i64,
}

/// Heads of every attention.
const HEADS: i64 = 2;
/// Width of a head.
const HEAD_WIDTH: i64 = 16;

const STEMS: i64 = 4;
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
    future: Option<Future>,
    layers: Vec<Layer>,
    norm: Norm,
    /// `[group]`
    decoder: Vec<(BandLinear, BandLinear)>,
}

struct Layer {
    time_norm: Norm,
    time: Gru,
    past: Option<(Norm, Attention)>,
    band_norm: Norm,
    band: BiGru,
    mix: Linear,
}

impl BandGru {
    fn new(vs: &nn::Path, config: BandGruConfig, transform: &Transform) -> Result<Self> {
        let plan = &transform.plan;
        transform.require_plain_stft()?;
        ensure!(config.layers > 0 && config.width > 0, "expected at least one layer of some width");
        ensure!((0.0..1.0).contains(&config.dropout), "dropout: expected 0 to 1, got {}", config.dropout);
        let windows = &config.attention;
        ensure!(
            windows
                .iter()
                .enumerate()
                .all(|(i, window)| *window == 0 || (i < config.layers && (2..=4096).contains(window))),
            "attention: expected a window of 2 to 4096 slices for each of {} layers, or 0, got {windows:?}",
            config.layers
        );
        let look_ahead = config.look_ahead;
        ensure!((0..=256).contains(&look_ahead), "look_ahead: expected 0 to 256 slices, got {look_ahead}");
        let groups = bands::split(plan, config.band_scale);
        let (width, hidden) = (config.width, config.hidden);
        let num_bins = plan.num_bins() as i64;
        let (num_features, num_masks) = if config.complex { (12, 4 * STEMS) } else { (8, 2 * STEMS) };
        let path = |name: &str, i: usize| vs / name / i;
        let encoder = groups
            .iter()
            .enumerate()
            .map(|(i, group)| BandLinear::new(&path("encoder", i), group.num_bands, num_features * group.width, width));
        let layers = (0..config.layers).map(|i| {
            let vs = path("layer", i);
            Layer {
                time_norm: Norm::new(&(&vs / "time_norm"), width),
                time: Gru::new(&(&vs / "time"), width, width),
                past: config.attention.get(i).copied().filter(|window| *window > 0).map(|window| {
                    let vs = &vs / "past";
                    (Norm::new(&(&vs / "norm"), width), Attention::new(&vs, width, HEADS, HEAD_WIDTH, window, 0))
                }),
                band_norm: Norm::new(&(&vs / "band_norm"), width),
                band: BiGru::new(&(&vs / "band"), width, hidden),
                mix: Linear::new(&(&vs / "mix"), 2 * hidden, width),
            }
        });
        let decoder = groups.iter().enumerate().map(|(i, group)| {
            let vs = path("decoder", i);
            let inner = BandLinear::new(&(&vs / "inner"), group.num_bands, width, config.decoder);
            let outer = BandLinear::new(&(&vs / "outer"), group.num_bands, config.decoder, num_masks * group.width);
            (inner, outer)
        });
        Ok(BandGru {
            num_bins,
            amplitude: 4.0 / plan.slice_len() as f64,
            feature_offset: vs.zeros_no_train("feature_offset", &[num_features, num_bins]),
            feature_scale: vs.ones_no_train("feature_scale", &[num_features, num_bins]),
            encoder: encoder.collect(),
            future: (config.look_ahead > 0).then(|| Future::new(&(vs / "future"), width, config.look_ahead)),
            layers: layers.collect(),
            norm: Norm::new(&(vs / "norm"), width),
            decoder: decoder.collect(),
            groups,
            config,
        })
    }

    /// Magnitudes of left, right, mid and side have two features each, logarithm and square root; complex inputs also
    /// the real and imaginary parts of left and right, each in parts of the root of its magnitude.
    fn num_features(&self) -> i64 {
        if self.config.complex { 12 } else { 8 }
    }

    /// Masks of a bin: stems times planes.
    fn num_masks(&self) -> i64 {
        STEMS * if self.config.complex { 4 } else { 2 }
    }

    /// Features `[S][B][feature][bin]`, as they are.
    fn features<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let (amplitude, floor) = (ops.number(self.amplitude), ops.number(FLOOR));
        let scaled = ops.mul(inputs, &amplitude);
        if !self.config.complex {
            let amplitudes = ops.add(&scaled, &floor);
            return self.compressed(ops, &amplitudes).1;
        }
        // [left re, left im, right re, right im], and the same of mid and side
        let (left, right) = (ops.narrow(&scaled, 0, 0, 2), ops.narrow(&scaled, 0, 2, 2));
        let (half, minus_half) = (ops.number(0.5), ops.number(-0.5));
        let (left_half, right_half) = (ops.mul(&left, &half), ops.mul(&right, &half));
        let mid = ops.add(&left_half, &right_half);
        let right_turned = ops.mul(&right, &minus_half);
        let side = ops.add(&left_half, &right_turned);
        let all = ops.concat(&[&left, &right, &mid, &side], 0);
        let squares = ops.mul(&all, &all);
        let squares = ops.reshape(&squares, &[4, 2, self.num_bins]);
        let (re, im) = (ops.narrow(&squares, 1, 0, 1), ops.narrow(&squares, 1, 1, 1));
        let energy = ops.add(&re, &im);
        let energy = ops.reshape(&energy, &[4, self.num_bins]);
        // Kept off 0, where the root has no gradient.
        let tiny = ops.number(FLOOR * FLOOR);
        let energy = ops.add(&energy, &tiny);
        let amplitudes = ops.unary(Unary::Sqrt, &energy);
        let (roots, features) = self.compressed(ops, &amplitudes);
        let roots = ops.narrow(&roots, 0, 0, 2);
        let inverse = ops.unary(Unary::Reciprocal, &roots);
        let inverse = ops.reshape(&inverse, &[2, 1, self.num_bins]);
        let parts = ops.reshape(&scaled, &[2, 2, self.num_bins]);
        let parts = ops.mul(&parts, &inverse);
        let parts = ops.reshape(&parts, &[4, self.num_bins]);
        ops.concat(&[&features, &parts], 0)
    }

    /// Roots of amplitudes; and logarithms and roots, one after the other.
    fn compressed<O: Ops>(&self, ops: &mut O, amplitudes: &O::Value) -> (O::Value, O::Value) {
        let logarithms = ops.unary(Unary::Log, amplitudes);
        let roots = ops.unary(Unary::Sqrt, amplitudes);
        let features = ops.concat(&[&logarithms, &roots], 0);
        (roots, features)
    }

    fn num_padding_bins(&self) -> i64 {
        self.groups.last().map_or(0, |last| last.first_bin + last.num_bins()) - self.num_bins
    }

    /// `[S][B][band][width]`
    fn encode<O: Ops>(&self, ops: &mut O, features: &O::Value) -> O::Value {
        let mut bands = Vec::new();
        for (group, dense) in self.groups.iter().zip(&self.encoder) {
            let own = ops.narrow(features, 1, group.first_bin, group.num_bins());
            let own = ops.reshape(&own, &[self.num_features(), group.num_bands, group.width]);
            let own = ops.permute(&own, &[1, 0, 2]);
            let own = ops.reshape(&own, &[group.num_bands, self.num_features() * group.width]);
            bands.push(ops.band_linear(&own, dense));
        }
        ops.concat(&bands.iter().collect::<Vec<_>>(), 0)
    }

    /// Masks' logits `[S][B][mask][bin]`.
    fn decode<O: Ops>(&self, ops: &mut O, x: &O::Value) -> O::Value {
        let mut logits = Vec::new();
        for (group, (inner, outer)) in self.groups.iter().zip(&self.decoder) {
            let own = ops.narrow(x, 0, group.first_band, group.num_bands);
            let own = ops.band_linear(&own, inner);
            let own = ops.unary(Unary::Tanh, &own);
            let own = ops.band_linear(&own, outer);
            let own = ops.reshape(&own, &[group.num_bands, self.num_masks(), group.width]);
            let own = ops.permute(&own, &[1, 0, 2]);
            logits.push(ops.reshape(&own, &[self.num_masks(), group.num_bins()]));
        }
        let logits = ops.concat(&logits.iter().collect::<Vec<_>>(), 1);
        ops.narrow(&logits, 1, 0, self.num_bins)
    }
}

impl Description for BandGru {
    fn input_channels(&self) -> Vec<Channel> {
        match self.config.complex {
            true => vec![Channel::Left, Channel::Right],
            false => vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side],
        }
    }

    fn input_kind(&self) -> InputKind {
        if self.config.complex { InputKind::Complex } else { InputKind::Magnitude }
    }

    fn output_kind(&self) -> OutputKind {
        if self.config.complex { OutputKind::ComplexMask } else { OutputKind::Mask }
    }

    fn look_ahead(&self) -> LookAhead {
        LookAhead::Slices(self.config.look_ahead as usize)
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

    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let features = self.features(ops, inputs);
        let (offset, scale) = (ops.constant(&self.feature_offset), ops.constant(&self.feature_scale));
        let features = ops.add(&features, &offset);
        let features = ops.mul(&features, &scale);
        let features = ops.pad(&features, 1, self.num_padding_bins());
        let mut x = self.encode(ops, &features);
        if let Some(future) = &self.future {
            x = future.apply(ops, &x);
        }
        for (i, layer) in self.layers.iter().enumerate() {
            x = ops.cut(&x);
            let normed = ops.norm(&x, &layer.time_norm);
            let past = ops.gru_in_time(&normed, &layer.time, &format!("time_{i}"));
            x = ops.add(&x, &past);
            if let Some((norm, attention)) = &layer.past {
                let normed = ops.norm(&x, norm);
                let seen = attend(ops, &normed, &normed, attention, &format!("past_{i}"));
                x = ops.add(&x, &seen);
            }
            x = ops.cut(&x);
            let normed = ops.norm(&x, &layer.band_norm);
            let across = ops.gru_across(&normed, &layer.band);
            let across = ops.linear(&across, &layer.mix);
            x = ops.add(&x, &across);
        }
        let x = ops.norm(&x, &self.norm);
        let x = if self.config.dropout > 0.0 { ops.dropout(&x, self.config.dropout) } else { x };
        let logits = self.decode(ops, &x);
        let logits = ops.reshape(&logits, &[STEMS, self.num_masks() / STEMS, self.num_bins]);
        if self.config.complex {
            // What they lack to 1 is shared out equally, as the engine does: 0 everywhere stands for a quarter each.
            let mean = ops.mean(&logits, 0);
            let minus = ops.number(-1.0);
            let minus_mean = ops.mul(&mean, &minus);
            let differences = ops.add(&logits, &minus_mean);
            let share = 1.0 / STEMS as f32;
            let quarter = Tensor::from_slice(&[share, 0.0, share, 0.0]).unsqueeze(1).to_device(self.device());
            let quarter = ops.constant(&quarter);
            return ops.add(&differences, &quarter);
        }
        ops.softmax(&logits, 0)
    }
}
