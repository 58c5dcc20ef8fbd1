//! `first`: a convolutional denoising autoencoder with a recurrent middle.
//!
//! Of the family of xumx-sliCQ's CDAE (convolutional encoder and decoder over the coefficients of a slice, sigmoid
//! masks), in few and large operations: all buckets share one grid, all stems share one trunk, and the past comes
//! in through an LSTM between encoder and decoder. Convolutions look around freely inside a slice, and the LSTM
//! carries what was heard in slices before: no look-ahead beyond the slice. With `causal=false` a second LSTM runs
//! backwards from the end of the song.
//!
//! Shapes: inputs `[B][S][input][bin * cell]` to masks `[B][S][stem][channel][bin * cell]`.

mod graph;

use super::{
    Architecture, Channel, GraphBuilder, GraphOutput, Layout, LookAhead, Mode, NUM_MASKS, Network, Settings, State,
    Weights,
    recurrent::{check_causal, state_names},
};
use crate::transform::Transform;
use crate::transform::grid::NUM_CELLS;
use anyhow::{Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::nn::{self, Module, ModuleT, RNN};
use tch::{Kind, Tensor, no_grad};

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
        Ok(Box::new(First::new(vs, &config, transform.clone())))
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
pub const KERNEL: [i64; 2] = [4, 3];
/// Stride over bins and cells.
pub const STRIDE: [i64; 2] = [2, 1];
/// Padding over bins and cells.
pub const PADDING: [i64; 2] = [1, 1];

/// Share of the projected values that are dropped in training.
const DROPOUT: f64 = 0.2;

/// 0 for values that are dropped, else what keeps the mean: one over the share that stays.
fn dropout_factors(like: &Tensor, seed: u64) -> Tensor {
    let mut rng = StdRng::seed_from_u64(seed);
    let kept = (1.0 / (1.0 - DROPOUT)) as f32;
    let factors: Vec<f32> = (0..like.numel()).map(|_| if rng.random_bool(DROPOUT) { 0.0 } else { kept }).collect();
    Tensor::from_slice(&factors).reshape(like.size()).to_device(like.device())
}

/// A transposed convolution without output padding (`nn` offers only square kernels).
struct ConvTranspose {
    /// `[from][to][4][3]`
    weight: Tensor,
    bias: Option<Tensor>,
}

impl ConvTranspose {
    fn new(vs: nn::Path, from: i64, to: i64, bias: Option<f64>) -> Self {
        // Every output sees `from * 12 / 2` inputs.
        let bound = (6.0 / (from * KERNEL[0] * KERNEL[1] / STRIDE[0]) as f64).sqrt();
        ConvTranspose {
            weight: vs.var("weight", &[from, to, KERNEL[0], KERNEL[1]], nn::Init::Uniform { lo: -bound, up: bound }),
            bias: bias.map(|value| vs.var("bias", &[to], nn::Init::Const(value))),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.conv_transpose2d(&self.weight, self.bias.as_ref(), STRIDE, PADDING, [0, 0], 1, [1, 1])
    }
}

struct First {
    config: FirstConfig,
    transform: Arc<Transform>,
    /// `[input][bin][cell]` Mean of the features over the training data; set once.
    feature_mean: Tensor,
    /// `[input][bin][cell]` Factor after the mean: one over the standard deviation.
    feature_scale: Tensor,
    encoder: Vec<(nn::Conv<[i64; 2]>, nn::BatchNorm)>,
    project: nn::Linear,
    lstm: nn::LSTM,
    unproject: nn::Linear,
    decoder: Vec<(ConvTranspose, Option<nn::BatchNorm>)>,
}

impl First {
    fn new(vs: &nn::Path, config: &FirstConfig, transform: Arc<Transform>) -> Self {
        let channels: Vec<i64> = config.channels.iter().map(|c| *c as i64).collect();
        let inputs = [&[NUM_INPUTS as i64], &channels[..3]].concat();
        let conv_config = || nn::ConvConfigND::<[i64; 2]> {
            stride: STRIDE,
            padding: PADDING,
            dilation: [1, 1],
            groups: 1,
            bias: false,
            ws_init: nn::init::DEFAULT_KAIMING_UNIFORM,
            bs_init: nn::Init::Const(0.0),
            padding_mode: nn::PaddingMode::Zeros,
        };
        let norm = |path: nn::Path, len| nn::batch_norm2d(path, len, Default::default());
        let encoder = (0..4)
            .map(|i| {
                let path = vs / "encoder" / i;
                let conv = nn::conv(&path / "conv", inputs[i], channels[i], KERNEL, conv_config());
                (conv, norm(&path / "norm", channels[i]))
            })
            .collect();
        let decoder = (0..4)
            .map(|i| {
                let path = vs / "decoder" / i;
                let from = channels[3 - i];
                let to = if i == 3 { NUM_MASKS } else { channels[2 - i] };
                // The last stage starts near masks of 1/4.
                let conv = ConvTranspose::new(&path / "conv", from, to, (i == 3).then_some(-1.0));
                (conv, (i < 3).then(|| norm(&path / "norm", to)))
            })
            .collect();
        let middle = channels[3] * config.padded_bins() as i64 / 16;
        let recalled_len = if config.causal { config.hidden_len } else { 2 * config.hidden_len } as i64;
        let bound = 1.0 / (config.hidden_len as f64).sqrt();
        let uniform = nn::Init::Uniform { lo: -bound, up: bound };
        let shape = [NUM_INPUTS as i64, config.num_bins as i64, NUM_CELLS as i64];
        First {
            config: config.clone(),
            transform,
            feature_mean: vs.zeros_no_train("feature_mean", &shape),
            feature_scale: vs.ones_no_train("feature_scale", &shape),
            encoder,
            project: nn::linear(vs / "project", middle, config.projection_len as i64, Default::default()),
            lstm: nn::lstm(
                vs / "lstm",
                config.projection_len as i64,
                config.hidden_len as i64,
                nn::RNNConfig {
                    num_layers: config.num_layers as i64,
                    bidirectional: !config.causal,
                    w_ih_init: uniform,
                    w_hh_init: uniform,
                    ..Default::default()
                },
            ),
            unproject: nn::linear(vs / "unproject", recalled_len, middle, Default::default()),
            decoder,
        }
    }

    fn device(&self) -> tch::Device {
        self.feature_mean.device()
    }

    /// What the LSTM makes of `projected` `[B][slice * cell][projection]`, and the state after it.
    fn remember(&self, projected: &Tensor, state: &State) -> (Tensor, State) {
        if !self.config.causal {
            return (self.lstm.seq(projected).0, State::default());
        }
        // Layers are apart outside, `[1][B][hidden]` each, and together inside.
        let of_kind = |kind: usize| {
            let layers: Vec<&Tensor> = state.tensors.iter().skip(kind).step_by(2).map(|(_, t)| t).collect();
            Tensor::cat(&layers, 0)
        };
        let state = nn::LSTMState((of_kind(0), of_kind(1)));
        let (remembered, nn::LSTMState((h, c))) = self.lstm.seq_init(projected, &state);
        let layers = (0..self.config.num_layers as i64).flat_map(|layer| [&h, &c].map(|t| t.narrow(0, layer, 1)));
        (remembered, State { tensors: state_names(self.config.num_layers).zip(layers).collect() })
    }
}

impl Network for First {
    fn layout(&self) -> Layout {
        Layout::Grid
    }

    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side]
    }

    fn look_ahead(&self) -> LookAhead {
        if self.config.causal { LookAhead::Slices(0) } else { LookAhead::Unbounded }
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

    fn zero_state(&self, batch_size: i64) -> State {
        if !self.config.causal {
            return State::default();
        }
        let zeros = || Tensor::zeros([1, batch_size, self.config.hidden_len as i64], (Kind::Float, self.device()));
        State { tensors: state_names(self.config.num_layers).map(|name| (name, zeros())).collect() }
    }

    fn forward(&self, inputs: &Tensor, state: &State, mode: Mode) -> (Tensor, State) {
        let train = mode.is_train();
        let (batch_size, num_slices) = (inputs.size()[0], inputs.size()[1]);
        let (num_bins, num_cells) = (self.config.num_bins as i64, NUM_CELLS as i64);
        let features = inputs.reshape([batch_size * num_slices, NUM_INPUTS as i64, num_bins, num_cells]);
        let padding = (self.config.padded_bins() - self.config.num_bins) as i64;
        let mut x = ((features - &self.feature_mean) * &self.feature_scale).constant_pad_nd([0, 0, 0, padding]);
        let mut skips = Vec::new();
        for (conv, norm) in &self.encoder {
            x = norm.forward_t(&conv.forward(&x), train).relu();
            skips.push(x.shallow_clone());
        }
        // [slice][channel][bin][cell] to [B][slice * cell][channel * bin]
        let size = x.size();
        let middle = size[1] * size[2];
        let sequence = x.permute([0, 3, 1, 2]).reshape([batch_size, -1, middle]);
        let projected = self.project.forward(&sequence).relu();
        let projected = match mode {
            Mode::Train { dropout_seed } => &projected * dropout_factors(&projected, dropout_seed),
            Mode::Apply => projected,
        };
        let (remembered, state) = self.remember(&projected, state);
        let recalled = self.unproject.forward(&remembered).reshape([size[0], size[3], size[1], size[2]]);
        x = recalled.permute([0, 2, 3, 1]) + x; // not `+=`: the gradient needs the old x
        for (i, (conv, norm)) in self.decoder.iter().enumerate() {
            x = conv.forward(&x);
            if let Some(norm) = norm {
                x = norm.forward_t(&x, train).relu() + &skips[2 - i];
            }
        }
        let masks = x.narrow(2, 0, num_bins).sigmoid();
        (masks.reshape([batch_size, num_slices, NUM_MASKS / 2, 2, num_bins * num_cells]), state)
    }

    fn macs_per_slice(&self) -> u64 {
        let c: Vec<u64> = self.config.channels.iter().map(|c| *c as u64).collect();
        let (bins, cells) = (self.config.padded_bins() as u64, NUM_CELLS as u64);
        let taps = 12 * cells;
        let encoder: u64 = (0..4).map(|i| if i == 0 { 4 } else { c[i - 1] } * c[i] * taps * (bins >> (i + 1))).sum();
        let decoder: u64 =
            (0..4).map(|i| c[3 - i] * if i == 3 { 8 } else { c[2 - i] } * taps * (bins >> (4 - i))).sum();
        let (p, h, middle) = (self.config.projection_len as u64, self.config.hidden_len as u64, c[3] * bins / 16);
        let directions = if self.config.causal { 1 } else { 2 };
        let below = |layer: u64| if layer == 0 { p } else { directions * h };
        let lstm: u64 = (0..self.config.num_layers as u64).map(|l| directions * 4 * h * (h + below(l))).sum();
        encoder + decoder + cells * (middle * p + lstm + directions * h * middle)
    }

    fn write_graph(&self, graph: &mut GraphBuilder, magnitudes: &str, weights: &Weights) -> Result<GraphOutput> {
        check_causal(self.config.causal)?;
        let memory = self.zero_state(1);
        let states = memory.inputs(graph);
        let (masks, next) = graph::write(graph, magnitudes, &states, weights, &self.config, &self.transform)?;
        Ok(GraphOutput::new(masks, memory.outputs(graph, &next)))
    }
}
