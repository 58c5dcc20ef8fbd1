//! The first network: a causal convolutional denoising autoencoder with a recurrent middle.
//!
//! Of the family of xumx-sliCQ's CDAE (convolutional encoder and decoder over the coefficients of a slice, sigmoid
//! masks), in few and large operations: all buckets share one grid, all stems share one trunk, and the past comes
//! in through an LSTM between encoder and decoder. Convolutions look around freely inside a slice, and the LSTM
//! carries what was heard in slices before: no look-ahead beyond the slice.
//!
//! Shapes: features `[slice][input][bin][cell]` to masks `[slice][stem * channel][bin][cell]`.

use crate::grid::NUM_CELLS;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tch::nn::{self, Module, ModuleT, RNN};
use tch::{Kind, Tensor};

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
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
}

impl NetworkConfig {
    /// Bins after padding to what four halvings need.
    pub fn padded_bins(&self) -> usize {
        self.num_bins.next_multiple_of(16)
    }
}

/// Kernel over bins and cells.
pub const KERNEL: [i64; 2] = [4, 3];
/// Stride over bins and cells.
pub const STRIDE: [i64; 2] = [2, 1];
/// Padding over bins and cells.
pub const PADDING: [i64; 2] = [1, 1];
/// Masks per slice: stems times channels.
pub const NUM_MASKS: i64 = 8;

/// Share of the projected values that are dropped in training.
const DROPOUT: f64 = 0.2;

/// Whether the network learns.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Batch norms follow the batch, and values are dropped as the seed has it (torch's own generator is one for the
    /// whole process: a run that resumes could not be repeated).
    Train {
        /// Changes with every step.
        dropout_seed: u64,
    },
    /// The network as it is shipped.
    Apply,
}

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

/// The network; its variables live in the [`nn::VarStore`] that it was made in.
pub struct Network {
    config: NetworkConfig,
    /// `[input][bin][cell]` Mean of the features over the training data; set once.
    pub feature_mean: Tensor,
    /// `[input][bin][cell]` Factor after the mean: one over the standard deviation.
    pub feature_scale: Tensor,
    encoder: Vec<(nn::Conv<[i64; 2]>, nn::BatchNorm)>,
    project: nn::Linear,
    lstm: nn::LSTM,
    unproject: nn::Linear,
    decoder: Vec<(ConvTranspose, Option<nn::BatchNorm>)>,
}

impl Network {
    /// A network with random weights.
    pub fn new(vs: &nn::Path, config: &NetworkConfig) -> Self {
        let channels: Vec<i64> = config.channels.iter().map(|c| *c as i64).collect();
        let inputs = [&[crate::example::NUM_INPUTS as i64], &channels[..3]].concat();
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
        let bound = 1.0 / (config.hidden_len as f64).sqrt();
        let uniform = nn::Init::Uniform { lo: -bound, up: bound };
        let shape = [crate::example::NUM_INPUTS as i64, config.num_bins as i64, NUM_CELLS as i64];
        Network {
            config: config.clone(),
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
                    w_ih_init: uniform,
                    w_hh_init: uniform,
                    ..Default::default()
                },
            ),
            unproject: nn::linear(vs / "unproject", config.hidden_len as i64, middle, Default::default()),
            decoder,
        }
    }

    /// The state before the first slice, `(h, c)`, each `[layer][B][hidden]`.
    pub fn zero_state(&self, batch_size: i64) -> nn::LSTMState {
        self.lstm.zero_state(batch_size)
    }

    /// Masks `[B * S][stem * channel][bin][cell]` of `features` `[B * S][input][bin][cell]`, `B` sequences of
    /// slices from `state` on; and the state after them.
    pub fn forward(
        &self,
        features: &Tensor,
        batch_size: i64,
        state: &nn::LSTMState,
        mode: Mode,
    ) -> (Tensor, nn::LSTMState) {
        let train = matches!(mode, Mode::Train { .. });
        let num_slices = features.size()[0];
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
        let (remembered, state) = self.lstm.seq_init(&projected, state);
        let recalled = self.unproject.forward(&remembered).reshape([num_slices, size[3], size[1], size[2]]);
        x = recalled.permute([0, 2, 3, 1]) + x; // not `+=`: the gradient needs the old x
        for (i, (conv, norm)) in self.decoder.iter().enumerate() {
            x = conv.forward(&x);
            if let Some(norm) = norm {
                x = norm.forward_t(&x, train).relu() + &skips[2 - i];
            }
        }
        (x.narrow(2, 0, self.config.num_bins as i64).sigmoid(), state)
    }

    /// Multiply-accumulates of one slice.
    pub fn macs_per_slice(&self) -> u64 {
        let c: Vec<u64> = self.config.channels.iter().map(|c| *c as u64).collect();
        let (bins, cells) = (self.config.padded_bins() as u64, NUM_CELLS as u64);
        let taps = 12 * cells;
        let encoder: u64 = (0..4).map(|i| if i == 0 { 4 } else { c[i - 1] } * c[i] * taps * (bins >> (i + 1))).sum();
        let decoder: u64 =
            (0..4).map(|i| c[3 - i] * if i == 3 { 8 } else { c[2 - i] } * taps * (bins >> (4 - i))).sum();
        let (p, h, middle) = (self.config.projection_len as u64, self.config.hidden_len as u64, c[3] * bins / 16);
        let lstm: u64 = (0..self.config.num_layers as u64).map(|l| 4 * h * (h + if l == 0 { p } else { h })).sum();
        encoder + decoder + cells * (middle * p + lstm + h * middle)
    }
}

/// Number of trained values.
pub fn num_parameters(vs: &nn::VarStore) -> usize {
    vs.trainable_variables().iter().map(Tensor::numel).sum()
}

/// All variables in f32 on the CPU.
pub fn to_cpu(tensor: &Tensor) -> Tensor {
    tensor.to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn small_network(vs: &nn::VarStore) -> Network {
        let config =
            NetworkConfig { num_bins: 33, channels: [4, 6, 8, 8], projection_len: 12, hidden_len: 10, num_layers: 2 };
        Network::new(&vs.root(), &config)
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn looks_at_no_later_slice_and_streams_with_its_state() {
        tch::manual_seed(3);
        let vs = nn::VarStore::new(Device::Cpu);
        let network = small_network(&vs);
        let (num_slices, split) = (9, 5);
        let features = Tensor::randn([num_slices, 4, 33, NUM_CELLS as i64], (Kind::Float, Device::Cpu));
        let (masks, _) = network.forward(&features, 1, &network.zero_state(1), Mode::Apply);

        let changed = features.copy();
        let _ = changed.narrow(0, split, num_slices - split).fill_(3.0);
        let (changed, _) = network.forward(&changed, 1, &network.zero_state(1), Mode::Apply);
        let past = |t: &Tensor| t.narrow(0, 0, split);
        assert_eq!(largest_difference(&past(&masks), &past(&changed)), 0.0, "the future changed the past");
        assert!(largest_difference(&masks, &changed) > 1e-3, "the input matters at all");

        let (first, state) = network.forward(&past(&features), 1, &network.zero_state(1), Mode::Apply);
        let rest = features.narrow(0, split, num_slices - split);
        let (second, _) = network.forward(&rest, 1, &state, Mode::Apply);
        let streamed = Tensor::cat(&[first, second], 0);
        assert!(largest_difference(&masks, &streamed) < 1e-6);
        let (forgetful, _) = network.forward(&rest, 1, &network.zero_state(1), Mode::Apply);
        let last = masks.narrow(0, split, num_slices - split);
        assert!(largest_difference(&last, &forgetful) > 1e-5, "the state matters");
    }
}
