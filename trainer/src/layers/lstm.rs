//! LSTMs (Hochreiter and Schmidhuber 1997) in torch's form: gates in the order i f g o.

use super::parts::uniform;
use tch::{Kind, Tensor, nn};

/// One layer.
pub struct Lstm {
    /// `[4 * hidden][input]`
    pub from_input: Tensor,
    /// `[4 * hidden][hidden]`
    pub from_state: Tensor,
    /// `[4 * hidden]`
    pub input_bias: Tensor,
    /// `[4 * hidden]`
    pub state_bias: Tensor,
}

impl Lstm {
    /// Random weights; `layer` is the end of their names as torch has it, `l0` or `l1_reverse`.
    pub fn new(vs: &nn::Path, layer: &str, num_inputs: i64, hidden: i64) -> Self {
        let weight = |name: &str, len: i64| vs.var(&format!("{name}_{layer}"), &[4 * hidden, len], uniform(hidden));
        let bias = |name: &str| vs.var(&format!("{name}_{layer}"), &[4 * hidden], nn::Init::Const(0.0));
        Lstm {
            from_input: weight("weight_ih", num_inputs),
            from_state: weight("weight_hh", hidden),
            input_bias: bias("bias_ih"),
            state_bias: bias("bias_hh"),
        }
    }

    /// Width of its state.
    pub fn hidden(&self) -> i64 {
        self.from_state.size()[1]
    }

    /// `x` `[T][B][input]` from the state `(h, c)`, each `[1][B][hidden]`.
    pub(super) fn apply(&self, x: &Tensor, h: &Tensor, c: &Tensor, train: bool) -> (Tensor, Tensor, Tensor) {
        let params = [&self.from_input, &self.from_state, &self.input_bias, &self.state_bias];
        x.lstm(&[h, c], &params, true, 1, 0.0, train, false, false)
    }
}

/// One layer of several LSTMs side by side, as batched products.
pub struct GroupedLstm {
    /// `[group][input][4 * hidden]`
    pub from_input: Tensor,
    /// `[group][hidden][4 * hidden]`
    pub from_state: Tensor,
    /// `[group][1][4 * hidden]`
    pub bias: Tensor,
}

impl GroupedLstm {
    /// Random weights.
    pub fn new(vs: &nn::Path, groups: i64, num_inputs: i64, hidden: i64) -> Self {
        let weight = |name: &str, rows: i64| vs.var(name, &[groups, rows, 4 * hidden], uniform(hidden));
        GroupedLstm {
            from_input: weight("from_input", num_inputs),
            from_state: weight("from_state", hidden),
            bias: weight("bias", 1),
        }
    }

    /// One of them.
    pub(super) fn of_group(&self, group: i64) -> Lstm {
        let bias = self.bias.select(0, group).squeeze_dim(0);
        Lstm {
            from_input: self.from_input.select(0, group).transpose(0, 1),
            from_state: self.from_state.select(0, group).transpose(0, 1),
            state_bias: bias.zeros_like(),
            input_bias: bias,
        }
    }

    /// Width of its state.
    pub fn hidden(&self) -> i64 {
        self.from_state.size()[1]
    }

    /// `x` `[S][B][group][input]` from the state `(h, c)`, each `[B][group][hidden]`; slices from the last to the first if
    /// it runs back.
    pub(super) fn apply(&self, x: &Tensor, state: (Tensor, Tensor), is_back: bool) -> (Tensor, Tensor, Tensor) {
        let (num_slices, batch_size) = (x.size()[0], x.size()[1]);
        let by_group = x.permute([2, 0, 1, 3]).flatten(1, 2);
        let gates = self.bias.baddbmm(&by_group, &self.from_input, 1.0, 1.0);
        let gates = gates.unflatten(1, [num_slices, batch_size]);
        let (mut h, mut c) = (state.0.transpose(0, 1), state.1.transpose(0, 1));
        let mut outputs = Vec::with_capacity(num_slices as usize);
        for step in 0..num_slices {
            let s = if is_back { num_slices - 1 - step } else { step };
            let gates = gates.select(1, s).baddbmm(&h, &self.from_state, 1.0, 1.0).chunk(4, 2);
            c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
            h = gates[3].sigmoid() * c.tanh();
            outputs.push(h.transpose(0, 1));
        }
        if is_back {
            outputs.reverse();
        }
        (Tensor::stack(&outputs, 0), h.transpose(0, 1), c.transpose(0, 1))
    }

    /// The state before the first slice.
    pub(super) fn zeros(&self, batch_size: i64) -> (Tensor, Tensor) {
        let shape = [batch_size, self.from_input.size()[0], self.hidden()];
        let zeros = || Tensor::zeros(shape, (Kind::Float, self.bias.device()));
        (zeros(), zeros())
    }
}
