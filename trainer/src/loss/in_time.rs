//! The losses of samples of a batch, by either way of the inverse.

use super::kernels::{Judgement, Signals};
use super::sums::{all_sums, draw_sums};
use super::time::{STFT_LENS, Sums, TimeLoss, time_loss};
use super::{LossKind, LossWeights, Over, name};
use crate::batch::{Batch, Waveforms};
use crate::inverse::{Kernels, StemSum, TensorInverse};
use crate::network::Mode;
use crate::precision::to_cpu;
use crate::transform::Layout;
use crate::transform::Transform;
use crate::transform::grid::Grid;
use crate::transform::num_whole_samples;
use anyhow::Result;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Sums of each example that the STFT loss looks at in a step of training.
pub const NUM_DRAWN_SUMS: usize = 2;

/// The way from masks to samples, see [`crate::inverse`].
pub struct Inverse {
    transform: Arc<Transform>,
    way: Way,
}

enum Way {
    Kernels(Box<Kernels<f32>>),
    Tensors(TensorInverse),
}

/// Which of the two ways to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InverseKind {
    /// Threads on the CPU.
    Kernels,
    /// Tensors on the network's device.
    Tensors,
}

impl Inverse {
    /// For masks of a layout over a transform, computed on `device`.
    ///
    /// # Errors
    /// If the transform cannot be computed.
    pub fn new(transform: &Arc<Transform>, layout: Layout, device: Device, kind: InverseKind) -> Result<Self> {
        let way = match kind {
            InverseKind::Kernels => {
                let plan = slicqt::Plan::new(&transform.design)?;
                let grid = Grid::new(&plan);
                Way::Kernels(Box::new(Kernels::new(plan, &grid, layout)))
            }
            InverseKind::Tensors => Way::Tensors(TensorInverse::new(transform, layout, (Kind::Float, device))?),
        };
        Ok(Inverse { transform: transform.clone(), way })
    }
}

/// A value by the name of its loss.
type Part = (&'static str, Tensor);

/// A loss, what it runs over, and its weight.
type Weighted = (TimeLoss, Over, f64);

/// What of the losses a step looks at.
struct View<'a> {
    batch: &'a Batch,
    waveforms: &'a Waveforms,
    mode: Mode,
    num_slices: usize,
    num_samples: usize,
}

impl View<'_> {
    /// Windows of the STFT loss: one of them in training, which in the long run has the mean of all three.
    fn stft_lens(&self) -> &'static [i64] {
        match self.mode {
            Mode::Train { dropout_seed } => &STFT_LENS[(dropout_seed % 3) as usize..][..1],
            Mode::Apply => STFT_LENS.as_slice(),
        }
    }

    /// The sums that a loss runs over.
    fn sums(&self, time: TimeLoss, over: Over) -> Vec<StemSum> {
        let all = all_sums(&self.batch.forms.known, over);
        match self.mode {
            Mode::Train { dropout_seed } if time == TimeLoss::Stft => draw_sums(&all, NUM_DRAWN_SUMS, dropout_seed),
            _ => all,
        }
    }
}

/// The weighted sum of the losses in time of `masks` `[B][S][stem][plane][position]`, and its parts without weights.
pub fn losses(
    inverse: &Inverse,
    weights: &LossWeights,
    masks: &Tensor,
    batch: &Batch,
    waveforms: &Waveforms,
    mode: Mode,
) -> (Tensor, Vec<Part>) {
    let num_slices = masks.size()[1] as usize;
    let num_samples = num_whole_samples(&inverse.transform.plan, num_slices);
    let view = View { batch, waveforms, mode, num_slices, num_samples };
    let in_time = weights.0.iter().filter_map(|(kind, weight)| match kind {
        LossKind::Time(time, over) => Some((*time, *over, *weight)),
        _ => None,
    });
    let in_time: Vec<Weighted> = in_time.collect();
    match &inverse.way {
        Way::Kernels(kernels) => by_kernels(kernels, &in_time, masks, &view),
        Way::Tensors(tensors) => by_tensors(tensors, &inverse.transform, &in_time, masks, &view),
    }
}

fn by_kernels(kernels: &Kernels<f32>, in_time: &[Weighted], masks: &Tensor, view: &View) -> (Tensor, Vec<Part>) {
    let device = masks.device();
    let mix: Vec<&[_]> = view.waveforms.mix.iter().map(Vec::as_slice).collect();
    let masks_of_batch: Vec<f32> = to_cpu(&masks.detach()).reshape([-1]).try_into().expect("a flat f32 tensor");
    // Losses that judge the same estimates share them. All but the STFT loss find their sums in estimates of the parts.
    let mut groups: Vec<(Vec<StemSum>, Vec<usize>)> = Vec::new();
    for (i, (time, over, _)) in in_time.iter().enumerate() {
        let sums = view.sums(*time, if *time == TimeLoss::Stft { *over } else { Over::Stems });
        match groups.iter_mut().find(|(others, _)| *others == sums) {
            Some((_, losses)) => losses.push(i),
            None => groups.push((sums, vec![i])),
        }
    }
    let mut total = Tensor::zeros([], (Kind::Float, device));
    let mut values = vec![0.0; in_time.len()];
    for (sums, losses) in groups {
        let estimates = kernels.samples(&mix, &masks_of_batch, view.num_slices, &sums);
        let known = &view.batch.forms.known;
        let signals = Signals::new(sums, known, estimates, &view.waveforms.targets, view.num_samples);
        let judge = |i: &usize| {
            let (time, over, weight) = in_time[*i];
            signals.judge(time, over, weight, view.stft_lens())
        };
        let judgements: Vec<Judgement<f32>> = losses.iter().map(judge).collect();
        let gradient = kernels.mask_gradient(&mix, view.num_slices, &signals.sums, |sum, channel, out| {
            judgements.iter().for_each(|judgement| (judgement.add)(sum, channel, out));
        });
        // Has the gradient by the masks; the value comes after.
        let surrogate = masks.reshape([-1]).dot(&Tensor::from_slice(&gradient).to_device(device));
        total += &surrogate - surrogate.detach();
        for (i, judgement) in losses.iter().zip(&judgements) {
            values[*i] = judgement.value;
        }
    }
    total += values.iter().zip(in_time).map(|(value, (_, _, weight))| value * weight).sum::<f64>();
    let named = in_time.iter().zip(values).map(|((time, over, _), value)| {
        (name(LossKind::Time(*time, *over)), Tensor::from(value as f32).to_device(device))
    });
    (total, named.collect())
}

fn by_tensors(
    tensors: &TensorInverse,
    transform: &Transform,
    in_time: &[Weighted],
    masks: &Tensor,
    view: &View,
) -> (Tensor, Vec<Part>) {
    let device = masks.device();
    let mix = view.waveforms.mix.iter().map(|mix| {
        let (re, im): (Vec<f32>, Vec<f32>) = mix.iter().map(|c| (c.re, c.im)).unzip();
        let mix = Tensor::complex(&Tensor::from_slice(&re), &Tensor::from_slice(&im));
        mix.reshape([view.batch.num_slices(), 1, 2, -1]).narrow(0, 0, view.num_slices as i64)
    });
    let mix = Tensor::stack(&mix.collect::<Vec<_>>(), 0).to_device(device);
    let channels = view.waveforms.targets.iter().flatten().flatten();
    let targets = channels.map(|channel| Tensor::from_slice(&channel[..view.num_samples]));
    let targets = Tensor::stack(&targets.collect::<Vec<_>>(), 0);
    let targets = targets.reshape([view.batch.batch_size, 4, 2, view.num_samples as i64]).to_device(device);
    let samples = tensors.samples(&mix, &complex_if(masks), transform);
    let mut total = Tensor::zeros([], (Kind::Float, device));
    let mut parts = Vec::new();
    for (time, over, weight) in in_time {
        let sums = Sums::new(&view.sums(*time, *over), view.batch.batch_size as usize, (Kind::Float, device));
        let part = time_loss(*time, &samples, &targets, &sums, view.stft_lens());
        total += &part * *weight;
        parts.push((name(LossKind::Time(*time, *over)), part));
    }
    (total, parts)
}

/// Masks `[B][S][stem][plane][position]` as `[B][S][stem][channel][position]`: real, or complex where there are planes of
/// both parts.
fn complex_if(masks: &Tensor) -> Tensor {
    if masks.size()[3] == 2 {
        return masks.shallow_clone();
    }
    let parts = masks.unflatten(3, [2i64, 2].as_slice());
    Tensor::complex(&parts.select(4, 0), &parts.select(4, 1))
}
