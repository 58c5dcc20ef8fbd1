//! The moving average of the weights over the last few hundred steps: it scores better and steadier than the
//! weights of any single step, and it is what is validated and exported.

use tch::{Tensor, nn::VarStore, no_grad};

const PREFIX: &str = "average|";

/// An average of every variable of a store (statistics of the batch norms included), in a store of its own.
pub struct Average {
    /// `(variable, average)`
    pairs: Vec<(String, Tensor, Tensor)>,
}

impl Average {
    /// The average of `vs`, kept in the variables of `averaged`, a store of the same network; starts as a copy.
    pub fn new(vs: &VarStore, averaged: &VarStore) -> Self {
        let mut averages = averaged.variables();
        let mut pairs: Vec<(String, Tensor, Tensor)> = vs
            .variables()
            .into_iter()
            .map(|(name, variable)| {
                let average = averages.remove(&name).expect("both stores hold the same network");
                (name, variable, average)
            })
            .collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut average = Average { pairs };
        average.start_over();
        average
    }

    /// Makes the average a copy of the weights.
    pub fn start_over(&mut self) {
        self.follow(1.0);
    }

    /// Takes in the weights after `step` steps; `decay` is the share of the average that stays.
    pub fn update(&mut self, step: u64, decay: f64) {
        // Short at first, so that the random start is soon forgotten.
        let decay = decay.min((1.0 + step as f64) / (10.0 + step as f64));
        self.follow(1.0 - decay);
    }

    fn follow(&mut self, share: f64) {
        no_grad(|| {
            for (_, variable, average) in &mut self.pairs {
                let _ = average.lerp_(variable, share);
            }
        });
    }

    /// The averages, named for a checkpoint.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        self.pairs.iter().map(|(name, _, average)| (format!("{PREFIX}{name}"), average.shallow_clone())).collect()
    }

    /// Takes averages back out of a checkpoint.
    pub fn restore(&mut self, tensors: &[(String, Tensor)]) {
        no_grad(|| {
            for (name, _, average) in &mut self.pairs {
                if let Some((_, value)) = tensors.iter().find(|(n, _)| n.strip_prefix(PREFIX) == Some(name)) {
                    average.copy_(value);
                }
            }
        });
    }
}

/// The name of the variable if `name` is that of an average.
pub fn averaged_variable(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)
}
