//! The gains: `out = mix + sum over stems of (gain - 1) * stem`.

/// Time from one gain to the next, in ms.
const RAMP_MS: f64 = 20.0;

/// Mixes four stems by gains that move in straight lines of 20 ms, sample by sample.
///
/// A stem whose gain is exactly 1 is left out of the sum, so that with all gains at 1 the mix comes out bit for bit,
/// whatever is in it.
pub struct StemMixer {
    ramp_len: usize,
    ramps: [GainRamp; 4],
}

impl StemMixer {
    /// A mixer whose gains are at `gains`.
    ///
    /// # Realtime
    /// Safe.
    pub fn new(sample_rate_hz: f64, gains: [f32; 4]) -> Self {
        let ramp_len = (sample_rate_hz * RAMP_MS / 1000.0).round().max(1.0) as usize;
        StemMixer { ramp_len, ramps: gains.map(GainRamp::at) }
    }

    /// Gains (linear) to go to, from the next sample on.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_gains(&mut self, gains: [f32; 4]) {
        for (ramp, gain) in self.ramps.iter_mut().zip(gains) {
            ramp.go_to(gain, self.ramp_len);
        }
    }

    /// The gains that it is at or on its way to.
    ///
    /// # Realtime
    /// Safe.
    pub fn targets(&self) -> [f32; 4] {
        self.ramps.each_ref().map(|ramp| ramp.target)
    }

    /// Jumps to these gains.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self, gains: [f32; 4]) {
        self.ramps = gains.map(GainRamp::at);
    }

    /// Mixes in place: `mix: [channel][sample]`, `stems: [stem][channel][sample]`, all of one length. Afterwards the
    /// stems are multiplied by their gains, for outputs of their own.
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
        for (ramp, stem) in self.ramps.iter_mut().zip(stems) {
            let num_ramped = ramp.steps_left.min(len);
            for (mix, stem) in mix.iter_mut().zip(stem.iter_mut()) {
                let (ramped_mix, settled_mix) = mix.split_at_mut(num_ramped);
                let (ramped_stem, settled_stem) = stem.split_at_mut(num_ramped);
                for (idx, (mix, stem)) in ramped_mix.iter_mut().zip(ramped_stem).enumerate() {
                    add_stem(mix, stem, ramp.gain_after(idx + 1));
                }
                if ramp.target != 1.0 {
                    for (mix, stem) in settled_mix.iter_mut().zip(settled_stem) {
                        add_stem(mix, stem, ramp.target);
                    }
                }
            }
            ramp.steps_left -= num_ramped;
        }
    }
}

fn add_stem(mix: &mut f32, stem: &mut f32, gain: f32) {
    *mix += (gain - 1.0) * *stem;
    *stem *= gain;
}

/// A gain on its way to another one.
struct GainRamp {
    target: f32,
    /// Gain per sample.
    step: f32,
    /// 0: at the target. Counted down, so that the target is met exactly.
    steps_left: usize,
}

impl GainRamp {
    fn at(gain: f32) -> Self {
        GainRamp { target: gain, step: 0.0, steps_left: 0 }
    }

    fn go_to(&mut self, gain: f32, ramp_len: usize) {
        if gain != self.target {
            let now = self.gain_after(0);
            *self = GainRamp { target: gain, step: (gain - now) / ramp_len as f32, steps_left: ramp_len };
        }
    }

    /// The gain after `num_steps` (at most `steps_left`) more samples.
    fn gain_after(&self, num_steps: usize) -> f32 {
        self.target - self.step * (self.steps_left - num_steps) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 kHz: ramps of 200 samples.
    const RATE_HZ: f64 = 10_000.0;
    const RAMP_LEN: usize = 200;

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
        mix(&mut StemMixer::new(RATE_HZ, [1.0; 4]), &mut out, &mut stems, 0..64);
        assert_eq!(bits(&out), expected);
        assert_eq!(stems[2], stems_before);
    }

    #[test]
    fn unity_is_bit_exact_again_when_a_ramp_has_ended() {
        let (mut out, mut stems) = noise(500);
        let expected = bits(&out);
        let mut mixer = StemMixer::new(RATE_HZ, [0.3, 0.0, 2.0, 1.0]);
        mixer.set_gains([1.0; 4]);
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
        mix(&mut StemMixer::new(RATE_HZ, [0.0, 1.0, 4.0, 1.0]), &mut out, &mut stems, 0..100);
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
        let mut mixer = StemMixer::new(RATE_HZ, [1.0; 4]);
        mix(&mut mixer, &mut out, &mut stems, 0..37);
        mixer.set_gains([1.0, 0.0, 1.0, 1.0]);
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
        let mut mixer = StemMixer::new(RATE_HZ, [1.0; 4]);
        for (range, gain) in [(0..50, 0.0), (50..120, 2.0), (120..121, 0.5), (121..122, 0.5), (122..400, 0.0)] {
            mixer.set_gains([gain, 1.0, 1.0, 1.0]);
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
            let mut mixer = StemMixer::new(RATE_HZ, [1.0; 4]);
            mixer.set_gains([0.2, 3.0, 0.0, 1.0]);
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
        let mut mixer = StemMixer::new(RATE_HZ, [0.0; 4]);
        mixer.reset([1.0; 4]);
        mix(&mut mixer, &mut out, &mut stems, 0..10);
        assert_eq!(bits(&out), expected);
    }
}
