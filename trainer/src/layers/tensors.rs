//! The operations over a whole batch, in libtorch.

use super::gru::Direction;
use super::{
    Attention, BandLinear, BatchNorm, BiGru, Conv, GroupedLstm, Gru, Linear, Lstm, Mode, Norm, Ops, State, Unary, tape,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tch::{Kind, Tensor};

/// One pass over a batch, from a state to the next.
pub struct TensorOps<'a> {
    mode: Mode,
    given: &'a State,
    num_dropouts: u64,
    /// The states at the end of the pass.
    pub next: State,
}

/// Axes before the tail: `[S][B]`.
const LEAD: i64 = 2;

impl<'a> TensorOps<'a> {
    /// A pass that goes on from `state`.
    pub fn new(state: &'a State, mode: Mode) -> Self {
        TensorOps { mode, given: state, num_dropouts: 0, next: State::default() }
    }

    fn before(&self, state: &str) -> &'a Tensor {
        let given = self.given.tensors.iter().find(|(name, _)| name == state);
        &given.expect("a state for every layer with a memory").1
    }
}

fn with_tail(x: &Tensor, tail: &[i64]) -> Vec<i64> {
    [&x.size()[..LEAD as usize], tail].concat()
}

/// `[S][B][step][input]` to `[S * step][B][input]`.
fn steps_first(x: &Tensor) -> Tensor {
    x.transpose(1, 2).flatten(0, 1)
}

impl Ops for TensorOps<'_> {
    type Value = Tensor;

    fn constant(&mut self, values: &Tensor) -> Tensor {
        values.shallow_clone()
    }

    fn number(&mut self, value: f64) -> Tensor {
        Tensor::from(value as f32)
    }

    fn add(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        a + b
    }

    fn mul(&mut self, a: &Tensor, b: &Tensor) -> Tensor {
        a * b
    }

    fn unary(&mut self, function: Unary, x: &Tensor) -> Tensor {
        match function {
            Unary::Tanh => x.tanh(),
            Unary::Sigmoid => x.sigmoid(),
            Unary::Relu => x.relu(),
            Unary::Log => x.log(),
            Unary::Sqrt => x.sqrt(),
            Unary::Reciprocal => x.reciprocal(),
        }
    }

    fn softmax(&mut self, x: &Tensor, axis: usize) -> Tensor {
        x.softmax(LEAD + axis as i64, None::<Kind>)
    }

    fn mean(&mut self, x: &Tensor, axis: usize) -> Tensor {
        x.mean_dim([LEAD + axis as i64].as_slice(), true, x.kind())
    }

    fn reshape(&mut self, x: &Tensor, tail: &[i64]) -> Tensor {
        x.reshape(with_tail(x, tail))
    }

    fn permute(&mut self, x: &Tensor, axes: &[usize]) -> Tensor {
        let axes: Vec<i64> = (0..LEAD).chain(axes.iter().map(|axis| LEAD + *axis as i64)).collect();
        x.permute(axes)
    }

    fn concat(&mut self, parts: &[&Tensor], axis: usize) -> Tensor {
        Tensor::cat(parts, LEAD + axis as i64)
    }

    fn narrow(&mut self, x: &Tensor, axis: usize, start: i64, len: i64) -> Tensor {
        x.narrow(LEAD + axis as i64, start, len)
    }

    fn alias(&mut self, x: &Tensor) -> Tensor {
        x.shallow_clone()
    }

    fn cut(&mut self, x: &Tensor) -> Tensor {
        tape::cut(x)
    }

    fn pad(&mut self, x: &Tensor, axis: usize, num_zeros: i64) -> Tensor {
        let mut pads = vec![0; 2 * (x.dim() - LEAD as usize - axis)];
        // torch counts from the last axis.
        *pads.last_mut().expect("an axis of the tail") = num_zeros;
        x.constant_pad_nd(pads)
    }

    fn dropout(&mut self, x: &Tensor, share: f64) -> Tensor {
        let Mode::Train { dropout_seed } = self.mode else { return x.shallow_clone() };
        self.num_dropouts += 1;
        let mut rng = StdRng::seed_from_u64(dropout_seed.wrapping_add(self.num_dropouts.rotate_left(17)));
        let kept = (1.0 / (1.0 - share)) as f32;
        // Sixteen bits decide: a share is met to within 1/65536.
        let limit = (share * 65_536.0) as u16;
        let mut factors = vec![0f32; x.numel()];
        for four in factors.chunks_mut(4) {
            let bits: u64 = rng.random();
            for (i, factor) in four.iter_mut().enumerate() {
                *factor = if ((bits >> (16 * i)) as u16) < limit { 0.0 } else { kept };
            }
        }
        x * Tensor::from_slice(&factors).reshape(x.size()).to_device(x.device())
    }

    fn linear(&mut self, x: &Tensor, layer: &Linear) -> Tensor {
        x.linear(&layer.weight, layer.bias.as_ref())
    }

    fn band_linear(&mut self, x: &Tensor, layer: &BandLinear) -> Tensor {
        let size = x.size();
        let (s, b, bands, len) = (size[0], size[1], size[2], size[3]);
        let x = x.permute([2, 0, 1, 3]).reshape([bands, s * b, len]);
        let y = match &layer.bias {
            Some(bias) => bias.baddbmm(&x, &layer.weight, 1.0, 1.0),
            None => x.bmm(&layer.weight),
        };
        y.reshape([bands, s, b, -1]).permute([1, 2, 0, 3])
    }

    fn conv(&mut self, x: &Tensor, layer: &Conv) -> Tensor {
        let y = layer.apply(&x.flatten(0, 1), layer.shape.padding, self.mode.is_train());
        y.unflatten(0, [x.size()[0], x.size()[1]])
    }

    fn conv_in_time(&mut self, x: &Tensor, layer: &Conv, state: &str) -> Tensor {
        let size = x.size();
        let (s, b, channels, bins) = (size[0], size[1], size[2], size[3]);
        let num_before = layer.shape.kernel[0] - 1;
        let mut all = x.permute([1, 2, 0, 3]);
        if num_before > 0 {
            let before = self.before(state).reshape([b, channels, num_before, bins]);
            all = Tensor::cat(&[before, all], 2);
            let after = all.narrow(2, s, num_before).reshape([1, b * channels, -1]).detach();
            self.next.tensors.push((state.to_owned(), after));
        }
        layer.apply(&all, [0, layer.shape.padding[1]], self.mode.is_train()).permute([2, 0, 1, 3])
    }

    fn batch_norm(&mut self, x: &Tensor, layer: &BatchNorm, axis: usize) -> Tensor {
        let axis = LEAD + axis as i64;
        layer.apply(&x.transpose(1, axis), self.mode.is_train()).transpose(1, axis)
    }

    fn norm(&mut self, x: &Tensor, layer: &Norm) -> Tensor {
        x.layer_norm(layer.weight.size(), Some(&layer.weight), Some(&layer.bias), Norm::EPSILON, true)
    }

    fn gru_in_time(&mut self, x: &Tensor, layer: &Gru, state: &str) -> Tensor {
        let size = x.size();
        let (s, rows, len) = (size[0], size[1] * size[2], size[3]);
        let before = self.before(state);
        let train = self.mode.is_train();
        let x = x.reshape([s, rows, len]);
        // Only training records, and it has no use for the state at the end of a chunk.
        if tape::is_recording(&x) && before.abs().max().double_value(&[]) == 0.0 {
            let gates = x.linear(&layer.from_input, Some(&layer.input_bias));
            let y = tape::gru(&gates, &[Direction { layer, is_backward: false }]);
            let after = y.detach().narrow(0, s - 1, 1);
            self.next.tensors.push((state.to_owned(), after));
            return y.reshape([s, size[1], size[2], layer.hidden()]);
        }
        let (y, after) = x.gru(before, &layer.params(), true, 1, 0.0, train, false, false);
        self.next.tensors.push((state.to_owned(), after));
        y.reshape([s, size[1], size[2], layer.hidden()])
    }

    fn lstm_in_time(&mut self, x: &Tensor, layer: &Lstm, states: &[String; 2]) -> Tensor {
        let size = x.size();
        let [h, c] = [0, 1].map(|i| self.before(&states[i]));
        let (y, h, c) = layer.apply(&steps_first(x), h, c, self.mode.is_train());
        for (name, after) in states.iter().zip([h, c]) {
            self.next.tensors.push((name.clone(), after.detach()));
        }
        y.reshape([size[0], size[2], size[1], -1]).transpose(1, 2)
    }

    fn lstm_back(&mut self, x: &Tensor, layer: &Lstm) -> Tensor {
        let size = x.size();
        let zeros = Tensor::zeros([1, size[1], layer.hidden()], (x.kind(), x.device()));
        let (y, ..) = layer.apply(&steps_first(x).flip([0]), &zeros, &zeros, self.mode.is_train());
        y.flip([0]).reshape([size[0], size[2], size[1], -1]).transpose(1, 2)
    }

    fn grouped_lstm_in_time(&mut self, x: &Tensor, layer: &GroupedLstm, states: &[String; 2]) -> Tensor {
        let shape = [x.size()[1], x.size()[2], layer.hidden()];
        let [h, c] = [0, 1].map(|i| self.before(&states[i]).reshape(shape));
        let (y, h, c) = layer.apply(x, (h, c), false);
        for (name, after) in states.iter().zip([h, c]) {
            self.next.tensors.push((name.clone(), after.reshape([1, shape[0] * shape[1], shape[2]]).detach()));
        }
        y
    }

    fn grouped_lstm_back(&mut self, x: &Tensor, layer: &GroupedLstm) -> Tensor {
        layer.apply(x, layer.zeros(x.size()[1]), true).0
    }

    fn gru_across(&mut self, x: &Tensor, layer: &BiGru) -> Tensor {
        let size = x.size();
        let (rows, bands, hidden) = (size[0] * size[1], size[2], layer.up.hidden());
        let params: Vec<&Tensor> = layer.up.params().into_iter().chain(layer.down.params()).collect();
        let zeros = Tensor::zeros([2, rows, hidden], (x.kind(), x.device()));
        let train = self.mode.is_train();
        let x = x.reshape([rows, bands, size[3]]).transpose(0, 1).contiguous();
        if tape::is_recording(&x) {
            let weight = Tensor::cat(&[&layer.up.from_input, &layer.down.from_input], 0);
            let bias = Tensor::cat(&[&layer.up.input_bias, &layer.down.input_bias], 0);
            let directions = [(&layer.up, false), (&layer.down, true)];
            let directions = directions.map(|(layer, is_backward)| Direction { layer, is_backward });
            let y = tape::gru(&x.linear(&weight, Some(&bias)), &directions);
            return y.transpose(0, 1).reshape([size[0], size[1], bands, 2 * hidden]);
        }
        let (y, _) = x.gru(&zeros, &params, true, 1, 0.0, train, true, false);
        y.transpose(0, 1).reshape([size[0], size[1], bands, 2 * hidden])
    }

    fn attend(&mut self, qkv: [&Tensor; 3], layer: &Attention, state: &str) -> Tensor {
        let size = qkv[0].size();
        let (s, rows, inner) = (size[0], size[1] * size[2], size[3]);
        let (heads, window) = (layer.bias.size()[0], layer.window);
        let d = inner / heads;
        let [queries, keys, values] = qkv.map(|x| x.reshape([s, rows, heads, d]).permute([1, 2, 0, 3]));
        let [keys, values] = [("keys", keys), ("values", values)].map(|(name, new)| {
            let name = format!("{state}_{name}");
            let before = self.before(&name).reshape([rows, heads, window - 1, d]);
            let all = Tensor::cat(&[before, new], 2);
            let after = all.narrow(2, s, window - 1).reshape([1, rows, -1]).detach();
            self.next.tensors.push((name, after));
            all
        });
        let mask = layer.mask(s).unsqueeze(0).to_kind(queries.kind());
        let y = Tensor::scaled_dot_product_attention(&queries, &keys, &values, Some(mask), 0.0, false, None, false);
        y.permute([2, 0, 1, 3]).reshape(size)
    }

    fn delay(&mut self, x: &Tensor, num_slices: i64, state: &str) -> Tensor {
        let size = x.size();
        let (s, b) = (size[0], size[1]);
        let before = self.before(state).reshape([b, num_slices, -1]).transpose(0, 1);
        let all = Tensor::cat(&[before, x.reshape([s, b, -1])], 0);
        let after = all.narrow(0, s, num_slices).transpose(0, 1).reshape([1, b * num_slices, -1]);
        self.next.tensors.push((state.to_owned(), after.detach()));
        all.narrow(0, 0, s).reshape(size)
    }
}
