//! Adam (Kingma and Ba 2015, algorithm 1) and AdamW with its moments in the open: `tch`'s optimizer cannot be saved, and a run
//! that resumes without its moments is another run.

use crate::layers::tape::Tape;
use crate::record::recipe::{Optimizer, Recipe};
use tch::{Kind, Tensor, nn::VarStore, no_grad};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimizer of every trained variable. Gradients and moments lie end to end in one tensor each: a step is a dozen
/// operations and one for each variable, instead of a dozen for each.
pub struct Adam {
    /// Steps taken.
    pub step: u64,
    variables: Vec<(String, Tensor)>,
    /// `[variable]` Values of each.
    lens: Vec<i64>,
    /// Means of gradients, all variables end to end.
    first: Tensor,
    /// Means of their squares.
    second: Tensor,
}

impl Adam {
    /// For the trained variables of a store.
    pub fn new(vs: &VarStore) -> Self {
        let mut variables: Vec<(String, Tensor)> =
            vs.variables().into_iter().filter(|(_, v)| v.requires_grad()).collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let lens: Vec<i64> = variables.iter().map(|(_, v)| v.numel() as i64).collect();
        let zeros = || Tensor::zeros([lens.iter().sum::<i64>()], (Kind::Float, vs.device()));
        Adam { step: 0, first: zeros(), second: zeros(), lens, variables }
    }

    /// Adds the gradient of `share` times a loss that was recorded on `tape` to what has been gathered since the last step:
    /// several batches in parts make one step, as if they had been one batch.
    pub fn gather(&mut self, loss: &Tensor, share: f64, tape: Tape) {
        tape.backward(&(loss * share));
    }

    /// Takes a step down the gathered gradient, its norm clipped, and forgets it. Returns the norm before clipping. If
    /// that is not a number, nothing has changed.
    pub fn apply(&mut self, learning_rate: f64, recipe: &Recipe) -> f64 {
        let norm = no_grad(|| self.descend(learning_rate, recipe));
        self.variables.iter_mut().for_each(|(_, variable)| variable.zero_grad());
        norm
    }

    fn descend(&mut self, learning_rate: f64, recipe: &Recipe) -> f64 {
        let gradients: Vec<Tensor> = self.variables.iter().map(|(_, v)| v.grad().reshape([-1])).collect();
        let gradient = Tensor::cat(&gradients, 0);
        let norm = gradient.square().sum(Kind::Float).sqrt().double_value(&[]);
        if !norm.is_finite() {
            return norm; // the caller stops; nothing is spoilt
        }
        let clip = if norm > recipe.clip { recipe.clip / norm } else { 1.0 };
        let decay = if recipe.optimizer == Optimizer::Adamw { learning_rate * recipe.weight_decay } else { 0.0 };
        self.step += 1;
        let correction1 = 1.0 - BETA1.powf(self.step as f64);
        let correction2 = 1.0 - BETA2.powf(self.step as f64);
        let gradient = gradient * clip;
        self.first = &self.first * BETA1 + &gradient * (1.0 - BETA1);
        self.second = &self.second * BETA2 + gradient.square() * (1.0 - BETA2);
        let denominator = (&self.second / correction2).sqrt() + EPSILON;
        let moves = &self.first / denominator * (learning_rate / correction1);
        let moves = moves.split_with_sizes(self.lens.as_slice(), 0);
        for ((_, variable), own) in self.variables.iter_mut().zip(moves) {
            // AdamW (Loshchilov and Hutter 2019, algorithm 2); biases and norms, which have one axis, do not decay.
            if decay > 0.0 && variable.dim() > 1 {
                *variable *= 1.0 - decay;
            }
            *variable -= own.view_as(variable);
        }
        norm
    }

    /// The moments, named for a checkpoint, each in the shape of its variable.
    pub fn named_moments(&self) -> Vec<(String, Tensor)> {
        let moments = [("adam.first", &self.first), ("adam.second", &self.second)];
        moments
            .into_iter()
            .flat_map(|(prefix, moments)| {
                let each = moments.split_with_sizes(self.lens.as_slice(), 0);
                let of = |((name, variable), own): (&(String, Tensor), Tensor)| {
                    (format!("{prefix}|{name}"), own.view_as(variable).copy())
                };
                self.variables.iter().zip(each).map(of).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Takes the moments back out of a checkpoint.
    pub fn set_moment(&mut self, name: &str, value: &Tensor) -> bool {
        let Some((moment, name)) = name.split_once('|') else { return false };
        let Some(i) = self.variables.iter().position(|(n, _)| n == name) else { return false };
        let moments = if moment == "adam.first" { &self.first } else { &self.second };
        let start: i64 = self.lens[..i].iter().sum();
        no_grad(|| moments.narrow(0, start, self.lens[i]).copy_(&value.reshape([-1])));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn};

    /// The formulas in f64, by hand, for one weight of a matrix and a gradient that is known: of w^2, 2 w.
    #[test]
    fn steps_are_those_of_the_papers() {
        for (optimizer, decay) in [(Optimizer::Adam, 0.0), (Optimizer::Adamw, 0.1)] {
            let vs = nn::VarStore::new(Device::Cpu);
            let weight = vs.root().var("w", &[1, 1], nn::Init::Const(0.3));
            let recipe = Recipe { optimizer, weight_decay: 0.1, clip: 1e9, ..Recipe::default() };
            let mut adam = Adam::new(&vs);
            let (mut w, mut m, mut v) = (0.3f64, 0.0, 0.0);
            for t in 1..=5 {
                // In two parts of the batch, which count for a quarter and three quarters.
                adam.gather(&weight.square().sum(Kind::Float), 0.25, Tape::default());
                adam.gather(&weight.square().sum(Kind::Float), 0.75, Tape::default());
                let norm = adam.apply(0.05, &recipe);
                let gradient = 2.0 * w;
                assert!((norm - gradient.abs()).abs() < 1e-6);
                (m, v) = (0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient * gradient);
                w -= 0.05 * decay * w;
                w -= 0.05 * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
                assert!((weight.double_value(&[0, 0]) - w).abs() < 1e-6, "{optimizer:?}, step {t}");
            }
        }
    }
}
