//! Layers that are written once and computed two ways: as tensors over a whole batch of slices ([`TensorOps`], with
//! torch's gradients), and as the nodes of a graph that takes one slice per run ([`GraphOps`], ONNX).
//!
//! A network calls the operations of [`Ops`] in one generic function. Every value has the axes `[S][B][...]`: slices,
//! sequences, and the rest, which the operations call its *tail*. In the graph S and B are 1. What a layer remembers from
//! one slice to the next is its own affair: [`Ops::gru_in_time`], [`Ops::attend`] and [`Ops::delay`] read and write named
//! states, and nothing else does.

mod conv;
mod graph;
mod graph_conv;
mod graph_recurrent;
mod grid;
mod gru;
mod lstm;
mod parts;
mod state;
pub mod tape;
mod tensors;

pub use conv::{BatchNorm, Conv, ConvShape};
pub use graph::{GraphOps, StateShape};
pub use lstm::{GroupedLstm, Lstm};
pub use parts::{Attention, BandLinear, BiGru, Gru, Linear, Norm};
pub use state::{Mode, State};
pub use tensors::TensorOps;

use tch::Tensor;

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// What is positive; else 0.
    Relu,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / x`
    Reciprocal,
}

/// The operations that networks are written in. Axes count from the start of the tail.
pub trait Ops {
    /// A value of shape `[S][B][...]`, or a constant that is broadcast to one.
    type Value;

    /// A trained weight or a table; its shape is that of (the last axes of) a tail.
    fn constant(&mut self, values: &Tensor) -> Self::Value;
    /// A number.
    fn number(&mut self, value: f64) -> Self::Value;
    /// `a + b`
    fn add(&mut self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// `a * b`
    fn mul(&mut self, a: &Self::Value, b: &Self::Value) -> Self::Value;
    /// A function of every element.
    fn unary(&mut self, function: Unary, x: &Self::Value) -> Self::Value;
    /// Softmax along an axis.
    fn softmax(&mut self, x: &Self::Value, axis: usize) -> Self::Value;
    /// Mean along an axis, which stays with length 1.
    fn mean(&mut self, x: &Self::Value, axis: usize) -> Self::Value;
    /// Another shape of the tail.
    fn reshape(&mut self, x: &Self::Value, tail: &[i64]) -> Self::Value;
    /// Another order of the tail's axes.
    fn permute(&mut self, x: &Self::Value, axes: &[usize]) -> Self::Value;
    /// One after the other along an axis.
    fn concat(&mut self, parts: &[&Self::Value], axis: usize) -> Self::Value;
    /// `len` entries of an axis, from `start` on.
    fn narrow(&mut self, x: &Self::Value, axis: usize, start: i64, len: i64) -> Self::Value;
    /// The value itself, to be used again.
    fn alias(&mut self, x: &Self::Value) -> Self::Value;
    /// The value itself. In training, a place from which gradients are taken anew: to be called where a value goes both into a
    /// recurrent layer and past it ([`tape`]).
    fn cut(&mut self, x: &Self::Value) -> Self::Value;
    /// Zeros behind the last entry of an axis.
    fn pad(&mut self, x: &Self::Value, axis: usize, num_zeros: i64) -> Self::Value;
    /// Some values 0 in training, drawn by the step's seed; nothing otherwise.
    fn dropout(&mut self, x: &Self::Value, share: f64) -> Self::Value;
    /// Dense layer over the last axis.
    fn linear(&mut self, x: &Self::Value, layer: &Linear) -> Self::Value;
    /// Dense layer over the last axis, one for each entry of the axis before it.
    fn band_linear(&mut self, x: &Self::Value, layer: &BandLinear) -> Self::Value;
    /// Convolution within a slice: `[S][B][channel][row][column]` to the same with other channels, rows and columns.
    fn conv(&mut self, x: &Self::Value, layer: &Conv) -> Self::Value;
    /// Convolution over slices and bins: `[S][B][channel][bin]`. Its kernel's rows are slices, the last of them the present one;
    /// before the first slice lie zeros.
    fn conv_in_time(&mut self, x: &Self::Value, layer: &Conv, state: &str) -> Self::Value;
    /// Batch norm with a statistic for each entry of an axis.
    fn batch_norm(&mut self, x: &Self::Value, layer: &BatchNorm, axis: usize) -> Self::Value;
    /// Layer norm over the last axis.
    fn norm(&mut self, x: &Self::Value, layer: &Norm) -> Self::Value;
    /// GRU over the slices: `[S][B][band][input]` to `[S][B][band][hidden]`, the same for all bands, each with its own
    /// state.
    fn gru_in_time(&mut self, x: &Self::Value, layer: &Gru, state: &str) -> Self::Value;
    /// LSTM over the slices and, within each, over its steps: `[S][B][step][input]` to `[S][B][step][hidden]`.
    fn lstm_in_time(&mut self, x: &Self::Value, layer: &Lstm, states: &[String; 2]) -> Self::Value;
    /// The same from the end of the song back; such a network cannot be streamed.
    fn lstm_back(&mut self, x: &Self::Value, layer: &Lstm) -> Self::Value;
    /// LSTMs over the slices, one for each group: `[S][B][group][input]` to `[S][B][group][hidden]`.
    fn grouped_lstm_in_time(&mut self, x: &Self::Value, layer: &GroupedLstm, states: &[String; 2]) -> Self::Value;
    /// The same from the end of the song back.
    fn grouped_lstm_back(&mut self, x: &Self::Value, layer: &GroupedLstm) -> Self::Value;
    /// GRU up and down the bands of a slice: `[S][B][band][input]` to `[S][B][band][2 * hidden]`.
    fn gru_across(&mut self, x: &Self::Value, layer: &BiGru) -> Self::Value;
    /// Attention over the slices, each band by itself: `[S][B][band][head * d]` all, with the queries of a slice over the
    /// keys and values of that slice and those before it, [`Attention::window`] in all. Before the first slice lie zeros.
    fn attend(&mut self, qkv: [&Self::Value; 3], layer: &Attention, state: &str) -> Self::Value;
    /// The value of some slices earlier; zeros before the first.
    fn delay(&mut self, x: &Self::Value, num_slices: i64, state: &str) -> Self::Value;
}
