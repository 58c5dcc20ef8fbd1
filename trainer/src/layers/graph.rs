//! The operations as nodes of a graph, for one slice with states or for a block of slices without, and what they cost.

use super::{Attention, BandLinear, BatchNorm, BiGru, Conv, GroupedLstm, Gru, Linear, Lstm, Norm, Ops, Unary};
use crate::precision::to_cpu;
use models::onnx::{Attr, GraphBuilder, Value};
use tch::Tensor;

/// A value of the graph with its shape, `[S][1][...]`.
#[derive(Clone)]
pub struct GraphValue {
    pub(super) name: Value,
    pub(super) shape: Vec<i64>,
}

/// A state of a recurrent layer: its name, and its shape for one sequence; axis 1 grows with the number of sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateShape {
    /// Name of the graph's input; the next value comes out as `NAME_next`.
    pub name: String,
    /// `[1][band][hidden]`
    pub shape: [i64; 3],
}

/// Writes a graph, and counts.
pub struct GraphOps<'a> {
    pub(super) graph: &'a mut GraphBuilder,
    /// States that the layers declared, in order.
    pub states: Vec<StateShape>,
    /// Multiply-accumulates of a run: products of matrices and recurrent layers.
    pub num_macs: u64,
    /// Slices of a run, S.
    pub(super) num_slices: i64,
}

/// Axes before the tail.
const LEAD: usize = 2;

impl<'a> GraphOps<'a> {
    /// Adds to a graph that takes one slice per run.
    pub fn new(graph: &'a mut GraphBuilder) -> Self {
        GraphOps { graph, states: Vec::new(), num_macs: 0, num_slices: 1 }
    }

    /// Adds to a graph that takes `num_slices` slices per run, with nothing before and after them.
    pub fn of_block(graph: &'a mut GraphBuilder, num_slices: i64) -> Self {
        GraphOps { num_slices, ..GraphOps::new(graph) }
    }

    /// An input of the graph, `[...]` for each slice, as a value `[S][1][...]`.
    pub fn input(&mut self, name: &str, shape: &[i64]) -> GraphValue {
        let value = GraphValue { name: name.to_owned(), shape: shape.to_vec() };
        self.with_tail(&value, shape)
    }

    /// `[S][1][tail]`
    pub(super) fn with_tail(&mut self, x: &GraphValue, tail: &[i64]) -> GraphValue {
        self.shaped(x, &[&[self.num_slices, 1], tail].concat())
    }

    pub(super) fn transposed(&mut self, x: &GraphValue, axes: &[usize]) -> GraphValue {
        let shape = axes.iter().map(|axis| x.shape[*axis]).collect();
        let axes = axes.iter().map(|axis| *axis as i64).collect();
        GraphValue { name: self.graph.node("Transpose", &[&x.name], &[("perm", Attr::Ints(axes))]), shape }
    }

    /// The node's name of a value.
    pub fn name(value: GraphValue) -> Value {
        value.name
    }

    pub(super) fn shaped(&mut self, x: &GraphValue, shape: &[i64]) -> GraphValue {
        if x.shape == shape {
            return x.clone();
        }
        let to = self.graph.ints(shape, &[shape.len() as i64]);
        GraphValue { name: self.graph.node("Reshape", &[&x.name, &to], &[]), shape: shape.to_vec() }
    }

    fn same_shape(&mut self, op: &str, x: &GraphValue, more: &[&Value], attributes: &[(&str, Attr)]) -> GraphValue {
        let inputs: Vec<&Value> = std::iter::once(&x.name).chain(more.iter().copied()).collect();
        GraphValue { name: self.graph.node(op, &inputs, attributes), shape: x.shape.clone() }
    }

    fn binary(&mut self, op: &str, a: &GraphValue, b: &GraphValue) -> GraphValue {
        let name = self.graph.node(op, &[&a.name, &b.name], &[]);
        // One of the two is broadcast to the other.
        let num = |shape: &[i64]| shape.iter().product::<i64>();
        let shape = if num(&a.shape) >= num(&b.shape) { &a.shape } else { &b.shape };
        GraphValue { name, shape: shape.clone() }
    }

    pub(super) fn floats(&mut self, tensor: &Tensor) -> Value {
        let values: Vec<f32> = to_cpu(tensor).reshape([-1]).try_into().expect("a flat f32 tensor");
        self.graph.floats(&values, &tensor.size())
    }
}

impl Ops for GraphOps<'_> {
    type Value = GraphValue;

    fn constant(&mut self, values: &Tensor) -> GraphValue {
        GraphValue { name: self.floats(values), shape: values.size() }
    }

    fn number(&mut self, value: f64) -> GraphValue {
        GraphValue { name: self.graph.floats(&[value as f32], &[1]), shape: vec![1] }
    }

    fn add(&mut self, a: &GraphValue, b: &GraphValue) -> GraphValue {
        self.binary("Add", a, b)
    }

    fn mul(&mut self, a: &GraphValue, b: &GraphValue) -> GraphValue {
        self.binary("Mul", a, b)
    }

    fn unary(&mut self, function: Unary, x: &GraphValue) -> GraphValue {
        let op = match function {
            Unary::Tanh => "Tanh",
            Unary::Sigmoid => "Sigmoid",
            Unary::Relu => "Relu",
            Unary::Log => "Log",
            Unary::Sqrt => "Sqrt",
            Unary::Reciprocal => "Reciprocal",
        };
        self.same_shape(op, x, &[], &[])
    }

    /// Step by step: ONNX Runtime's own operator transposes twice for any axis but the last, which cost `mix` an eighth of its
    /// time.
    fn softmax(&mut self, x: &GraphValue, axis: usize) -> GraphValue {
        let axis = (LEAD + axis) as i64;
        let max = self.graph.node("ReduceMax", &[&x.name], &[("axes", Attr::Ints(vec![axis]))]);
        let below = self.graph.node("Sub", &[&x.name, &max], &[]);
        let powers = self.graph.node("Exp", &[&below], &[]);
        let axes = self.graph.ints(&[axis], &[1]);
        let sum = self.graph.node("ReduceSum", &[&powers, &axes], &[]);
        GraphValue { name: self.graph.node("Div", &[&powers, &sum], &[]), shape: x.shape.clone() }
    }

    fn mean(&mut self, x: &GraphValue, axis: usize) -> GraphValue {
        let mut shape = x.shape.clone();
        shape[LEAD + axis] = 1;
        let axes = ("axes", Attr::Ints(vec![(LEAD + axis) as i64]));
        GraphValue { name: self.graph.node("ReduceMean", &[&x.name], &[axes]), shape }
    }

    fn reshape(&mut self, x: &GraphValue, tail: &[i64]) -> GraphValue {
        self.with_tail(x, tail)
    }

    fn permute(&mut self, x: &GraphValue, axes: &[usize]) -> GraphValue {
        let axes: Vec<usize> = (0..LEAD).chain(axes.iter().map(|axis| LEAD + axis)).collect();
        self.transposed(x, &axes)
    }

    fn concat(&mut self, parts: &[&GraphValue], axis: usize) -> GraphValue {
        let axis = LEAD + axis;
        let names: Vec<&Value> = parts.iter().map(|part| &part.name).collect();
        let mut shape = parts[0].shape.clone();
        shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
        GraphValue { name: self.graph.node("Concat", &names, &[("axis", Attr::Int(axis as i64))]), shape }
    }

    fn narrow(&mut self, x: &GraphValue, axis: usize, start: i64, len: i64) -> GraphValue {
        let mut shape = x.shape.clone();
        if shape[LEAD + axis] == len {
            return x.clone();
        }
        shape[LEAD + axis] = len;
        let mut ints = |value: i64| self.graph.ints(&[value], &[1]);
        let (starts, ends, axes) = (ints(start), ints(start + len), ints((LEAD + axis) as i64));
        GraphValue { name: self.graph.node("Slice", &[&x.name, &starts, &ends, &axes], &[]), shape }
    }

    fn alias(&mut self, x: &GraphValue) -> GraphValue {
        x.clone()
    }

    fn cut(&mut self, x: &Self::Value) -> Self::Value {
        x.clone()
    }

    fn pad(&mut self, x: &GraphValue, axis: usize, num_zeros: i64) -> GraphValue {
        if num_zeros == 0 {
            return x.clone();
        }
        let mut shape = x.shape.clone();
        let mut pads = vec![0; 2 * shape.len()];
        pads[shape.len() + LEAD + axis] = num_zeros;
        shape[LEAD + axis] += num_zeros;
        let pads = self.graph.ints(&pads, &[pads.len() as i64]);
        GraphValue { name: self.graph.node("Pad", &[&x.name, &pads], &[]), shape }
    }

    fn dropout(&mut self, x: &GraphValue, _share: f64) -> GraphValue {
        x.clone()
    }

    fn linear(&mut self, x: &GraphValue, layer: &Linear) -> GraphValue {
        let mut shape = x.shape.clone();
        let (num_inputs, num_outputs) = (layer.weight.size()[1], layer.weight.size()[0]);
        let num_rows = shape.iter().product::<i64>() / num_inputs;
        self.num_macs += (num_rows * num_inputs * num_outputs) as u64;
        let rows = self.shaped(x, &[num_rows, num_inputs]);
        let weight = self.floats(&layer.weight.transpose(0, 1));
        *shape.last_mut().expect("an axis") = num_outputs;
        // Gemm takes the bias along; it wants two axes.
        let bias = layer.bias.as_ref().map(|bias| self.floats(bias));
        let inputs: Vec<&Value> = [Some(&rows.name), Some(&weight), bias.as_ref()].into_iter().flatten().collect();
        let name = self.graph.node("Gemm", &inputs, &[]);
        self.shaped(&GraphValue { name, shape: vec![num_rows, num_outputs] }, &shape)
    }

    fn band_linear(&mut self, x: &GraphValue, layer: &BandLinear) -> GraphValue {
        let size = layer.weight.size();
        let (bands, num_inputs, num_outputs, s) = (size[0], size[1], size[2], self.num_slices);
        self.num_macs += (s * bands * num_inputs * num_outputs) as u64;
        let mut rows = self.shaped(x, &[s, bands, num_inputs]);
        rows = if s == 1 { self.shaped(&rows, &[bands, 1, num_inputs]) } else { self.transposed(&rows, &[1, 0, 2]) };
        let weight = self.floats(&layer.weight);
        let mut name = self.graph.node("MatMul", &[&rows.name, &weight], &[]);
        if let Some(bias) = &layer.bias {
            let bias = self.floats(bias);
            name = self.graph.node("Add", &[&name, &bias], &[]);
        }
        let mut y = GraphValue { name, shape: vec![bands, s, num_outputs] };
        if s > 1 {
            y = self.transposed(&y, &[1, 0, 2]);
        }
        self.with_tail(&y, &[bands, num_outputs])
    }

    fn norm(&mut self, x: &GraphValue, layer: &Norm) -> GraphValue {
        let (weight, bias) = (self.floats(&layer.weight), self.floats(&layer.bias));
        let attributes = [("axis", Attr::Int(-1)), ("epsilon", Attr::Float(Norm::EPSILON as f32))];
        self.same_shape("LayerNormalization", x, &[&weight, &bias], &attributes)
    }

    fn gru_in_time(&mut self, x: &GraphValue, layer: &Gru, state: &str) -> GraphValue {
        self.write_gru_in_time(x, layer, state)
    }

    fn gru_across(&mut self, x: &GraphValue, layer: &BiGru) -> GraphValue {
        self.write_gru_across(x, layer)
    }

    fn conv(&mut self, x: &GraphValue, layer: &Conv) -> GraphValue {
        self.write_conv(x, layer)
    }

    fn conv_in_time(&mut self, x: &GraphValue, layer: &Conv, state: &str) -> GraphValue {
        self.write_conv_in_time(x, layer, state)
    }

    fn batch_norm(&mut self, x: &GraphValue, layer: &BatchNorm, axis: usize) -> GraphValue {
        let mut shape = vec![1; x.shape.len()];
        shape[LEAD + axis] = -1;
        let (factor, offset) = layer.factor_and_offset();
        let (factor, offset) = (self.constant(&factor.reshape(&*shape)), self.constant(&offset.reshape(&*shape)));
        let scaled = self.mul(x, &factor);
        self.add(&scaled, &offset)
    }

    fn lstm_in_time(&mut self, x: &GraphValue, layer: &Lstm, states: &[String; 2]) -> GraphValue {
        self.write_lstm(x, layer, Some(states))
    }

    fn lstm_back(&mut self, x: &GraphValue, layer: &Lstm) -> GraphValue {
        self.write_lstm(x, layer, None)
    }

    fn grouped_lstm_in_time(&mut self, x: &GraphValue, layer: &GroupedLstm, states: &[String; 2]) -> GraphValue {
        self.write_grouped_lstm(x, layer, Some(states))
    }

    fn grouped_lstm_back(&mut self, x: &GraphValue, layer: &GroupedLstm) -> GraphValue {
        self.write_grouped_lstm(x, layer, None)
    }

    fn attend(&mut self, qkv: [&GraphValue; 3], layer: &Attention, state: &str) -> GraphValue {
        self.write_attention(qkv, layer, state)
    }

    fn delay(&mut self, x: &GraphValue, num_slices: i64, state: &str) -> GraphValue {
        self.write_delay(x, num_slices, state)
    }
}
