//! The mean absolute error.

use super::{BLOCK_LEN, Judgement, Over, Signals, narrow, sign, total};
use crate::workers;
use slicqt::Sample;

/// See [`TimeLoss::L1`](crate::loss::time::TimeLoss::L1).
pub fn judge<'a, T: Sample>(signals: &'a Signals<T>, over: Over, weight: f64) -> Judgement<'a, T> {
    let sums = signals.sums_of_parts(over);
    // What an absolute error of one sample counts, by example.
    let shares: Vec<f64> = (signals.mix_magnitudes.iter().zip(&sums))
        .map(|(scale, sums)| 1.0 / (scale * (2 * signals.num_samples * sums.len() * signals.batch_size()) as f64))
        .collect();
    // Summed up in order, so that a run can be repeated bit for bit.
    let pieces = signals.pieces();
    let mut errors = vec![0.0; pieces.len()];
    workers::for_each(
        pieces.iter().zip(&mut errors),
        || [T::zero(); BLOCK_LEN],
        |error, (piece, errors)| {
            for block in piece.blocks() {
                let error = &mut error[..block.len()];
                for parts in &sums[piece.example] {
                    error.fill(T::zero());
                    parts.iter().for_each(|part| add_residual(signals, *part, piece.channel, block.start, error));
                    error.iter_mut().for_each(|x| *x = x.abs());
                    *errors += total(error);
                }
            }
        },
    );
    let value = pieces.iter().zip(errors).map(|(piece, errors)| shares[piece.example] * errors).sum();
    let add = move |part: usize, channel: usize, out: &mut [T]| {
        let example = signals.sums[part].example;
        let share = narrow::<T>(weight * shares[example]);
        let mut error = [T::zero(); BLOCK_LEN];
        for (i, out) in out.chunks_mut(BLOCK_LEN).enumerate() {
            let error = &mut error[..out.len()];
            for parts in sums[example].iter().filter(|parts| parts.contains(&part)) {
                error.fill(T::zero());
                parts.iter().for_each(|part| add_residual(signals, *part, channel, i * BLOCK_LEN, error));
                out.iter_mut().zip(&*error).for_each(|(out, error)| *out = *out + share * sign(*error));
            }
        }
    };
    Judgement { value, add: Box::new(add) }
}

/// Adds what an estimate is more than its target, from sample `start` on.
fn add_residual<T: Sample>(signals: &Signals<T>, part: usize, channel: usize, start: usize, sum: &mut [T]) {
    let (estimate, target) = (&signals.estimate(part, channel)[start..], &signals.target(part, channel)[start..]);
    for ((sum, e), t) in sum.iter_mut().zip(estimate).zip(target) {
        *sum = *sum + (*e - *t);
    }
}
