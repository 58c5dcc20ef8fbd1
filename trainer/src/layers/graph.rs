//! The operations as nodes of a graph for one slice, and what they cost.

use super::{Attention, BandLinear, BiGru, Gru, Linear, Norm, Ops, Unary};
use crate::precision::to_cpu;
use models::onnx::{Attr, GraphBuilder, Value};
use tch::Tensor;

/// A value of the graph with its shape, `[1][1][...]`.
#[derive(Clone)]
pub struct GraphValue {
    name: Value,
    shape: Vec<i64>,
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
    graph: &'a mut GraphBuilder,
    /// States that the layers declared, in order.
    pub states: Vec<StateShape>,
    /// Multiply-accumulates of a slice: products of matrices and recurrent layers.
    pub num_macs: u64,
}

/// Axes before the tail.
const LEAD: usize = 2;

impl<'a> GraphOps<'a> {
    /// Adds to a graph.
    pub fn new(graph: &'a mut GraphBuilder) -> Self {
        GraphOps { graph, states: Vec::new(), num_macs: 0 }
    }

    /// An input of the graph, `[...]`, as a value `[1][1][...]`.
    pub fn input(&mut self, name: &str, shape: &[i64]) -> GraphValue {
        let value = GraphValue { name: name.to_owned(), shape: shape.to_vec() };
        self.shaped(&value, &[&[1, 1], shape].concat())
    }

    /// The node's name of a value.
    pub fn name(value: GraphValue) -> Value {
        value.name
    }

    fn shaped(&mut self, x: &GraphValue, shape: &[i64]) -> GraphValue {
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

    fn floats(&mut self, tensor: &Tensor) -> Value {
        let values: Vec<f32> = to_cpu(tensor).reshape([-1]).try_into().expect("a flat f32 tensor");
        self.graph.floats(&values, &tensor.size())
    }

    /// ONNX wants the gates in the order z r n, with a leading axis of directions.
    fn gru_weights(&mut self, layers: &[&Gru]) -> [Value; 3] {
        let gates = |tensor: &Tensor| {
            let parts = tensor.chunk(3, 0);
            Tensor::cat(&[&parts[1], &parts[0], &parts[2]], 0)
        };
        let stack = |of: &dyn Fn(&Gru) -> Tensor| Tensor::stack(&layers.iter().map(|l| of(l)).collect::<Vec<_>>(), 0);
        let weights = [
            stack(&|layer| gates(&layer.from_input)),
            stack(&|layer| gates(&layer.from_state)),
            stack(&|layer| Tensor::cat(&[gates(&layer.input_bias), gates(&layer.state_bias)], 0)),
        ];
        weights.map(|tensor| self.floats(&tensor))
    }

    /// The last `len` values along an axis, kept in a state of some shape, and the new one behind them.
    fn window(&mut self, new: &GraphValue, axis: i64, len: i64, state: &str, shape: [i64; 3]) -> Value {
        let before = GraphValue { name: self.graph.input(state, &shape), shape: shape.to_vec() };
        let mut full = new.shape.clone();
        full[axis as usize] = len;
        let before = self.shaped(&before, &full);
        let all = self.graph.node("Concat", &[&before.name, &new.name], &[("axis", Attr::Int(axis))]);
        let [start, end, axis] = [1, len + 1, axis].map(|value| self.graph.ints(&[value], &[1]));
        let kept = GraphValue { name: self.graph.node("Slice", &[&all, &start, &end, &axis], &[]), shape: full };
        let kept = self.shaped(&kept, &shape);
        self.graph.output(&kept.name, &format!("{state}_next"), &shape);
        self.states.push(StateShape { name: state.to_owned(), shape });
        all
    }

    fn count_gru(&mut self, layer: &Gru, num_steps: i64) {
        self.num_macs += num_steps as u64 * (layer.from_input.numel() + layer.from_state.numel()) as u64;
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
        self.shaped(x, &[&[1, 1], tail].concat())
    }

    fn permute(&mut self, x: &GraphValue, axes: &[usize]) -> GraphValue {
        let axes: Vec<i64> = (0..LEAD).chain(axes.iter().map(|axis| LEAD + axis)).map(|axis| axis as i64).collect();
        let shape = axes.iter().map(|axis| x.shape[*axis as usize]).collect();
        let name = self.graph.node("Transpose", &[&x.name], &[("perm", Attr::Ints(axes))]);
        GraphValue { name, shape }
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

    fn cut(&mut self, x: &Self::Value) -> Self::Value {
        x.clone()
    }

    fn pad(&mut self, x: &GraphValue, num_zeros: i64) -> GraphValue {
        if num_zeros == 0 {
            return x.clone();
        }
        let mut shape = x.shape.clone();
        let mut pads = vec![0; 2 * shape.len()];
        *pads.last_mut().expect("two at least") = num_zeros;
        *shape.last_mut().expect("two at least") += num_zeros;
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
        let (weight, bias) = (self.floats(&layer.weight.transpose(0, 1)), self.floats(&layer.bias));
        *shape.last_mut().expect("an axis") = num_outputs;
        // Gemm takes the bias along; it wants two axes.
        let name = self.graph.node("Gemm", &[&rows.name, &weight, &bias], &[]);
        self.shaped(&GraphValue { name, shape: vec![num_rows, num_outputs] }, &shape)
    }

    fn band_linear(&mut self, x: &GraphValue, layer: &BandLinear) -> GraphValue {
        let size = layer.weight.size();
        let (bands, num_inputs, num_outputs) = (size[0], size[1], size[2]);
        self.num_macs += (bands * num_inputs * num_outputs) as u64;
        let rows = self.shaped(x, &[bands, 1, num_inputs]);
        let (weight, bias) = (self.floats(&layer.weight), self.floats(&layer.bias));
        let product = self.graph.node("MatMul", &[&rows.name, &weight], &[]);
        let name = self.graph.node("Add", &[&product, &bias], &[]);
        self.shaped(&GraphValue { name, shape: vec![bands, 1, num_outputs] }, &[1, 1, bands, num_outputs])
    }

    fn norm(&mut self, x: &GraphValue, layer: &Norm) -> GraphValue {
        let (weight, bias) = (self.floats(&layer.weight), self.floats(&layer.bias));
        let attributes = [("axis", Attr::Int(-1)), ("epsilon", Attr::Float(Norm::EPSILON as f32))];
        self.same_shape("LayerNormalization", x, &[&weight, &bias], &attributes)
    }

    fn gru_in_time(&mut self, x: &GraphValue, layer: &Gru, state: &str) -> GraphValue {
        let (bands, num_inputs, hidden) = (x.shape[2], x.shape[3], layer.hidden());
        self.count_gru(layer, bands);
        let shape = [1, bands, hidden];
        let rows = self.shaped(x, &[1, bands, num_inputs]);
        let before = self.graph.input(state, &shape);
        let [w, r, b] = self.gru_weights(&[layer]);
        let inputs = [&rows.name, &w, &r, &b, &Value::new(), &before];
        let after = self.graph.nodes("GRU", &inputs, 2, &gru_attributes(hidden, "forward")).remove(1);
        self.graph.output(&after, &format!("{state}_next"), &shape);
        self.states.push(StateShape { name: state.to_owned(), shape });
        self.shaped(&GraphValue { name: after, shape: shape.to_vec() }, &[1, 1, bands, hidden])
    }

    fn gru_across(&mut self, x: &GraphValue, layer: &BiGru) -> GraphValue {
        let (bands, num_inputs, hidden) = (x.shape[2], x.shape[3], layer.up.hidden());
        self.count_gru(&layer.up, bands);
        self.count_gru(&layer.down, bands);
        let sequence = self.shaped(x, &[bands, 1, num_inputs]);
        let [w, r, b] = self.gru_weights(&[&layer.up, &layer.down]);
        let inputs = [&sequence.name, &w, &r, &b];
        let y = self.graph.nodes("GRU", &inputs, 1, &gru_attributes(hidden, "bidirectional")).remove(0);
        // [band][direction][1][hidden]: with one sequence, the directions already stand side by side.
        self.shaped(&GraphValue { name: y, shape: vec![bands, 2, 1, hidden] }, &[1, 1, bands, 2 * hidden])
    }

    fn attend(&mut self, qkv: [&GraphValue; 3], layer: &Attention, state: &str) -> GraphValue {
        let (bands, inner) = (qkv[0].shape[2], qkv[0].shape[3]);
        let (heads, window) = (layer.bias.size()[0], layer.window);
        let d = inner / heads;
        let queries = self.shaped(qkv[0], &[bands, heads, d, 1]);
        let [keys, values] = [("keys", qkv[1]), ("values", qkv[2])].map(|(name, new)| {
            let new = self.shaped(new, &[bands, heads, 1, d]);
            self.window(&new, 2, window - 1, &format!("{state}_{name}"), [1, bands, heads * (window - 1) * d])
        });
        self.num_macs += (2 * bands * window * inner) as u64;
        let scores = self.graph.node("MatMul", &[&keys, &queries.name], &[]);
        let scale = self.graph.floats(&[1.0 / (d as f32).sqrt()], &[1]);
        let scores = self.graph.node("Mul", &[&scores, &scale], &[]);
        let bias = self.floats(&layer.bias.unsqueeze(-1));
        let scores = self.graph.node("Add", &[&scores, &bias], &[]);
        let scores = GraphValue { name: scores, shape: vec![bands, heads, window, 1] };
        let scores = self.softmax(&scores, 0);
        let shares = self.shaped(&scores, &[bands, heads, 1, window]);
        let name = self.graph.node("MatMul", &[&shares.name, &values], &[]);
        self.shaped(&GraphValue { name, shape: vec![bands, heads, 1, d] }, &[1, 1, bands, inner])
    }

    fn delay(&mut self, x: &GraphValue, num_slices: i64, state: &str) -> GraphValue {
        let len: i64 = x.shape.iter().product();
        let new = self.shaped(x, &[1, 1, len]);
        let all = self.window(&new, 1, num_slices, state, [1, num_slices, len]);
        let [start, end, axis] = [0, 1, 1].map(|value| self.graph.ints(&[value], &[1]));
        let name = self.graph.node("Slice", &[&all, &start, &end, &axis], &[]);
        self.shaped(&GraphValue { name, shape: vec![1, 1, len] }, &x.shape)
    }
}

fn gru_attributes(hidden: i64, direction: &str) -> [(&'static str, Attr); 3] {
    [
        ("hidden_size", Attr::Int(hidden)),
        ("linear_before_reset", Attr::Int(1)),
        ("direction", Attr::Text(direction.to_owned())),
    ]
}
