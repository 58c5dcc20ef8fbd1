//! Every control, alone and together with the others, with a real engine under the mixer.

use models::Model;
use separator::{
    AudioSide, Engine, EngineConfig, EngineState, Stereo,
    testing::{TestModel, runtime},
};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use unbraid_plugin::{
    mix_controls::{Control, ControlSet, MixControls, StemControls},
    processor::{Controls, Processor},
};

const MAX_BLOCK_LEN: usize = 512;
const RATE_HZ: f64 = 44_100.0;
/// 20 ms.
const RAMP_LEN: usize = 882;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn unit(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 20) as f32
    }

    /// Any setting of all controls.
    fn controls(&mut self) -> MixControls {
        let stems = std::array::from_fn(|_| StemControls {
            gain: [0.0, 1.0, 2.0 * self.unit()][self.below(3)],
            pan: [0.0, -1.0, 1.0, 2.0 * self.unit() - 1.0][self.below(4)],
            sensitivity: [0.0, 0.0, 2.0 * self.unit() - 1.0][self.below(3)],
            is_muted: self.below(4) == 0,
            is_soloed: self.below(6) == 0,
        });
        MixControls {
            stems,
            wet: [0.0, 1.0, 1.0, self.unit()][self.below(4)],
            output_gain: [1.0, 1.0, 2.0 * self.unit()][self.below(3)],
            is_bypassed: self.below(8) == 0,
        }
    }
}

fn model_with_masks(masks: [f32; 4]) -> (TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let model = TestModel::with_masks(masks).write(dir.path()).unwrap();
    (dir, model)
}

fn start(model: &Model, rate_hz: f64) -> (Engine, Processor) {
    let config = EngineConfig { sample_rate_hz: rate_hz, max_block_len: MAX_BLOCK_LEN };
    let (engine, audio_side) = Engine::start(runtime(), model, &config).unwrap();
    (engine, Processor::new(audio_side, rate_hz, MAX_BLOCK_LEN, MixControls::default()))
}

fn noise(len: usize, seed: u64) -> Stereo {
    let mut random = Random(seed);
    [(); 2].map(|()| (0..len).map(|_| random.unit() - 0.5).collect())
}

/// Runs `input` through in blocks of these lengths, cut anew where `controls` change: `(sample, controls, those at once)`,
/// in order. The mix and the stems, all with `num_channels`.
fn run(
    processor: &mut Processor,
    input: &Stereo,
    block_lens: impl IntoIterator<Item = usize>,
    changes: &[(usize, MixControls, ControlSet)],
    is_offline: bool,
    num_channels: usize,
) -> (Vec<Vec<f32>>, [Vec<Vec<f32>>; 4]) {
    let len = input[0].len();
    let mut main = input[..num_channels].to_vec();
    let mut stems = [(); 4].map(|()| vec![vec![f32::NAN; len]; num_channels]);
    let mut controls = Controls { mix: MixControls::default(), at_once: ControlSet::NONE, is_offline };
    let (mut position, mut changes, mut block_lens) = (0, changes.iter().peekable(), block_lens.into_iter());
    while position < len {
        controls.at_once = ControlSet::NONE;
        while let Some((_, mix, at_once)) = changes.next_if(|(at, ..)| *at <= position) {
            (controls.mix, controls.at_once) = (*mix, *at_once);
        }
        let next_change = changes.peek().map_or(len, |(at, ..)| *at);
        let end = len.min(next_change).min(position + block_lens.next().unwrap());
        let range = position..end;
        let mut main: Vec<_> = main.iter_mut().map(|channel| &mut channel[range.clone()]).collect();
        let mut stems =
            stems.each_mut().map(|stem| stem.iter_mut().map(|channel| &mut channel[range.clone()]).collect::<Vec<_>>());
        processor.process(&mut main, num_channels, stems.each_mut().map(|stem| &mut stem[..]), controls);
        position = end;
    }
    (main, stems)
}

/// Changes of all controls every now and then.
fn random_changes(random: &mut Random, len: usize) -> Vec<(usize, MixControls, ControlSet)> {
    let mut changes = Vec::new();
    let mut position = 0;
    while position < len {
        let at_once = if random.below(4) == 0 { random.below(1 << 23) as u32 } else { 0 };
        changes.push((position, random.controls(), ControlSet::from_bits(at_once)));
        position += 1 + random.below(2_000);
    }
    changes
}

fn assert_stems_sum_to_the_main(main: &[Vec<f32>], stems: &[Vec<Vec<f32>>; 4], state: &str) {
    for (channel, main) in main.iter().enumerate() {
        let (mut worst, mut peak) = (0.0_f64, 0.0_f64);
        for (idx, main) in main.iter().enumerate() {
            let parts = stems.each_ref().map(|stem| f64::from(stem[channel][idx]));
            worst = worst.max((f64::from(*main) - parts.iter().sum::<f64>()).abs());
            peak = peak.max(f64::from(main.abs()) + parts.iter().map(|part| part.abs()).sum::<f64>());
        }
        assert!(peak > 0.1, "{state}: there is something to hear");
        let error_db = 20.0 * (worst / peak).log10();
        assert!(error_db < -120.0, "{state}: {error_db:.1} dB");
    }
}

#[test]
fn stems_sum_to_the_main_at_every_rate_whatever_the_controls_are() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    for rate_hz in [44_100.0, 48_000.0, 96_000.0, 192_000.0] {
        let (_engine, mut processor) = start(&model, rate_hz);
        let mut random = Random(rate_hz as u64);
        for num_channels in [2, 1] {
            let len = processor.latency_samples() + 40_000;
            let changes = random_changes(&mut random, len);
            let lens = std::iter::repeat_with(|| 1 + random.below(MAX_BLOCK_LEN));
            let (main, stems) = run(&mut processor, &noise(len, 1), lens, &changes, true, num_channels);
            assert_stems_sum_to_the_main(&main, &stems, &format!("{rate_hz} Hz, {num_channels} channels"));
            processor.reset(MixControls::default());
        }
    }
}

/// Loading, running, changing the model, falling behind, and without its worker: one stream, in real time.
#[test]
fn stems_sum_to_the_main_in_every_state() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    let (_other_dir, other_model) = model_with_masks([0.1, 0.0, 0.9, 0.0]);
    for rate_hz in [44_100.0, 48_000.0] {
        let (engine, mut processor) = start(&model, rate_hz);
        let mut random = Random(3);
        let mut play = |state: &str| {
            let len = rate_hz as usize;
            let changes = random_changes(&mut random, len);
            let lens = std::iter::repeat_with(|| 1 + random.below(MAX_BLOCK_LEN));
            let (main, stems) = run(&mut processor, &noise(len, 2), lens, &changes, false, 2);
            assert_stems_sum_to_the_main(&main, &stems, &format!("{rate_hz} Hz, {state}"));
        };
        // However slow the machine is, each state is come to in the end.
        let wait_for = |what: &str, is_so: &mut dyn FnMut() -> bool| {
            let start = Instant::now();
            while !is_so() {
                assert!(start.elapsed() < Duration::from_secs(120), "{what}");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let mut is_running = || engine.status().state == EngineState::Running;
        play("loading, then running");
        wait_for("the model is open", &mut is_running);
        play("running");
        engine.choose(runtime(), &other_model).unwrap();
        play("another model");
        wait_for("the other model is open", &mut is_running);
        play("the other model");
        let late_hops = engine.status().late_hops;
        engine.delay_jobs(Duration::from_millis(300));
        wait_for("jobs that take 300 ms are late", &mut || {
            play("late");
            engine.status().late_hops > late_hops
        });
        engine.delay_jobs(Duration::ZERO);
        play("recovering");
        engine.kill_worker();
        play("without a worker");
    }
}

#[test]
fn each_control_acts_on_the_sample_that_it_came_with() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    let (_engine, mut processor) = start(&model, RATE_HZ);
    let latency = processor.latency_samples();
    // Different left and right, and nothing that a control could leave as it is.
    let len = latency + 12_000;
    let input = [vec![0.5; len], vec![0.25; len]];
    let unchanged = run(&mut processor, &input, std::iter::repeat(100), &[], true, 2).0;
    let stem = StemControls { gain: 0.5, pan: 0.5, sensitivity: 0.5, is_muted: true, is_soloed: true };
    let others = MixControls { stems: [stem; 4], wet: 0.5, output_gain: 0.5, is_bypassed: true };
    // Bypass and wet are heard against something that is set.
    let muted = MixControls::with_gains([0.0, 1.0, 1.0, 1.0]);
    processor.reset(muted);
    let muted_changes = [(0, muted, ControlSet::NONE)];
    let without_vocals = run(&mut processor, &input, std::iter::repeat(100), &muted_changes, true, 2).0;
    // Sensitivities act slice by slice: `separator/tests/sensitivity.rs`.
    for control in Control::all().filter(|control| !matches!(control, Control::Sensitivity(_))) {
        let (before, expected) = match control {
            Control::DryWet | Control::Bypass => (muted, &without_vocals),
            _ => (MixControls::default(), &unchanged),
        };
        for came_with in [4_000, 5_037] {
            let mut after = before;
            after.take(&others, ControlSet::NONE.with(control));
            processor.reset(before);
            let changes = [(0, before, ControlSet::NONE), (came_with, after, ControlSet::NONE)];
            let output = run(&mut processor, &input, std::iter::repeat(333), &changes, true, 2).0;
            let differs = |idx: &usize| (0..2).any(|channel| output[channel][*idx] != expected[channel][*idx]);
            assert_eq!((0..len).find(differs), Some(came_with + latency), "{control:?}");

            let changes = [(0, before, ControlSet::NONE), (came_with + latency, after, ControlSet::NONE.with(control))];
            processor.reset(before);
            let at_once = run(&mut processor, &input, std::iter::repeat(333), &changes, true, 2).0;
            assert!(at_once == output, "{control:?} at once, when the sample comes out");
        }
    }
}

#[test]
fn what_is_heard_is_what_the_controls_say() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    let (_engine, mut processor) = start(&model, RATE_HZ);
    let input = noise(processor.latency_samples() + 6_000, 4);
    let settled = processor.latency_samples() + RAMP_LEN;
    let mut random = Random(5);
    for _ in 0..200 {
        let controls = random.controls();
        // What the gains act on: stems with these sensitivities.
        let stems = controls.stems.map(|stem| StemControls { sensitivity: stem.sensitivity, ..Default::default() });
        let untouched = MixControls { stems, ..Default::default() };
        processor.reset(untouched);
        let changes = [(0, untouched, ControlSet::NONE)];
        let (_, raw) = run(&mut processor, &input, std::iter::repeat(512), &changes, true, 2);
        processor.reset(controls);
        let changes = [(0, controls, ControlSet::NONE)];
        let (main, stems) = run(&mut processor, &input, std::iter::repeat(512), &changes, true, 2);
        let gains = controls.gains(false);
        for idx in (settled..input[0].len()).step_by(7) {
            let mut sum = [0.0; 2];
            for (stem_idx, gain) in gains.stems.iter().enumerate() {
                let [left, right] = [raw[stem_idx][0][idx], raw[stem_idx][1][idx]];
                for (channel, sum) in sum.iter_mut().enumerate() {
                    let expected = gains.output * (gain.0[channel][0] * left + gain.0[channel][1] * right);
                    assert!((stems[stem_idx][channel][idx] - expected).abs() < 1e-6, "{controls:?}");
                    *sum += expected;
                }
            }
            assert!((main[0][idx] - sum[0]).abs() < 4e-6 && (main[1][idx] - sum[1]).abs() < 4e-6, "{controls:?}");
        }
    }
}

#[test]
fn cuts_do_not_matter_whatever_is_changed() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    let (_engine, mut processor) = start(&model, 48_000.0);
    let len = processor.latency_samples() + 20_000;
    let input = noise(len, 6);
    let mut random = Random(7);
    for _ in 0..5 {
        let changes = random_changes(&mut random, len);
        let mut bits = |lens: &[usize]| {
            processor.reset(MixControls::default());
            let (main, stems) = run(&mut processor, &input, lens.iter().copied().cycle(), &changes, true, 2);
            let channels = main.into_iter().chain(stems.into_iter().flatten());
            channels.flatten().map(f32::to_bits).collect::<Vec<_>>()
        };
        let expected = bits(&[512]);
        for lens in [&[1][..], &[64], &[2_000, 7], &[511, 3]] {
            assert!(bits(lens) == expected, "{lens:?}");
        }
    }
}

#[test]
fn whatever_was_changed_untouched_controls_give_the_delayed_input_bit_for_bit() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    let (_engine, mut processor) = start(&model, RATE_HZ);
    let latency = processor.latency_samples();
    let input = noise(latency + 20_000, 8);
    let mut changes = random_changes(&mut Random(9), 10_000);
    changes.push((12_000, MixControls::default(), ControlSet::NONE));
    let (main, _) = run(&mut processor, &input, std::iter::repeat(512), &changes, true, 2);
    for channel in 0..2 {
        for idx in 12_000 + latency + RAMP_LEN..input[0].len() {
            assert_eq!(main[channel][idx].to_bits(), input[channel][idx - latency].to_bits(), "sample {idx}");
        }
    }
}

#[test]
fn no_control_makes_a_jump() {
    let (_dir, model) = model_with_masks([0.4, 0.3, 0.2, 0.1]);
    let (_engine, mut processor) = start(&model, RATE_HZ);
    let latency = processor.latency_samples();
    let input = [vec![0.5; latency + 60_000], vec![0.5; latency + 60_000]];
    let changes = random_changes(&mut Random(10), input[0].len());
    let (main, stems) = run(&mut processor, &input, std::iter::repeat(512), &changes, true, 2);
    // Both a stem's gain, panned at most sqrt(2) * 2, and the output's, at most 2, may move in the same 882 samples.
    let max_step = 0.5 * 2.0 * (2.0_f32.sqrt() * 2.0 * 2.0) / RAMP_LEN as f32;
    for channel in main.iter().chain(stems.iter().flatten()) {
        for (idx, pair) in channel.windows(2).enumerate().skip(latency + 4_000) {
            assert!((pair[1] - pair[0]).abs() < max_step, "sample {idx}: {pair:?}");
        }
    }
}

/// What a late hop sounds like: each stem is a quarter of the mix, and solos and mutes stay what they are.
#[test]
fn where_stems_are_missing_solos_and_mutes_act_on_quarters_of_the_mix() {
    let latency = 1_000;
    let input = noise(5_000, 11);
    for switches in 0..256_u32 {
        let stems: [StemControls; 4] = std::array::from_fn(|stem_idx| StemControls {
            is_muted: switches >> stem_idx & 1 == 1,
            is_soloed: switches >> (4 + stem_idx) & 1 == 1,
            ..Default::default()
        });
        let mut processor = Processor::new(
            AudioSide::passthrough(latency, MAX_BLOCK_LEN),
            RATE_HZ,
            MAX_BLOCK_LEN,
            MixControls { stems, ..Default::default() },
        );
        let changes = [(0, MixControls { stems, ..Default::default() }, ControlSet::NONE)];
        let (main, _) = run(&mut processor, &input, std::iter::repeat(512), &changes, false, 2);
        let has_solo = stems.iter().any(|stem| stem.is_soloed);
        let num_heard = stems.iter().filter(|stem| if has_solo { stem.is_soloed } else { !stem.is_muted }).count();
        for idx in latency..input[0].len() {
            let expected = 0.25 * num_heard as f32 * input[0][idx - latency];
            assert!((main[0][idx] - expected).abs() < 1e-6, "{num_heard} stems are heard");
        }
    }
}
