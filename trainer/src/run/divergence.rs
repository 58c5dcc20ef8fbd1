//! Stops a run that has gone wrong, with the reason, before it spoils its checkpoint.

use anyhow::{Result, bail};
use std::collections::VecDeque;

/// Steps over which losses are averaged.
const WINDOW: usize = 50;
/// A mean loss above this many times the lowest one so far is divergence.
const FACTOR: f64 = 5.0;

/// Watches the losses of a run.
#[derive(Debug, Default)]
pub struct Divergence {
    recent: VecDeque<f64>,
    lowest: Option<f64>,
}

impl Divergence {
    /// Looks at the losses of the step after `step` steps, `total` among them, and at the norm of its gradient.
    ///
    /// # Errors
    /// If one of them is not a number, or the loss has grown far beyond what it was.
    pub fn check(&mut self, step: u64, losses: &[(String, f64)], gradient_norm: f64) -> Result<()> {
        let rest =
            "the last checkpoint is intact; resume with another --seed, or start anew with a lower --learning-rate";
        if let Some((name, value)) = losses.iter().find(|(_, value)| !value.is_finite()) {
            bail!("step {step} (batch {step}): the loss {name} is {value}, not a number; {rest}");
        }
        if !gradient_norm.is_finite() {
            let losses: Vec<String> = losses.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
            let losses = losses.join(", ");
            bail!(
                "step {step} (batch {step}): the gradient's norm is {gradient_norm}, not a number, although the losses \
                 are ({losses}); {rest}"
            );
        }
        let Some((_, total)) = losses.iter().find(|(name, _)| name == "total") else { return Ok(()) };
        self.recent.push_back(*total);
        if self.recent.len() < WINDOW {
            return Ok(());
        }
        let mean = self.recent.iter().sum::<f64>() / WINDOW as f64;
        self.recent.pop_front();
        let lowest = self.lowest.map_or(mean, |lowest| lowest.min(mean));
        self.lowest = Some(lowest);
        if lowest > 0.0 && mean > FACTOR * lowest {
            bail!("step {step}: diverging: the mean loss of {WINDOW} steps is {mean:.4}, it was {lowest:.4}; {rest}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(mse: f64) -> Vec<(String, f64)> {
        vec![("mse".into(), mse), ("total".into(), mse)]
    }

    #[test]
    fn what_is_not_a_number_is_named() {
        let error = Divergence::default().check(7, &losses(f64::NAN), 1.0).unwrap_err().to_string();
        assert!(error.contains("step 7 (batch 7): the loss mse is NaN"), "{error}");
        let error = Divergence::default().check(7, &losses(1.0), f64::INFINITY).unwrap_err().to_string();
        assert!(error.contains("gradient") && error.contains("mse 1.0000"), "{error}");
    }

    #[test]
    fn a_loss_that_grows_and_stays_stops_the_run_and_a_spike_does_not() {
        let mut divergence = Divergence::default();
        let spiky = |step: u64| if step.is_multiple_of(40) { 5.0 } else { 0.1 };
        (0..400).for_each(|step| divergence.check(step, &losses(spiky(step)), 1.0).unwrap());
        let stopped = (400..600).find(|step| divergence.check(*step, &losses(3.0), 1.0).is_err());
        assert!(stopped.is_some_and(|step| step < 450), "{stopped:?}");
    }
}
