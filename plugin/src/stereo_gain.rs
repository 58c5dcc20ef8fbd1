//! What a stem's left and right are multiplied by.

use std::f32::consts::FRAC_PI_2;

/// Linear gains, `[output channel][input channel]`: how much of a stem's left and right is heard on the left and right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StereoGain(pub [[f32; 2]; 2]);

impl StereoGain {
    /// As it is.
    pub const UNITY: StereoGain = StereoGain([[1.0, 0.0], [0.0, 1.0]]);
    /// Nothing is heard.
    pub const SILENCE: StereoGain = StereoGain([[0.0; 2]; 2]);

    /// Each gain from its output and input channel.
    ///
    /// # Realtime
    /// Safe.
    pub fn from_fn(gain: impl Fn(usize, usize) -> f32) -> Self {
        StereoGain(std::array::from_fn(|out| std::array::from_fn(|input| gain(out, input))))
    }

    /// Moves a stem to one side: `pan` from -1 (left) over 0 (exactly unity) to 1 (right).
    ///
    /// What lies on the other side is folded over rather than lost, as a balance would lose it: a stem may hold a guitar
    /// on the left and a piano on the right. With `x = sin(|pan| * pi / 2)`, panned to the right,
    ///
    /// ```text
    /// left  = sqrt(1 - x) * left
    /// right = (right + x * left) / sqrt(1 + x)
    /// ```
    ///
    /// so that the power of what lies in the middle, most of a voice, a bass or a kick drum, is the same at every position
    /// (`(1 - x) + (1 + x) = 2`). What lies on one side only becomes 3 dB softer at most.
    ///
    /// # Realtime
    /// Safe.
    pub fn panned(pan: f32) -> Self {
        let x = (pan.abs() * FRAC_PI_2).sin().min(1.0);
        let (far, near) = ((1.0 - x).sqrt(), 1.0 / (1.0 + x).sqrt());
        if pan < 0.0 { StereoGain([[near, x * near], [0.0, far]]) } else { StereoGain([[far, 0.0], [x * near, near]]) }
    }

    /// All of it times `gain`.
    ///
    /// # Realtime
    /// Safe.
    pub fn scaled(self, gain: f32) -> Self {
        StereoGain(self.0.map(|row| row.map(|entry| gain * entry)))
    }

    /// A mixture with [`UNITY`](Self::UNITY): exactly itself at `wet` 1, exactly unity at 0.
    ///
    /// # Realtime
    /// Safe.
    pub fn mixed_with_unity(self, wet: f32) -> Self {
        let unity = StereoGain::UNITY.0;
        StereoGain::from_fn(|out, input| wet * self.0[out][input] + (1.0 - wet) * unity[out][input])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(gain: StereoGain, stem: [f32; 2]) -> [f32; 2] {
        gain.0.map(|row| row[0] * stem[0] + row[1] * stem[1])
    }

    fn power_db(stem: [f32; 2]) -> f32 {
        10.0 * (stem[0] * stem[0] + stem[1] * stem[1]).log10()
    }

    /// Every position of the control.
    fn positions() -> impl Iterator<Item = f32> {
        (-100..=100).map(|percent| percent as f32 / 100.0)
    }

    #[test]
    fn the_centre_is_exactly_unity_from_both_sides() {
        assert_eq!(StereoGain::panned(0.0), StereoGain::UNITY);
        assert_eq!(StereoGain::panned(-0.0), StereoGain::UNITY);
    }

    #[test]
    fn what_lies_in_the_middle_keeps_its_power_at_every_position() {
        for pan in positions() {
            let power = power_db(heard(StereoGain::panned(pan), [0.5, 0.5])) - power_db([0.5, 0.5]);
            assert!(power.abs() < 1e-4, "{pan}: {power} dB");
        }
    }

    #[test]
    fn what_lies_on_a_side_is_heard_at_every_position() {
        for pan in positions() {
            for stem in [[1.0, 0.0], [0.0, 1.0]] {
                let power = power_db(heard(StereoGain::panned(pan), stem));
                assert!((-3.02..=1e-4).contains(&power), "{stem:?} at {pan}: {power} dB");
            }
        }
    }

    #[test]
    fn at_the_ends_the_other_side_is_silent() {
        assert_eq!(heard(StereoGain::panned(1.0), [0.7, 0.3])[0], 0.0);
        assert_eq!(heard(StereoGain::panned(-1.0), [0.7, 0.3])[1], 0.0);
    }

    #[test]
    fn left_and_right_are_mirrored_and_the_way_between_them_is_steady() {
        let mut last = f32::NEG_INFINITY;
        for pan in positions() {
            let [left, right] = heard(StereoGain::panned(pan), [0.6, 0.2]);
            let [mirrored_right, mirrored_left] = heard(StereoGain::panned(-pan), [0.2, 0.6]);
            assert_eq!([left, right], [mirrored_left, mirrored_right]);
            assert!(right - left > last, "{pan}");
            last = right - left;
        }
    }

    #[test]
    fn a_mixture_with_unity_is_exact_at_both_ends() {
        for pan in positions() {
            for gain in [0.0, 1e-3, 0.1, 0.7, 1.0, 3.98] {
                let gain = StereoGain::panned(pan).scaled(gain);
                assert_eq!(gain.mixed_with_unity(1.0), gain);
                assert_eq!(gain.mixed_with_unity(0.0), StereoGain::UNITY);
            }
        }
    }
}
