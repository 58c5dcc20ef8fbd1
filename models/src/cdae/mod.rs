//! The convolutional denoising autoencoder of xumx-sliCQ-V2 ("CDAE"), as tensors and as a graph that streams.
//!
//! Per bucket of F bins and M frames one independent stack per stem: convolution 2 -> `outer` over (k, M) with stride
//! M/2, convolution `outer` -> `inner` over (k, 4), transposed `inner` -> `outer` over (k, 4), transposed `outer` -> 2
//! over (k, M) with stride M/2 and a bias; batch norm and ReLU after all but the last, a sigmoid after that. Published
//! are 50 and 51 channels. k = 1 bin if F < 10, 3 if F < 20, else 5.
//!
//! Weights that others have published (`models::import`) and those that our trainer has made become graphs by the same
//! writer. Many small operations cost far more than few large ones, so it shares operations among buckets of like size.

mod graph;
mod grouping;
mod kernels;

use crate::{
    StateSpec,
    onnx::{GraphBuilder, Value},
};
use slicqt::Bucket;
use std::collections::BTreeMap;

/// Frames of the second and third kernel, in halves of a slice.
pub const TAPS: usize = 4;
/// Added to the variances of batch norms.
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// How the network's halves of a slice are lined up with those of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the published "realtime" weights have it: M - 1 zeros before the first convolution, so that its windows end
    /// with the first frame of a half; nothing before the second, which so looks 3 halves ahead.
    Realtime,
    /// As the published offline weights have it: no padding. Windows end with their half, 3 halves ahead.
    Offline,
    /// Windows end with their half, and masks are those of the present half: no look-ahead.
    Causal,
}

impl Form {
    /// Slices that a stream's masks come late.
    pub fn look_ahead_slices(self) -> usize {
        if self == Form::Causal { 0 } else { 2 }
    }
}

/// Bins of all kernels in a bucket with this many bins.
pub fn kernel_bins(num_bins: usize) -> usize {
    match num_bins {
        0..10 => 1,
        10..20 => 3,
        _ => 5,
    }
}

/// The network with its trained tensors.
#[derive(Clone, Debug)]
pub struct Cdae {
    /// How halves are lined up.
    pub form: Form,
    /// Channels after the first convolution, and after the third.
    pub outer: usize,
    /// Channels after the second.
    pub inner: usize,
    /// `[bucket]`, those of the transform in order.
    pub buckets: Vec<BucketStacks>,
}

/// The stacks of one bucket.
#[derive(Clone, Debug)]
pub struct BucketStacks {
    /// Its bins, frames and coefficients.
    pub bucket: Bucket,
    /// `[bin]` Added to magnitudes: minus their mean.
    pub mean: Vec<f32>,
    /// `[bin]` Factor after that: one over their deviation.
    pub scale: Vec<f32>,
    /// `[stem]`, as many in every bucket.
    pub stacks: Vec<Stack>,
}

/// One stem's layers in one bucket. Kernels are the last two axes, `[k][frame]`.
#[derive(Clone, Debug)]
pub struct Stack {
    /// `[outer][2][k][M]`
    pub conv_1: Vec<f32>,
    /// After it.
    pub norm_1: BatchNorm,
    /// `[inner][outer][k][4]`
    pub conv_2: Vec<f32>,
    /// After it.
    pub norm_2: BatchNorm,
    /// `[inner][outer][k][4]`: inputs first, as PyTorch has transposed convolutions.
    pub transposed_1: Vec<f32>,
    /// After it.
    pub norm_3: BatchNorm,
    /// `[outer][2][k][M]`: inputs first.
    pub transposed_2: Vec<f32>,
    /// `[2]` Added at the end.
    pub bias: Vec<f32>,
}

/// A batch norm at rest, `(x - mean) / sqrt(var + e) * weight + bias`; all `[channel]`. The e is the
/// network's: 1e-5 here.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Factor.
    pub weight: Vec<f32>,
    /// Summand.
    pub bias: Vec<f32>,
    /// Mean while training.
    pub mean: Vec<f32>,
    /// Variance while training, at least 0.
    pub var: Vec<f32>,
}

/// What [`Cdae::write_into`] has added to a graph.
pub struct CdaeGraph {
    /// `[stem][channel][coef]`
    pub masks: Value,
    /// Memory of the past, inputs and outputs of the graph.
    pub states: Vec<StateSpec>,
    /// What states become when the music ends, by input ([`Manifest::at_end`](crate::Manifest::at_end)).
    pub at_end: BTreeMap<String, Vec<f32>>,
}

impl Cdae {
    /// Adds the network to a graph, one slice per run: from `magnitudes` `[2][coef]` to masks, with states of its own.
    ///
    /// # Panics
    /// If there are no buckets, or a tensor has another length than its shape says.
    pub fn write_into(&self, graph: &mut GraphBuilder, magnitudes: &Value) -> CdaeGraph {
        self.check();
        graph::write(self, graph, magnitudes)
    }

    /// Coefficients of a slice and channel.
    pub fn num_coefs(&self) -> usize {
        self.buckets.iter().map(|own| own.bucket.coefs.end).max().unwrap_or(0)
    }

    fn num_stems(&self) -> usize {
        self.buckets[0].stacks.len()
    }

    fn check(&self) {
        let (outer, inner) = (self.outer, self.inner);
        for own in &self.buckets {
            let (m, k) = (own.bucket.num_frames, kernel_bins(own.bucket.num_bins));
            assert_eq!(own.mean.len(), own.bucket.num_bins, "one mean per bin");
            assert_eq!(own.scale.len(), own.bucket.num_bins, "one scale per bin");
            assert_eq!(own.stacks.len(), self.num_stems(), "as many stacks in every bucket");
            for stack in &own.stacks {
                let norms = [(&stack.norm_1, outer), (&stack.norm_2, inner), (&stack.norm_3, outer)];
                for (norm, len) in norms {
                    let lens = [&norm.weight, &norm.bias, &norm.mean, &norm.var].map(Vec::len);
                    assert_eq!(lens, [len; 4], "one value per channel in a batch norm");
                }
                let lens = [&stack.conv_1, &stack.conv_2, &stack.transposed_1, &stack.transposed_2].map(Vec::len);
                let (ends, middle) = (outer * 2 * k * m, inner * outer * k * TAPS);
                assert_eq!(lens, [ends, middle, middle, ends], "kernels as large as their shapes");
                assert_eq!(stack.bias.len(), 2, "one bias per channel");
            }
        }
    }
}

impl BatchNorm {
    /// `[channel]` The factor that it amounts to, and the summand after that.
    fn folded(&self) -> (Vec<f64>, Vec<f64>) {
        let factor = |(w, v): (&f32, &f32)| f64::from(*w) / (f64::from(*v) + BATCH_NORM_EPSILON).sqrt();
        let factors: Vec<f64> = self.weight.iter().zip(&self.var).map(factor).collect();
        let biases = self.bias.iter().zip(&self.mean).zip(&factors);
        let biases = biases.map(|((bias, mean), factor)| f64::from(*bias) - f64::from(*mean) * factor).collect();
        (factors, biases)
    }
}
