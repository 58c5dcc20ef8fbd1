//! `x-umx`, `x-umx-causal`, `umx`: Open-Unmix (Stöter et al. 2019), and CrossNet-Open-Unmix (Sawata et al. 2021).
//!
//! For each stem, over the magnitudes of a plain STFT's slice up to a bandwidth: dense, batch norm, tanh; LSTMs over the slices;
//! dense over both, batch norm, ReLU; dense, batch norm, ReLU: a mask of all bins. Every bin has an offset and a factor
//! before the first and after the last layer. X-UMX runs the four side by side and has them share what they hear: what goes
//! into the LSTMs, and what goes into the second dense layer, is the mean over the stems.
//!
//! As published, the LSTMs run both ways, and the network is one for whole songs; `unidirectional=true` streams.

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel, LookAhead, Network, Settings};
use crate::layers::{BandLinear, BatchNorm, Lstm, Ops, Unary};
use crate::transform::Transform;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// As published.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "x-umx",
    about: "the published X-UMX on a plain STFT (4096:1024 there): four Open-Unmix that share what they hear",
    defaults: |_| defaults(false, true),
    build,
};

/// With LSTMs that run forwards only.
pub const CAUSAL: Architecture = Architecture {
    name: "x-umx-causal",
    about: "the same, unidirectional: it streams",
    defaults: |_| defaults(true, true),
    build,
};

/// Without the crossing.
pub const UMX: Architecture = Architecture {
    name: "umx",
    about: "Open-Unmix as published, for four stems at once; unidirectional=true streams",
    defaults: |_| defaults(false, false),
    build,
};

fn build(vs: &nn::Path, settings: &Settings, transform: &Arc<Transform>) -> Result<Box<dyn Network>> {
    Ok(Box::new(Streamed::new(Umx::new(vs, super::parse(settings)?, transform)?)))
}

fn defaults(unidirectional: bool, crossing: bool) -> Settings {
    super::settings(&UmxConfig { hidden_size: 512, nb_layers: 3, bandwidth: 16_000.0, unidirectional, crossing })
}

/// Settings of the network, with the names and defaults of the published program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UmxConfig {
    /// Width of the dense layers, and of both directions of an LSTM together.
    pub hidden_size: i64,
    /// LSTMs one after the other.
    pub nb_layers: usize,
    /// Highest frequency that is looked at, in Hz; masks reach to the top.
    pub bandwidth: f64,
    /// Whether the LSTMs run forwards only.
    pub unidirectional: bool,
    /// Whether the stems share what they hear.
    pub crossing: bool,
}

const STEMS: i64 = 4;
const CHANNELS: i64 = 2;
/// Share of the values that are dropped between LSTMs, in training.
const DROPOUT: f64 = 0.4;

struct Umx {
    config: UmxConfig,
    /// Bins that are looked at, and all.
    bins: [i64; 2],
    /// `[stem][1][bin]`
    input_mean: Tensor,
    input_scale: Tensor,
    dense_1: (BandLinear, BatchNorm),
    /// `[stem][layer][forwards, backwards unless it is unidirectional]`
    lstm: Vec<Vec<Vec<Lstm>>>,
    dense_2: (BandLinear, BatchNorm),
    dense_3: (BandLinear, BatchNorm),
    /// `[stem][1][bin]`
    output_scale: Tensor,
    output_mean: Tensor,
}

impl Umx {
    fn new(vs: &nn::Path, config: UmxConfig, transform: &Transform) -> Result<Self> {
        let plan = &transform.plan;
        transform.require_plain_stft()?;
        let hidden = config.hidden_size;
        ensure!(hidden > 1 && hidden % 2 == 0, "hidden_size: expected an even number, got {hidden}");
        ensure!(config.nb_layers > 0, "nb_layers: expected at least 1");
        ensure!(config.bandwidth > 0.0, "bandwidth: expected more than 0 Hz, got {} Hz", config.bandwidth);
        let num_bins = plan.num_bins() as i64;
        let top_hz = transform.design.sample_rate_hz() / 2.0;
        let last = (config.bandwidth / top_hz * (num_bins - 1) as f64).floor() as i64;
        let bins = [num_bins.min(last + 1), num_bins];
        let dense = |name: &str, inputs: i64, outputs: i64| {
            let vs = vs / name;
            let norm = BatchNorm::new(&(&vs / "norm"), STEMS * outputs);
            (BandLinear::without_bias(&(&vs / "dense"), STEMS, inputs, outputs), norm)
        };
        let (ends, width): (&[&str], i64) =
            if config.unidirectional { (&[""], hidden) } else { (&["", "_reverse"], hidden / 2) };
        let lstm = (0..STEMS).map(|stem| {
            let vs = vs / "lstm" / stem;
            let layer = |layer: usize| {
                ends.iter().map(|end| Lstm::new(&vs, &format!("l{layer}{end}"), hidden, width)).collect()
            };
            (0..config.nb_layers).map(layer).collect()
        });
        let per_bin = |name: &str, bins: i64, value: f64| vs.var(name, &[STEMS, 1, bins], nn::Init::Const(value));
        Ok(Umx {
            input_mean: per_bin("input_mean", bins[0], 0.0),
            input_scale: per_bin("input_scale", bins[0], 1.0),
            dense_1: dense("dense_1", CHANNELS * bins[0], hidden),
            lstm: lstm.collect(),
            dense_2: dense("dense_2", 2 * hidden, hidden),
            dense_3: dense("dense_3", hidden, CHANNELS * bins[1]),
            output_scale: per_bin("output_scale", bins[1], 1.0),
            output_mean: per_bin("output_mean", bins[1], 1.0),
            bins,
            config,
        })
    }

    /// Takes the tensors of a stem by their names in Open-Unmix.
    fn load_stem<'t>(&self, stem: i64, get: &dyn Fn(&str, &[i64]) -> Result<&'t Tensor>) -> Result<()> {
        let put = |own: &Tensor, value: &Tensor| no_grad(|| own.shallow_clone().copy_(value));
        let per_bin = [
            (&self.input_mean, "input_mean"),
            (&self.input_scale, "input_scale"),
            (&self.output_scale, "output_scale"),
            (&self.output_mean, "output_mean"),
        ];
        for (own, name) in per_bin {
            put(&own.select(0, stem).select(0, 0), get(name, &[own.size()[2]])?);
        }
        for (i, (dense, norm)) in (1..).zip([&self.dense_1, &self.dense_2, &self.dense_3]) {
            let (num_inputs, num_outputs) = (dense.weight.size()[1], dense.weight.size()[2]);
            let weight = get(&format!("fc{i}.weight"), &[num_outputs, num_inputs])?;
            put(&dense.weight.select(0, stem), &weight.transpose(0, 1));
            let value = |name: &str| get(&format!("bn{i}.{name}"), &[num_outputs]);
            norm.set(
                stem * num_outputs,
                [value("weight")?, value("bias")?, value("running_mean")?, value("running_var")?],
            );
        }
        for (i, layer) in self.lstm[stem as usize].iter().enumerate() {
            for (lstm, end) in layer.iter().zip(["", "_reverse"]) {
                let all = [
                    (&lstm.from_input, "weight_ih"),
                    (&lstm.from_state, "weight_hh"),
                    (&lstm.input_bias, "bias_ih"),
                    (&lstm.state_bias, "bias_hh"),
                ];
                for (own, name) in all {
                    put(own, get(&format!("lstm.{name}_l{i}{end}"), &own.size())?);
                }
            }
        }
        Ok(())
    }

    /// `[stem][input]` to `[stem][output]`.
    fn dense<O: Ops>(ops: &mut O, x: &O::Value, layer: &(BandLinear, BatchNorm)) -> O::Value {
        let y = ops.band_linear(x, &layer.0);
        let num_outputs = layer.0.weight.size()[2];
        let flat = ops.reshape(&y, &[STEMS * num_outputs]);
        let normed = ops.batch_norm(&flat, &layer.1, 0);
        ops.reshape(&normed, &[STEMS, num_outputs])
    }

    /// The mean over the stems, for each of them; or what each has.
    fn cross<O: Ops>(&self, ops: &mut O, x: &O::Value) -> O::Value {
        if !self.config.crossing {
            return ops.alias(x);
        }
        let mean = ops.mean(x, 0);
        ops.concat(&[&mean; STEMS as usize], 0)
    }

    /// What the LSTMs of a stem make of `[1][hidden]`.
    fn recall<O: Ops>(&self, ops: &mut O, x: O::Value, stem: usize) -> O::Value {
        let mut x = x;
        for (i, layer) in self.lstm[stem].iter().enumerate() {
            if i > 0 {
                x = ops.dropout(&x, DROPOUT);
            }
            let states = ["h", "c"].map(|kind| format!("lstm_{stem}_{i}_{kind}"));
            let past = ops.lstm_in_time(&x, &layer[0], &states);
            x = match layer.get(1) {
                Some(backwards) => {
                    let future = ops.lstm_back(&x, backwards);
                    ops.concat(&[&past, &future], 1)
                }
                None => past,
            };
        }
        x
    }
}

impl Description for Umx {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn look_ahead(&self) -> LookAhead {
        if self.config.unidirectional { LookAhead::Slices(0) } else { LookAhead::Unbounded }
    }

    fn num_coefs(&self) -> i64 {
        self.bins[1]
    }

    fn device(&self) -> Device {
        self.input_mean.device()
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        no_grad(|| {
            let rows = inputs.narrow(-1, 0, self.bins[0]).reshape([-1, self.bins[0]]);
            let deviation = rows.std_dim([0].as_slice(), true, false);
            // As published: no bin counts for more than ten thousand of the strongest.
            let deviation = deviation.maximum(&(deviation.max() * 1e-4)).clamp_min(1e-8);
            self.input_mean.copy_(&-rows.mean_dim([0].as_slice(), false, Kind::Float));
            self.input_scale.copy_(&deviation.reciprocal());
        });
    }

    /// The state dicts of Open-Unmix's `umxhq`, `umxl` and the like, each name behind that of its stem, `vocals.fc1.weight`.
    fn load_published(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for (i, stem) in base::STEMS.iter().enumerate() {
            let get = |name: &str, shape: &[i64]| -> Result<&Tensor> {
                let name = format!("{stem}.{name}");
                let tensor = tensors.get(&name).with_context(|| format!("tensor {name} is missing"))?;
                ensure!(tensor.size() == shape, "tensor {name}: expected shape {shape:?}, got {:?}", tensor.size());
                Ok(tensor)
            };
            self.load_stem(i as i64, &get)?;
        }
        Ok(())
    }

    fn masks<O: Ops>(&self, ops: &mut O, inputs: &O::Value) -> O::Value {
        let [bins, all_bins] = self.bins;
        let x = ops.narrow(inputs, 1, 0, bins);
        let x = ops.reshape(&x, &[1, CHANNELS, bins]);
        let (mean, scale) = (ops.constant(&self.input_mean), ops.constant(&self.input_scale));
        let x = ops.concat(&[&x; STEMS as usize], 0);
        let x = ops.add(&x, &mean);
        let x = ops.mul(&x, &scale);
        let x = ops.reshape(&x, &[STEMS, CHANNELS * bins]);
        let x = Self::dense(ops, &x, &self.dense_1);
        let own = ops.unary(Unary::Tanh, &x);
        let heard = self.cross(ops, &own);
        let recalled: Vec<O::Value> = (0..STEMS)
            .map(|stem| {
                let x = ops.narrow(&heard, 0, stem, 1);
                self.recall(ops, x, stem as usize)
            })
            .collect();
        let recalled = ops.concat(&recalled.iter().collect::<Vec<_>>(), 0);
        let both = ops.concat(&[&own, &recalled], 1);
        let x = self.cross(ops, &both);
        let x = Self::dense(ops, &x, &self.dense_2);
        let x = ops.unary(Unary::Relu, &x);
        let x = Self::dense(ops, &x, &self.dense_3);
        let x = ops.reshape(&x, &[STEMS, CHANNELS, all_bins]);
        let (scale, mean) = (ops.constant(&self.output_scale), ops.constant(&self.output_mean));
        let x = ops.mul(&x, &scale);
        let x = ops.add(&x, &mean);
        ops.unary(Unary::Relu, &x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Mode, NetworkConfig, num_parameters};

    /// A state dict of Open-Unmix with random values.
    fn state_dict(hidden: i64, layers: usize, bins: i64, all_bins: i64) -> HashMap<String, Tensor> {
        let mut tensors = HashMap::new();
        let mut put = |name: String, shape: &[i64]| {
            let size = if shape.len() == 1 { 1.0 } else { 1.0 / (shape[1] as f64).sqrt() };
            let value = Tensor::rand(shape, (Kind::Float, Device::Cpu));
            // Variances are positive, all else has both signs.
            let value = if name.contains("running_var") { value + 0.5 } else { (value - 0.5) * 2.0 * size };
            tensors.insert(name, value);
        };
        for stem in base::STEMS {
            for (name, len) in
                [("input_mean", bins), ("input_scale", bins), ("output_scale", all_bins), ("output_mean", all_bins)]
            {
                put(format!("{stem}.{name}"), &[len]);
            }
            for (i, inputs, outputs) in [(1, 2 * bins, hidden), (2, 2 * hidden, hidden), (3, hidden, 2 * all_bins)] {
                put(format!("{stem}.fc{i}.weight"), &[outputs, inputs]);
                for name in ["weight", "bias", "running_mean", "running_var"] {
                    put(format!("{stem}.bn{i}.{name}"), &[outputs]);
                }
            }
            for end in (0..layers).flat_map(|i| [format!("l{i}"), format!("l{i}_reverse")]) {
                put(format!("{stem}.lstm.weight_ih_{end}"), &[2 * hidden, hidden]);
                put(format!("{stem}.lstm.weight_hh_{end}"), &[2 * hidden, hidden / 2]);
                put(format!("{stem}.lstm.bias_ih_{end}"), &[2 * hidden]);
                put(format!("{stem}.lstm.bias_hh_{end}"), &[2 * hidden]);
            }
        }
        tensors
    }

    /// Open-Unmix's forward pass as its authors wrote it, in torch's own layers: masks `[S][channel][bin]` of a stem.
    fn reference(tensors: &HashMap<String, Tensor>, stem: &str, x: &Tensor, layers: usize) -> Tensor {
        let get = |name: &str| &tensors[&format!("{stem}.{name}")];
        let norm = |x: Tensor, i: usize| {
            let [weight, bias, mean, var] =
                ["weight", "bias", "running_mean", "running_var"].map(|name| Some(get(&format!("bn{i}.{name}"))));
            x.batch_norm(weight, bias, mean, var, false, 0.1, 1e-5, false)
        };
        let (s, bins) = (x.size()[0], get("input_mean").size()[0]);
        let cropped = (x.narrow(2, 0, bins) + get("input_mean")) * get("input_scale");
        let own = norm(cropped.reshape([s, -1]).matmul(&get("fc1.weight").transpose(0, 1)), 1).tanh();
        let params: Vec<&Tensor> = (0..layers)
            .flat_map(|i| [format!("l{i}"), format!("l{i}_reverse")])
            .flat_map(|end| ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|name| format!("lstm.{name}_{end}")))
            .map(|name| get(&name))
            .collect();
        let zeros = Tensor::zeros([2 * layers as i64, 1, own.size()[1] / 2], (Kind::Float, Device::Cpu));
        let sequence = own.unsqueeze(1);
        let (recalled, ..) = sequence.lstm(&[&zeros, &zeros], &params, true, layers as i64, 0.0, false, true, false);
        let both = Tensor::cat(&[own, recalled.squeeze_dim(1)], 1);
        let x = norm(both.matmul(&get("fc2.weight").transpose(0, 1)), 2).relu();
        let x = norm(x.matmul(&get("fc3.weight").transpose(0, 1)), 3).reshape([s, 2, -1]);
        (x * get("output_scale") + get("output_mean")).relu()
    }

    #[test]
    fn state_dicts_of_open_unmix_give_its_masks() {
        let transform = Arc::new(Transform::new("stft:512:128").unwrap());
        let vs = nn::VarStore::new(Device::Cpu);
        let config: NetworkConfig = "umx:hidden_size=8,nb_layers=3,bandwidth=16000".parse().unwrap();
        let mut network = config.build(&vs.root(), &transform).unwrap();
        let bins = (16_000.0 / 22_050.0 * 256.0) as i64 + 1;
        let mut tensors = state_dict(8, 3, bins, 257);
        network.load_published(&tensors).unwrap();
        let x = Tensor::rand([1, 20, 2, 257], (Kind::Float, Device::Cpu));
        let (masks, _) = no_grad(|| network.forward(&x, &network.zero_state(1), Mode::Apply));
        for (i, stem) in base::STEMS.iter().enumerate() {
            let expected = reference(&tensors, stem, &x.select(0, 0), 3);
            let actual = masks.select(0, 0).select(1, i as i64);
            let difference = (&expected - actual).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{stem}: masks {difference} apart");
            assert!(expected.std(true).double_value(&[]) > 0.1, "{stem}: masks that are all the same");
        }
        tensors.remove("bass.lstm.bias_hh_l2_reverse");
        let error = network.load_published(&tensors).unwrap_err().to_string();
        assert!(error.contains("bass.lstm.bias_hh_l2_reverse"), "{error}");
    }

    /// Counted by its authors' definition (openunmix 1.3.0, `model.py`): 4096 samples, 1487 of 2049 bins, 512 wide.
    #[test]
    fn it_has_as_many_parameters_as_four_of_open_unmix() {
        let transform = Arc::new(Transform::new("stft:4096:1024").unwrap());
        let vs = nn::VarStore::new(Device::Cpu);
        let config: NetworkConfig = "umx".parse().unwrap();
        config.build(&vs.root(), &transform).unwrap();
        let dense = 2 * 1487 * 512 + 1024 * 512 + 512 * 2 * 2049;
        let norms = 2 * (512 + 512 + 2 * 2049);
        let lstm = 3 * 2 * (4 * 256 * (512 + 256) + 2 * 4 * 256);
        let per_bin = 2 * 1487 + 2 * 2049;
        assert_eq!(num_parameters(&vs), 4 * (dense + norms + lstm + per_bin));
    }
}
