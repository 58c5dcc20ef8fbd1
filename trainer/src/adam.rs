//! Adam (Kingma and Ba 2015, algorithm 1) with its moments in the open: `tch`'s optimizer cannot be saved, and a run
//! that resumes without its moments is another run.

use tch::{Kind, Tensor, nn::VarStore, no_grad};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Moments of every trained variable, by name.
pub struct Adam {
    /// Steps taken.
    pub step: u64,
    variables: Vec<(String, Tensor)>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    /// For the trained variables of a store.
    pub fn new(vs: &VarStore) -> Self {
        let mut variables: Vec<(String, Tensor)> =
            vs.variables().into_iter().filter(|(_, v)| v.requires_grad()).collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let zeros = |variables: &[(String, Tensor)]| variables.iter().map(|(_, v)| v.zeros_like()).collect();
        Adam { step: 0, first: zeros(&variables), second: zeros(&variables), variables }
    }

    /// Takes one step down the gradient of `loss`, its norm clipped to `max_norm`. Returns the norm before clipping.
    pub fn step(&mut self, loss: &Tensor, learning_rate: f64, max_norm: f64) -> f64 {
        for (_, variable) in &mut self.variables {
            variable.zero_grad();
        }
        loss.backward();
        no_grad(|| {
            let squares: Vec<Tensor> = self.variables.iter().map(|(_, v)| v.grad().square().sum(Kind::Float)).collect();
            let norm = Tensor::stack(&squares, 0).sum(Kind::Float).sqrt().double_value(&[]);
            if !norm.is_finite() {
                return norm; // the caller stops; nothing is spoilt
            }
            let clip = if norm > max_norm { max_norm / norm } else { 1.0 };
            self.step += 1;
            let correction1 = 1.0 - BETA1.powf(self.step as f64);
            let correction2 = 1.0 - BETA2.powf(self.step as f64);
            for (i, (_, variable)) in self.variables.iter_mut().enumerate() {
                let gradient = variable.grad() * clip;
                let first = &self.first[i] * BETA1 + &gradient * (1.0 - BETA1);
                let second = &self.second[i] * BETA2 + gradient.square() * (1.0 - BETA2);
                let denominator = (&second / correction2).sqrt() + EPSILON;
                *variable -= &first / denominator * (learning_rate / correction1);
                self.first[i] = first;
                self.second[i] = second;
            }
            norm
        })
    }

    /// The moments, named for a checkpoint.
    pub fn named_moments(&self) -> Vec<(String, Tensor)> {
        let moments = [("adam.first", &self.first), ("adam.second", &self.second)];
        moments
            .into_iter()
            .flat_map(|(prefix, moments)| {
                self.variables
                    .iter()
                    .zip(moments)
                    .map(move |((name, _), moment)| (format!("{prefix}|{name}"), moment.shallow_clone()))
            })
            .collect()
    }

    /// Takes the moments back out of a checkpoint.
    pub fn set_moment(&mut self, name: &str, value: &Tensor) -> bool {
        let Some((moment, name)) = name.split_once('|') else { return false };
        let Some(i) = self.variables.iter().position(|(n, _)| n == name) else { return false };
        let slot = if moment == "adam.first" { &mut self.first[i] } else { &mut self.second[i] };
        no_grad(|| slot.copy_(value));
        true
    }
}
