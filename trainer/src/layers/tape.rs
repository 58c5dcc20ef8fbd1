//! Gradients through recurrent layers that torch does not see, on the CPU.
//!
//! torch runs a GRU there step by step, with a dozen small operations a step and twice as many for the gradient. While a
//! [`record`] lasts, [`TensorOps`](super::TensorOps) computes recurrent layers by [`super::gru`] instead: what goes in ends
//! torch's graph there, and what comes out begins a new one. [`Tape::backward`] goes back from one such place to the one
//! before it. So that no part of torch's graph is gone through twice, every value that is used both inside and beside a
//! recurrent layer has to begin anew as well ([`cut`]).

use super::gru::{Direction, Recorded};
use std::cell::RefCell;
use tch::{Kind, Tensor, no_grad};

/// A place where torch's graph ends and begins anew.
enum Break {
    /// A value that goes on unchanged.
    Cut { before: Tensor, after: Tensor },
    /// A recurrent layer, from its input gates to its output.
    Gru { gates: Tensor, after: Tensor, recorded: Recorded },
}

/// The breaks of one pass, in order.
#[derive(Default)]
pub struct Tape {
    breaks: Vec<Break>,
}

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Computes something with gradients. What it returns is to be gone back from by [`Tape::backward`] alone.
pub fn record<T>(compute: impl FnOnce() -> T) -> (T, Tape) {
    TAPE.with(|tape| *tape.borrow_mut() = Some(Tape::default()));
    let result = compute();
    (result, TAPE.with(|tape| tape.borrow_mut().take()).unwrap_or_default())
}

/// Whether layers are to be computed by kernels: within [`record`], and where the kernels can.
pub fn is_recording(x: &Tensor) -> bool {
    let can = x.device() == tch::Device::Cpu && x.kind() == Kind::Float;
    can && TAPE.with(|tape| tape.borrow().is_some())
}

/// The same value, from which torch's graph begins anew; the value itself outside of [`record`].
pub fn cut(x: &Tensor) -> Tensor {
    if !is_recording(x) {
        return x.shallow_clone();
    }
    let after = x.detach().set_requires_grad(true);
    push(Break::Cut { before: x.shallow_clone(), after: after.shallow_clone() });
    after
}

/// GRUs over the first axis of `gates` `[T][R][direction * 3 * hidden]`, from the state 0: `[T][R][direction * hidden]`.
/// Only within [`record`].
pub fn gru(gates: &Tensor, directions: &[Direction<'_>]) -> Tensor {
    let (y, recorded) = no_grad(|| super::gru::forward(&gates.detach(), directions));
    let after = y.set_requires_grad(true);
    push(Break::Gru { gates: gates.shallow_clone(), after: after.shallow_clone(), recorded });
    after
}

fn push(entry: Break) {
    TAPE.with(|tape| tape.borrow_mut().as_mut().expect("within `record`").breaks.push(entry));
}

impl Tape {
    /// Adds the gradient of `loss`, a scalar that was computed within [`record`], to that of every weight.
    pub fn backward(self, loss: &Tensor) {
        loss.backward();
        for entry in self.breaks.into_iter().rev() {
            // Something that no loss depends on has no gradient.
            let gradient = |after: &Tensor| Some(after.grad()).filter(Tensor::defined);
            match entry {
                Break::Cut { before, after } => {
                    let Some(gradient) = gradient(&after) else { continue };
                    if before.requires_grad() {
                        (before * gradient).sum(Kind::Float).backward();
                    }
                }
                Break::Gru { gates, after, recorded } => {
                    let Some(gradient) = gradient(&after) else { continue };
                    let (by_gates, by_weights) = no_grad(|| recorded.backward(&after.detach(), &gradient));
                    let mut sum = (gates * by_gates).sum(Kind::Float);
                    for (weight, gradient) in by_weights {
                        sum += (weight * gradient).sum(Kind::Float);
                    }
                    sum.backward();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BiGru, Gru, Mode, Ops, State, TensorOps};
    use super::*;
    use tch::{Device, nn};

    const SHAPE: [i64; 4] = [7, 2, 5, HIDDEN];
    /// One block of vectors, and some that are left over.
    const HIDDEN: i64 = 21;

    /// Two residual layers and a loss; `[variable]` gradients, and the loss.
    fn gradients(vs: &nn::VarStore, by_kernels: bool) -> (f64, Vec<Tensor>) {
        let root = vs.root();
        tch::manual_seed(3);
        let (first, second) =
            (Gru::new(&(&root / "first"), HIDDEN, HIDDEN), BiGru::new(&(&root / "second"), HIDDEN, 18));
        let mix = super::super::Linear::new(&(&root / "mix"), 36, HIDDEN);
        let norm = super::super::Norm::new(&(&root / "norm"), HIDDEN);
        let encoder = super::super::Linear::new(&(&root / "encoder"), HIDDEN, HIDDEN);
        let x = Tensor::randn(SHAPE, (Kind::Float, Device::Cpu));
        let state =
            State { tensors: vec![("time".into(), Tensor::zeros([1, 10, HIDDEN], (Kind::Float, Device::Cpu)))] };
        let compute = || {
            let mut ops = TensorOps::new(&state, Mode::Train { dropout_seed: 0 });
            let mut x = ops.linear(&x, &encoder);
            for _ in 0..2 {
                // The same weights twice: their gradients add up.
                x = ops.cut(&x);
                let normed = ops.norm(&x, &norm);
                let past = ops.gru_in_time(&normed, &first, "time");
                x = ops.add(&x, &past);
                x = ops.cut(&x);
                let normed = ops.norm(&x, &norm);
                let across = ops.gru_across(&normed, &second);
                let across = ops.linear(&across, &mix);
                x = ops.add(&x, &across);
            }
            (&x * &x * &x).mean(Kind::Float)
        };
        let loss = if by_kernels {
            let (loss, tape) = record(compute);
            assert_eq!(tape.breaks.len(), 8);
            tape.backward(&loss);
            loss
        } else {
            let loss = compute();
            loss.backward();
            loss
        };
        let mut variables: Vec<_> = vs.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        (loss.double_value(&[]), variables.iter().map(|(_, v)| v.grad().copy()).collect())
    }

    #[test]
    fn kernels_give_the_values_and_gradients_of_torch() {
        let [torch, kernels] = [false, true].map(|by_kernels| gradients(&nn::VarStore::new(Device::Cpu), by_kernels));
        assert!((torch.0 / kernels.0 - 1.0).abs() < 1e-5, "{} and {}", torch.0, kernels.0);
        assert_eq!(torch.1.len(), kernels.1.len());
        for (a, b) in torch.1.iter().zip(&kernels.1) {
            let size = a.abs().max().double_value(&[]);
            let difference = (a - b).abs().max().double_value(&[]);
            assert!(size > 0.0 && difference < 2e-5 * size, "{difference} of {size}: {:?}", a.size());
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let vs = nn::VarStore::new(Device::Cpu);
        let gru = Gru::new(&vs.root(), 3, 4);
        let gates = Tensor::from_slice(&[f32::NAN; 12]).reshape([1, 1, 12]);
        let (y, _) = record(|| super::gru(&gates, &[Direction { layer: &gru, is_backward: false }]));
        assert!(y.isnan().all().double_value(&[]) == 1.0, "{y:?}");
        let huge =
            Tensor::from_slice(&[1e30f32, -1e30, 0.0]).repeat_interleave_self_int(4, 0, None).reshape([1, 1, 12]);
        let (y, _) = record(|| super::gru(&huge, &[Direction { layer: &gru, is_backward: false }]));
        assert!(y.isfinite().all().double_value(&[]) == 1.0, "{y:?}");
    }
}
