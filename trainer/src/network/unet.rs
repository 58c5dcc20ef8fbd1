//! `unet`: the U-Nets of Choi et al. (ISMIR 2020, "Investigating U-Nets with various intermediate blocks for spectrogram-based
//! singing voice separation"), causal: kernels over time lie in the past, and time is never halved.
//!
//! Slices of a plain STFT are the frames. A convolution over two bins, blocks that each halve the bins, a block in the middle,
//! as many blocks that double them with the encoder's outputs beside, a convolution over two bins. A block is one of
//! - `tfc`: densely connected convolutions over time and frequency,
//! - `tdc`: the same over frequency alone,
//! - `tdf`: dense layers over all bins of a channel, through a bottleneck,
//! - `tfc-tdf`: the first, and the third on its output as a residual,
//! - `tdc-rnn`: the second, and on its output, as a residual, a GRU over time and a `tdf`.
//!
//! One network makes the masks of all four stems.

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel, InputKind, OutputKind};
use crate::layers::{BatchNorm, Conv, ConvShape, Gru, Linear, Ops, Unary};
use crate::transform::Transform;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, nn};

/// The entry in the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "unet",
    about: "U-Nets of ISMIR 2020 on a plain STFT, causal; block=tfc-tdf (default), tfc, tdf, tdc or tdc-rnn",
    defaults: |_| {
        super::settings(&UnetConfig {
            block: BlockKind::TfcTdf,
            n_blocks: 7,
            internal_channels: 24,
            n_internal_layers: 5,
            kernel_size_t: 3,
            kernel_size_f: 3,
            bn_factor: 16,
            min_bn_units: 16,
            bias: false,
            rnn_bn_factor: 16,
            activation: Activation::Relu,
            first_conv_activation: Activation::Relu,
            last_activation: Activation::Sigmoid,
            complex: false,
        })
    },
    build: |vs, settings, transform| Ok(Box::new(Streamed::new(Unet::new(vs, super::parse(settings)?, transform)?))),
};

/// Settings of the network, with the names and defaults of the published program where it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetConfig {
    /// What blocks are made of.
    pub block: BlockKind,
    /// Blocks in all, an odd number.
    pub n_blocks: usize,
    /// Channels between blocks, and those that each convolution adds.
    pub internal_channels: i64,
    /// Convolutions of a block.
    pub n_internal_layers: usize,
    /// Slices that a convolution sees.
    pub kernel_size_t: i64,
    /// Bins that a convolution sees.
    pub kernel_size_f: i64,
    /// Bins over width of the bottleneck; 0: one dense layer and no bottleneck.
    pub bn_factor: i64,
    /// Narrowest bottleneck.
    pub min_bn_units: i64,
    /// Whether dense layers have a bias, and their batch norms trained values.
    pub bias: bool,
    /// Bins over width of the GRU.
    pub rnn_bn_factor: i64,
    /// After layers of blocks.
    pub activation: Activation,
    /// After the first convolution.
    pub first_conv_activation: Activation,
    /// After the last: `sigmoid` for masks of magnitudes, `identity` or `tanh` for complex ones.
    pub last_activation: Activation,
    /// Whether it sees complex coefficients as channels, and makes complex masks.
    pub complex: bool,
}

/// What blocks are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the module's head describes them")]
pub enum BlockKind {
    Tfc,
    Tdf,
    Tdc,
    TfcTdf,
    TdcRnn,
}

/// A function of every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the functions' names")]
pub enum Activation {
    Relu,
    Sigmoid,
    Tanh,
    Identity,
}

impl Activation {
    fn apply<O: Ops>(self, ops: &mut O, x: &O::Value) -> O::Value {
        match self {
            Activation::Relu => ops.unary(Unary::Relu, x),
            Activation::Sigmoid => ops.unary(Unary::Sigmoid, x),
            Activation::Tanh => ops.unary(Unary::Tanh, x),
            Activation::Identity => ops.alias(x),
        }
    }
}

const STEMS: i64 = 4;

struct Unet {
    config: UnetConfig,
    num_bins: i64,
    device: Device,
    first: Conv,
    encoder: Vec<(Block, Conv)>,
    middle: Block,
    decoder: Vec<(Conv, Block)>,
    last: Conv,
}

/// A block: convolutions that each see what all before them made, then dense layers, whichever it has.
struct Block {
    convs: Vec<Conv>,
    /// Over time, with the batch norm before it.
    rnn: Option<(BatchNorm, Gru)>,
    /// Over the bins.
    dense: Vec<(Linear, BatchNorm)>,
    /// Whether what the dense layers make is added to what the convolutions made.
    is_residual: bool,
}

impl Block {
    fn new(vs: &nn::Path, config: &UnetConfig, inputs: i64, bins: i64) -> Self {
        let channels = config.internal_channels;
        let rows = match config.block {
            BlockKind::Tfc | BlockKind::TfcTdf => Some(config.kernel_size_t),
            BlockKind::Tdc | BlockKind::TdcRnn => Some(1),
            BlockKind::Tdf => None,
        };
        let convs = rows.map_or(vec![], |rows| {
            let layer = |i: usize| {
                let kernel = [rows, config.kernel_size_f];
                let from = inputs + i as i64 * channels;
                conv(&(vs / "conv" / i), [from, channels], kernel, [1, 1], [0, kernel[1] / 2], false, true)
            };
            (0..config.n_internal_layers).map(layer).collect()
        });
        // Without convolutions, dense layers work on the inputs.
        let dense_channels = if convs.is_empty() { inputs } else { channels };
        let has_rnn = config.block == BlockKind::TdcRnn;
        let rnn = has_rnn.then(|| {
            let hidden = (bins / config.rnn_bn_factor.max(1)).max(config.min_bn_units);
            (BatchNorm::new(&(vs / "rnn_norm"), channels), Gru::new(&(vs / "rnn"), bins, hidden))
        });
        let has_dense = !matches!(config.block, BlockKind::Tfc | BlockKind::Tdc);
        let from = rnn.as_ref().map_or(bins, |(_, gru)| gru.hidden());
        let widths = match (has_dense, config.bn_factor) {
            (false, _) => vec![],
            (true, 0) => vec![from, bins],
            (true, factor) => vec![from, (bins / factor).max(config.min_bn_units), bins],
        };
        let dense = widths.windows(2).enumerate().map(|(i, pair)| {
            let vs = vs / "dense" / i;
            // The published ones of a recurrent block always have biases.
            let (linear, norm) = if config.bias || has_rnn {
                (Linear::new(&(&vs / "linear"), pair[0], pair[1]), BatchNorm::new(&(&vs / "norm"), dense_channels))
            } else {
                let linear = Linear::without_bias(&(&vs / "linear"), pair[0], pair[1]);
                (linear, BatchNorm::plain(&(&vs / "norm"), dense_channels))
            };
            (linear, norm)
        });
        Block { is_residual: !convs.is_empty(), rnn, dense: dense.collect(), convs }
    }

    /// `[channel][bin]`; `name` is that of the block's states.
    fn apply<O: Ops>(&self, ops: &mut O, x: &O::Value, activation: Activation, name: &str) -> O::Value {
        let (mut seen, mut made) = (ops.alias(x), ops.alias(x));
        for (i, layer) in self.convs.iter().enumerate() {
            if i > 0 {
                seen = ops.concat(&[&made, &seen], 0);
            }
            let y = ops.conv_in_time(&seen, layer, &format!("{name}_conv_{i}"));
            made = activation.apply(ops, &y);
        }
        if self.dense.is_empty() {
            return made;
        }
        let mut x = ops.alias(&made);
        if let Some((norm, gru)) = &self.rnn {
            made = ops.batch_norm(&made, norm, 0);
            made = ops.cut(&made);
            x = ops.gru_in_time(&made, gru, &format!("{name}_rnn"));
        }
        for (linear, norm) in &self.dense {
            let y = ops.linear(&x, linear);
            let y = ops.batch_norm(&y, norm, 0);
            x = activation.apply(ops, &y);
        }
        if self.is_residual { ops.add(&made, &x) } else { x }
    }
}

/// A convolution with a bias, as torch has it; over `[slice][bin]`.
fn conv(
    vs: &nn::Path,
    channels: [i64; 2],
    kernel: [i64; 2],
    stride: [i64; 2],
    padding: [i64; 2],
    is_transposed: bool,
    has_norm: bool,
) -> Conv {
    let shape = ConvShape { channels, kernel, stride, padding, is_transposed };
    let norm = has_norm.then(|| BatchNorm::new(&(vs / "norm"), channels[1]));
    Conv::new(&(vs / "conv"), shape, Some(0.0), norm)
}

impl Unet {
    fn new(vs: &nn::Path, config: UnetConfig, transform: &Transform) -> Result<Self> {
        let plan = &transform.plan;
        transform.require_plain_stft()?;
        ensure!(config.n_blocks % 2 == 1, "n_blocks: expected an odd number, got {}", config.n_blocks);
        let (kernel_t, kernel_f) = (config.kernel_size_t, config.kernel_size_f);
        ensure!(
            kernel_t > 0 && kernel_f > 0 && kernel_f % 2 == 1,
            "kernel_size_t, kernel_size_f: expected at least 1, and an odd number of bins, got {kernel_t} and {kernel_f}"
        );
        ensure!(
            config.internal_channels > 0 && config.n_internal_layers > 0,
            "internal_channels, n_internal_layers: expected at least 1"
        );
        let (depth, channels) = (config.n_blocks / 2, config.internal_channels);
        let num_bins = plan.num_bins() as i64;
        ensure!(
            (num_bins - 1) % (1 << depth) == 0 && (num_bins - 1) >> depth > 0,
            "n_blocks: {} blocks halve the bins {depth} times, but {} bins less one cannot be halved so often",
            config.n_blocks,
            num_bins
        );
        let planes = if config.complex { 4 } else { 2 };
        let first = conv(&(vs / "first"), [planes, channels], [1, 2], [1, 1], [0, 0], false, true);
        let mut bins = num_bins - 1;
        let encoder = (0..depth).map(|i| {
            let vs = vs / "encoder" / i;
            let block = Block::new(&vs, &config, channels, bins);
            bins /= 2;
            (block, conv(&(&vs / "down"), [channels; 2], [1, 2], [1, 2], [0, 0], false, true))
        });
        let encoder = encoder.collect();
        let middle = Block::new(&(vs / "middle"), &config, channels, bins);
        let decoder = (0..depth).map(|i| {
            let vs = vs / "decoder" / i;
            let up = conv(&(&vs / "up"), [channels; 2], [1, 2], [1, 2], [0, 0], true, true);
            bins *= 2;
            (up, Block::new(&vs, &config, 2 * channels, bins))
        });
        let decoder = decoder.collect();
        // A `tdf` block keeps the channels of what it gets: those of the encoder beside its own.
        let left = if config.block == BlockKind::Tdf && depth > 0 { 2 * channels } else { channels };
        let last = conv(&(vs / "last"), [left, STEMS * planes], [1, 2], [1, 1], [0, 1], false, false);
        Ok(Unet { num_bins, device: vs.device(), first, encoder, middle, decoder, last, config })
    }
}

impl Description for Unet {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn input_kind(&self) -> InputKind {
        if self.config.complex { InputKind::Complex } else { InputKind::Magnitude }
    }

    fn output_kind(&self) -> OutputKind {
        if self.config.complex { OutputKind::ComplexMask } else { OutputKind::Mask }
    }

    fn num_coefs(&self) -> i64 {
        self.num_bins
    }

    fn device(&self) -> Device {
        self.device
    }

    /// The batch norm behind the first convolution learns the level of the inputs.
    fn set_statistics(&mut self, _inputs: &Tensor) {}

    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let activation = self.config.activation;
        let x = ops.conv_in_time(inputs, &self.first, "first");
        let mut x = self.config.first_conv_activation.apply(ops, &x);
        let mut skips = Vec::new();
        for (i, (block, down)) in self.encoder.iter().enumerate() {
            let made = block.apply(ops, &x, activation, &format!("encoder_{i}"));
            // It goes past the recurrent layers of the blocks below.
            let made = ops.cut(&made);
            x = ops.conv_in_time(&made, down, "down");
            skips.push(made);
        }
        x = self.middle.apply(ops, &x, activation, "middle");
        for (i, (up, block)) in self.decoder.iter().enumerate() {
            x = ops.conv_in_time(&x, up, "up");
            let skip = &skips[self.encoder.len() - 1 - i];
            x = ops.concat(&[&x, skip], 0);
            x = block.apply(ops, &x, activation, &format!("decoder_{i}"));
        }
        let x = ops.conv_in_time(&x, &self.last, "last");
        let masks = self.config.last_activation.apply(ops, &x);
        ops.reshape(&masks, &[STEMS, if self.config.complex { 4 } else { 2 }, self.num_bins])
    }
}
