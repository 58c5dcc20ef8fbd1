//! `first`: a convolutional denoising autoencoder with a recurrent middle.
//!
//! Of the family of xumx-sliCQ's CDAE (convolutional encoder and decoder over the coefficients of a slice, sigmoid
//! masks), in few and large operations: all buckets share one grid, all stems share one trunk, and the past comes
//! in through an LSTM between encoder and decoder. Convolutions look around freely inside a slice, and the LSTM
//! carries what was heard in slices before: no look-ahead beyond the slice. With `causal=false` a second LSTM runs
//! backwards from the end of the song.
//!
//! Shapes: inputs `[B][S][input][bin * cell]` to masks `[B][S][stem][channel][bin * cell]`.

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel, LookAhead, NUM_MASKS, Settings};
use crate::layers::{BatchNorm, Conv, ConvShape, Linear, Lstm, Ops, Unary};
use crate::transform::Transform;
use crate::transform::grid::{Grid, NUM_CELLS};
use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// The entry in the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "first",
    about: "convolutions over all bins at once, an LSTM over time, one trunk for all stems; on the pooled grid",
    defaults,
    build: |vs, settings, transform| {
        let config: FirstConfig = super::parse(settings)?;
        if config.num_bins != transform.plan.num_bins() {
            bail!("num_bins: expected the transform's {}, got {}", transform.plan.num_bins(), config.num_bins);
        }
        if let Some(bin) = transform.plan.bins().iter().find(|bin| bin.num_frames < MIN_FRAMES) {
            bail!(
                "expected a transform of at least {MIN_FRAMES} frames per bin and slice, got one of {}",
                bin.num_frames
            );
        }
        Ok(Box::new(Streamed::new(First::new(vs, &config, transform.clone()))))
    },
};

fn defaults(transform: &Transform) -> Settings {
    super::settings(&FirstConfig {
        num_bins: transform.plan.num_bins(),
        channels: [32, 64, 96, 128],
        projection_len: 256,
        hidden_len: 320,
        num_layers: 1,
        causal: true,
    })
}

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstConfig {
    /// Bins of the transform.
    pub num_bins: usize,
    /// Output channels of the four encoder stages; each halves the number of bins.
    pub channels: [usize; 4],
    /// Width of the projection before the LSTM.
    pub projection_len: usize,
    /// Width of the LSTM.
    pub hidden_len: usize,
    /// Layers of the LSTM.
    pub num_layers: usize,
    /// Whether the LSTM runs forwards only.
    pub causal: bool,
}

impl FirstConfig {
    /// Bins after padding to what four halvings need.
    pub fn padded_bins(&self) -> usize {
        self.num_bins.next_multiple_of(16)
    }
}

/// Fewest frames of a bin for which every cell of the grid has some to pool.
const MIN_FRAMES: usize = 16;
/// Magnitudes of left, right, mid, side.
pub const NUM_INPUTS: usize = 4;
/// Kernel over bins and cells.
const KERNEL: [i64; 2] = [4, 3];
/// Stride over bins and cells.
const STRIDE: [i64; 2] = [2, 1];
/// Padding over bins and cells.
const PADDING: [i64; 2] = [1, 1];

/// Share of the projected values that are dropped in training.
const DROPOUT: f64 = 0.2;

struct First {
    config: FirstConfig,
    transform: Arc<Transform>,
    /// `[input][bin][cell]` Mean of the features over the training data; set once.
    feature_mean: Tensor,
    /// `[input][bin][cell]` Factor after the mean: one over the standard deviation.
    feature_scale: Tensor,
    encoder: Vec<Conv>,
    project: Linear,
    /// `[layer][forwards, backwards if it is not causal]`
    lstm: Vec<Vec<Lstm>>,
    unproject: Linear,
    decoder: Vec<Conv>,
}

impl First {
    fn new(vs: &nn::Path, config: &FirstConfig, transform: Arc<Transform>) -> Self {
        let channels: Vec<i64> = config.channels.iter().map(|c| *c as i64).collect();
        let conv = |path: nn::Path, from: i64, to: i64, is_transposed: bool, bias: Option<f64>| {
            let shape =
                ConvShape { channels: [from, to], kernel: KERNEL, stride: STRIDE, padding: PADDING, is_transposed };
            let norm = bias.is_none().then(|| BatchNorm::new(&(&path / "norm"), to));
            Conv::new(&(&path / "conv"), shape, bias, norm)
        };
        let encoder = (0..4).map(|i| {
            let from = if i == 0 { NUM_INPUTS as i64 } else { channels[i - 1] };
            conv(vs / "encoder" / i, from, channels[i], false, None)
        });
        let decoder = (0..4).map(|i| {
            let to = if i == 3 { NUM_MASKS } else { channels[2 - i] };
            // The last stage starts near masks of 1/4.
            conv(vs / "decoder" / i, channels[3 - i], to, true, (i == 3).then_some(-1.0))
        });
        let middle = channels[3] * config.padded_bins() as i64 / 16;
        let (projection, hidden) = (config.projection_len as i64, config.hidden_len as i64);
        let directions: &[&str] = if config.causal { &[""] } else { &["", "_reverse"] };
        let recalled = hidden * directions.len() as i64;
        let lstm = (0..config.num_layers).map(|layer| {
            let num_inputs = if layer == 0 { projection } else { recalled };
            let of = |end: &&str| Lstm::new(&(vs / "lstm"), &format!("l{layer}{end}"), num_inputs, hidden);
            directions.iter().map(of).collect()
        });
        let shape = [NUM_INPUTS as i64, config.num_bins as i64, NUM_CELLS as i64];
        First {
            config: config.clone(),
            transform,
            feature_mean: vs.zeros_no_train("feature_mean", &shape),
            feature_scale: vs.ones_no_train("feature_scale", &shape),
            encoder: encoder.collect(),
            project: Linear::new(&(vs / "project"), middle, projection),
            lstm: lstm.collect(),
            unproject: Linear::new(&(vs / "unproject"), recalled, middle),
            decoder: decoder.collect(),
        }
    }

    /// What the LSTM recalls of `bottom` `[channel][bin][cell]`, in the same shape.
    fn recall<O: Ops>(&self, ops: &mut O, bottom: &O::Value) -> O::Value {
        let channels = self.config.channels[3] as i64;
        let (bins, cells) = (self.config.padded_bins() as i64 / 16, NUM_CELLS as i64);
        let sequence = ops.permute(bottom, &[2, 0, 1]);
        let sequence = ops.reshape(&sequence, &[cells, channels * bins]);
        let projected = ops.linear(&sequence, &self.project);
        let projected = ops.unary(Unary::Relu, &projected);
        let mut x = ops.dropout(&projected, DROPOUT);
        for (i, layer) in self.lstm.iter().enumerate() {
            let states = ["h", "c"].map(|kind| format!("lstm_{kind}_{i}"));
            if let [forwards, backwards] = &layer[..] {
                let past = ops.lstm_in_time(&x, forwards, &states);
                let future = ops.lstm_back(&x, backwards);
                x = ops.concat(&[&past, &future], 1);
            } else {
                x = ops.lstm_in_time(&x, &layer[0], &states);
            }
        }
        let recalled = ops.linear(&x, &self.unproject);
        let recalled = ops.reshape(&recalled, &[cells, channels, bins]);
        ops.permute(&recalled, &[1, 2, 0])
    }
}

impl Description for First {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side]
    }

    fn look_ahead(&self) -> LookAhead {
        if self.config.causal { LookAhead::Slices(0) } else { LookAhead::Unbounded }
    }

    fn grid(&self) -> Option<&Grid> {
        Some(&self.transform.grid)
    }

    fn num_coefs(&self) -> i64 {
        self.transform.plan.num_coefs() as i64
    }

    fn device(&self) -> Device {
        self.feature_mean.device()
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        let features = inputs.reshape([-1, NUM_INPUTS as i64, self.config.num_bins as i64, NUM_CELLS as i64]);
        let mean = features.mean_dim([0].as_slice(), false, Kind::Float);
        let deviation = features.std_dim([0].as_slice(), true, false);
        no_grad(|| {
            self.feature_mean.copy_(&mean);
            self.feature_scale.copy_(&(deviation + 0.1).reciprocal());
        });
    }

    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let (num_bins, num_cells) = (self.config.num_bins as i64, NUM_CELLS as i64);
        let features = ops.reshape(inputs, &[NUM_INPUTS as i64, num_bins, num_cells]);
        let (offset, scale) = (ops.constant(&-&self.feature_mean), ops.constant(&self.feature_scale));
        let centred = ops.add(&features, &offset);
        let normalized = ops.mul(&centred, &scale);
        let mut x = ops.pad(&normalized, 1, (self.config.padded_bins() - self.config.num_bins) as i64);
        let mut skips = Vec::new();
        for conv in &self.encoder {
            let y = ops.conv(&x, conv);
            x = ops.unary(Unary::Relu, &y);
            skips.push(ops.alias(&x));
        }
        let recalled = self.recall(ops, &x);
        x = ops.add(&x, &recalled);
        for (i, conv) in self.decoder.iter().enumerate() {
            x = ops.conv(&x, conv);
            if let Some(skip) = skips.len().checked_sub(2 + i).map(|idx| &skips[idx]) {
                let y = ops.unary(Unary::Relu, &x);
                x = ops.add(&y, skip);
            }
        }
        let logits = ops.narrow(&x, 1, 0, num_bins);
        let masks = ops.unary(Unary::Sigmoid, &logits);
        ops.reshape(&masks, &[NUM_MASKS / 2, 2, num_bins * num_cells])
    }
}
