//! What the user has set, and the gains that follow from it: the one place that knows about mutes and solos.

use crate::stereo_gain::StereoGain;

/// A control of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The fader of the stem with this index.
    Gain(usize),
    /// Its mute.
    Mute(usize),
    /// Its solo.
    Solo(usize),
    /// Its pan.
    Pan(usize),
    /// How much it takes of what it shares with others.
    Sensitivity(usize),
    /// How much of the new mix is heard, and how much of the old one.
    DryWet,
    /// The gain of everything.
    Output,
    /// Bypass.
    Bypass,
}

impl Control {
    /// Number of controls.
    pub const COUNT: usize = 23;

    /// All of them.
    ///
    /// # Realtime
    /// Safe.
    pub fn all() -> impl Iterator<Item = Control> {
        let stems = (0..4).flat_map(|stem_idx| {
            [Control::Gain, Control::Mute, Control::Solo, Control::Pan, Control::Sensitivity].map(|of| of(stem_idx))
        });
        stems.chain([Control::DryWet, Control::Output, Control::Bypass])
    }

    /// A number below [`COUNT`](Self::COUNT), each control's own.
    ///
    /// # Realtime
    /// Safe.
    pub const fn index(self) -> usize {
        match self {
            Control::Gain(stem_idx) => stem_idx,
            Control::Mute(stem_idx) => 4 + stem_idx,
            Control::Solo(stem_idx) => 8 + stem_idx,
            Control::Pan(stem_idx) => 12 + stem_idx,
            Control::DryWet => 16,
            Control::Output => 17,
            Control::Bypass => 18,
            Control::Sensitivity(stem_idx) => 19 + stem_idx,
        }
    }
}

/// Some of the controls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlSet(u32);

impl ControlSet {
    /// None of them.
    pub const NONE: ControlSet = ControlSet(0);
    /// All of them.
    pub const ALL: ControlSet = ControlSet((1 << Control::COUNT) - 1);

    /// Those whose bit is set: bit `n` is that of the control with the [index](Control::index) `n`.
    ///
    /// # Realtime
    /// Safe.
    pub const fn from_bits(bits: u32) -> Self {
        ControlSet(bits & ControlSet::ALL.0)
    }

    /// A bit for each of them.
    ///
    /// # Realtime
    /// Safe.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// With this one too.
    ///
    /// # Realtime
    /// Safe.
    pub const fn with(self, control: Control) -> Self {
        ControlSet(self.0 | 1 << control.index())
    }

    /// Whether it is one of them.
    ///
    /// # Realtime
    /// Safe.
    pub const fn contains(self, control: Control) -> bool {
        self.0 & 1 << control.index() != 0
    }
}

/// The controls of a stem.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StemControls {
    /// Where the fader stands, linear.
    pub gain: f32,
    /// -1 (left) to 1 (right).
    pub pan: f32,
    /// -1 (sharp masks) to 1 (soft ones). It acts on input, where masks are made, and never at once.
    pub sensitivity: f32,
    /// Not heard, unless it is soloed.
    pub is_muted: bool,
    /// Heard, while those that are not soloed are not.
    pub is_soloed: bool,
}

impl Default for StemControls {
    /// The stem as it is.
    fn default() -> Self {
        StemControls { gain: 1.0, pan: 0.0, sensitivity: 0.0, is_muted: false, is_soloed: false }
    }
}

/// All controls of the mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixControls {
    /// `[stem]`
    pub stems: [StemControls; 4],
    /// 0: the mix as it came; 1: what the stems' controls make of it.
    pub wet: f32,
    /// The gain of everything, linear.
    pub output_gain: f32,
    /// The mix as it came, whatever else is set.
    pub is_bypassed: bool,
}

impl Default for MixControls {
    /// The mix as it came.
    fn default() -> Self {
        MixControls { stems: [StemControls::default(); 4], wet: 1.0, output_gain: 1.0, is_bypassed: false }
    }
}

/// What the mixer multiplies by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixGains {
    /// `[stem]`
    pub stems: [StereoGain; 4],
    /// Of everything, linear.
    pub output: f32,
}

impl MixGains {
    /// The mix as it came.
    pub const UNITY: MixGains = MixGains { stems: [StereoGain::UNITY; 4], output: 1.0 };
}

impl MixControls {
    /// The controls with the faders at these gains, and all else untouched.
    ///
    /// # Realtime
    /// Safe.
    pub fn with_gains(gains: [f32; 4]) -> Self {
        MixControls { stems: gains.map(|gain| StemControls { gain, ..Default::default() }), ..Default::default() }
    }

    /// Takes over the controls in `set` from others.
    ///
    /// # Realtime
    /// Safe.
    pub fn take(&mut self, others: &MixControls, set: ControlSet) {
        if set == ControlSet::NONE {
            return;
        }
        for (stem_idx, (stem, other)) in self.stems.iter_mut().zip(&others.stems).enumerate() {
            if set.contains(Control::Gain(stem_idx)) {
                stem.gain = other.gain;
            }
            if set.contains(Control::Mute(stem_idx)) {
                stem.is_muted = other.is_muted;
            }
            if set.contains(Control::Solo(stem_idx)) {
                stem.is_soloed = other.is_soloed;
            }
            if set.contains(Control::Pan(stem_idx)) {
                stem.pan = other.pan;
            }
            if set.contains(Control::Sensitivity(stem_idx)) {
                stem.sensitivity = other.sensitivity;
            }
        }
        if set.contains(Control::DryWet) {
            self.wet = others.wet;
        }
        if set.contains(Control::Output) {
            self.output_gain = others.output_gain;
        }
        if set.contains(Control::Bypass) {
            self.is_bypassed = others.is_bypassed;
        }
    }

    /// `[stem]`, which stems mutes and solos let through.
    ///
    /// # Realtime
    /// Safe.
    pub fn heard_stems(&self) -> [bool; 4] {
        if self.is_bypassed { [true; 4] } else { heard(&self.stems) }
    }

    /// The gains that follow. On a mono output pan does nothing: its one channel is what left and right have in common.
    ///
    /// # Realtime
    /// Safe.
    pub fn gains(&self, is_mono: bool) -> MixGains {
        if self.is_bypassed {
            return MixGains::UNITY;
        }
        let stems = stem_gains(&self.stems, is_mono).map(|gain| gain.mixed_with_unity(self.wet));
        MixGains { stems, output: self.output_gain }
    }
}

/// As long as any stem is soloed, those that are soloed are heard, muted or not; else those that are not muted. Neither
/// moves a fader or the other, so that what was muted before a solo is muted after it.
fn heard(stems: &[StemControls; 4]) -> [bool; 4] {
    let has_solo = stems.iter().any(|stem| stem.is_soloed);
    stems.map(|stem| if has_solo { stem.is_soloed } else { !stem.is_muted })
}

fn stem_gains(stems: &[StemControls; 4], is_mono: bool) -> [StereoGain; 4] {
    let is_heard = heard(stems);
    std::array::from_fn(|stem_idx| {
        let stem = stems[stem_idx];
        if is_heard[stem_idx] {
            StereoGain::panned(if is_mono { 0.0 } else { stem.pan }).scaled(stem.gain)
        } else {
            StereoGain::SILENCE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All states of mutes and solos; faders at -6 dB.
    fn all_switches() -> impl Iterator<Item = [StemControls; 4]> {
        (0..256_u32).map(|bits| {
            std::array::from_fn(|stem_idx| StemControls {
                gain: 0.5,
                pan: 0.0,
                sensitivity: 0.0,
                is_muted: bits >> stem_idx & 1 == 1,
                is_soloed: bits >> (4 + stem_idx) & 1 == 1,
            })
        })
    }

    fn is_heard(gain: StereoGain) -> bool {
        gain != StereoGain::SILENCE
    }

    #[test]
    fn controls_have_indices_of_their_own() {
        let indices: Vec<usize> = Control::all().map(Control::index).collect();
        assert_eq!(indices.len(), Control::COUNT);
        for idx in 0..Control::COUNT {
            assert_eq!(indices.iter().filter(|&&other| other == idx).count(), 1, "{idx}");
        }
    }

    #[test]
    fn without_a_solo_those_that_are_not_muted_are_heard_at_their_faders() {
        for stems in all_switches().filter(|stems| stems.iter().all(|stem| !stem.is_soloed)) {
            for (stem, gain) in stems.iter().zip(stem_gains(&stems, false)) {
                let expected = if stem.is_muted { StereoGain::SILENCE } else { StereoGain::UNITY.scaled(0.5) };
                assert_eq!(gain, expected);
            }
        }
    }

    #[test]
    fn with_a_solo_those_that_are_soloed_are_heard_muted_or_not() {
        for stems in all_switches().filter(|stems| stems.iter().any(|stem| stem.is_soloed)) {
            for (stem, gain) in stems.iter().zip(stem_gains(&stems, false)) {
                assert_eq!(is_heard(gain), stem.is_soloed, "{stems:?}");
            }
        }
    }

    #[test]
    fn when_solos_end_the_mutes_from_before_are_back() {
        for stems in all_switches() {
            let without_solo = stems.map(|stem| StemControls { is_soloed: false, ..stem });
            for (stem, gain) in stems.iter().zip(stem_gains(&without_solo, false)) {
                assert_eq!(is_heard(gain), !stem.is_muted);
            }
        }
    }

    #[test]
    fn untouched_dry_or_bypassed_controls_are_exactly_unity() {
        assert_eq!(MixControls::default().gains(false), MixGains::UNITY);
        for mut stems in all_switches() {
            stems[1].pan = 0.3;
            let dry = MixControls { stems, wet: 0.0, ..Default::default() };
            assert_eq!(dry.gains(false), MixGains::UNITY);
            let bypassed = MixControls { stems, wet: 0.4, output_gain: 2.0, is_bypassed: true };
            assert_eq!(bypassed.gains(false), MixGains::UNITY);
        }
    }

    #[test]
    fn pan_does_nothing_on_a_mono_output() {
        let mut controls = MixControls::with_gains([0.5, 1.0, 2.0, 0.0]);
        let expected = controls.gains(false);
        controls.stems.iter_mut().for_each(|stem| stem.pan = -0.7);
        assert_ne!(controls.gains(false), expected);
        assert_eq!(controls.gains(true), expected);
    }

    #[test]
    fn taking_over_a_control_changes_that_one_and_no_other() {
        let before = MixControls::default();
        let stem = StemControls { gain: 0.5, pan: 0.5, sensitivity: 0.5, is_muted: true, is_soloed: true };
        let others = MixControls { stems: [stem; 4], wet: 0.5, output_gain: 0.5, is_bypassed: true };
        let mut one_by_one = before;
        for control in Control::all() {
            let (mut with, mut without) = (before, others);
            with.take(&others, ControlSet::NONE.with(control));
            without.take(&before, ControlSet::NONE.with(control));
            assert_ne!(with, before, "{control:?}");
            assert_ne!(without, others, "{control:?}");
            // Those of one are what the other lacks.
            without.take(&with, ControlSet::NONE.with(control));
            assert_eq!(without, others, "{control:?}");
            one_by_one.take(&others, ControlSet::NONE.with(control));
        }
        assert_eq!(one_by_one, others);
        let mut all = before;
        all.take(&others, ControlSet::ALL);
        assert_eq!(all, others);
    }
}
