//! The weights of layers.

use tch::{Tensor, nn};

/// `y = W x + b`
pub struct Linear {
    /// `[output][input]`
    pub weight: Tensor,
    /// `[output]`
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Random weights as torch has them, and no bias.
    pub fn new(vs: &nn::Path, num_inputs: i64, num_outputs: i64) -> Self {
        let bias = Some(vs.var("bias", &[num_outputs], nn::Init::Const(0.0)));
        Linear { bias, ..Linear::without_bias(vs, num_inputs, num_outputs) }
    }

    /// The same without a bias, for before a batch norm.
    pub fn without_bias(vs: &nn::Path, num_inputs: i64, num_outputs: i64) -> Self {
        Linear { weight: vs.var("weight", &[num_outputs, num_inputs], uniform(num_inputs)), bias: None }
    }
}

/// A [`Linear`] for each of several bands, as one batched product.
pub struct BandLinear {
    /// `[band][input][output]`
    pub weight: Tensor,
    /// `[band][1][output]`
    pub bias: Option<Tensor>,
}

impl BandLinear {
    /// Random weights as torch has them, and no bias.
    pub fn new(vs: &nn::Path, num_bands: i64, num_inputs: i64, num_outputs: i64) -> Self {
        let bias = Some(vs.var("bias", &[num_bands, 1, num_outputs], nn::Init::Const(0.0)));
        BandLinear { bias, ..BandLinear::without_bias(vs, num_bands, num_inputs, num_outputs) }
    }

    /// The same without a bias, for before a batch norm.
    pub fn without_bias(vs: &nn::Path, num_bands: i64, num_inputs: i64, num_outputs: i64) -> Self {
        let weight = vs.var("weight", &[num_bands, num_inputs, num_outputs], uniform(num_inputs));
        BandLinear { weight, bias: None }
    }
}

/// Layer norm (Ba et al. 2016) over the channels of one band and slice: it looks at no other slice.
pub struct Norm {
    /// `[channel]`
    pub weight: Tensor,
    /// `[channel]`
    pub bias: Tensor,
}

impl Norm {
    /// Added to the variance.
    pub const EPSILON: f64 = 1e-5;

    /// Factor 1, offset 0.
    pub fn new(vs: &nn::Path, num_channels: i64) -> Self {
        Norm {
            weight: vs.var("weight", &[num_channels], nn::Init::Const(1.0)),
            bias: vs.var("bias", &[num_channels], nn::Init::Const(0.0)),
        }
    }
}

/// A gated recurrent unit (Cho et al. 2014) in torch's form: gates in the order r z n, the reset gate applied after the
/// product with the state.
pub struct Gru {
    /// `[3 * hidden][input]`
    pub from_input: Tensor,
    /// `[3 * hidden][hidden]`
    pub from_state: Tensor,
    /// `[3 * hidden]`
    pub input_bias: Tensor,
    /// `[3 * hidden]`
    pub state_bias: Tensor,
}

impl Gru {
    /// Random weights as torch has them.
    pub fn new(vs: &nn::Path, num_inputs: i64, hidden: i64) -> Self {
        let bound = || uniform(hidden);
        Gru {
            from_input: vs.var("from_input", &[3 * hidden, num_inputs], bound()),
            from_state: vs.var("from_state", &[3 * hidden, hidden], bound()),
            input_bias: vs.var("input_bias", &[3 * hidden], bound()),
            state_bias: vs.var("state_bias", &[3 * hidden], bound()),
        }
    }

    /// Width of its state.
    pub fn hidden(&self) -> i64 {
        self.from_state.size()[1]
    }

    /// The weights in the order that torch takes them in.
    pub(super) fn params(&self) -> [&Tensor; 4] {
        [&self.from_input, &self.from_state, &self.input_bias, &self.state_bias]
    }
}

/// Two [`Gru`]s over the same sequence, from its start and from its end.
pub struct BiGru {
    /// From the lowest band up.
    pub up: Gru,
    /// From the highest band down.
    pub down: Gru,
}

impl BiGru {
    /// Random weights as torch has them.
    pub fn new(vs: &nn::Path, num_inputs: i64, hidden: i64) -> Self {
        BiGru { up: Gru::new(&(vs / "up"), num_inputs, hidden), down: Gru::new(&(vs / "down"), num_inputs, hidden) }
    }
}

/// Attention over a window of slices (Vaswani et al. 2017), the same for all bands, with a penalty by distance instead of
/// positions (Press et al. 2022): the first head has none, each further one half of that of the one before.
pub struct Attention {
    /// Makes queries, `[head][d]`.
    pub queries: Linear,
    /// Makes keys and values, `[key, value][head][d]`.
    pub keys_values: Linear,
    /// Back to the width of a band.
    pub out: Linear,
    /// Slices that a query sees.
    pub window: i64,
    /// `[head][slice]` Added to scores; the last entry is for the newest slice.
    pub bias: Tensor,
}

impl Attention {
    /// Random weights. Queries stand `look_ahead` slices behind the newest keys.
    pub fn new(vs: &nn::Path, width: i64, heads: i64, head_width: i64, window: i64, look_ahead: i64) -> Self {
        let inner = heads * head_width;
        let bias: Vec<f32> = (0..heads)
            .flat_map(|head| {
                let slope = if head == 0 { 0.0 } else { 0.5f32.powi(head as i32) };
                (0..window).map(move |i| -slope * (window - 1 - look_ahead - i).abs() as f32)
            })
            .collect();
        Attention {
            queries: Linear::new(&(vs / "queries"), width, inner),
            keys_values: Linear::new(&(vs / "keys_values"), width, 2 * inner),
            out: Linear::new(&(vs / "out"), inner, width),
            window,
            bias: Tensor::from_slice(&bias).reshape([heads, window]).to_device(vs.device()),
        }
    }

    /// `[head][query][key]` What is added to the scores of `num_slices` queries, with a window of keys less one before them.
    pub(super) fn mask(&self, num_slices: i64) -> Tensor {
        let options = (tch::Kind::Int64, self.bias.device());
        let num_keys = num_slices + self.window - 1;
        let place = Tensor::arange(num_keys, options).unsqueeze(0) - Tensor::arange(num_slices, options).unsqueeze(1);
        let outside = place.lt(0).logical_or(&place.ge(self.window));
        let bias = self.bias.index_select(1, &place.clamp(0, self.window - 1).flatten(0, 1));
        // Not minus infinity, which is no number where a whole block of keys is out of reach.
        bias.reshape([-1, num_slices, num_keys]).masked_fill(&outside, -1e9)
    }

    /// Width of all heads together.
    pub fn inner(&self) -> i64 {
        self.queries.weight.size()[0]
    }
}

pub(super) fn uniform(num_inputs: i64) -> nn::Init {
    let bound = 1.0 / (num_inputs as f64).sqrt();
    nn::Init::Uniform { lo: -bound, up: bound }
}
