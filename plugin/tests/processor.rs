//! The processor with a real engine under it, offline: what a host gets, sample by sample.

use models::Model;
use separator::{
    Engine, EngineConfig,
    testing::{TestModel, runtime},
};
use tempfile::TempDir;
use unbraid_plugin::processor::Processor;

type Stereo = [Vec<f32>; 2];

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
        (engine, Processor::new(audio_side, sample_rate_hz, MAX_BLOCK_LEN, UNITY, true))
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
    let len = input[0].len();
    let mut main = input.clone();
    let mut stems: [Stereo; 4] = std::array::from_fn(|_| [vec![f32::NAN; len], vec![f32::NAN; len]]);
    let (mut start, mut block_lens) = (0, block_lens.iter().cycle());
    while start < len {
        let range = start..len.min(start + block_lens.next().unwrap());
        let main = main.each_mut().map(|channel| &mut channel[range.clone()]);
        let stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[range.clone()]));
        processor.process(main, Some(stems), gains(start));
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

    processor.reset([0.0, 1.0, 1.0, 1.0]);
    let (output, [vocals, ..]) = run(&mut processor, &input, &[512], |_| [0.0, 1.0, 1.0, 1.0]);
    assert!(output.iter().flatten().all(|sample| sample.abs() < 1e-5));
    assert!(vocals.iter().flatten().all(|&sample| sample == 0.0));
}

#[test]
fn a_gain_moves_from_the_sample_it_was_set_at() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let latency = processor.latency_samples();
    let input = [vec![0.5; latency + 10_000], vec![0.5; latency + 10_000]];
    let unchanged = run(&mut processor, &input, &[100], |_| UNITY).0;
    processor.reset(UNITY);
    let at = (latency + 4100) / 100 * 100;
    let gains = |start| if start < at { UNITY } else { [0.0, 1.0, 1.0, 1.0] };
    let output = run(&mut processor, &input, &[100], gains).0;
    assert_eq!(output[0].iter().zip(&unchanged[0]).position(|(a, b)| a != b), Some(at));
    let ramp_len = 882;
    assert!(output[0][at + ramp_len - 1].abs() < 1e-5 && output[0][at + ramp_len - 2] > 1e-4);
}

#[test]
fn reset_is_new_and_cuts_do_not_matter() {
    let fixture = Fixture::new();
    let input = noise(30_000);
    let gains = |_| [0.5, 2.0, 0.0, 1.0];
    let (_engine, mut processor) = fixture.start(48e3);
    processor.reset(gains(0));
    let expected = run(&mut processor, &input, &[512], gains);
    for block_lens in [&[32][..], &[1, 700, 63]] {
        processor.reset(gains(0));
        assert!(run(&mut processor, &input, block_lens, gains) == expected, "{block_lens:?}");
    }
}

#[test]
fn it_sounds_as_long_as_something_may_come_out() {
    let fixture = Fixture::new();
    let (_engine, mut processor) = fixture.start(44_100.0);
    let silence = || [vec![0.0_f32; 100], vec![0.0; 100]];
    let sounds = |processor: &mut Processor, mut block: Stereo| {
        processor.process(block.each_mut().map(Vec::as_mut_slice), None, UNITY)
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
