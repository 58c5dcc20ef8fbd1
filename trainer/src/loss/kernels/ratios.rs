//! Ratios of energies: the SDRs. All that they need are products of the parts with each other, so torch differentiates
//! functions of 4 x 4 numbers only, and the gradient by the samples is a sum of estimates and targets.

use super::{BLOCK_LEN, Judgement, Over, Signals, narrow, product};
use crate::loss::sums::all_sums;
use crate::loss::time::{Products, Sums, TimeLoss, ratio_loss};
use crate::workers;
use slicqt::Sample;
use tch::{Device, Kind, Tensor};

/// `[stem][stem]` of one example; a part has the place of its first stem.
type Square = [[f64; 4]; 4];

/// See [`TimeLoss::Sdr`] and its neighbours.
pub fn judge<'a, T: Sample>(signals: &'a Signals<T>, kind: TimeLoss, over: Over, weight: f64) -> Judgement<'a, T> {
    let [estimates, crossed, targets, residuals] =
        products(signals, kind).map(|squares| to_tensor(&squares).set_requires_grad(true));
    let products = Products { estimates, crossed, targets, residuals };
    let options = (Kind::Double, Device::Cpu);
    let sums = Sums::new(&all_sums(signals.known, over), signals.batch_size(), options);
    let loss = ratio_loss(kind, &products, &sums);
    loss.backward();
    let [by_estimates, by_crossed, by_residuals] =
        [&products.estimates, &products.crossed, &products.residuals].map(|t| to_squares(&t.grad(), signals));
    let add = move |part: usize, channel: usize, out: &mut [T]| {
        let example = signals.sums[part].example;
        let (i, both) =
            (signals.sums[part].stems[0], |square: &Square, i: usize, j: usize| square[i][j] + square[j][i]);
        for other in signals.of_example(example) {
            let j = signals.sums[other].stems[0];
            let of_residual = weight * both(&by_residuals[example], i, j);
            let of_estimate = weight * both(&by_estimates[example], i, j);
            let of_target = weight * by_crossed[example][i][j];
            let (estimate, target) = (signals.estimate(other, channel), signals.target(other, channel));
            if of_residual != 0.0 {
                let factor = narrow::<T>(of_residual);
                for ((out, e), t) in out.iter_mut().zip(estimate).zip(target) {
                    *out = *out + factor * (*e - *t);
                }
            }
            if of_estimate != 0.0 || of_target != 0.0 {
                let (of_estimate, of_target) = (narrow::<T>(of_estimate), narrow::<T>(of_target));
                for ((out, e), t) in out.iter_mut().zip(estimate).zip(target) {
                    *out = *out + (of_estimate * *e + of_target * *t);
                }
            }
        }
    };
    Judgement { value: loss.double_value(&[]), add: Box::new(add) }
}

/// Inner products `[B]` of the parts of each example, over both channels: of estimates, of estimates with targets, of
/// targets, of residuals; zeros where `kind` has no use for them.
fn products<T: Sample>(signals: &Signals<T>, kind: TimeLoss) -> [Vec<Square>; 4] {
    let of_residuals = kind == TimeLoss::Sdr;
    let pieces = signals.pieces();
    let mut products = vec![[Square::default(); 4]; pieces.len()];
    workers::for_each(
        pieces.iter().zip(&mut products),
        || [[T::zero(); BLOCK_LEN]; 4],
        |residuals, (piece, own)| {
            let parts = signals.of_example(piece.example);
            for block in piece.blocks() {
                let estimate = |part: usize| &signals.estimate(part, piece.channel)[block.clone()];
                let target = |part: usize| &signals.target(part, piece.channel)[block.clone()];
                for (part, residual) in parts.clone().zip(&mut *residuals) {
                    for ((out, e), t) in residual.iter_mut().zip(estimate(part)).zip(target(part)) {
                        *out = *e - *t;
                    }
                }
                let residual = |part: usize| &residuals[part - parts.start][..block.len()];
                for a in parts.clone() {
                    for b in parts.clone() {
                        let (i, j) = (signals.sums[a].stems[0], signals.sums[b].stems[0]);
                        if !of_residuals {
                            own[1][i][j] += product(estimate(a), target(b));
                        }
                        // The others are symmetric.
                        if a <= b {
                            own[2][i][j] += product(target(a), target(b));
                            let (which, value) = match of_residuals {
                                true => (3, product(residual(a), residual(b))),
                                false => (0, product(estimate(a), estimate(b))),
                            };
                            own[which][i][j] += value;
                        }
                    }
                }
            }
        },
    );
    // Summed up in order, so that a run can be repeated bit for bit.
    let mut all = [(); 4].map(|()| vec![Square::default(); signals.batch_size()]);
    for (piece, own) in pieces.iter().zip(products) {
        for (which, (all, own)) in all.iter_mut().zip(own).enumerate() {
            for (i, row) in all[piece.example].iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum += if which != 1 && i > j { own[j][i] } else { own[i][j] };
                }
            }
        }
    }
    all
}

fn to_tensor(squares: &[Square]) -> Tensor {
    let flat: Vec<f64> = squares.iter().flatten().flatten().copied().collect();
    Tensor::from_slice(&flat).reshape([squares.len() as i64, 4, 4])
}

/// Zeros where there is no gradient.
fn to_squares<T: Sample>(gradient: &Tensor, signals: &Signals<T>) -> Vec<Square> {
    let mut squares = vec![Square::default(); signals.batch_size()];
    if gradient.defined() {
        let flat: Vec<f64> = gradient.reshape([-1]).try_into().expect("a flat f64 tensor");
        squares.iter_mut().flatten().flatten().zip(flat).for_each(|(out, g)| *out = g);
    }
    squares
}
