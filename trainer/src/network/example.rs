//! `gain`: masks from the present magnitude of the same coefficient alone. A lesson, not a separator.

use super::streamed::{Description, Streamed};
use super::{Architecture, Channel};
use crate::layers::{Ops, Unary};
use crate::transform::Transform;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn};

/// The line for the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "gain",
    about: "a gain per coefficient that moves with its level",
    // Every setting with its value when the command line says nothing; may depend on the transform.
    defaults: |_transform| super::settings(&GainConfig { start: -1.0 }),
    build: |vs, settings, transform| Ok(Box::new(Streamed::new(Gain::new(vs, &super::parse(settings)?, transform)))),
};

/// What `--network gain:start=...` may say; stored in every checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GainConfig {
    start: f64,
}

struct Gain {
    /// `[stem][channel][coef]`
    slope: Tensor,
    /// `[stem][channel][coef]`
    offset: Tensor,
    num_coefs: i64,
}

impl Gain {
    fn new(vs: &nn::Path, config: &GainConfig, transform: &Transform) -> Self {
        let num_coefs = transform.plan.num_coefs() as i64;
        let shape = [4, 2, num_coefs];
        Gain {
            slope: vs.var("slope", &shape, nn::Init::Const(0.1)),
            offset: vs.var("offset", &shape, nn::Init::Const(config.start)),
            num_coefs,
        }
    }
}

impl Description for Gain {
    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn num_coefs(&self) -> i64 {
        self.num_coefs
    }

    fn device(&self) -> Device {
        self.slope.device()
    }

    fn set_statistics(&mut self, _inputs: &Tensor) {} // it does not normalize its inputs

    // The network, for training and for the graph alike. With a memory: see `Ops::gru_in_time`, `conv_in_time`, `delay`.
    fn masks<O: Ops>(&self, ops: &mut O, magnitudes: &O::Value) -> O::Value {
        let (slope, offset) = (ops.constant(&self.slope), ops.constant(&self.offset));
        let x = ops.reshape(magnitudes, &[1, 2, self.num_coefs]);
        let scaled = ops.mul(&x, &slope);
        let logits = ops.add(&scaled, &offset);
        ops.unary(Unary::Sigmoid, &logits)
    }

    // Override this only for losses that `--loss` cannot express; most networks do not.
    fn penalty(&self) -> Option<(&'static str, Tensor)> {
        Some(("steepness", self.slope.square().mean(Kind::Float) * 1e-3))
    }
}
