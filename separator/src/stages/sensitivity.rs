//! Sharper or softer masks, stem by stem.

use super::Estimate;
use slicqt::{Complex, Plan, Timing};
use std::collections::VecDeque;

/// How far a sensitivity of 1 bends the masks: they are raised to the power of 2 to the minus this.
const MAX_EXPONENT_LOG2: f32 = 2.0;

/// Moves what stems share from one to another, before the synthesis: each stem's part of a coefficient,
/// `m = |c| / sum over stems of |c|`, becomes `m^p`, with `p = 4^-sensitivity`, and all parts together one again. Above 0 a
/// stem takes more of what it shares with others, below 0 it keeps what is surely its own. The sum of the stems stays what it
/// is, and so does everything where one stem has all.
///
/// What moves is a part of the mix, so it has the mix's phase; the rest keeps that of the estimate. For real masks that
/// sum to one this is the mask to the power of p, normalized. Coefficients and complex masks go the same way.
pub(crate) struct Sensitivity {
    /// `[hop][stem]`, -1..=1: the newest hop, and those before it as far back as slices are answered.
    hops: VecDeque<Vec<f32>>,
    /// How far the middle of the slice that is answered lies behind the middle of the newest hop, in hops.
    hops_behind: f32,
    /// Whether a hop has come since the reset.
    has_begun: bool,
    /// `[stem]`, of the slice that is answered.
    current: Vec<f32>,
    /// `[stem][channel][coef]`; empty until the first time that they are needed.
    coefs: Vec<[Vec<Complex<f32>>; 2]>,
    num_coefs: usize,
    /// `[stem]`, of one coefficient.
    parts: Vec<f32>,
    /// `[stem]`, of one coefficient.
    bent: Vec<f32>,
}

impl Sensitivity {
    /// For estimates that lag `late_slices` behind the mix; neutral.
    pub fn new(plan: &Plan, timing: Timing, num_stems: usize, late_slices: usize) -> Self {
        let margin = match timing {
            Timing::Whole => 0,
            _ => plan.delay_samples(Timing::Whole) - plan.delay_samples(Timing::Early),
        };
        let middle = (plan.slice_len() / 2 - margin) as f32 / plan.hop_len() as f32;
        let hops_behind = late_slices as f32 + (middle - 0.5).max(0.0);
        Sensitivity {
            hops: (0..hops_behind as usize + 2).map(|_| vec![0.0; num_stems]).collect(),
            hops_behind,
            has_begun: false,
            current: vec![0.0; num_stems],
            coefs: Vec::new(),
            num_coefs: plan.num_coefs(),
            parts: vec![0.0; num_stems],
            bent: vec![0.0; num_stems],
        }
    }

    /// The sensitivities, `[stem]`, that came with the newest hop.
    ///
    /// # Realtime
    /// Safe.
    pub fn push(&mut self, newest: &[f32]) {
        if std::mem::replace(&mut self.has_begun, true) {
            self.hops.rotate_right(1);
            self.hops[0].copy_from_slice(newest);
        } else {
            self.hops.iter_mut().for_each(|hop| hop.copy_from_slice(newest));
        }
        let (idx, share) = (self.hops_behind as usize, self.hops_behind.fract());
        let values = self.hops[idx].iter().zip(&self.hops[idx + 1]);
        for (current, (newer, older)) in self.current.iter_mut().zip(values) {
            *current = newer + share * (older - newer);
        }
    }

    /// Whether everything stays as it is.
    pub fn is_neutral(&self) -> bool {
        self.current.iter().all(|&value| value == 0.0)
    }

    /// Takes the estimates of all stems, of the slice that is answered.
    ///
    /// # Realtime
    /// Worker only: allocates the first time.
    pub fn take(&mut self, estimate: &mut Estimate) {
        let (num_stems, num_coefs) = (self.current.len(), self.num_coefs);
        let room = || vec![Complex::default(); num_coefs];
        self.coefs.resize_with(num_stems, || [room(), room()]);
        for (stem_idx, channels) in self.coefs.iter_mut().enumerate() {
            for (channel, coefs) in channels.iter_mut().enumerate() {
                estimate(stem_idx, channel, coefs);
            }
        }
        let exponents = self.current.clone().into_iter().map(|value| (-MAX_EXPONENT_LOG2 * value).exp2());
        let exponents: Vec<f32> = exponents.collect();
        for channel in 0..2 {
            for coef_idx in 0..num_coefs {
                self.bend(&exponents, channel, coef_idx);
            }
        }
    }

    fn bend(&mut self, exponents: &[f32], channel: usize, coef_idx: usize) {
        let mut sum = 0.0;
        let mut mix = Complex::default();
        for (part, stem) in self.parts.iter_mut().zip(&self.coefs) {
            let coef = stem[channel][coef_idx];
            *part = coef.norm_sqr().sqrt();
            sum += *part;
            mix += coef;
        }
        if !(sum.is_normal() && sum > 0.0) {
            return;
        }
        let mut bent_sum = 0.0;
        for ((bent, part), &exponent) in self.bent.iter_mut().zip(&mut self.parts).zip(exponents) {
            *part /= sum;
            *bent = if exponent == 1.0 { *part } else { part.powf(exponent) };
            bent_sum += *bent;
        }
        for ((stem, part), bent) in self.coefs.iter_mut().zip(&self.parts).zip(&self.bent) {
            stem[channel][coef_idx] += mix * (bent / bent_sum - part);
        }
    }

    /// What has become of one stem and channel, `[coef]`.
    pub fn coefs(&self, stem_idx: usize, channel: usize) -> &[Complex<f32>] {
        &self.coefs[stem_idx][channel]
    }

    /// Forgets the hops before.
    pub fn reset(&mut self) {
        self.has_begun = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slicqt::Design;

    fn stage(late_slices: usize) -> Sensitivity {
        let plan = Plan::new(&Design::stft(64, 16, 44_100.0)).unwrap();
        Sensitivity::new(&plan, Timing::Whole, 3, late_slices)
    }

    /// What becomes of real masks, at every coefficient of a mix that is not in phase with itself.
    fn bent(values: [f32; 3], masks: [f32; 3]) -> [f32; 3] {
        let mut stage = stage(0);
        stage.push(&values);
        let mix = |channel: usize, idx: usize| Complex::from_polar(1.0 + idx as f32, (channel + idx) as f32);
        stage.take(&mut |stem, channel, coefs| {
            coefs.iter_mut().enumerate().for_each(|(idx, coef)| *coef = mix(channel, idx) * masks[stem]);
        });
        let mut found = [0.0; 3];
        for (stem_idx, found) in found.iter_mut().enumerate() {
            *found = (stage.coefs(stem_idx, 0)[3] / mix(0, 3)).re;
            for channel in 0..2 {
                for (idx, coef) in stage.coefs(stem_idx, channel).iter().enumerate() {
                    let mask = coef / mix(channel, idx);
                    assert!((mask.re - *found).abs() < 1e-5 && mask.im.abs() < 1e-5, "{mask} for {found}");
                }
            }
        }
        assert!((found.iter().sum::<f32>() - masks.iter().sum::<f32>()).abs() < 1e-5, "{found:?}");
        found
    }

    #[test]
    fn a_sharper_stem_keeps_what_is_its_own_and_a_softer_one_takes_more() {
        let masks = [0.3, 0.6, 0.1];
        let sharp = bent([-0.5, 0.0, 0.0], masks);
        assert!((sharp[0] - 0.09 / 0.79).abs() < 1e-5 && (sharp[1] / sharp[2] - 6.0).abs() < 1e-3, "{sharp:?}");
        let soft = bent([0.5, 0.0, 0.0], masks);
        assert!((soft[0] - 0.3_f32.sqrt() / (0.3_f32.sqrt() + 0.7)).abs() < 1e-5, "{soft:?}");
        // Where one has all, it keeps all; and what is nobody's stays nobody's.
        for value in [-1.0, -0.3, 0.4, 1.0] {
            assert_eq!(bent([value, -value, 0.5], [1.0, 0.0, 0.0]), [1.0, 0.0, 0.0]);
        }
        assert_eq!(bent([1.0, -1.0, 0.3], [0.0; 3]), [0.0; 3]);
    }

    #[test]
    fn it_is_gentle_near_neutral_whatever_the_network_says() {
        for masks in [[0.2, 0.3, 0.5], [1.2, -0.3, 0.1], [-0.5, 0.0, 0.1], [0.0, 1e-6, 0.9]] {
            for (found, mask) in bent([1e-4, -1e-4, 0.0], masks).into_iter().zip(masks) {
                assert!((found - mask).abs() < 1e-3, "{found} for {mask}");
            }
        }
    }

    #[test]
    fn it_acts_on_the_middle_of_the_slice() {
        // A slice of four hops: its middle lies between the second and the third hop from the end.
        let mut stage = stage(1);
        let mut seen = Vec::new();
        for hop in 0..6 {
            let value = if hop < 2 { 0.0 } else { 0.8 };
            stage.push(&[value, 0.0, 0.0]);
            seen.push(stage.current[0]);
        }
        assert_eq!(seen, [0.0, 0.0, 0.0, 0.0, 0.4, 0.8]);
        stage.reset();
        stage.push(&[0.8, 0.0, 0.0]);
        assert_eq!(stage.current[0], 0.8, "as if it had always been so");
    }
}
