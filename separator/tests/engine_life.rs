//! How engines start, change their model, and end.

mod common;
use common::*;
use separator::{AudioSide, Engine, EngineConfig, EngineState, LatencyPlan, SeparatorError, testing};
use slicqt::Design;
use std::time::Duration;
use testing::TestModel;

const RATE: f64 = 44_100.0;
const BLOCK_LEN: usize = 256;

/// Blocks from where the output ends, waited for.
fn play(audio: &mut AudioSide, input: &Stereo, output: &mut Output, len: usize) {
    let end = output.delayed[0].len() + len;
    while output.delayed[0].len() < end {
        let position = output.delayed[0].len();
        let block = position..end.min(position + BLOCK_LEN);
        output.process(audio, input.each_ref().map(|channel| &channel[block.clone()]), true);
    }
}

fn assert_sums_to_the_mix(output: &Output) {
    for channel in 0..2 {
        let sum: Vec<f32> =
            (0..output.delayed[0].len()).map(|n| output.stems.iter().map(|stem| stem[channel][n]).sum()).collect();
        let error = error_db(&output.delayed[channel], &sum);
        assert!(error < -120.0, "{error:.1} dB");
    }
}

#[test]
fn another_model_comes_in_behind_the_music() {
    let slow = TestModel { design: Design::stft(4096, 1024, RATE), ..TestModel::identity() };
    let quick = TestModel { design: Design::stft(1024, 256, RATE), ..TestModel::with_masks([0.0, 1.0, 0.0, 0.0]) };
    let ((_dir, slow), (_dir2, quick)) = (write_model(&slow), write_model(&quick));
    let plan = LatencyPlan::new([&slow.manifest, &quick.manifest], RATE, BLOCK_LEN);
    assert_eq!(plan.latency_samples(), separator::latency_samples(&slow.manifest, RATE, BLOCK_LEN));
    let (engine, mut audio) = Engine::start_with_plan(testing::runtime(), &slow, plan.clone()).unwrap();
    let input = noise(400_000, 1);
    let mut output = Output::new();
    play(&mut audio, &input, &mut output, 60_000);
    for (model, heard) in [(&quick, 1), (&slow, 0), (&quick, 1)] {
        engine.choose(testing::runtime(), model).unwrap();
        wait_until_running(&engine);
        play(&mut audio, &input, &mut output, 60_000);
        engine.status();
        let tail = output.delayed[0].len() - 20_000;
        let error = error_db(&output.delayed[0][tail..], &output.stems[heard][0][tail..]);
        assert!(error < -80.0, "stem {heard}: {error:.1} dB");
    }
    assert_eq!(output.num_missing, 0, "no sample was made of the mix");
    assert_sums_to_the_mix(&output);
    let latency = plan.latency_samples();
    assert_eq!(bits(&output.delayed[0][latency..]), bits(&input[0][..output.delayed[0].len() - latency]));
    assert_eq!(engine.status().late_hops, 0);
    // Where the stems change, nothing jumps: vocals and drums lie between nothing and the mix.
    for (vocals, (drums, mix)) in output.stems[0][0].iter().zip(output.stems[1][0].iter().zip(&output.delayed[0])) {
        let between = |x: f32| x * mix.signum() > -1e-3 && x.abs() < mix.abs() + 1e-3;
        assert!(between(*vocals) && between(*drums), "{vocals} {drums} {mix}");
    }
}

#[test]
fn a_model_that_needs_more_latency_is_refused_and_a_damaged_one_changes_nothing() {
    let quick = TestModel { design: Design::stft(1024, 256, RATE), ..TestModel::identity() };
    let slow = TestModel { design: Design::stft(4096, 1024, RATE), ..TestModel::identity() };
    let ((_dir, quick), (_dir2, slow)) = (write_model(&quick), write_model(&slow));
    let config = EngineConfig { sample_rate_hz: RATE, max_block_len: BLOCK_LEN };
    let (engine, mut audio) = Engine::start(testing::runtime(), &quick, &config).unwrap();
    let refused = engine.choose(testing::runtime(), &slow);
    assert!(matches!(refused, Err(SeparatorError::NoRoomInPlan { .. })), "{refused:?}");
    let (damaged_dir, damaged) = write_model(&TestModel {
        design: Design::stft(1024, 256, RATE),
        fade_in_hops: Some(9),
        ..TestModel::identity()
    });
    // A graph that is open in this process already would be shared, whatever became of its file.
    std::fs::write(damaged_dir.path().join("model.onnx"), "not a graph").unwrap();
    engine.choose(testing::runtime(), &damaged).unwrap();
    let input = noise(50_000, 2);
    let mut output = Output::new();
    play(&mut audio, &input, &mut output, 50_000);
    while engine.status().state == EngineState::Loading {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(engine.status().state, EngineState::Failed(_)));
    assert_eq!(output.num_missing, 0);
    assert!(error_db(&output.delayed[0], &output.stems[0][0]) < -80.0);
}

#[test]
fn a_reset_brings_the_chosen_model_in_at_once() {
    let ((_dir, first), (_dir2, second)) =
        (write_model(&TestModel::identity()), write_model(&TestModel::with_masks([0.0, 0.0, 1.0, 0.0])));
    let config = EngineConfig { sample_rate_hz: 48e3, max_block_len: BLOCK_LEN };
    let (engine, mut audio) = Engine::start(testing::runtime(), &first, &config).unwrap();
    let input = noise(30_000, 3);
    let mut output = Output::new();
    play(&mut audio, &input, &mut output, 10_000);
    engine.choose(testing::runtime(), &second).unwrap();
    wait_until_running(&engine);
    audio.reset();
    let mut output = Output::new();
    play(&mut audio, &input, &mut output, 30_000);
    let (_engine, mut new_audio) = Engine::start(testing::runtime(), &second, &config).unwrap();
    let mut new_output = Output::new();
    play(&mut new_audio, &input, &mut new_output, 30_000);
    for (stem, new_stem) in output.stems.iter().zip(&new_output.stems) {
        assert_eq!(bits(&stem[0]), bits(&new_stem[0]));
    }
}

/// Sixteen instances at once give what each gives alone: lanes share workers and graph, and nothing else.
#[test]
fn instances_do_not_hear_each_other() {
    let (_dir, model) =
        write_model(&TestModel { fade_in_hops: Some(6), ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) });
    let config = EngineConfig { sample_rate_hz: 48e3, max_block_len: BLOCK_LEN };
    let render_one = |seed| {
        let (_engine, mut audio) = Engine::start(testing::runtime(), &model, &config).unwrap();
        render(&mut audio, &noise(20_000, seed), || BLOCK_LEN)
    };
    let together: Vec<Output> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|seed| scope.spawn(move || render_one(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (seed, output) in together.iter().enumerate() {
        let alone = render_one(seed as u64);
        assert_eq!(output.num_missing, 0);
        for (a, b) in output.stems.iter().flatten().zip(alone.stems.iter().flatten()) {
            assert_eq!(bits(a), bits(b), "instance {seed}");
        }
    }
}

/// Streams rest while silence lasts, live and in files alike.
#[test]
fn silence_makes_no_difference_between_plugin_and_file() {
    let (_dir, model) =
        write_model(&TestModel { fade_in_hops: Some(6), ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) });
    for rate in [44_100.0, 48e3] {
        let mut input = noise(200_000, 4);
        for channel in &mut input {
            channel[30_000..90_000].fill(0.0);
            channel[100_000..160_000].fill(0.0);
        }
        let stems = separate(&model, rate, &input, || 777);
        let config = EngineConfig { sample_rate_hz: rate, max_block_len: BLOCK_LEN };
        let (_engine, mut audio) = Engine::start(testing::runtime(), &model, &config).unwrap();
        let latency = audio.latency_samples();
        let longer = input.clone().map(|channel| [channel, vec![0.0; latency]].concat());
        let output = render(&mut audio, &longer, || BLOCK_LEN);
        for (stem, file) in output.stems.iter().flatten().zip(stems.iter().flatten()) {
            assert!(stem[latency..] == file[..], "{rate} Hz");
        }
        // Far from its ends, since slices and resamplers reach beyond the sound, silence is silent.
        assert!(stems.iter().flatten().all(|stem| stem[80_000..87_000].iter().all(|&x| x == 0.0)));
    }
}

#[cfg(target_os = "linux")]
mod threads {
    use super::*;

    /// Voluntary context switches of our threads: how often they went to sleep.
    fn num_sleeps() -> u64 {
        let mut sum = 0;
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let dir = task.unwrap().path();
            let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap_or_default();
            if read("comm").starts_with("unbraid-") {
                let status = read("status");
                let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
                sum += line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
            }
        }
        sum
    }

    /// Whether this is a process of its own, since other tests' engines share the threads; else it is started.
    fn is_alone(test: &str) -> bool {
        if std::env::var_os("UNBRAID_TEST_ALONE").is_some() {
            return true;
        }
        let program = std::env::current_exe().unwrap();
        let status =
            std::process::Command::new(program).args(["--exact", test]).env("UNBRAID_TEST_ALONE", "1").status();
        assert!(status.unwrap().success());
        false
    }

    /// How often our threads wake up in a second.
    fn num_sleeps_per_second() -> f64 {
        std::thread::sleep(Duration::from_millis(100));
        let (before, start) = (num_sleeps(), std::time::Instant::now());
        std::thread::sleep(Duration::from_millis(1000));
        (num_sleeps() - before) as f64 / start.elapsed().as_secs_f64()
    }

    #[test]
    fn nothing_wakes_up_while_no_plugin_is_active() {
        if !is_alone("threads::nothing_wakes_up_while_no_plugin_is_active") {
            return;
        }
        let (_dir, model) = write_model(&TestModel::identity());
        let engines: Vec<_> = (0..16).map(|_| start(&model, RATE, BLOCK_LEN)).collect();
        engines.iter().for_each(|(engine, _)| wait_until_running(engine));
        assert!(num_sleeps_per_second() > 0.0, "the count counts: active plugins are looked after");
        engines.iter().for_each(|(engine, _)| engine.set_active(false));
        assert_eq!(num_sleeps_per_second(), 0.0);
    }

    /// The plugin stays active, and the host says that it stops.
    #[test]
    fn nothing_wakes_up_while_the_host_has_stopped() {
        if !is_alone("threads::nothing_wakes_up_while_the_host_has_stopped") {
            return;
        }
        // Half of a hop, or 512 samples: 11.6 ms to compute.
        let (_dir, model) = write_model(&TestModel { design: Design::stft(1024, 256, RATE), ..TestModel::identity() });
        let mut engines: Vec<_> = (0..16).map(|_| start(&model, RATE, BLOCK_LEN)).collect();
        engines.iter().for_each(|(engine, _)| wait_until_running(engine));
        let input = noise(40_000, 6);
        let play_all = |engines: &mut Vec<(Engine, AudioSide)>| {
            for (engine, audio) in engines {
                let mut output = Output::new();
                play(audio, &input, &mut output, 40_000);
                assert_eq!((output.num_missing, engine.status().late_hops), (0, 0));
            }
        };
        play_all(&mut engines);
        // It pauses without a word, and may go on at any time: half of the time to compute passes between two looks.
        std::thread::sleep(Duration::from_millis(1200));
        let paused = num_sleeps_per_second();
        println!("16 paused: {paused:.0} a second");
        assert!((1.0..400.0).contains(&paused), "{paused}");
        engines.iter_mut().for_each(|(_, audio)| audio.stop());
        assert_eq!(num_sleeps_per_second(), 0.0);
        // And starts again, as hosts do, or without a word.
        engines.iter_mut().step_by(2).for_each(|(_, audio)| audio.reset());
        play_all(&mut engines);
    }

    /// The first hop after any pause comes in time, without the audio thread waiting.
    #[test]
    fn after_a_pause_no_hop_is_late() {
        if !is_alone("threads::after_a_pause_no_hop_is_late") {
            return;
        }
        // A long announced block: 186 ms to compute, so that a busy machine does not look like a slow worker.
        let (_dir, model) = write_model(&TestModel::identity());
        let (engine, mut audio) = start(&model, RATE, 8192);
        wait_until_running(&engine);
        let input = noise(400_000, 7);
        for (round, is_stopped) in [false, true, false, true].into_iter().enumerate() {
            let mut output = Output::new();
            let start = std::time::Instant::now();
            // Ends within a hop, somewhere else every time.
            let num_blocks = 120 + 3 * round;
            for block in 0..num_blocks {
                let position = block * BLOCK_LEN;
                let due = Duration::from_secs_f64(position as f64 / RATE);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
                output.process(&mut audio, input.each_ref().map(|channel| &channel[position..][..BLOCK_LEN]), false);
            }
            assert_eq!((output.num_missing, engine.status().late_hops), (0, 0), "round {round}");
            if is_stopped {
                audio.stop();
            }
            std::thread::sleep(Duration::from_millis(1500 + 40 * round as u64));
            if is_stopped {
                audio.reset();
            }
        }
    }
}

/// ONNX Runtime that takes for ever to open: a pipe that nobody writes to.
#[cfg(unix)]
#[test]
fn dropping_an_engine_that_loads_returns_at_once() {
    use std::{os::unix::ffi::OsStrExt, path::PathBuf, time::Instant};
    if std::env::var_os("UNBRAID_TEST_ALONE").is_none() {
        // A process of its own: the first load of the process is the one that hangs.
        let program = std::env::current_exe().unwrap();
        let test = "dropping_an_engine_that_loads_returns_at_once";
        let status =
            std::process::Command::new(program).args(["--exact", test]).env("UNBRAID_TEST_ALONE", "1").status();
        assert!(status.unwrap().success());
        return;
    }
    let (dir, model) = write_model(&TestModel::identity());
    let pipe: PathBuf = dir.path().join("pipe.so");
    let name = std::ffi::CString::new(pipe.as_os_str().as_bytes()).unwrap();
    // SAFETY: the name is a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let config = EngineConfig { sample_rate_hz: RATE, max_block_len: BLOCK_LEN };
    let begin = Instant::now();
    let (engine, mut audio) = Engine::start(pipe, &model, &config).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "starting does not wait");
    let mut output = Output::new();
    output.process(&mut audio, [&[0.5; 100], &[0.5; 100]], false);
    assert_eq!(engine.status().state, EngineState::Loading);
    let begin = Instant::now();
    drop((audio, engine));
    let elapsed = begin.elapsed();
    println!("dropped in {elapsed:?}");
    // 50 ms and less on a machine at rest.
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    // The pipe ends, and with it the loader: otherwise this process could not.
    drop(std::fs::OpenOptions::new().write(true).open(dir.path().join("pipe.so")));
}
