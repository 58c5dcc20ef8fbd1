//! A model of its own for offline renders.

mod common;
use common::*;
use separator::{AudioSide, Engine, EngineState, LatencyPlan, SeparatorError, testing};
use slicqt::Design;
use std::time::{Duration, Instant};
use testing::TestModel;

const RATE: f64 = 44_100.0;
const BLOCK_LEN: usize = 256;

fn model_with(design: Design, masks: [f32; 4]) -> TestModel {
    TestModel { design, ..TestModel::with_masks(masks) }
}

/// A quick model whose vocals are the mix, and a slow one whose drums are.
fn two_models() -> (TestModel, TestModel) {
    let quick = model_with(Design::stft(1024, 256, RATE), [1.0, 0.0, 0.0, 0.0]);
    (quick, model_with(Design::stft(4096, 1024, RATE), [0.0, 1.0, 0.0, 0.0]))
}

/// Blocks of `input` that follow what came out already, until so many samples have.
fn play(audio: &mut AudioSide, input: &Stereo, output: &mut Output, end: usize, is_offline: bool) {
    while output.delayed[0].len() < end {
        let position = output.delayed[0].len();
        let block = position..end.min(position + BLOCK_LEN);
        output.process(audio, input.each_ref().map(|channel| &channel[block.clone()]), is_offline);
    }
}

fn wait_for_bouncing(engine: &Engine) -> EngineState {
    let start = Instant::now();
    loop {
        match engine.status().bouncing.expect("a model for bouncing") {
            EngineState::Loading => assert!(start.elapsed() < Duration::from_secs(30), "it does not load"),
            state => return state,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn assert_is_the_mix(output: &Output, stem_idx: usize, range: std::ops::Range<usize>) {
    let error = error_db(&output.delayed[0][range.clone()], &output.stems[stem_idx][0][range.clone()]);
    assert!(error < -80.0, "stem {stem_idx} in {range:?}: {error:.1} dB");
}

fn assert_sums_to_the_mix(output: &Output) {
    for channel in 0..2 {
        let sum: Vec<f32> =
            (0..output.delayed[0].len()).map(|n| output.stems.iter().map(|stem| stem[channel][n]).sum()).collect();
        let error = error_db(&output.delayed[channel], &sum);
        assert!(error < -110.0, "{error:.1} dB");
    }
}

/// From the first sample on, without waiting for it to load: what a render gives does not depend on the machine.
#[test]
fn a_render_is_what_the_other_model_gives_and_playing_is_not() {
    let (quick, slow) = two_models();
    let ((_dir, quick), (_dir2, slow)) = (write_model(&quick), write_model(&slow));
    let plan = LatencyPlan::new([&quick.manifest, &slow.manifest], RATE, BLOCK_LEN);
    let (engine, mut audio) = Engine::start_with_plan(testing::runtime(), &quick, plan.clone()).unwrap();
    engine.choose_for_bouncing(testing::runtime(), Some(&slow)).unwrap();
    let input = noise(60_000, 1);
    let rendered = render(&mut audio, &input, || BLOCK_LEN);
    let (_alone, mut alone) = Engine::start_with_plan(testing::runtime(), &slow, plan).unwrap();
    let expected = render(&mut alone, &input, || BLOCK_LEN);
    for (stem, expected) in rendered.stems.iter().zip(&expected.stems) {
        assert_eq!(bits(&stem[0]), bits(&expected[0]));
    }
    assert_eq!((rendered.num_missing, engine.status().bouncing), (0, Some(EngineState::Running)));
    // Then it plays, and is rendered once more.
    wait_until_running(&engine);
    for is_offline in [false, true] {
        audio.reset();
        let mut output = Output::new();
        let start = Instant::now();
        while output.delayed[0].len() < 60_000 {
            let end = output.delayed[0].len() + BLOCK_LEN;
            play(&mut audio, &input, &mut output, end.min(60_000), is_offline);
            // At the pace of a sound card, since nobody waits.
            let due = Duration::from_secs_f64(end as f64 / RATE);
            std::thread::sleep(due.saturating_sub(start.elapsed()) * u32::from(!is_offline));
        }
        if is_offline {
            assert_eq!(bits(&output.stems[1][0]), bits(&rendered.stems[1][0]));
        } else {
            // A busy machine may make hops late: then the stem is in part a quarter of the mix. Never is it the drums.
            let loudest = output.stems[1][0].iter().fold(0.0_f32, |max, x| max.max(x.abs()));
            assert!(loudest <= 0.25 * 0.5 + 1e-3, "drums of {loudest} while it plays");
        }
    }
}

/// Hosts that switch in the middle of the music, without a reset: the stems sum to the mix, and after a latency they are
/// those of the model of the mode.
#[test]
fn a_switch_without_a_reset_joins_in() {
    let (quick, slow) = two_models();
    let ((_dir, quick), (_dir2, slow)) = (write_model(&quick), write_model(&slow));
    let plan = LatencyPlan::new([&quick.manifest, &slow.manifest], RATE, BLOCK_LEN);
    let latency = plan.latency_samples();
    let (engine, mut audio) = Engine::start_with_plan(testing::runtime(), &slow, plan).unwrap();
    engine.choose_for_bouncing(testing::runtime(), Some(&quick)).unwrap();
    assert_eq!(wait_for_bouncing(&engine), EngineState::Running);
    let input = noise(200_000, 2);
    let mut output = Output::new();
    play(&mut audio, &input, &mut output, 40_000, true);
    assert_is_the_mix(&output, 0, latency..40_000);
    // As if it could not be used any more; then with another one.
    engine.choose_for_bouncing(testing::runtime(), None).unwrap();
    assert_eq!(engine.status().bouncing, None);
    play(&mut audio, &input, &mut output, 80_000, true);
    assert_is_the_mix(&output, 1, 40_000 + 2 * latency..80_000);
    engine.choose_for_bouncing(testing::runtime(), Some(&quick)).unwrap();
    play(&mut audio, &input, &mut output, 120_000, true);
    assert_is_the_mix(&output, 0, 80_000 + 2 * latency..120_000);
    // While it is rendered, the model that plays changes too.
    engine.choose(testing::runtime(), &quick).unwrap();
    wait_until_running(&engine);
    play(&mut audio, &input, &mut output, 160_000, true);
    assert_is_the_mix(&output, 0, 120_000..160_000);
    engine.choose_for_bouncing(testing::runtime(), None).unwrap();
    play(&mut audio, &input, &mut output, 200_000, true);
    assert_is_the_mix(&output, 0, 160_000 + 2 * latency..200_000);
    assert_sums_to_the_mix(&output);
    assert_eq!(bits(&output.delayed[0][latency..]), bits(&input[0][..200_000 - latency]));
    assert_eq!(engine.status().late_hops, 0, "a lane that joins in is not late");
}

#[test]
fn one_that_cannot_be_used_leaves_the_work_to_the_one_that_plays() {
    let (quick, slow) = two_models();
    let ((_dir, quick), (_dir2, slow)) = (write_model(&quick), write_model(&slow));
    let plan = LatencyPlan::new([&quick.manifest], RATE, BLOCK_LEN);
    let (engine, mut audio) = Engine::start_with_plan(testing::runtime(), &quick, plan).unwrap();
    let refused = engine.choose_for_bouncing(testing::runtime(), Some(&slow));
    assert!(matches!(refused, Err(SeparatorError::NoRoomInPlan { .. })), "{refused:?}");
    let (damaged_dir, damaged) =
        write_model(&TestModel { fade_in_hops: Some(9), ..model_with(Design::stft(1024, 256, RATE), [0.5; 4]) });
    std::fs::write(damaged_dir.path().join("model.onnx"), "not a graph").unwrap();
    engine.choose_for_bouncing(testing::runtime(), Some(&damaged)).unwrap();
    assert!(matches!(wait_for_bouncing(&engine), EngineState::Failed(_)));
    let input = noise(40_000, 3);
    let output = render(&mut audio, &input, || BLOCK_LEN);
    assert_eq!(output.num_missing, 0);
    assert_is_the_mix(&output, 0, 0..40_000);
}

/// Far more often than anybody would, with nothing playing: what does not fit is refused, and nothing breaks.
#[test]
fn too_many_choices_while_nothing_plays_are_refused() {
    let (quick, _) = two_models();
    let (_dir, quick) = write_model(&quick);
    let plan = LatencyPlan::new([&quick.manifest], RATE, BLOCK_LEN);
    let (engine, mut audio) = Engine::start_with_plan(testing::runtime(), &quick, plan).unwrap();
    let refused = (0..40).filter_map(|_| engine.choose_for_bouncing(testing::runtime(), Some(&quick)).err());
    let refused: Vec<SeparatorError> = refused.collect();
    assert!(!refused.is_empty() && refused.iter().all(|error| matches!(error, SeparatorError::Busy)), "{refused:?}");
    let input = noise(40_000, 4);
    let mut output = Output::new();
    play(&mut audio, &input, &mut output, 40_000, true);
    assert_is_the_mix(&output, 0, 20_000..40_000);
}
