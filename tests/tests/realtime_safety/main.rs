//! No allocation, no lock and no system call in the plugin's `process()`.
//!
//! What is seen, and how: see `guard`. What cannot be seen from outside is a lock of Rust's standard library that nobody
//! else holds at the time, since taking it is one atomic instruction; therefore the main thread asks the plugin for all
//! it can while the audio thread plays, so that locks are contended and end in a system call.
//! (nice-plug itself takes a `try_lock` around the plugin, which never waits.)
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod guard;

use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;
use guard::{Guard, Seen};
use separator::testing::TestModel;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::host::{Library, Param, Plugin, Processor, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::{bundle_with_models, isolated, isolated_with_model, say};
use tests::places;
use tests::signal::{Random, noise};
use tests::vst3_host::{self, Mode, Outputs};

const MAX_BLOCK_LEN: usize = 2048;
const RATE: f64 = 44_100.0;

/// What the audio thread needs to automate.
struct Gains {
    params: Vec<ClapId>,
    /// Lowest and highest value.
    range: [f64; 2],
}

/// At the pace of a sound card, never faster: a stream that is ahead of the clock is waited for. A block that this machine
/// was late with is not caught up on.
fn pace(begun: Instant, block_len: usize, rate: f64) {
    let due = begun + Duration::from_secs_f64(block_len as f64 / rate);
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// Plays `duration` in blocks of random lengths with random automation and now and then a reset, each `process()` under
/// guard. Returns what was seen, and the number of blocks.
fn play(processor: &mut Processor, gains: &Gains, duration: Duration, seed: u64) -> (Seen, usize) {
    let mut random = Random::new(seed);
    let input = noise(MAX_BLOCK_LEN, seed);
    let mut guard = Guard::new();
    let mut events = EventBuffer::with_capacity(16);
    let mut num_blocks = 0;
    let mut num_samples = 0;
    while num_samples < (duration.as_secs_f64() * RATE) as usize {
        let block_len = match random.between(0, 3) {
            0 => random.between(1, MAX_BLOCK_LEN),
            1 => 32,
            2 => random.between(1, 64),
            _ => 512,
        };
        events.clear();
        if random.between(0, 3) == 0 {
            let param = gains.params[random.between(0, gains.params.len() - 1)];
            let value = gains.range[0] + f64::from(random.unit()) * (gains.range[1] - gains.range[0]);
            let time = random.between(0, block_len - 1) as u32;
            events.push(&ParamValueEvent::new(time, param, Pckn::match_all(), value));
        }
        if random.between(0, 99) == 0 {
            guard.watch(|| processor.reset());
        }
        let begun = Instant::now();
        processor.process_block_within([&input[0][..block_len], &input[1][..block_len]], &events, |process| {
            guard.watch(process);
        });
        num_blocks += 1;
        num_samples += block_len;
        pace(begun, block_len, RATE);
    }
    (guard.seen(), num_blocks)
}

/// Plays on an audio thread while this thread, as a host's main thread, asks the plugin for all it has.
fn play_while_asked(id: &str, duration: Duration) {
    let library = Library::load(&places::clap());
    let mut plugin = Plugin::new(&library, id);
    plugin.set_offline(false);
    let mut processor = plugin.activate(RATE, MAX_BLOCK_LEN);
    let params = plugin.params().to_vec();
    let gains = Gains {
        params: params.iter().map(|param| param.id).collect(),
        range: [params[0].range[0], params[0].range[2]],
    };
    let is_over = AtomicBool::new(false);
    let (processor, (seen, num_blocks)) = std::thread::scope(|scope| {
        let player = scope.spawn(|| {
            let result = play(&mut processor, &gains, duration, 1);
            is_over.store(true, Ordering::Release);
            (processor, result)
        });
        while !is_over.load(Ordering::Acquire) {
            plugin.idle();
            plugin.latency();
            plugin.save_state();
            for param in &params {
                plugin.value(&param.name);
            }
        }
        player.join().expect("the audio thread ends well")
    });
    plugin.deactivate(processor);
    println!("  {id}: {num_blocks} blocks, {seen:?}");
    assert!(num_blocks > 100);
    assert_eq!(seen, Seen::default());
}

#[test]
fn process_neither_allocates_nor_locks_nor_calls_the_system() {
    let model = TestModel::with_masks([0.4, 0.3, 0.2, 0.1]);
    isolated_with_model("process_neither_allocates_nor_locks_nor_calls_the_system", &model, || {
        play_while_asked(UNBRAID, Duration::from_secs(5));
        play_while_asked(UNBRAID_MULTI_OUT, Duration::from_secs(5));
    });
}

#[test]
fn nor_does_it_when_there_is_no_model() {
    let envs = [(tests::isolated::MODEL_VARIABLE, "/no/such/model".as_ref())];
    isolated("nor_does_it_when_there_is_no_model", &envs, || {
        play_while_asked(UNBRAID, Duration::from_secs(2));
        play_while_asked(UNBRAID_MULTI_OUT, Duration::from_secs(2));
    });
}

/// A bounce before leaves nothing that would make the audio thread wait, in the format whose wrapper once took the mode of
/// the setup before.
#[test]
fn nor_does_the_vst3_after_a_bounce() {
    let model = TestModel::with_masks([0.4, 0.3, 0.2, 0.1]);
    isolated_with_model("nor_does_the_vst3_after_a_bounce", &model, || {
        let library = vst3_host::Library::load(&places::vst3());
        for name in ["Unbraid", "Unbraid Multi-Out"] {
            let mut plugin = vst3_host::Plugin::new(&library, name);
            let gains: Vec<_> = plugin.params().iter().map(|param| param.id).collect();
            plugin.setup(Mode::Offline, RATE, MAX_BLOCK_LEN);
            plugin.activate();
            plugin.render(&noise(100_000, 1), std::iter::repeat(512), &[], Outputs::Connected);
            plugin.deactivate();
            plugin.setup(Mode::Realtime, RATE, MAX_BLOCK_LEN);
            plugin.activate();
            let (input, mut random) = (noise(MAX_BLOCK_LEN, 1), Random::new(1));
            let mut guard = Guard::new();
            let mut num_samples = 0;
            while num_samples < 3 * RATE as usize {
                let block_len = [32, 512, random.between(1, MAX_BLOCK_LEN)][random.between(0, 2)];
                let change = vst3_host::Automation {
                    sample_idx: random.between(0, block_len - 1),
                    param: gains[random.between(0, 3)],
                    value: f64::from(random.unit()),
                };
                let block = [&input[0][..block_len], &input[1][..block_len]];
                let begun = Instant::now();
                plugin.process_block_within(block, &[change], Outputs::Connected, |process| guard.watch(process));
                num_samples += block_len;
                pace(begun, block_len, RATE);
            }
            assert_eq!(guard.seen(), Seen::default(), "{name}");
        }
    });
}

/// A stream of blocks up to `max_block_len` with sound, silence and what is no number, automation and jumps; what the guard
/// has seen.
fn play_random(
    processor: &mut Processor,
    params: &[Param],
    rate: f64,
    max_block_len: usize,
    num_blocks: usize,
) -> Seen {
    let mut random = Random::new(num_blocks as u64 + 1);
    let sound = noise(max_block_len, 1);
    let silence = [vec![0.0; max_block_len], vec![0.0; max_block_len]];
    let mut broken = sound.clone();
    (broken[0][max_block_len / 2], broken[1][0]) = (f32::NAN, f32::INFINITY);
    let mut guard = Guard::new();
    let mut events = EventBuffer::with_capacity(16);
    let mut kind = 0;
    for _ in 0..num_blocks {
        let begun = Instant::now();
        let block_len = random.between(1, max_block_len);
        events.clear();
        if random.between(0, 3) == 0 {
            let param = &params[random.between(0, params.len() - 1)];
            let value = param.range[0] + f64::from(random.unit()) * (param.range[2] - param.range[0]);
            let time = random.between(0, block_len - 1) as u32;
            events.push(&ParamValueEvent::new(time, param.id, Pckn::match_all(), value));
        }
        match random.between(0, 199) {
            0..4 => kind = 0,
            4 => kind = 1,
            5 => kind = 2,
            6 => guard.watch(|| processor.reset()),
            _ => {}
        }
        let input = [&sound, &silence, &broken][kind];
        processor.process_block_within([&input[0][..block_len], &input[1][..block_len]], &events, |process| {
            guard.watch(process);
        });
        pace(begun, block_len, rate);
    }
    guard.seen()
}

/// In random surroundings: any block size, rates that change with a new activation, and models that change while it plays.
/// By hand `UNBRAID_GUARD_BLOCKS=1000000`, which takes the time of that much sound.
#[test]
fn nor_does_it_in_random_surroundings() {
    let test = "nor_does_it_in_random_surroundings";
    let drums = TestModel::with_masks([0.0, 1.0, 0.0, 0.0]);
    let clap = bundle_with_models(test, "clap", &[("mix", TestModel::identity()), ("other", drums)]);
    isolated(test, &[], || {
        let wanted = std::env::var("UNBRAID_GUARD_BLOCKS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
        let mut random = Random::new(1);
        let library = Library::load(&clap);
        let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
        plugin.set_offline(false);
        let params = plugin.params().to_vec();
        let (mut num_done, mut num_activations, mut num_states, mut num_waits) = (0, 0, 0, 0);
        while num_done < wanted {
            let rate = [22_050.0, 44_100.0, 48_000.0, 96_000.0][random.between(0, 3)];
            let max_block_len = [16, 64, 64, 512][random.between(0, 3)];
            let num_blocks = random.between(300, 3_000);
            let mut processor = plugin.activate(rate, max_block_len);
            let is_over = AtomicBool::new(false);
            let (processor, seen) = std::thread::scope(|scope| {
                let player = scope.spawn(|| {
                    let seen = play_random(&mut processor, &params, rate, max_block_len, num_blocks);
                    is_over.store(true, Ordering::Release);
                    (processor, seen)
                });
                while !is_over.load(Ordering::Acquire) {
                    plugin.idle();
                    plugin.save_state();
                    let model = ["mix", "other"][random.between(0, 1)];
                    let json = format!(r#"{{"version":"","params":{{}},"fields":{{"model":"\"{model}\""}}}}"#);
                    let state = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
                    assert!(plugin.load_state(&state));
                    num_states += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                player.join().expect("the audio thread ends well")
            });
            plugin.deactivate(processor);
            // Where the machine held this thread up, its next block looks like one ahead of the clock, which may wait for its
            // stems as in a burst: seen once in 200,000 blocks at a load of 12.
            if seen.num_system_calls > 0 {
                guard::tell_last_system_call();
                num_waits += seen.num_system_calls;
                assert!(num_waits <= 1 + num_done / 100_000, "{num_waits} waits");
            }
            let rest = Seen { num_system_calls: 0, last_system_call: None, ..seen };
            assert_eq!(rest, Seen::default(), "activation {num_activations}, {rate} Hz, blocks up to {max_block_len}");
            num_done += num_blocks;
            num_activations += 1;
        }
        say(&format!("  {num_done} blocks, {num_activations} activations, {num_states} states, {num_waits} waits"));
    });
}

/// Offline `process()` waits for the worker, which takes system calls: the guard must see those of the plugin itself.
#[test]
fn the_guard_sees_the_plugin_wait_offline() {
    isolated_with_model("the_guard_sees_the_plugin_wait_offline", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        plugin.set_offline(true);
        let mut processor = plugin.activate(RATE, MAX_BLOCK_LEN);
        let input = noise(MAX_BLOCK_LEN, 1);
        let mut guard = Guard::new();
        for _ in 0..20 {
            processor.process_block_within([&input[0], &input[1]], &EventBuffer::new(), |process| guard.watch(process));
        }
        plugin.deactivate(processor);
        assert!(guard.seen().num_system_calls > 0);
    });
}

/// The guard sees what it is there to see; otherwise the tests above would show nothing.
#[test]
fn the_guard_sees_allocations_locks_and_system_calls() {
    isolated("the_guard_sees_allocations_locks_and_system_calls", &[], || {
        let seen = |action: &mut dyn FnMut()| {
            let mut guard = Guard::new();
            guard.watch(action);
            guard.seen()
        };
        assert_eq!(seen(&mut || _ = std::hint::black_box(1 + 1)), Seen::default());
        assert_eq!(seen(&mut || drop(std::hint::black_box(Box::new(1)))).num_allocations, 1);
        assert_eq!(seen(&mut || drop(std::hint::black_box(Box::new(1)))).num_frees, 1);
        // SAFETY: a process may ask for its parent.
        let call = seen(&mut || _ = std::hint::black_box(unsafe { libc::syscall(libc::SYS_getppid) }));
        assert_eq!((call.num_system_calls, call.last_system_call), (1, Some(libc::SYS_getppid)));
        // And the call was carried out all the same.
        let mut parent = 0;
        // SAFETY: as above.
        seen(&mut || parent = unsafe { libc::syscall(libc::SYS_getppid) });
        // SAFETY: as above.
        assert_eq!(parent, unsafe { libc::syscall(libc::SYS_getppid) });

        let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
        // SAFETY: a valid mutex, which only this thread knows.
        let lock = seen(&mut || unsafe {
            libc::pthread_mutex_lock(&mut mutex);
            libc::pthread_mutex_unlock(&mut mutex);
        });
        assert_eq!(lock.num_locks, 1);

        // A lock of the standard library shows as a system call, once somebody else holds it.
        let mutex = Mutex::new(());
        let held = mutex.lock();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| seen(&mut || drop(mutex.lock())));
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
            let seen = waiter.join().expect("the lock comes free");
            assert_eq!((seen.num_system_calls, seen.last_system_call), (1, Some(libc::SYS_futex)));
        });

        // The plugin's allocations are seen too, although it is a library of its own: it builds texts on the heap, and
        // this host does not.
        let mut plugin = Plugin::new(&Library::load(&places::clap()), UNBRAID);
        let vocals = plugin.param("Vocals");
        let mut text = [0; 64];
        let mut text_len = 0;
        let of_plugin = seen(&mut || text_len = plugin.text_into(vocals.id, vocals.range[1], &mut text));
        assert!(text_len > 0);
        assert!(of_plugin.num_allocations > 0, "allocations of the plugin pass by the guard");
    });
}
