//! The gains: `out = output gain * (mix + sum over stems of (gain - 1) * stem)`, each stem's gain being a matrix.

use crate::{mix_controls::MixGains, stereo_gain::StereoGain};
use std::ops::Range;

/// Time from one gain to the next, in ms.
const RAMP_MS: f64 = 20.0;

/// Mixes four stems by gains that move in straight lines of 20 ms, sample by sample.
///
/// A stem whose gain is exactly unity is left out of the sum, so that with all gains at unity the mix comes out bit for
/// bit, whatever is in it.
pub struct StemMixer {
    ramp_len: usize,
    /// `[stem]`
    stems: [StereoRamp; 4],
    output: OutputRamp,
}

impl StemMixer {
    /// A mixer whose gains are at `gains`.
    ///
    /// # Realtime
    /// Safe.
    pub fn new(sample_rate_hz: f64, gains: MixGains) -> Self {
        let ramp_len = (sample_rate_hz * RAMP_MS / 1000.0).round().max(1.0) as usize;
        StemMixer { ramp_len, stems: gains.stems.map(StereoRamp::at), output: OutputRamp::at(gains.output) }
    }

    /// Gains to go to, from the next sample on.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_gains(&mut self, gains: MixGains) {
        for (ramp, gain) in self.stems.iter_mut().zip(gains.stems) {
            ramp.go_to(gain, self.ramp_len);
        }
        self.output.go_to(gains.output, self.ramp_len);
    }

    /// Jumps to these gains.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self, gains: MixGains) {
        self.stems = gains.stems.map(StereoRamp::at);
        self.output = OutputRamp::at(gains.output);
    }

    /// Mixes in place: `mix: [channel][sample]`, `stems: [stem][channel][sample]`, all of one length. Afterwards the
    /// stems are what they are in the new mix, for outputs of their own: if they summed to the mix, they sum to the new
    /// one.
    ///
    /// # Panics
    /// If the lengths differ.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock, no system call.
    pub fn mix(&mut self, mut mix: [&mut [f32]; 2], stems: &mut [[&mut [f32]; 2]; 4]) {
        let len = mix[0].len();
        let lens_agree = mix.iter().chain(stems.iter().flatten()).all(|channel| channel.len() == len);
        assert!(lens_agree, "mix and stems must have one length");
        for (ramp, stem) in self.stems.iter_mut().zip(stems.iter_mut()) {
            ramp.add_stem(&mut mix, stem);
        }
        mix.iter_mut().for_each(|channel| self.output.scale(channel));
        stems.iter_mut().flatten().for_each(|channel| self.output.scale(channel));
        self.output.steps_left -= self.output.steps_left.min(len);
    }
}

/// A stem's gain on its way to another one.
struct StereoRamp {
    target: StereoGain,
    /// Gain per sample.
    step: StereoGain,
    /// 0: at the target. Counted down, so that the target is met exactly.
    steps_left: usize,
}

impl StereoRamp {
    fn at(gain: StereoGain) -> Self {
        StereoRamp { target: gain, step: StereoGain::SILENCE, steps_left: 0 }
    }

    fn go_to(&mut self, target: StereoGain, ramp_len: usize) {
        if target != self.target {
            let now = self.gain_after(0);
            let step = StereoGain::from_fn(|out, input| (target.0[out][input] - now.0[out][input]) / ramp_len as f32);
            *self = StereoRamp { target, step, steps_left: ramp_len };
        }
    }

    /// The gain after `num_steps` (at most `steps_left`) more samples.
    fn gain_after(&self, num_steps: usize) -> StereoGain {
        let num_left = (self.steps_left - num_steps) as f32;
        StereoGain::from_fn(|out, input| self.target.0[out][input] - self.step.0[out][input] * num_left)
    }

    /// Adds a block of the stem, less what of it the mix has already.
    fn add_stem(&mut self, mix: &mut [&mut [f32]; 2], stem: &mut [&mut [f32]; 2]) {
        let len = mix[0].len();
        let num_ramped = self.steps_left.min(len);
        let stays_apart = is_apart(self.target) && is_apart(self.step);
        for idx in 0..num_ramped {
            let gain = self.gain_after(idx + 1);
            if stays_apart {
                add_apart(mix, stem, gain, idx..idx + 1);
            } else {
                add_folded(mix, stem, gain, idx..idx + 1);
            }
        }
        self.steps_left -= num_ramped;
        if self.target == StereoGain::UNITY {
            // As it is.
        } else if is_apart(self.target) {
            add_apart(mix, stem, self.target, num_ramped..len);
        } else {
            add_folded(mix, stem, self.target, num_ramped..len);
        }
    }
}

/// Whether left and right have nothing to do with each other.
fn is_apart(StereoGain(gain): StereoGain) -> bool {
    gain[0][1] == 0.0 && gain[1][0] == 0.0
}

/// Channel by channel.
fn add_apart(mix: &mut [&mut [f32]; 2], stem: &mut [&mut [f32]; 2], gain: StereoGain, range: Range<usize>) {
    for (channel, (mix, stem)) in mix.iter_mut().zip(stem).enumerate() {
        let gain = gain.0[channel][channel];
        for (mix, stem) in mix[range.clone()].iter_mut().zip(&mut stem[range.clone()]) {
            *mix += (gain - 1.0) * *stem;
            *stem *= gain;
        }
    }
}

/// With what goes from one channel to the other.
fn add_folded(mix: &mut [&mut [f32]; 2], stem: &mut [&mut [f32]; 2], gain: StereoGain, range: Range<usize>) {
    let StereoGain([[left_to_left, right_to_left], [left_to_right, right_to_right]]) = gain;
    let ([mix_left, mix_right], [stem_left, stem_right]) = (mix, stem);
    let mix = mix_left[range.clone()].iter_mut().zip(&mut mix_right[range.clone()]);
    let stem = stem_left[range.clone()].iter_mut().zip(&mut stem_right[range]);
    for ((mix_left, mix_right), (stem_left, stem_right)) in mix.zip(stem) {
        let (left, right) = (*stem_left, *stem_right);
        *mix_left += (left_to_left - 1.0) * left + right_to_left * right;
        *mix_right += left_to_right * left + (right_to_right - 1.0) * right;
        *stem_left = left_to_left * left + right_to_left * right;
        *stem_right = left_to_right * left + right_to_right * right;
    }
}

/// The output gain on its way to another one.
struct OutputRamp {
    target: f32,
    /// Gain per sample.
    step: f32,
    /// As [`StereoRamp::steps_left`].
    steps_left: usize,
}

impl OutputRamp {
    fn at(gain: f32) -> Self {
        OutputRamp { target: gain, step: 0.0, steps_left: 0 }
    }

    fn go_to(&mut self, target: f32, ramp_len: usize) {
        if target != self.target {
            let now = self.target - self.step * self.steps_left as f32;
            *self = OutputRamp { target, step: (target - now) / ramp_len as f32, steps_left: ramp_len };
        }
    }

    /// Multiplies a block of one channel.
    fn scale(&self, channel: &mut [f32]) {
        let (ramped, settled) = channel.split_at_mut(self.steps_left.min(channel.len()));
        for (idx, sample) in ramped.iter_mut().enumerate() {
            *sample *= self.target - self.step * (self.steps_left - idx - 1) as f32;
        }
        if self.target != 1.0 {
            settled.iter_mut().for_each(|sample| *sample *= self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix_controls::MixControls;

    /// 10 kHz: ramps of 200 samples.
    const RATE_HZ: f64 = 10_000.0;
    const RAMP_LEN: usize = 200;

    fn faders(gains: [f32; 4]) -> MixGains {
        MixControls::with_gains(gains).gains(false)
    }

    /// `[channel][sample]` and `[stem][channel][sample]` of noise that is the same every time.
    fn noise(len: usize) -> ([Vec<f32>; 2], [[Vec<f32>; 2]; 4]) {
        let mut state = 1_u32;
        let mut channel = || {
            let mut sample = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            };
            (0..len).map(&mut sample).collect()
        };
        ([channel(), channel()], [(); 4].map(|()| [channel(), channel()]))
    }

    fn mix(
        mixer: &mut StemMixer,
        mix: &mut [Vec<f32>; 2],
        stems: &mut [[Vec<f32>; 2]; 4],
        range: std::ops::Range<usize>,
    ) {
        let mix = mix.each_mut().map(|channel| &mut channel[range.clone()]);
        let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[range.clone()]));
        mixer.mix(mix, &mut stems);
    }

    fn bits(channels: &[Vec<f32>; 2]) -> [Vec<u32>; 2] {
        channels.each_ref().map(|channel| channel.iter().map(|sample| sample.to_bits()).collect())
    }

    #[test]
    fn unity_is_bit_exact_whatever_the_samples_are() {
        let (mut out, mut stems) = noise(64);
        out[0][..6].copy_from_slice(&[
            -0.0,
            0.0,
            f32::NAN,
            f32::INFINITY,
            f32::from_bits(1),
            f32::from_bits(0xffc0_1234),
        ]);
        stems[1][0][3] = f32::NAN;
        let (expected, stems_before) = (bits(&out), stems[2].clone());
        mix(&mut StemMixer::new(RATE_HZ, MixGains::UNITY), &mut out, &mut stems, 0..64);
        assert_eq!(bits(&out), expected);
        assert_eq!(stems[2], stems_before);
    }

    #[test]
    fn unity_is_bit_exact_again_when_a_ramp_has_ended() {
        let (mut out, mut stems) = noise(500);
        let expected = bits(&out);
        let mut mixer = StemMixer::new(RATE_HZ, faders([0.3, 0.0, 2.0, 1.0]));
        mixer.set_gains(faders([1.0; 4]));
        mix(&mut mixer, &mut out, &mut stems, 0..500);
        let out = bits(&out);
        assert_ne!(out[0][RAMP_LEN - 2], expected[0][RAMP_LEN - 2]);
        for channel in 0..2 {
            assert_eq!(out[channel][RAMP_LEN..], expected[channel][RAMP_LEN..]);
        }
    }

    #[test]
    fn a_muted_stem_is_taken_away() {
        let (mix_before, mut stems) = noise(100);
        let (mut out, stems_before) = (mix_before.clone(), stems.clone());
        mix(&mut StemMixer::new(RATE_HZ, faders([0.0, 1.0, 4.0, 1.0])), &mut out, &mut stems, 0..100);
        for channel in 0..2 {
            for i in 0..100 {
                let [vocals, _, bass, _] = stems_before.each_ref().map(|stem| stem[channel][i]);
                let expected = mix_before[channel][i] - vocals + 3.0 * bass;
                assert!((out[channel][i] - expected).abs() < 1e-6);
                assert_eq!(stems[0][channel][i], 0.0);
                assert_eq!(stems[2][channel][i], 4.0 * bass);
            }
        }
    }

    #[test]
    fn the_ramp_is_a_straight_line_from_the_sample_where_it_was_set() {
        let ones = || [vec![1.0; 300], vec![1.0; 300]];
        let (mut out, mut stems) = (ones(), [(); 4].map(|()| ones()));
        let mut mixer = StemMixer::new(RATE_HZ, MixGains::UNITY);
        mix(&mut mixer, &mut out, &mut stems, 0..37);
        mixer.set_gains(faders([1.0, 0.0, 1.0, 1.0]));
        mix(&mut mixer, &mut out, &mut stems, 37..300);
        for (i, &sample) in out[0].iter().enumerate() {
            let steps = (i + 1).saturating_sub(37).min(RAMP_LEN);
            let expected = 1.0 - steps as f32 / RAMP_LEN as f32;
            assert!((sample - expected).abs() < 1e-5, "{i}: {sample} {expected}");
        }
        assert_eq!(out[0][36], 1.0);
        assert_eq!(out[1][37 + RAMP_LEN - 1], 0.0);
    }

    #[test]
    fn a_target_that_changes_on_the_way_makes_no_jump() {
        let ones = || [vec![1.0; 400], vec![1.0; 400]];
        let (mut out, mut stems) = (ones(), [(); 4].map(|()| ones()));
        let mut mixer = StemMixer::new(RATE_HZ, MixGains::UNITY);
        for (range, gain) in [(0..50, 0.0), (50..120, 2.0), (120..121, 0.5), (121..122, 0.5), (122..400, 0.0)] {
            mixer.set_gains(faders([gain, 1.0, 1.0, 1.0]));
            mix(&mut mixer, &mut out, &mut stems, range);
        }
        assert!(out[0].windows(2).all(|pair| (pair[1] - pair[0]).abs() < 2.5 / RAMP_LEN as f32));
        assert_eq!(out[0][399], 0.0);
    }

    #[test]
    fn however_the_stream_is_cut_the_result_is_the_same() {
        let (mix_before, stems_before) = noise(1000);
        let run = |lens: &[usize]| {
            let (mut out, mut stems) = (mix_before.clone(), stems_before.clone());
            let mut mixer = StemMixer::new(RATE_HZ, MixGains::UNITY);
            mixer.set_gains(faders([0.2, 3.0, 0.0, 1.0]));
            let (mut start, mut lens) = (0, lens.iter().cycle());
            while start < 1000 {
                let end = 1000.min(start + lens.next().unwrap());
                mix(&mut mixer, &mut out, &mut stems, start..end);
                start = end;
            }
            (out, stems)
        };
        let whole = run(&[1000]);
        for lens in [&[1][..], &[7, 0, 64], &[199, 1, 200], &[333]] {
            assert_eq!(run(lens), whole, "{lens:?}");
        }
    }

    #[test]
    fn reset_jumps() {
        let (mut out, mut stems) = noise(10);
        let expected = bits(&out);
        let mut mixer = StemMixer::new(RATE_HZ, faders([0.0; 4]));
        mixer.reset(MixGains::UNITY);
        mix(&mut mixer, &mut out, &mut stems, 0..10);
        assert_eq!(bits(&out), expected);
    }
}
