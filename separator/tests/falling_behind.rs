//! A worker that is late, slow, dead, or was never there.

mod common;
use common::*;
use separator::{AudioSide, Engine, EngineState, latency_samples, testing::TestModel};
use std::time::{Duration, Instant};

const RATE: f64 = 44_100.0;
const BLOCK_LEN: usize = 256;

/// Streams in real time (one block, then sleep as long as it lasts) until `num_blocks` have passed.
fn stream(audio: &mut AudioSide, input: &Stereo, output: &mut Output, num_blocks: usize) {
    stream_blocks(audio, input, output, num_blocks, BLOCK_LEN);
}

fn stream_blocks(audio: &mut AudioSide, input: &Stereo, output: &mut Output, num_blocks: usize, block_len: usize) {
    let start = Instant::now();
    for block in 0..num_blocks {
        let position = output.delayed[0].len();
        let input = input.each_ref().map(|channel| &channel[position..position + block_len]);
        output.process(audio, input, false);
        let due = Duration::from_secs_f64((block + 1) as f64 * block_len as f64 / RATE);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
}

/// Every stem sample lies between the separated one (the mix in the vocals, silence elsewhere) and a quarter of the
/// mix: in the fade, on the line between them.
fn assert_aligned(output: &Output) -> (usize, usize) {
    let (mut num_separated, mut num_replaced) = (0, 0);
    let mut last_presence = 1.0;
    for n in 0..output.delayed[0].len() {
        let mix = output.delayed[0][n];
        if mix.abs() < 0.05 {
            continue;
        }
        let [vocals, drums, bass, other] = output.stems.each_ref().map(|stem| stem[0][n] / mix);
        assert!((drums - bass).abs() < 1e-2 && (drums - other).abs() < 1e-2, "sample {n}: {drums} {bass} {other}");
        assert!((vocals + drums + bass + other - 1.0).abs() < 1e-3, "sample {n} does not sum to the mix");
        let presence = 1.0 - 4.0 * drums;
        assert!((-0.01..1.01).contains(&presence), "sample {n}: not aligned, {presence}");
        assert!((presence - last_presence).abs() < 0.2, "sample {n}: a jump from {last_presence} to {presence}");
        last_presence = presence;
        num_separated += usize::from(presence > 0.99);
        num_replaced += usize::from(presence < 0.01);
    }
    (num_separated, num_replaced)
}

fn identity() -> (tempfile::TempDir, Engine, AudioSide) {
    let (dir, model) = write_model(&TestModel::identity());
    let (engine, audio) = start(&model, RATE, BLOCK_LEN);
    (dir, engine, audio)
}

#[test]
fn late_hops_are_replaced_by_the_mix_and_everything_stays_aligned() {
    let (_dir, model) = write_model(&TestModel::identity());
    // A long announced block gives the worker 186 ms, so that a busy machine does not look like a slow worker.
    let (engine, mut audio) = start(&model, RATE, 8192);
    wait_until_running(&engine);
    let input = noise(900 * BLOCK_LEN, 1);
    let mut output = Output::new();
    stream(&mut audio, &input, &mut output, 150);
    assert_eq!(output.num_missing, 0, "the worker keeps up at first");
    assert_eq!(engine.status().late_hops, 0);
    // Hops last 23 ms: no budget can hide 60 ms for ever.
    engine.delay_jobs(Duration::from_millis(60));
    stream(&mut audio, &input, &mut output, 250);
    let late_hops = engine.status().late_hops;
    assert!(late_hops > 5, "{late_hops}");
    engine.delay_jobs(Duration::ZERO);
    stream(&mut audio, &input, &mut output, 100);
    let (late_hops, num_missing) = (engine.status().late_hops, output.num_missing);
    stream(&mut audio, &input, &mut output, 150);
    assert_eq!(engine.status().late_hops, late_hops, "it catches up");
    assert_eq!(output.num_missing, num_missing);
    let (num_separated, num_replaced) = assert_aligned(&output);
    assert!(num_separated > 50_000 && num_replaced > 10_000, "{num_separated} {num_replaced}");
    assert_eq!(engine.status().state, EngineState::Running);
}

#[test]
fn the_longest_announced_blocks_leave_the_worker_one_block_s_time() {
    let (_dir, model) = write_model(&TestModel::identity());
    let block_len = 8192;
    let (engine, mut audio) = start(&model, RATE, block_len);
    wait_until_running(&engine);
    let input = noise(16 * block_len, 7);
    let mut output = Output::new();
    // Blocks, hops (1008 samples) and latency are not multiples of each other: every position is met.
    stream_blocks(&mut audio, &input, &mut output, 16, block_len);
    assert_eq!((output.num_missing, engine.status().late_hops), (0, 0));
}

#[test]
fn killed_worker_leaves_the_mix_and_a_message() {
    for wait in [false, true] {
        let (_dir, engine, mut audio) = identity();
        wait_until_running(&engine);
        let input = noise(500 * BLOCK_LEN, 2);
        let mut output = Output::new();
        stream(&mut audio, &input, &mut output, 100);
        engine.kill_worker();
        let start = Instant::now();
        let latency = audio.latency_samples();
        let mut status = Default::default();
        for _ in 0..300 {
            let position = output.delayed[0].len();
            let input = input.each_ref().map(|channel| &channel[position..position + BLOCK_LEN]);
            status = output.process(&mut audio, input, wait);
            if !wait {
                std::thread::sleep(Duration::from_secs_f64(BLOCK_LEN as f64 / RATE));
            }
        }
        assert!(start.elapsed() < Duration::from_secs(5), "an offline render does not wait for the dead");
        assert!(status.has_failed && !status.is_running && status.num_missing == BLOCK_LEN);
        let EngineState::Failed(message) = engine.status().state else { panic!("{:?}", engine.status()) };
        assert!(message.contains("killed by a test") && message.contains("activate"), "{message}");
        let (num_separated, num_replaced) = assert_aligned(&output);
        assert!(num_separated > 10_000 && num_replaced > 10_000, "{num_separated} {num_replaced}");
        assert_eq!(output.delayed[0][latency..], input[0][..output.delayed[0].len() - latency]);
    }
}

#[test]
fn without_a_worker_the_stems_are_quarters_of_the_delayed_mix() {
    let mut audio = AudioSide::passthrough(1000, BLOCK_LEN);
    let input = noise(5000, 3);
    let output = render(&mut audio, &input, || 300);
    assert_eq!(output.delayed[1][1000..], input[1][..4000]);
    assert!(output.stems.iter().all(|stem| stem[1].iter().zip(&output.delayed[1]).all(|(s, m)| *s == m / 4.0)));
    assert_eq!(output.num_missing, 5000);
}

#[test]
fn model_that_cannot_be_opened_is_reported_and_the_mix_passes() {
    // A graph that no other test of this process may have open: with the same hash that one would be shared.
    let (dir, model) = write_model(&TestModel { fade_in_hops: Some(7), ..TestModel::identity() });
    // Behind the hash check's back.
    std::fs::write(dir.path().join("model.onnx"), b"not a graph").unwrap();
    let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
    let output = render(&mut audio, &noise(10_000, 4), || 512);
    while engine.status().state == EngineState::Loading {
        std::thread::sleep(Duration::from_millis(1));
    }
    let EngineState::Failed(message) = engine.status().state else { panic!("{:?}", engine.status()) };
    assert!(message.contains("model.onnx") && message.contains("nstall"), "{message}");
    let latency = latency_samples(&model.manifest, RATE, BLOCK_LEN);
    assert_eq!(output.delayed[0][latency..], noise(10_000, 4)[0][..10_000 - latency]);
}

#[test]
fn realtime_never_waits_however_slow_the_worker_is() {
    let (_dir, engine, mut audio) = identity();
    wait_until_running(&engine);
    engine.delay_jobs(Duration::from_millis(300));
    let input = noise(200 * BLOCK_LEN, 5);
    let mut output = Output::new();
    let mut longest = Duration::ZERO;
    let start = Instant::now();
    for position in (0..input[0].len()).step_by(BLOCK_LEN) {
        let due = Duration::from_secs_f64(position as f64 / RATE);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let block = input.each_ref().map(|channel| &channel[position..position + BLOCK_LEN]);
        let start = Instant::now();
        output.process(&mut audio, block, false);
        longest = longest.max(start.elapsed());
    }
    assert!(output.num_missing > 0, "the worker is too slow");
    // The machine may take the thread away for a while, but not for one of the worker's jobs.
    assert!(longest < Duration::from_millis(150), "{longest:?}");
}

/// The designs of low latency: preroll, fade and budget follow from slice, hop and look-ahead.
fn short_designs() -> impl Iterator<Item = TestModel> {
    let designs = [(4096, 1024), (3072, 768), (1024, 256), (512, 128), (1024, 128)];
    designs.into_iter().flat_map(|(slice_len, hop_len)| {
        [0, 1].map(|look_ahead_slices| TestModel {
            design: slicqt::Design::stft(slice_len, hop_len, 44_100.0),
            look_ahead_slices,
            ..TestModel::identity()
        })
    })
}

/// After a gap the overlapping slices must be whole again before their stems are used: with a fixed preroll of two jobs,
/// plain STFTs gave silence, which did not sum to the mix, and counted nothing.
#[test]
fn after_a_gap_stems_of_every_overlap_are_right() {
    for test_model in short_designs() {
        let (_dir, model) = write_model(&test_model);
        let (engine, mut audio) = start(&model, RATE, 512);
        wait_until_running(&engine);
        let input = noise(100_000, 11);
        let mut output = Output::new();
        let mut process = |output: &mut Output, len: usize, is_offline: bool| {
            let position = output.delayed[0].len();
            for start in (position..position + len).step_by(500) {
                let block = input.each_ref().map(|channel| &channel[start..start + 500]);
                output.process(&mut audio, block, is_offline);
            }
        };
        process(&mut output, 10_000, true);
        assert_eq!(output.num_missing, 0, "{:?}", test_model.design);
        // Until the clock has caught up, the host would be waited for.
        std::thread::sleep(Duration::from_millis(300));
        // A worker that is stuck while the stream goes on: all jobs of that time come too late.
        engine.delay_jobs(Duration::from_millis(400));
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            process(&mut output, 500, false);
            std::thread::sleep(Duration::from_micros(11_338));
        }
        engine.delay_jobs(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(300));
        let late_hops = engine.status().late_hops;
        process(&mut output, 40_000, true);
        let (num_separated, num_replaced) = assert_aligned(&output);
        assert!(num_separated > 20_000 && num_replaced > 0, "{num_separated} {num_replaced}");
        assert!(late_hops > 0);
        // From the end of the gap to the first whole slices, and not a hop more.
        let hop_len = model.manifest.hop_len;
        let preroll = 2 * (model.manifest.transform.slice_len / hop_len - 1) + test_model.look_ahead_slices;
        let more = engine.status().late_hops - late_hops;
        let on_the_way = audio.latency_samples().div_ceil(hop_len) as u64;
        assert!(more <= preroll as u64 + on_the_way + 1, "{more} hops for a preroll of {preroll}");
    }
}

/// A render that says nothing of being one, faster than real time.
#[test]
fn a_fast_render_has_every_stem_although_nobody_announced_it() {
    let (_dir, model) = write_model(&TestModel::identity());
    let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
    let input = noise(400_000, 12);
    let mut output = Output::new();
    // Also while the model loads: the clock says how long that may take.
    wait_until_running(&engine);
    for position in (0..input[0].len() - BLOCK_LEN).step_by(BLOCK_LEN) {
        let block = input.each_ref().map(|channel| &channel[position..position + BLOCK_LEN]);
        output.process(&mut audio, block, false);
    }
    assert_eq!((output.num_missing, engine.status().late_hops), (0, 0));
}

/// Anticipative hosts pull 200 ms at once, then wait for the sound card.
#[test]
fn bursts_lose_nothing_whatever_their_phase() {
    for design in [slicqt::Design::mel_32(), slicqt::Design::stft(1024, 256, RATE)] {
        let (_dir, model) = write_model(&TestModel { design, ..TestModel::identity() });
        let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
        wait_until_running(&engine);
        let burst_len = (0.2 * RATE) as usize;
        for phase in 0..10 {
            audio.reset();
            let input = noise(7 * burst_len, 13 + phase);
            let mut output = Output::new();
            let start = Instant::now();
            let first_len = 100 + phase as usize * 97;
            let mut position = 0;
            while position < 6 * burst_len {
                let burst_end = position + if position == 0 { first_len + burst_len } else { burst_len };
                while position < burst_end {
                    let end = burst_end.min(position + BLOCK_LEN);
                    output.process(&mut audio, input.each_ref().map(|channel| &channel[position..end]), false);
                    position = end;
                }
                let due = Duration::from_secs_f64((position - first_len) as f64 / RATE);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            assert_eq!(output.num_missing, 0, "phase {phase}");
        }
    }
}

/// A job of several seconds is overdue, not dead: an offline render waits for it.
#[test]
fn a_stalled_worker_costs_an_offline_render_nothing_but_time() {
    let (_dir, engine, mut audio) = identity();
    wait_until_running(&engine);
    let input = noise(40_000, 14);
    let mut output = Output::new();
    output.process(&mut audio, input.each_ref().map(|channel| &channel[..5_000]), true);
    engine.delay_jobs(Duration::from_millis(4500));
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            // As a watch does, and then the stall ends.
            let mut was_overdue = false;
            for _ in 0..9 {
                std::thread::sleep(Duration::from_millis(500));
                let status = engine.status();
                was_overdue |= status.is_overdue;
                assert_eq!(status.state, EngineState::Running);
            }
            engine.delay_jobs(Duration::ZERO);
            was_overdue
        });
        for position in (5_000..40_000).step_by(500) {
            output.process(&mut audio, input.each_ref().map(|channel| &channel[position..position + 500]), true);
        }
        assert!(watch.join().unwrap(), "the status says that a job is overdue");
    });
    assert_eq!(output.num_missing, 0);
    assert!(!engine.status().is_overdue);
}

#[test]
fn resets_in_quick_succession_do_not_use_up_the_jobs() {
    let (_dir, engine, mut audio) = identity();
    wait_until_running(&engine);
    let input = noise(60_000, 6);
    for round in 0..50 {
        let len = 300 + 517 * round;
        let mut output = Output::new();
        output.process(&mut audio, input.each_ref().map(|channel| &channel[..len]), false);
        audio.reset();
    }
    let output = render(&mut audio, &input, || BLOCK_LEN);
    assert_eq!(output.num_missing, 0);
    assert!(error_db(&output.delayed[0], &output.stems[0][0]) < -100.0);
}
