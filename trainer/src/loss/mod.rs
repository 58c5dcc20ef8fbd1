//! What a network is trained on: losses by name, each with a weight ([`LossWeights`]), and what they add up to
//! ([`Objective`]).
//!
//! Squared errors of coefficients are quadratic forms of the masks and nearly free ([`crate::batch::forms`]); absolute ones
//! of plain STFTs ([`coefs`]) take a pass over the coefficients. Losses of samples ([`time`]) go
//! through the inverse transform ([`crate::inverse`]): on the CPU, samples, losses and gradients are computed on threads,
//! outside of torch ([`kernels`]), and the gradient by the masks, brought back by the adjoint of the inverse, enters as
//! `sum(mask * gradient)`. On a GPU inverse and losses are part of torch's graph.
//!
//! The STFT loss is the mean over three resolutions and over sums of stems. A step of training takes one of the
//! resolutions and two of each example's sums ([`in_time::NUM_DRAWN_SUMS`]), drawn anew by the step's seed: in the long
//! run that is the mean, at a fraction of the time. Without training ([`Mode::Apply`]) it is the mean itself.

mod coefs;
mod in_time;
mod kernels;
mod sums;
pub mod time;

#[cfg(test)]
mod tests;

use crate::batch::Batch;
use crate::batch::example::Contents;
use crate::network::{Layout, LookAhead, Mode, Network, OutputKind};
use crate::precision::in_32_bits;
use crate::transform::Transform;
use anyhow::{Result, ensure};
use in_time::Inverse;
pub use in_time::InverseKind;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};
use tch::{Device, Kind, Tensor};
use time::TimeLoss;

/// A loss that masks can be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// Mean squared error of complex coefficients over the combinations, in parts of the mix's energy.
    Mse,
    /// Mean squared error of magnitudes over the combinations, in parts of the mix's energy.
    MagnitudeMse,
    /// Mean absolute error of complex coefficients over what is known of the stems, in parts of the mix's.
    StftL1,
    /// Mean squared distance of the masks' sum from 1.
    MaskSum,
    /// A loss of samples, over the combinations or over what is known of the stems alone.
    Time(TimeLoss, Over),
}

/// What a loss in time runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// All sums of stems but none and all.
    Combinations,
    /// Stems; those that are known only together count as one.
    Stems,
}

/// Every loss with its name and a line of explanation.
#[rustfmt::skip]
const NAMES: &[(&str, LossKind, &str)] = {
    use {LossKind::Time, Over::{Combinations, Stems}};
    &[
        ("mse", LossKind::Mse, "squared error of complex coefficients, over the 14 combinations of stems"),
        ("magnitude-mse", LossKind::MagnitudeMse, "squared error of magnitudes, over the combinations"),
        ("stft-l1", LossKind::StftL1, "absolute error of a plain STFT's complex coefficients, over the stems"),
        ("mask-sum", LossKind::MaskSum, "squared distance of the masks' sum from 1"),
        ("sdr", Time(TimeLoss::Sdr, Combinations), "minus SDR in dB of the samples, over the combinations"),
        ("sdr-stems", Time(TimeLoss::Sdr, Stems), "the same, over the stems"),
        ("si-sdr", Time(TimeLoss::SiSdr, Combinations), "minus scale-invariant SDR in dB"),
        ("si-sdr-stems", Time(TimeLoss::SiSdr, Stems), "the same, over the stems"),
        ("wsdr", Time(TimeLoss::WeightedSdr, Combinations), "minus X-UMX's weighted SDR, -1 to 1"),
        ("wsdr-stems", Time(TimeLoss::WeightedSdr, Stems), "the same, over the stems"),
        ("l1", Time(TimeLoss::L1, Combinations), "mean absolute error of the samples, in parts of the mix's"),
        ("l1-stems", Time(TimeLoss::L1, Stems), "the same, over the stems"),
        ("mr-stft", Time(TimeLoss::Stft, Combinations), "STFT magnitudes at 3 resolutions; a step takes one of them, and two of the sums"),
        ("mr-stft-stems", Time(TimeLoss::Stft, Stems), "the same, over the stems"),
    ]
};

/// Every loss with its explanation, for `--help`.
pub fn list() -> String {
    NAMES.iter().map(|(name, _, about)| format!("  {name:14} {about}\n")).collect()
}

/// Losses and their weights, written `NAME=WEIGHT,...`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LossWeights(pub Vec<(LossKind, f64)>);

impl LossWeights {
    /// Whether one of the losses needs samples.
    pub fn in_time(&self) -> bool {
        self.0.iter().any(|(kind, _)| matches!(kind, LossKind::Time(..)))
    }
}

impl Default for LossWeights {
    /// `mse=1,mask-sum=0.02`
    fn default() -> Self {
        LossWeights(vec![(LossKind::Mse, 1.0), (LossKind::MaskSum, 0.02)])
    }
}

impl FromStr for LossWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known: Vec<&str> = NAMES.iter().map(|(name, ..)| *name).collect();
        let mut losses = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let Some((_, kind, _)) = NAMES.iter().find(|(known, ..)| *known == name) else {
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
    NAMES.iter().find(|(_, k, _)| *k == kind).expect("every loss has a name").0
}

/// The losses of one batch.
pub struct Losses {
    /// What is minimized: the parts, each times its weight; a scalar with a gradient.
    pub total: Tensor,
    /// Every part by name, without its weight; scalars.
    pub parts: Vec<(&'static str, Tensor)>,
}

/// Judges the masks of a network.
pub struct Objective {
    weights: LossWeights,
    inverse: Option<Inverse>,
    transform: Arc<Transform>,
}

impl Objective {
    /// For the masks of a network over a transform, computed on `device`.
    ///
    /// # Errors
    /// If a loss is not one of such masks, or the transform cannot be computed.
    pub fn new(
        weights: LossWeights,
        transform: &Arc<Transform>,
        network: &dyn Network,
        device: Device,
    ) -> Result<Self> {
        let is_complex = network.output_kind() == OutputKind::ComplexMask;
        let of_magnitudes = weights.0.iter().any(|(kind, _)| *kind == LossKind::MagnitudeMse);
        ensure!(!(is_complex && of_magnitudes), "loss magnitude-mse: expected a network with real masks");
        // `trainer bench-losses` compares both (`--tensors`). Only tensors have complex masks.
        let by_kernels = device == Device::Cpu && !is_complex;
        let kind = if by_kernels { InverseKind::Kernels } else { InverseKind::Tensors };
        Self::with_inverse(weights, transform, network.layout(), device, kind)
    }

    /// The same, by the way that is named.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn with_inverse(
        weights: LossWeights,
        transform: &Arc<Transform>,
        layout: Layout,
        device: Device,
        kind: InverseKind,
    ) -> Result<Self> {
        let of_coefs = weights.0.iter().any(|(kind, _)| *kind == LossKind::StftL1);
        let is_plain = transform.design.stft_lens().is_some() && layout == Layout::Coefs;
        ensure!(
            !of_coefs || is_plain,
            "loss stft-l1: expected a network on a plain STFT, as band-gru on stft:3072:768"
        );
        let inverse = match weights.in_time() {
            true => Some(Inverse::new(transform, layout, device, kind)?),
            false => None,
        };
        Ok(Objective { weights, inverse, transform: transform.clone() })
    }

    /// What a batch must hold so that `network` can be trained on these losses.
    pub fn contents(&self, network: &dyn Network) -> Contents {
        let magnitude_forms = self.weights.0.iter().any(|(kind, _)| *kind == LossKind::MagnitudeMse);
        let coefs = self.weights.0.iter().any(|(kind, _)| *kind == LossKind::StftL1);
        Contents { magnitude_forms, waveforms: self.weights.in_time(), coefs, ..Contents::of(network) }
    }

    /// Losses of what `network` makes of a batch from the zero state.
    pub fn losses_of(&self, network: &dyn Network, batch: &Batch, mode: Mode) -> Losses {
        let (masks, _) = network.forward(&batch.inputs, &network.zero_state(batch.batch_size), mode);
        let Losses { mut total, mut parts } = self.losses(&masks, network.look_ahead(), batch, mode);
        if let Some((name, penalty)) = network.penalty() {
            total += &penalty;
            parts.push((name, penalty));
        }
        Losses { total, parts }
    }

    /// Losses of `masks` `[B][S][stem][plane][position]` as [`Network::forward`] gives them for `batch`; in 32 bits,
    /// whatever the network computes in.
    ///
    /// # Panics
    /// If the batch lacks something that [`Objective::contents`] names.
    pub fn losses(&self, masks: &Tensor, look_ahead: LookAhead, batch: &Batch, mode: Mode) -> Losses {
        in_32_bits(masks.device(), || self.losses_in_32_bits(&masks.to_kind(Kind::Float), look_ahead, batch, mode))
    }

    fn losses_in_32_bits(&self, masks: &Tensor, look_ahead: LookAhead, batch: &Batch, mode: Mode) -> Losses {
        // The masks of a slice come `ahead` slices later; those of the last ones do not come any more.
        let ahead = match look_ahead {
            LookAhead::Slices(num_slices) => (num_slices as i64).min(masks.size()[1] - 1),
            LookAhead::Unbounded => 0,
        };
        let num_slices = masks.size()[1] - ahead;
        let masks = masks.narrow(1, ahead, num_slices);
        let mut parts = Vec::new();
        let mut total = Tensor::zeros([], (Kind::Float, masks.device()));
        let forms = |kind: LossKind| {
            let errors = batch.forms.narrow(num_slices).errors(&masks);
            if kind == LossKind::Mse { errors.0 } else { errors.1.expect("asked for in contents") }
        };
        for (kind, weight) in &self.weights.0 {
            let part = match kind {
                LossKind::Mse | LossKind::MagnitudeMse => forms(*kind),
                LossKind::MaskSum => mask_sum(&masks),
                LossKind::StftL1 => {
                    let waveforms = batch.waveforms.as_ref().expect("asked for in contents");
                    coefs::loss(&masks, &batch.forms.known, waveforms, self.transform.plan.coef_energy_weights())
                }
                LossKind::Time(..) => continue,
            };
            total += &part * *weight;
            parts.push((name(*kind), part));
        }
        if let Some(inverse) = &self.inverse {
            let waveforms = batch.waveforms.as_ref().expect("asked for in contents");
            let (in_time, values) = in_time::losses(inverse, &self.weights, &masks, batch, waveforms, mode);
            total += in_time;
            parts.extend(values);
        }
        Losses { total, parts }
    }
}

/// Mean squared distance of the sum of masks `[B][S][stem][plane][position]` from 1; imaginary parts from 0.
fn mask_sum(masks: &Tensor) -> Tensor {
    let sum = masks.sum_dim_intlist([2].as_slice(), false, Kind::Float);
    let one: &[f32] = if masks.size()[3] == 2 { &[1.0, 1.0] } else { &[1.0, 0.0, 1.0, 0.0] };
    (sum - Tensor::from_slice(one).unsqueeze(1).to_device(masks.device())).square().mean(Kind::Float)
}
