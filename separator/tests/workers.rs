//! Worker threads that end although nobody told them to. Each test is a process of its own, since all instances of a
//! process share the workers.

mod common;
use common::*;
use separator::{EndWorker, Engine, EngineState, testing::TestModel};
use std::time::{Duration, Instant};

const RATE: f64 = 44_100.0;
const BLOCK_LEN: usize = 256;

/// Whether this is the process for `test`; else it is started and must succeed.
fn is_alone(test: &str) -> bool {
    if std::env::var_os("UNBRAID_TEST_ALONE").is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new(program).args(["--exact", test]).env("UNBRAID_TEST_ALONE", "1").status();
    assert!(status.unwrap().success());
    false
}

/// As the plugin's watch does: asks how the engine is doing, until `is_done`.
fn watch_until(engine: &Engine, mut is_done: impl FnMut(&separator::EngineStatus) -> bool) {
    let start = Instant::now();
    while !is_done(&engine.status()) {
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", engine.status());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whichever worker ends while it looks, all stems come as before, and as often as it happens.
#[test]
fn a_lookout_that_ends_is_replaced() {
    if !is_alone("a_lookout_that_ends_is_replaced") {
        return;
    }
    let (_dir, model) = write_model(&TestModel::identity());
    let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
    wait_until_running(&engine);
    let input = noise(20_000, 1);
    for round in 0..8 {
        let which = if round % 2 == 0 { EndWorker::LookoutPanics } else { EndWorker::LookoutVanishes };
        engine.end_worker(which);
        watch_until(&engine, |status| status.num_replaced_workers == round + 1);
        // Waited for: without a lookout the render would not end.
        audio.reset();
        let output = render(&mut audio, &input, || BLOCK_LEN);
        assert_eq!(output.num_missing, 0, "{which:?}");
        assert!(error_db(&output.delayed[0], &output.stems[0][0]) < -100.0);
    }
    assert_eq!(engine.status().state, EngineState::Running);
}

/// The other workers notice by themselves, without anybody asking, when they have computed a job.
#[test]
fn a_lookout_that_ends_is_noticed_by_a_worker_that_has_finished_its_job() {
    if !is_alone("a_lookout_that_ends_is_noticed_by_a_worker_that_has_finished_its_job") {
        return;
    }
    let num_cores = std::thread::available_parallelism().map_or(1, usize::from);
    if num_cores < 2 {
        eprintln!("skipped: one core, one worker");
        return;
    }
    let (_dir, model) = write_model(&TestModel::identity());
    let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
    wait_until_running(&engine);
    // There is something else to look after.
    let (other_engine, _other_audio) = start(&model, RATE, BLOCK_LEN);
    wait_until_running(&other_engine);
    // One worker computes for a second while the other is on the lookout, and ends.
    engine.delay_jobs(Duration::from_secs(1));
    let input = noise(20_000, 2);
    let mut output = Output::new();
    output.process(&mut audio, input.each_ref().map(|channel| &channel[..3000]), false);
    std::thread::sleep(Duration::from_millis(300));
    engine.end_worker(EndWorker::LookoutVanishes);
    engine.delay_jobs(Duration::ZERO);
    // Nobody asks for the status meanwhile.
    std::thread::sleep(Duration::from_millis(2000));
    for position in (3000..20_000).step_by(500) {
        output.process(&mut audio, input.each_ref().map(|channel| &channel[position..position + 500]), true);
    }
    assert_eq!(engine.status().num_replaced_workers, 1);
    assert_eq!(engine.status().state, EngineState::Running);
}

/// What a worker had at hand is lost with it: that lane fails, with a message, and an offline render does not wait. The
/// others go on.
#[test]
fn a_worker_that_vanishes_in_a_job_takes_that_lane_only() {
    if !is_alone("a_worker_that_vanishes_in_a_job_takes_that_lane_only") {
        return;
    }
    let (_dir, model) = write_model(&TestModel::identity());
    let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
    let (other_engine, mut other_audio) = start(&model, RATE, BLOCK_LEN);
    wait_until_running(&engine);
    wait_until_running(&other_engine);
    let input = noise(20_000, 3);
    engine.end_worker(EndWorker::ComputingVanishes);
    std::thread::scope(|scope| {
        let render = scope.spawn(|| {
            let begin = Instant::now();
            let output = render(&mut audio, &input, || BLOCK_LEN);
            (output.num_missing, begin.elapsed())
        });
        watch_until(&other_engine, |status| status.num_replaced_workers == 1);
        let (num_missing, elapsed) = render.join().unwrap();
        assert!(num_missing > 0 && elapsed < Duration::from_secs(30), "{num_missing} {elapsed:?}");
    });
    let EngineState::Failed(message) = engine.status().state else { panic!("{:?}", engine.status()) };
    assert!(message.contains("ended from outside") && message.contains("activate"), "{message}");
    let output = render(&mut other_audio, &input, || BLOCK_LEN);
    assert_eq!(output.num_missing, 0);
    assert_eq!(other_engine.status().state, EngineState::Running);
}

/// While the job of the only instance takes its time, no worker looks for others; one does as soon as there is another.
#[test]
fn an_instance_that_comes_while_the_only_other_computes_is_served() {
    if !is_alone("an_instance_that_comes_while_the_only_other_computes_is_served") {
        return;
    }
    let num_cores = std::thread::available_parallelism().map_or(1, usize::from);
    if num_cores < 2 {
        eprintln!("skipped: one core, one worker");
        return;
    }
    let (_dir, model) = write_model(&TestModel::identity());
    let (engine, mut audio) = start(&model, RATE, BLOCK_LEN);
    wait_until_running(&engine);
    let delay = Duration::from_secs(8);
    engine.delay_jobs(delay);
    let input = noise(20_000, 4);
    let begin = Instant::now();
    Output::new().process(&mut audio, input.each_ref().map(|channel| &channel[..3000]), false);
    std::thread::sleep(Duration::from_millis(300));
    let (other_engine, mut other_audio) = start(&model, RATE, BLOCK_LEN);
    wait_until_running(&other_engine);
    let output = render(&mut other_audio, &input, || BLOCK_LEN);
    assert_eq!(output.num_missing, 0);
    assert!(begin.elapsed() < delay, "the other instance waited for the job: {:?}", begin.elapsed());
}
