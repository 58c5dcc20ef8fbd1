//! What a network is trained on: losses by name, each with a weight ([`LossWeights`]), and what they add up to
//! ([`Objective`]).

pub mod combinations;
pub mod forms;

use crate::batch::Batch;
use crate::example::Contents;
use crate::network::{LookAhead, Network};
use crate::transform::Transform;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};
use tch::{Kind, Tensor};

/// A loss that masks can be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// Mean squared error of complex coefficients over the combinations, in parts of the mix's energy.
    Mse,
    /// Mean squared error of magnitudes over the combinations, in parts of the mix's energy.
    MagnitudeMse,
    /// Mean squared distance of the masks' sum from 1.
    MaskSum,
}

/// Every loss with its name.
const NAMES: &[(&str, LossKind)] =
    &[("mse", LossKind::Mse), ("magnitude-mse", LossKind::MagnitudeMse), ("mask-sum", LossKind::MaskSum)];

/// Losses and their weights, written `NAME=WEIGHT,...`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LossWeights(pub Vec<(LossKind, f64)>);

impl Default for LossWeights {
    /// `mse=1,mask-sum=0.02`
    fn default() -> Self {
        LossWeights(vec![(LossKind::Mse, 1.0), (LossKind::MaskSum, 0.02)])
    }
}

impl FromStr for LossWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let mut losses = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let Some((_, kind)) = NAMES.iter().find(|(known, _)| *known == name) else {
                return Err(format!("loss: expected one of {known:?}, got {name:?}"));
            };
            match weight.parse::<f64>() {
                Ok(weight) if weight.is_finite() && weight > 0.0 => losses.push((*kind, weight)),
                _ => return Err(format!("loss {name}: expected a weight above 0, got {weight:?}")),
            }
        }
        Ok(LossWeights(losses))
    }
}

impl fmt::Display for LossWeights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(kind, weight)| format!("{}={weight}", name(*kind))).collect();
        f.write_str(&parts.join(","))
    }
}

impl TryFrom<String> for LossWeights {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LossWeights> for String {
    fn from(weights: LossWeights) -> String {
        weights.to_string()
    }
}

fn name(kind: LossKind) -> &'static str {
    NAMES.iter().find(|(_, k)| *k == kind).expect("every loss has a name").0
}

/// The losses of one batch.
pub struct Losses {
    /// What is minimised: the parts, each times its weight; a scalar with a gradient.
    pub total: Tensor,
    /// Every part by name, without its weight; scalars.
    pub parts: Vec<(&'static str, Tensor)>,
}

/// Judges the masks of a network.
pub struct Objective {
    weights: LossWeights,
    transform: Arc<Transform>,
}

impl Objective {
    /// For masks of a transform.
    pub fn new(weights: LossWeights, transform: Arc<Transform>) -> Self {
        Objective { weights, transform }
    }

    /// What a batch must hold so that `network` can be trained on these losses.
    pub fn contents(&self, network: &dyn Network) -> Contents {
        let wants = |kind| self.weights.0.iter().any(|(k, _)| *k == kind);
        Contents { magnitude_forms: wants(LossKind::MagnitudeMse), ..Contents::of(network) }
    }

    /// Losses of `masks` `[B][S][stem][channel][position]` as [`Network::forward`] gives them for `batch`.
    ///
    /// # Panics
    /// If the batch lacks something that [`Objective::contents`] names.
    pub fn losses(&self, masks: &Tensor, look_ahead: LookAhead, batch: &Batch) -> Losses {
        // The masks of a slice come `ahead` slices later; those of the last ones do not come any more.
        let ahead = match look_ahead {
            LookAhead::Slices(num_slices) => (num_slices as i64).min(masks.size()[1] - 1),
            LookAhead::Unbounded => 0,
        };
        let num_slices = masks.size()[1] - ahead;
        let masks = masks.narrow(1, ahead, num_slices);
        let (mse, magnitude_mse) = batch.forms.narrow(num_slices).errors(&masks);
        let _ = &self.transform;
        let mut parts = Vec::new();
        let mut total = Tensor::zeros([], (Kind::Float, masks.device()));
        for (kind, weight) in &self.weights.0 {
            let part = match kind {
                LossKind::Mse => mse.shallow_clone(),
                LossKind::MagnitudeMse => magnitude_mse.as_ref().expect("asked for in contents").shallow_clone(),
                LossKind::MaskSum => {
                    (masks.sum_dim_intlist([2].as_slice(), false, Kind::Float) - 1.0).square().mean(Kind::Float)
                }
            };
            total += &part * *weight;
            parts.push((name(*kind), part));
        }
        Losses { total, parts }
    }
}
