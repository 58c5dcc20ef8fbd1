//! What remembers other slices, as nodes: GRUs, LSTMs, attention, delays.

use super::graph::{GraphOps, GraphValue, StateShape};
use super::{Attention, BiGru, GroupedLstm, Gru, Lstm, Ops};
use models::onnx::{Attr, Value};
use tch::Tensor;

impl GraphOps<'_> {
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

    fn count_gru(&mut self, layer: &Gru, num_steps: i64) {
        self.num_macs += num_steps as u64 * (layer.from_input.numel() + layer.from_state.numel()) as u64;
    }

    /// The last `len` values along an axis, kept in a state of some shape, and the new one behind them.
    pub(super) fn window(&mut self, new: &GraphValue, axis: i64, len: i64, state: &str, shape: [i64; 3]) -> Value {
        let before = GraphValue { name: self.state(state, shape), shape: shape.to_vec() };
        let mut full = new.shape.clone();
        full[axis as usize] = len;
        let before = self.shaped(&before, &full);
        let all = self.graph.node("Concat", &[&before.name, &new.name], &[("axis", Attr::Int(axis))]);
        let [start, end, axis] = [1, len + 1, axis].map(|value| self.graph.ints(&[value], &[1]));
        let kept = GraphValue { name: self.graph.node("Slice", &[&all, &start, &end, &axis], &[]), shape: full };
        let kept = self.shaped(&kept, &shape);
        self.graph.output(&kept.name, &format!("{state}_next"), &shape);
        all
    }

    pub(super) fn write_gru_in_time(&mut self, x: &GraphValue, layer: &Gru, state: &str) -> GraphValue {
        let (bands, num_inputs, hidden, s) = (x.shape[2], x.shape[3], layer.hidden(), self.num_slices);
        self.count_gru(layer, s * bands);
        let shape = [1, bands, hidden];
        let rows = self.shaped(x, &[s, bands, num_inputs]);
        let [w, r, b] = self.gru_weights(&[layer]);
        if s > 1 {
            let all =
                self.graph.nodes("GRU", &[&rows.name, &w, &r, &b], 1, &gru_attributes(hidden, "forward")).remove(0);
            return self.with_tail(&GraphValue { name: all, shape: vec![s, 1, bands, hidden] }, &[bands, hidden]);
        }
        let before = self.state(state, shape);
        let inputs = [&rows.name, &w, &r, &b, &Value::new(), &before];
        let after = self.graph.nodes("GRU", &inputs, 2, &gru_attributes(hidden, "forward")).remove(1);
        self.graph.output(&after, &format!("{state}_next"), &shape);
        self.shaped(&GraphValue { name: after, shape: shape.to_vec() }, &[1, 1, bands, hidden])
    }

    pub(super) fn write_gru_across(&mut self, x: &GraphValue, layer: &BiGru) -> GraphValue {
        let (bands, num_inputs, hidden, s) = (x.shape[2], x.shape[3], layer.up.hidden(), self.num_slices);
        self.count_gru(&layer.up, s * bands);
        self.count_gru(&layer.down, s * bands);
        let sequence = match s {
            1 => self.shaped(x, &[bands, 1, num_inputs]),
            _ => {
                let x = self.shaped(x, &[s, bands, num_inputs]);
                self.transposed(&x, &[1, 0, 2])
            }
        };
        let [w, r, b] = self.gru_weights(&[&layer.up, &layer.down]);
        let inputs = [&sequence.name, &w, &r, &b];
        let y = self.graph.nodes("GRU", &inputs, 1, &gru_attributes(hidden, "bidirectional")).remove(0);
        // [band][direction][S][hidden]: with one sequence, the directions already stand side by side.
        let mut y = GraphValue { name: y, shape: vec![bands, 2, s, hidden] };
        if s > 1 {
            y = self.transposed(&y, &[2, 0, 1, 3]);
        }
        self.with_tail(&y, &[bands, 2 * hidden])
    }

    pub(super) fn write_attention(&mut self, qkv: [&GraphValue; 3], layer: &Attention, state: &str) -> GraphValue {
        let (bands, inner) = (qkv[0].shape[2], qkv[0].shape[3]);
        let (heads, window) = (layer.bias.size()[0], layer.window);
        let d = inner / heads;
        if self.num_slices > 1 {
            return self.write_block_attention(qkv, layer);
        }
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

    /// All slices of a block over all of them, those out of reach left out by what is added to the scores.
    fn write_block_attention(&mut self, qkv: [&GraphValue; 3], layer: &Attention) -> GraphValue {
        let (s, bands, inner) = (self.num_slices, qkv[0].shape[2], qkv[0].shape[3]);
        let (heads, num_before) = (layer.bias.size()[0], layer.window - 1);
        let (d, num_keys) = (inner / heads, s + num_before);
        self.num_macs += (2 * s * bands * num_keys * inner) as u64;
        let [queries, keys, values] = qkv.map(|x| self.shaped(x, &[s, bands, heads, d]));
        let queries = self.transposed(&queries, &[1, 2, 0, 3]);
        let keys = self.transposed(&keys, &[1, 2, 3, 0]);
        let values = self.transposed(&values, &[1, 2, 0, 3]);
        let pads = self.graph.ints(&[0, 0, 0, num_before, 0, 0, 0, 0], &[8]);
        let keys = self.graph.node("Pad", &[&keys.name, &pads], &[]);
        let pads = self.graph.ints(&[0, 0, num_before, 0, 0, 0, 0, 0], &[8]);
        let values = self.graph.node("Pad", &[&values.name, &pads], &[]);
        let scores = self.graph.node("MatMul", &[&queries.name, &keys], &[]);
        let scale = self.graph.floats(&[1.0 / (d as f32).sqrt()], &[1]);
        let scores = self.graph.node("Mul", &[&scores, &scale], &[]);
        let mask = self.floats(&layer.mask(s));
        let scores = self.graph.node("Add", &[&scores, &mask], &[]);
        let shares = self.graph.node("Softmax", &[&scores], &[("axis", Attr::Int(3))]);
        let name = self.graph.node("MatMul", &[&shares, &values], &[]);
        let y = self.transposed(&GraphValue { name, shape: vec![bands, heads, s, d] }, &[2, 0, 1, 3]);
        self.with_tail(&y, &[bands, inner])
    }

    pub(super) fn write_delay(&mut self, x: &GraphValue, num_slices: i64, state: &str) -> GraphValue {
        let len: i64 = x.shape[2..].iter().product();
        if self.num_slices > 1 {
            let all = self.shaped(x, &[self.num_slices, len]);
            let pads = self.graph.ints(&[num_slices, 0, 0, 0], &[4]);
            let all = self.graph.node("Pad", &[&all.name, &pads], &[]);
            let [start, end, axis] = [0, self.num_slices, 0].map(|value| self.graph.ints(&[value], &[1]));
            let name = self.graph.node("Slice", &[&all, &start, &end, &axis], &[]);
            return self.shaped(&GraphValue { name, shape: vec![self.num_slices, len] }, &x.shape);
        }
        let new = self.shaped(x, &[1, 1, len]);
        let all = self.window(&new, 1, num_slices, state, [1, num_slices, len]);
        let [start, end, axis] = [0, 1, 1].map(|value| self.graph.ints(&[value], &[1]));
        let name = self.graph.node("Slice", &[&all, &start, &end, &axis], &[]);
        self.shaped(&GraphValue { name, shape: vec![1, 1, len] }, &x.shape)
    }

    /// A state of the graph: its value before, and its name and shape on the list.
    fn state(&mut self, name: &str, shape: [i64; 3]) -> Value {
        self.states.push(StateShape { name: name.to_owned(), shape });
        self.graph.input(name, &shape)
    }

    /// `states` are those of a layer that runs forwards.
    pub(super) fn write_lstm(&mut self, x: &GraphValue, layer: &Lstm, states: Option<&[String; 2]>) -> GraphValue {
        let (steps, num_inputs, hidden) = (self.num_slices * x.shape[2], x.shape[3], layer.hidden());
        self.num_macs += (steps * 4 * hidden * (num_inputs + hidden)) as u64;
        let sequence = self.shaped(x, &[steps, 1, num_inputs]);
        // torch has the gates in the order i f g o, ONNX i o f c.
        let gates = |tensor: &Tensor| {
            let parts = tensor.chunk(4, 0);
            Tensor::cat(&[&parts[0], &parts[3], &parts[1], &parts[2]], 0)
        };
        let bias = Tensor::cat(&[gates(&layer.input_bias), gates(&layer.state_bias)], 0);
        let [w, r, b] =
            [gates(&layer.from_input), gates(&layer.from_state), bias].map(|t| self.floats(&t.unsqueeze(0)));
        let shape = [1, 1, hidden];
        let direction = if states.is_some() { "forward" } else { "reverse" };
        // A block has nothing before it.
        let states = states.filter(|_| self.num_slices == 1);
        let before = states.map(|states| [0, 1].map(|i| self.state(&states[i], shape)));
        let none = Value::new();
        let mut inputs = vec![&sequence.name, &w, &r, &b];
        if let Some([h, c]) = &before {
            inputs.extend([&none, h, c]);
        }
        let attributes = [("hidden_size", Attr::Int(hidden)), ("direction", Attr::Text(direction.to_owned()))];
        let outputs = self.graph.nodes("LSTM", &inputs, 3, &attributes);
        for (name, after) in states.into_iter().flatten().zip(&outputs[1..]) {
            self.graph.output(after, &format!("{name}_next"), &shape);
        }
        let y = GraphValue { name: outputs[0].clone(), shape: vec![steps, 1, 1, hidden] };
        self.with_tail(&y, &[x.shape[2], hidden])
    }

    pub(super) fn write_grouped_lstm(
        &mut self,
        x: &GraphValue,
        layer: &GroupedLstm,
        states: Option<&[String; 2]>,
    ) -> GraphValue {
        let (groups, num_inputs, hidden) = (x.shape[2], x.shape[3], layer.hidden());
        if self.num_slices > 1 {
            // One after the other: ONNX has no LSTM of groups, and step by step a block would be thousands of nodes.
            let parts: Vec<GraphValue> = (0..groups)
                .map(|group| {
                    let own = self.narrow(x, 0, group, 1);
                    self.write_lstm(&own, &layer.of_group(group), states)
                })
                .collect();
            return self.concat(&parts.iter().collect::<Vec<_>>(), 0);
        }
        self.num_macs += (groups * 4 * hidden * (num_inputs + hidden)) as u64;
        let (rows, of_state) = ([groups, 1, num_inputs], [groups, 1, hidden]);
        let x = self.shaped(x, &rows);
        let [from_input, from_state, bias] =
            [&layer.from_input, &layer.from_state, &layer.bias].map(|t| self.floats(t));
        let shape = [1, groups, hidden];
        let before = [0, 1].map(|i| {
            let name = match states {
                Some(states) => self.state(&states[i], shape),
                None => self.graph.floats(&vec![0.0; (groups * hidden) as usize], &shape),
            };
            self.shaped(&GraphValue { name, shape: shape.to_vec() }, &of_state).name
        });
        let gates = self.graph.node("MatMul", &[&x.name, &from_input], &[]);
        let recurrent = self.graph.node("MatMul", &[&before[0], &from_state], &[]);
        let gates = self.graph.node("Add", &[&gates, &recurrent], &[]);
        let gates = self.graph.node("Add", &[&gates, &bias], &[]);
        let lens = self.graph.ints(&[hidden; 4], &[4]);
        let gates = self.graph.nodes("Split", &[&gates, &lens], 4, &[("axis", Attr::Int(2))]);
        let [input, forget, output] = [0, 1, 3].map(|i: usize| self.graph.node("Sigmoid", &[&gates[i]], &[]));
        let candidate = self.graph.node("Tanh", &[&gates[2]], &[]);
        let kept = self.graph.node("Mul", &[&forget, &before[1]], &[]);
        let added = self.graph.node("Mul", &[&input, &candidate], &[]);
        let c = self.graph.node("Add", &[&kept, &added], &[]);
        let shown = self.graph.node("Tanh", &[&c], &[]);
        let h = self.graph.node("Mul", &[&output, &shown], &[]);
        let h = GraphValue { name: h, shape: of_state.to_vec() };
        let c = GraphValue { name: c, shape: of_state.to_vec() };
        for (name, after) in states.into_iter().flatten().zip([&h, &c]) {
            let after = self.shaped(after, &shape);
            self.graph.output(&after.name, &format!("{name}_next"), &shape);
        }
        self.shaped(&h, &[1, 1, groups, hidden])
    }
}

fn gru_attributes(hidden: i64, direction: &str) -> [(&'static str, Attr); 3] {
    [
        ("hidden_size", Attr::Int(hidden)),
        ("linear_before_reset", Attr::Int(1)),
        ("direction", Attr::Text(direction.to_owned())),
    ]
}
