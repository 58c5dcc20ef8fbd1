//! The processor with a real engine under it, offline: what a host gets, sample by sample.

use models::Model;
use separator::{
    Engine, EngineConfig, Stereo,
    testing::{TestModel, runtime},
};
use tempfile::TempDir;
use unbraid_plugin::{
    mix_controls::{Control, ControlSet, MixControls},
    processor::{Controls, Processor},
};

const MAX_BLOCK_LEN: usize = 512;
const UNITY: [f32; 4] = [1.0; 4];

struct Fixture {
    _dir: TempDir,
    model: Model,
}

impl Fixture {
    /// A model whose vocals are the mix.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let model = TestModel::identity().write(dir.path()).unwrap();
        Fixture { _dir: dir, model }
    }

    fn start(&self, sample_rate_hz: f64) -> (Engine, Processor) {
        let config = EngineConfig { sample_rate_hz, max_block_len: MAX_BLOCK_LEN };
        let (engine, audio_side) = Engine::start(runtime(), &self.model, &config).unwrap();
        (engine, Processor::new(audio_side, sample_rate_hz, MAX_BLOCK_LEN, MixControls::default()))
    }
}

fn noise(len: usize) -> Stereo {
    let mut state = 7_u32;
    let mut sample = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    [(0..len).map(|_| sample()).collect(), (0..len).map(|_| sample()).collect()]
}

/// Runs `input` through in blocks of these lengths, `gains(start of the block)`; the mix and the stems.
fn run(
    processor: &mut Processor,
    input: &Stereo,
    block_lens: &[usize],
    gains: impl Fn(usize) -> [f32; 4],
) -> (Stereo, [Stereo; 4]) {
    run_with(processor, input, block_lens, |start| Controls {
        mix: MixControls::with_gains(gains(start)),
        at_once: ControlSet::NONE,
        is_offline: true,
    })
}

/// As `run`, with all controls.
fn run_with(
    processor: &mut Processor,
    input: &Stereo,
    block_lens: &[usize],
    controls: impl Fn(usize) -> Controls,
) -> (Stereo, [Stereo; 4]) {
    let len = input[0].len();
    let mut main = input.clone();
    let mut stems: [Stereo; 4] = std::array::from_fn(|_| [vec![f32::NAN; len], vec![f32::NAN; len]]);
    let (mut start, mut block_lens) = (0, block_lens.iter().cycle());
    while start < len {
        let range = start..len.min(start + block_lens.next().unwrap());
        let mut main = main.each_mut().map(|channel| &mut channel[range.clone()]);
        let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[range.clone()]));
        processor.process(&mut main, 2, stems.each_mut().map(|stem| &mut stem[..]), controls(start));
        start = range.end;
    }
    (main, stems)
}

fn assert_is_delayed(output: &Stereo, input: &Stereo, latency: usize) {
    for (output, input) in output.iter().zip(input) {
        let expected = std::iter::repeat_n(&0.0, latency).chain(input);
        for (idx, (output, expected)) in output.iter().zip(expected).enumerate() {
            assert_eq!(output.to_bits(), expected.to_bits(), "sample {idx}: {output} {expected}");
        }
    }
}

#[test]
fn with_every_gain_at_unity_the_delayed_input_comes_out_bit_for_bit() {
    let fixture = Fixture::new();
    for rate in [44_100.0, 48e3, 96e3] {
        let (_engine, mut processor) = fixture.start(rate);
        let latency = processor.latency_samples();
        let mut input = noise(latency + 20_000);
        input[0][100] = f32::NAN;
        input[1][101] = -0.0;
        input[1][102] = f32::NEG_INFINITY;
        let (output, stems) = run(&mut processor, &input, &[441, 0, 32, 512, 2000, 1], |_| UNITY);
        assert_is_delayed(&output, &input, latency);
        assert!(stems.iter().flatten().flatten().all(|sample| sample.is_finite()));
    }
}

#[test]
fn stems_lie_on_the_mix_and_muting_them_takes_them_out() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let latency = processor.latency_samples();
    let input = noise(latency + 20_000);
    let (output, [vocals, drums, ..]) = run(&mut processor, &input, &[512], |_| UNITY);
    for (vocals, output) in vocals[0].iter().zip(&output[0]) {
        assert!((vocals - output).abs() < 1e-5);
    }
    assert!(drums[0].iter().all(|sample| sample.abs() < 1e-5));

    processor.reset(MixControls::with_gains(MUTED));
    let (output, [vocals, ..]) = run(&mut processor, &input, &[512], |_| MUTED);
    assert!(output.iter().flatten().all(|sample| sample.abs() < 1e-5));
    assert!(vocals.iter().flatten().all(|&sample| sample == 0.0));
}

/// Hosts send what a render begins with as changes at its first sample.
#[test]
fn what_is_muted_with_the_first_sample_is_never_heard() {
    let fixture = Fixture::new();
    for at_once in [ControlSet::NONE, ControlSet::ALL] {
        let (_engine, mut processor) = fixture.start(44_100.0);
        let input = noise(processor.latency_samples() + 20_000);
        let controls = Controls { mix: MixControls::with_gains(MUTED), at_once, is_offline: true };
        let (output, [vocals, ..]) = run_with(&mut processor, &input, &[0, 1, 512], |_| controls);
        let loudest = output.iter().flatten().fold(0.0, |loudest: f32, sample| loudest.max(sample.abs()));
        assert!(loudest < 1e-5, "{loudest}");
        assert!(vocals.iter().flatten().all(|&sample| sample == 0.0));
    }
}

/// 20 ms at 44.1 kHz.
const RAMP_LEN: usize = 882;
const MUTED: [f32; 4] = [0.0, 1.0, 1.0, 1.0];

/// Half full scale throughout, and what comes out of it at unity.
fn steady(processor: &mut Processor) -> (Stereo, Stereo) {
    let len = processor.latency_samples() + 10_000;
    let input = [vec![0.5; len], vec![0.5; len]];
    let output = run(processor, &input, &[100], |_| UNITY).0;
    processor.reset(MixControls::default());
    (input, output)
}

/// The first sample that differs.
fn first_difference(output: &Stereo, expected: &Stereo) -> Option<usize> {
    output[0].iter().zip(&expected[0]).position(|(a, b)| a != b)
}

#[test]
fn a_gain_acts_on_the_sample_that_it_came_with() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let latency = processor.latency_samples();
    let (input, unchanged) = steady(&mut processor);
    for (block_lens, came_with) in [(&[100][..], 4_100), (&[512], 5_120), (&[1], 7_777), (&[3, 97], 4_000)] {
        let gains = |start| if start < came_with { UNITY } else { MUTED };
        let output = run(&mut processor, &input, block_lens, gains).0;
        let at = came_with + latency;
        assert_eq!(first_difference(&output, &unchanged), Some(at), "{block_lens:?}");
        assert!(output[0][at + RAMP_LEN - 1].abs() < 1e-5 && output[0][at + RAMP_LEN - 2] > 1e-4);
        processor.reset(MixControls::default());
    }
}

#[test]
fn a_gain_acts_at_once_where_it_is_asked_to_and_overrides_what_is_on_its_way() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let latency = processor.latency_samples();
    let (input, unchanged) = steady(&mut processor);
    // The host mutes with the sample 4,000, and the user pulls the fader back up before that is heard.
    let (mute_at, back_at) = (4_000, 4_000 + latency / 2 / 100 * 100);
    let controls = |start| Controls {
        mix: MixControls::with_gains(if (mute_at..back_at).contains(&start) { MUTED } else { UNITY }),
        at_once: if start == back_at { ControlSet::NONE.with(Control::Gain(0)) } else { ControlSet::NONE },
        is_offline: true,
    };
    let output = run_with(&mut processor, &input, &[100], controls).0;
    assert_eq!(first_difference(&output, &unchanged), None);

    processor.reset(MixControls::default());
    let mute_at = latency + 4_000;
    let controls = |start| Controls {
        mix: MixControls::with_gains(if start < mute_at { UNITY } else { MUTED }),
        at_once: ControlSet::NONE.with(Control::Gain(0)),
        is_offline: true,
    };
    let output = run_with(&mut processor, &input, &[100], controls).0;
    assert_eq!(first_difference(&output, &unchanged), Some(mute_at.next_multiple_of(100)));
}

#[test]
fn a_mono_track_gets_what_a_stereo_track_of_two_equal_channels_gets() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let [left, _] = noise(processor.latency_samples() + 10_000);
    let expected = run(&mut processor, &[left.clone(), left.clone()], &[512], |_| [0.5, 1.0, 1.0, 1.0]);
    let mix = MixControls::with_gains([0.5, 1.0, 1.0, 1.0]);
    let controls = Controls { mix, at_once: ControlSet::NONE, is_offline: true };
    for num_outputs in [1, 2] {
        processor.reset(MixControls::default());
        let mut main = [left.clone(), vec![f32::NAN; left.len()]];
        let mut vocals = vec![vec![0.0; left.len()]; num_outputs];
        for start in (0..left.len()).step_by(512) {
            let range = start..left.len().min(start + 512);
            let mut main: Vec<_> = main[..num_outputs].iter_mut().map(|channel| &mut channel[range.clone()]).collect();
            let mut vocals: Vec<_> = vocals.iter_mut().map(|channel| &mut channel[range.clone()]).collect();
            processor.process(&mut main, 1, [&mut vocals, &mut [], &mut [], &mut []], controls);
        }
        for channel_idx in 0..num_outputs {
            assert_eq!(main[channel_idx], expected.0[channel_idx], "{num_outputs} outputs, channel {channel_idx}");
            assert_eq!(vocals[channel_idx], expected.1[0][channel_idx], "{num_outputs} outputs, channel {channel_idx}");
        }
    }
}

#[test]
fn reset_is_new_and_cuts_do_not_matter() {
    let fixture = Fixture::new();
    let input = noise(30_000);
    // Changes at multiples of 512 only, which the other cuts have too.
    let gains = |start| if start / 512 * 512 < 1_024 { [0.5, 2.0, 0.0, 1.0] } else { [1.0, 0.3, 0.0, 4.0] };
    let (_engine, mut processor) = fixture.start(48e3);
    processor.reset(MixControls::with_gains(gains(0)));
    let expected = run(&mut processor, &input, &[512], gains);
    for block_lens in [&[32][..], &[1, 448, 63]] {
        processor.reset(MixControls::with_gains(gains(0)));
        assert!(run(&mut processor, &input, block_lens, gains) == expected, "{block_lens:?}");
    }
}

#[test]
fn it_sounds_as_long_as_something_may_come_out() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let silence = || [vec![0.0_f32; 100], vec![0.0; 100]];
    let sounds = |processor: &mut Processor, mut block: Stereo| {
        let controls = Controls { mix: MixControls::default(), at_once: ControlSet::NONE, is_offline: true };
        let mut block = block.each_mut().map(Vec::as_mut_slice);
        processor.process(&mut block, 2, Default::default(), controls)
    };
    assert!(!sounds(&mut processor, silence()), "nothing has come in yet");
    let mut click = silence();
    click[1][99] = 1e-9;
    assert!(sounds(&mut processor, click));
    let mut silent_len = 0;
    loop {
        silent_len += 100;
        if !sounds(&mut processor, silence()) {
            break;
        }
    }
    assert_eq!(silent_len, processor.tail_len().next_multiple_of(100));
    assert!(silent_len > processor.latency_samples());
}
