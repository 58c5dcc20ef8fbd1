//! Whatever is missing or breaks: the host lives, the mix passes with the reported latency, and the log says what to
//! do.
#![cfg(unix)]

use separator::testing::TestModel;
use slicqt::Design;
use std::fs;
use std::iter::repeat;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tests::host::{Automation, Library, Plugin, UNBRAID, UNBRAID_MULTI_OUT};
use tests::isolated::{copy_dir, isolated, isolated_with_model, messages, scratch_dir};
use tests::measure::{delayed, difference_db, excerpt, first_difference, power_db};
use tests::places;
use tests::signal::noise;

const RATE: f64 = 48_000.0;

/// The bundled plugin's folder once more, to be damaged, with an identity model of the default's name.
fn copy_of_bundle(test: &str) -> PathBuf {
    let dir = scratch_dir(test).join("bundle");
    copy_dir(places::clap().parent().expect("the plugin lies in a folder"), &dir);
    TestModel { design: Design::bark_262(), ..TestModel::identity() }.write(&dir.join("models/mix")).expect("a model");
    dir
}

/// Plays through the plugin in `dir`, in real time and offline: the mix must come out, bit for bit, as late as reported.
fn the_mix_passes(dir: &Path) {
    let library = Library::load(&dir.join("Unbraid.clap"));
    for id in [UNBRAID, UNBRAID_MULTI_OUT] {
        for is_offline in [true, false] {
            let mut plugin = Plugin::new(&library, id);
            plugin.set_offline(is_offline);
            let mut processor = plugin.activate(RATE, 512);
            let latency = plugin.latency();
            assert!(latency > 0, "a project keeps its alignment");
            let input = noise(latency + 50_000, 1);
            let begin = Instant::now();
            let outputs = processor.render(&input, repeat(512), &[]);
            assert!(begin.elapsed() < Duration::from_secs(10), "the host waits for {:?}", begin.elapsed());
            assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "{id}");
            if id == UNBRAID_MULTI_OUT {
                let sum = [0, 1].map(|c| (0..input[0].len()).map(|i| (1..5).map(|p| outputs[p][c][i]).sum()).collect());
                assert!(difference_db(&outputs[0], &sum) < -100.0, "the stems sum to the mix");
            }
            plugin.deactivate(processor);
        }
    }
}

/// Waits until the log holds all of `words`.
fn the_log_says(words: &[&str]) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let text = messages();
        if words.iter().all(|word| text.contains(word)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the log does not say {words:?}:\n{}", messages());
}

#[test]
fn an_undamaged_copy_of_the_bundle_separates() {
    let dir = copy_of_bundle("an_undamaged_copy_of_the_bundle_separates");
    isolated("an_undamaged_copy_of_the_bundle_separates", &[], || {
        let library = Library::load(&dir.join("Unbraid.clap"));
        let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(44_100.0, 512);
        let latency = plugin.latency();
        let input = noise(latency + 50_000, 1);
        let outputs = processor.render(&input, repeat(512), &[]);
        assert!(difference_db(&outputs[0], &outputs[1]) < -100.0, "the vocals are the mix");
        the_log_says(&["Unbraid runs the model"]);
        plugin.deactivate(processor);
    });
}

#[test]
fn without_the_library_the_mix_passes() {
    let dir = copy_of_bundle("without_the_library_the_mix_passes");
    fs::remove_file(dir.join(separator::runtime_library_name())).expect("the bundle holds ONNX Runtime");
    isolated("without_the_library_the_mix_passes", &[], || {
        the_mix_passes(&dir);
        the_log_says(&["passes the mix through", separator::runtime_library_name()]);
    });
}

#[test]
fn with_a_wrong_library_the_mix_passes() {
    let dir = copy_of_bundle("with_a_wrong_library_the_mix_passes");
    fs::write(dir.join(separator::runtime_library_name()), "this is not a library").expect("a file");
    isolated("with_a_wrong_library_the_mix_passes", &[], || {
        the_mix_passes(&dir);
        the_log_says(&["passes the mix through", separator::runtime_library_name()]);
    });
}

#[test]
fn without_a_model_the_mix_passes() {
    let dir = copy_of_bundle("without_a_model_the_mix_passes");
    fs::remove_dir_all(dir.join("models")).expect("the bundle holds models");
    isolated("without_a_model_the_mix_passes", &[], || {
        the_mix_passes(&dir);
        the_log_says(&["passes the mix through", "'mix'"]);
    });
}

#[test]
fn with_a_damaged_graph_the_mix_passes() {
    let dir = copy_of_bundle("with_a_damaged_graph_the_mix_passes");
    let path = dir.join("models/mix/model.onnx");
    let mut graph = fs::read(&path).expect("a graph");
    let middle = graph.len() / 2;
    graph[middle] ^= 1;
    fs::write(&path, graph).expect("a graph");
    isolated("with_a_damaged_graph_the_mix_passes", &[], || {
        the_mix_passes(&dir);
        the_log_says(&["passes the mix through", "model.onnx", "sha256"]);
    });
}

#[test]
fn with_a_wrong_manifest_the_mix_passes() {
    let dir = copy_of_bundle("with_a_wrong_manifest_the_mix_passes");
    let path = dir.join("models/mix/manifest.toml");
    let manifest = fs::read_to_string(&path).expect("a manifest");
    fs::write(&path, manifest.replace("num_coefs = 18640", "num_coefs = 18641")).expect("a manifest");
    isolated("with_a_wrong_manifest_the_mix_passes", &[], || {
        the_mix_passes(&dir);
        the_log_says(&["passes the mix through", "manifest.toml", "num_coefs", "18640", "18641"]);
    });
}

#[test]
fn with_a_manifest_cut_short_the_mix_passes() {
    let dir = copy_of_bundle("with_a_manifest_cut_short_the_mix_passes");
    let path = dir.join("models/mix/manifest.toml");
    let manifest = fs::read_to_string(&path).expect("a manifest");
    fs::write(&path, &manifest[..manifest.len() / 2]).expect("a manifest");
    isolated("with_a_manifest_cut_short_the_mix_passes", &[], || {
        the_mix_passes(&dir);
        the_log_says(&["passes the mix through", "manifest.toml"]);
    });
}

#[test]
fn after_input_that_is_no_number_the_stems_come_back() {
    let model = TestModel { fade_in_hops: Some(3), ..TestModel::identity() };
    isolated_with_model("after_input_that_is_no_number_the_stems_come_back", &model, || {
        let library = Library::load(&places::clap());
        let mut input = noise(200_000, 2);
        for (i, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN].into_iter().enumerate() {
            input[i % 2][40_000 + i * 3_000] = bad;
            input[0][60_000 + i] = bad;
        }
        for rate in [44_100.0, RATE] {
            let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
            plugin.set_offline(true);
            let mut processor = plugin.activate(rate, 512);
            let latency = plugin.latency();
            let outputs = processor.render(&input, repeat(512), &[]);
            assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "the mix passes as it came");
            let inside = 100_000 + latency..200_000;
            for port in &outputs {
                assert!(excerpt(port, inside.clone()).iter().flatten().all(|x| x.is_finite()), "{rate}");
            }
            if rate == 44_100.0 {
                let [mix, vocals] = [0, 1].map(|port| excerpt(&outputs[port], inside.clone()));
                assert!(difference_db(&mix, &vocals) < -100.0, "the vocals are the mix again");
            }
            // With the vocals, which are the mix, taken out, nothing but silence may be left; and, at 48 kHz, what lies
            // above the highest frequency of the model.
            processor.reset();
            let vocals = plugin.param("Vocals").id;
            let change = Automation { sample_idx: 0, param: vocals, value: plugin.value_of("Vocals", "-inf dB") };
            let outputs = processor.render(&input, repeat(512), &[change]);
            let rest = excerpt(&outputs[0], inside.clone());
            assert!(rest.iter().flatten().all(|x| x.is_finite()), "{rate}");
            let max_db = if rate == 44_100.0 { -100.0 } else { -8.0 };
            let difference = power_db(&rest) - power_db(&excerpt(&delayed(&input, latency), inside));
            assert!(difference < max_db, "{rate}: {difference:.1} dB");
            plugin.deactivate(processor);
        }
    });
}

#[test]
fn when_the_network_breaks_mid_way_the_mix_passes() {
    let model = TestModel { fails_from: Some(1e3), ..TestModel::identity() };
    isolated_with_model("when_the_network_breaks_mid_way_the_mix_passes", &model, || {
        let library = Library::load(&places::clap());
        let mut input = noise(100_000, 4);
        for is_offline in [true, false] {
            let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
            plugin.set_offline(is_offline);
            let mut processor = plugin.activate(44_100.0, 512);
            let latency = plugin.latency();
            input[0][50_000] = 1e6;
            let outputs = processor.render(&input, repeat(512), &[]);
            assert_eq!(first_difference(&delayed(&input, latency), &outputs[0]), None, "the mix passes");
            if is_offline {
                let before = latency + 1_000..40_000 + latency;
                let [mix, vocals] = [0, 1].map(|port| excerpt(&outputs[port], before.clone()));
                assert!(difference_db(&mix, &vocals) < -100.0, "the vocals are the mix at first");
            }
            let after = 70_000 + latency..100_000;
            let quarter = [0, 1].map(|c| outputs[0][c][after.clone()].iter().map(|x| 0.25 * x).collect());
            assert!(difference_db(&quarter, &excerpt(&outputs[1], after)) < -100.0, "then a quarter of the mix");
            the_log_says(&["passes the mix through", "switch the plugin off and on again"]);

            // What the message says helps.
            plugin.deactivate(processor);
            plugin.set_offline(true);
            let mut processor = plugin.activate(44_100.0, 512);
            input[0][50_000] = 0.0;
            let outputs = processor.render(&input, repeat(512), &[]);
            assert!(difference_db(&outputs[0], &outputs[1]) < -100.0, "the vocals are the mix again");
            plugin.deactivate(processor);
        }
    });
}

/// Thread that the signal handler ends.
static VICTIM: AtomicI32 = AtomicI32::new(0);

extern "C" fn end_this_thread(_: libc::c_int) {
    // SAFETY: plain system calls. `exit` ends this thread only, at once, with nothing unwound: as bad as it gets.
    unsafe {
        if libc::syscall(libc::SYS_gettid) as i32 == VICTIM.load(Ordering::Acquire) {
            libc::syscall(libc::SYS_exit, 0);
        }
    }
}

/// Ends all threads called `name` of this process while they nap.
fn kill_threads(name: &str) {
    let comm = |task: &Path| fs::read_to_string(task.join("comm")).unwrap_or_default();
    let tasks = fs::read_dir("/proc/self/task").expect("a list of threads").map(|task| task.expect("a thread").path());
    let victims: Vec<_> = tasks.filter(|task| comm(task).trim_end() == name).collect();
    assert!(!victims.is_empty(), "no thread is called {name}");
    victims.iter().for_each(|victim| kill_thread(victim));
}

/// Ends the thread of `/proc/self/task/...`.
fn kill_thread(victim: &Path) {
    let handler = end_this_thread as extern "C" fn(libc::c_int);
    let id: i32 = victim.file_name().and_then(|id| id.to_str()).and_then(|id| id.parse().ok()).expect("a number");
    VICTIM.store(id, Ordering::Release);
    // SAFETY: the handler only makes async-signal-safe calls, and the thread belongs to this process.
    unsafe {
        libc::signal(libc::SIGUSR1, handler as libc::sighandler_t);
        assert_eq!(libc::syscall(libc::SYS_tgkill, libc::getpid(), id, libc::SIGUSR1), 0);
    }
    let start = Instant::now();
    while victim.exists() {
        assert!(start.elapsed() < Duration::from_secs(5), "{} still lives", victim.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn when_the_workers_are_killed_others_take_their_place() {
    isolated_with_model("when_the_workers_are_killed_others_take_their_place", &TestModel::identity(), || {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID_MULTI_OUT);
        plugin.set_offline(true);
        let mut processor = plugin.activate(44_100.0, 512);
        let latency = plugin.latency();
        let input = noise(100_000, 3);
        let before = processor.render(&input, repeat(512), &[]);
        assert!(difference_db(&before[0], &before[1]) < -100.0, "the vocals are the mix");
        plugin.deactivate(processor);
        plugin.set_offline(false);
        let mut processor = plugin.activate(44_100.0, 512);

        kill_threads("unbraid-worker");
        let after = processor.render(&input, repeat(512), &[]);
        // What was under way comes out before it.
        let inside = latency..100_000;
        let expected = excerpt(&delayed(&input, latency), inside.clone());
        assert_eq!(first_difference(&expected, &excerpt(&after[0], inside.clone())), None, "the mix passes");
        // A thread that takes the place of another is there in milliseconds, and the host waits, being ahead of the clock.
        let inside = 60_000..100_000;
        let [mix, vocals] = [0, 1].map(|port| excerpt(&after[port], inside.clone()));
        assert!(difference_db(&mix, &vocals) < -100.0, "the vocals are the mix again");
        the_log_says(&["replaced"]);
        plugin.deactivate(processor);
    });
}
