//! `gain`: masks from the present magnitude of the same coefficient alone. A lesson, not a separator.

use super::{Architecture, Channel, GraphBuilder, GraphOutput, Layout, LookAhead, Mode, Network, State, Weights};
use crate::transform::Transform;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::{Kind, Tensor, nn};

/// The line for the list of networks.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "gain",
    about: "a gain per coefficient that moves with its level",
    // Every setting with its value when the command line says nothing; may depend on the transform.
    defaults: |_transform| super::settings(&GainConfig { start: -1.0 }),
    build: |vs, settings, transform| Ok(Box::new(Gain::new(vs, &super::parse(settings)?, transform))),
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
    fn new(vs: &nn::Path, config: &GainConfig, transform: &Arc<Transform>) -> Self {
        let num_coefs = transform.plan.num_coefs() as i64;
        let shape = [4, 2, num_coefs];
        Gain {
            slope: vs.var("slope", &shape, nn::Init::Const(0.1)),
            offset: vs.var("offset", &shape, nn::Init::Const(config.start)),
            num_coefs,
        }
    }
}

impl Network for Gain {
    fn layout(&self) -> Layout {
        Layout::Coefs // magnitudes per coefficient in, masks per coefficient out
    }

    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn look_ahead(&self) -> LookAhead {
        LookAhead::Slices(0)
    }

    fn macs_per_slice(&self) -> u64 {
        8 * self.num_coefs as u64
    }

    fn set_statistics(&mut self, _inputs: &Tensor) {} // it does not normalize its inputs

    fn zero_state(&self, _batch_size: i64) -> State {
        State::default() // it has no memory
    }

    fn forward(&self, inputs: &Tensor, _state: &State, _mode: Mode) -> (Tensor, State) {
        let x = inputs.unsqueeze(2); // [B][S][1][channel][coef]
        ((x * &self.slope + &self.offset).sigmoid(), State::default())
    }

    // Override this only for losses that `--loss` cannot express; most networks do not.
    fn penalty(&self) -> Option<(&'static str, Tensor)> {
        Some(("steepness", self.slope.square().mean(Kind::Float) * 1e-3))
    }

    fn write_graph(&self, g: &mut GraphBuilder, magnitudes: &str, weights: &Weights) -> Result<GraphOutput> {
        let (slope, offset) = (weights.constant(g, "slope")?, weights.constant(g, "offset")?);
        let scaled = g.node("Mul", &[&magnitudes.to_owned(), &slope], &[]); // [2][coef] times [4][2][coef]
        let logits = g.node("Add", &[&scaled, &offset], &[]);
        // With a memory: `self.zero_state(1)` makes its inputs and outputs, see `first`.
        Ok(GraphOutput::new(g.node("Sigmoid", &[&logits], &[]), vec![]))
    }
}
