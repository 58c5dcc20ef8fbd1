//! The editor in windows of a host, in an X server of its own (Xvfb): when it is there, what it costs, and that it leaves
//! nothing behind. Skipped where there is no Xvfb.
#![cfg(target_os = "linux")]

use separator::testing::TestModel;
use std::ffi::OsStr;
use std::iter::repeat;
use std::time::{Duration, Instant};
use tests::host::{Library, Plugin, UNBRAID};
use tests::isolated::{MODEL_VARIABLE, bundle_with_models, is_child, isolated, messages, say, scratch_dir};
use tests::places;
use tests::screen::{Screen, Server};
use tests::signal::{Stereo, noise, silence};
use tests::vst3_host;

const RATE: f64 = 48_000.0;
const BLOCK_LEN: usize = 480;
/// Long enough for a machine that does a lot besides.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `body` in a process with an X server, where the plugin has a model that computes next to nothing.
fn with_screen(test: &str, body: impl FnOnce(&Screen)) {
    let model = scratch_dir(test).join("model");
    TestModel::identity().write(&model).expect("the test model can be written");
    with_screen_and(test, &[(MODEL_VARIABLE, model.as_os_str())], body);
}

/// Runs `body` in a process with an X server and these variables.
fn with_screen_and(test: &str, envs: &[(&str, &OsStr)], body: impl FnOnce(&Screen)) {
    let server = if is_child() { None } else { Server::start() };
    if server.is_none() && !is_child() {
        return say(&format!("  SKIPPED: {test}: no Xvfb here"));
    }
    // The user's own size and looks are left alone.
    let config = scratch_dir(&format!("{test}-config"));
    let display = server.as_ref().map_or(String::new(), |server| server.display.clone());
    let mut envs = envs.to_vec();
    envs.extend([
        ("XDG_CONFIG_HOME", config.as_os_str()),
        ("DISPLAY", OsStr::new(&display)),
        ("LIBGL_ALWAYS_SOFTWARE", OsStr::new("1")),
    ]);
    isolated(test, &envs, || body(&Screen::connect()));
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Processor time of every thread of this process, in s, by its name.
fn thread_times() -> Vec<(String, f64)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux has it");
    let time = |task: std::io::Result<std::fs::DirEntry>| {
        let task = task.ok()?.path();
        let name = std::fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
        let nanoseconds = std::fs::read_to_string(task.join("schedstat")).ok()?;
        let nanoseconds: f64 = nanoseconds.split(' ').next()?.parse().ok()?;
        Some((name, nanoseconds * 1e-9))
    };
    tasks.filter_map(time).collect()
}

/// Shares of a core by the name of the thread, from what [`thread_times`] said before and after `passed`.
fn shares(before: &[(String, f64)], after: &[(String, f64)], passed: Duration) -> Vec<(String, f64)> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for (sign, times) in [(-1.0, before), (1.0, after)] {
        for (name, time_s) in times {
            let share = sign * time_s / passed.as_secs_f64();
            match shares.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += share,
                None => shares.push((name.clone(), share)),
            }
        }
    }
    shares.retain(|(_, share)| *share > 0.0002);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// Plays `input` at the pace of a sound card for `len`, with the host's idle calls; the shares of the threads.
fn play(plugin: &mut Plugin, input: &Stereo, len: Duration) -> Vec<(String, f64)> {
    let mut processor = plugin.activate(RATE, BLOCK_LEN);
    let (start, mut before) = (Instant::now(), None);
    let block_time = Duration::from_secs_f64(BLOCK_LEN as f64 / RATE);
    let settle = Duration::from_secs(3);
    let num_blocks = input[0].len() / BLOCK_LEN;
    let mut due = start;
    let mut block_idx = 0;
    while due - start < settle + len {
        if due - start >= settle && before.is_none() {
            before = Some((Instant::now(), thread_times()));
        }
        let range = block_idx % num_blocks * BLOCK_LEN..(block_idx % num_blocks + 1) * BLOCK_LEN;
        let block = input.each_ref().map(|channel| channel[range.clone()].to_vec());
        processor.render(&block, repeat(BLOCK_LEN), &[]);
        plugin.idle();
        block_idx += 1;
        due += block_time;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let (begin, before) = before.expect("it has settled");
    let shares = shares(&before, &thread_times(), begin.elapsed());
    plugin.deactivate(processor);
    shares
}

/// What an open window costs beside the same instance without one, in silence and with sound.
#[test]
fn costs_of_an_open_window() {
    with_screen("costs_of_an_open_window", |screen| {
        let len = Duration::from_secs(number("UNBRAID_EDITOR_SECONDS", 2) as u64);
        let library = Library::load(&places::clap());
        let sound = noise(48_000, 1).map(|channel| channel.into_iter().map(|x| 0.2 * x).collect());
        for (what, input) in [("silence", silence(48_000)), ("noise", sound)] {
            for is_open in [false, true] {
                let mut plugin = Plugin::new(&library, UNBRAID);
                let window = screen.new_window(1_200, 900);
                screen.map(window);
                if is_open {
                    plugin.open_editor(window);
                }
                let shares = play(&mut plugin, &input, len);
                let total: f64 = shares.iter().map(|(_, share)| share).sum();
                let names = shares.iter().map(|(name, share)| format!("{name} {:.2} %", 100.0 * share));
                let names: Vec<_> = names.collect();
                let state = if is_open { "open" } else { "closed" };
                say(&format!("  {what}, {state}: {:.2} % of a core: {}", 100.0 * total, names.join(", ")));
                if is_open {
                    plugin.close_editor();
                }
                screen.destroy(window);
            }
        }
    });
}

/// From the host's request to pixels in its window.
#[test]
fn time_until_the_first_picture() {
    with_screen("time_until_the_first_picture", |screen| {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        for idx in 0..number("UNBRAID_EDITOR_CYCLES", 3) {
            let window = screen.new_window(1_200, 900);
            screen.map(window);
            let start = Instant::now();
            plugin.open_editor(window);
            let opened = start.elapsed();
            screen.wait_for_picture(window, PATIENCE).expect("the editor draws");
            say(&format!(
                "  opening {idx}: the host's calls take {:.0} ms, the picture is there after {:.0} ms",
                1e3 * opened.as_secs_f64(),
                1e3 * start.elapsed().as_secs_f64()
            ));
            plugin.close_editor();
            screen.destroy(window);
        }
    });
}

/// Hosts such as Ardour open the editor in a window that they show later: the X server never answers what was asked of it
/// before that.
#[test]
fn an_editor_in_a_window_that_is_shown_later_is_not_blank() {
    with_screen("an_editor_in_a_window_that_is_shown_later_is_not_blank", |screen| {
        let library = Library::load(&places::clap());
        let mut plugin = Plugin::new(&library, UNBRAID);
        let window = screen.new_window(1_200, 900);
        plugin.open_editor(window);
        std::thread::sleep(Duration::from_millis(500));
        screen.map(window);
        assert!(screen.wait_for_picture(window, PATIENCE).is_some(), "the window stays blank");
        plugin.close_editor();
        screen.destroy(window);
    });
}

/// The thread of a window must be gone when its library is: hosts unload it right after the last instance.
#[test]
fn a_library_that_goes_right_after_its_editor_takes_nothing_down() {
    with_screen("a_library_that_goes_right_after_its_editor_takes_nothing_down", |screen| {
        for cycle in 0..number("UNBRAID_EDITOR_CYCLES", 10) {
            let library = Library::load(&places::clap());
            let mut plugin = Plugin::new(&library, UNBRAID);
            let window = screen.new_window(1_200, 900);
            screen.map(window);
            plugin.open_editor(window);
            // Closed before, while and after it draws for the first time.
            std::thread::sleep(Duration::from_millis(30 * (cycle as u64 % 8)));
            plugin.close_editor();
            drop((plugin, library));
            screen.destroy(window);
            let messages = messages();
            assert!(!messages.contains("Error while closing"), "cycle {cycle}: {messages}");
            assert!(!messages.contains("X11 error"), "cycle {cycle}: {messages}");
        }
    });
}

/// The button of the model menu and its second entry, at the size that an editor has for a new user.
const MODEL_BUTTON: (i16, i16) = (629, 23);
const SECOND_MODEL: (i16, i16) = (400, 82);

/// Chooses the model 'other' instead of 'mix' with the mouse; `is_dirty` is asked until it is true.
fn choose_other(screen: &Screen, window: u32, mut is_dirty: impl FnMut() -> bool) {
    screen.wait_for_picture(window, PATIENCE).expect("the editor draws");
    assert!(!is_dirty(), "nothing has changed yet");
    screen.click(MODEL_BUTTON.0, MODEL_BUTTON.1);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!is_dirty(), "a menu that is open changes nothing");
    screen.click(SECOND_MODEL.0, SECOND_MODEL.1);
    let start = Instant::now();
    while !is_dirty() {
        assert!(start.elapsed() < PATIENCE, "the host does not hear of it");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn two_models() -> [(&'static str, TestModel); 2] {
    [("mix", TestModel::identity()), ("other", TestModel::with_masks([0.0, 1.0, 0.0, 0.0]))]
}

/// Else a host would close the project without asking whether to save it.
#[test]
fn clap_a_model_that_is_chosen_marks_the_project_dirty() {
    let test = "clap_a_model_that_is_chosen_marks_the_project_dirty";
    let clap = bundle_with_models(test, "clap", &two_models());
    with_screen_and(test, &[], |screen| {
        let library = Library::load(&clap);
        let mut plugin = Plugin::new(&library, UNBRAID);
        let window = screen.new_window(1_200, 900);
        screen.map(window);
        // A state that the host loads is nothing new to it.
        let state = plugin.save_state();
        assert!(plugin.load_state(&state));
        plugin.open_editor(window);
        choose_other(screen, window, || {
            plugin.idle();
            plugin.num_dirty() > 0
        });
        let state = plugin.save_state();
        assert!(String::from_utf8_lossy(&state).contains("other"), "it is in the state");
        plugin.close_editor();
        screen.destroy(window);
    });
}

/// The same by VST3's `IComponentHandler2`.
#[test]
fn vst3_a_model_that_is_chosen_marks_the_project_dirty() {
    let test = "vst3_a_model_that_is_chosen_marks_the_project_dirty";
    let vst3 = bundle_with_models(test, "vst3", &two_models());
    with_screen_and(test, &[], |screen| {
        let library = vst3_host::Library::load(&vst3);
        let mut plugin = vst3_host::Plugin::new(&library, "Unbraid");
        let window = screen.new_window(1_200, 900);
        screen.map(window);
        let state = plugin.save_state();
        assert!(plugin.load_state(&state));
        plugin.open_editor(window);
        choose_other(screen, window, || plugin.num_dirty() > 0);
        assert!(String::from_utf8_lossy(&plugin.save_state()).contains("other"), "it is in the state");
        plugin.close_editor();
        screen.destroy(window);
    });
}

/// Opened and closed again and again, with the instance and without, while sound goes through.
#[test]
fn editors_that_come_and_go_leave_memory_as_it_was() {
    with_screen("editors_that_come_and_go_leave_memory_as_it_was", |screen| {
        let num_cycles = number("UNBRAID_EDITOR_CYCLES", 20);
        let block = noise(BLOCK_LEN, 1);
        let (mut memory, mut opened) = (Vec::new(), Vec::new());
        let mut kept: Option<(Library, Plugin)> = None;
        for cycle in 0..num_cycles {
            // Every other time the instance stays.
            if cycle % 2 == 0 {
                drop(kept.take().map(|(library, plugin)| (plugin, library)));
            }
            let (_, plugin) = kept.get_or_insert_with(|| {
                let library = Library::load(&places::clap());
                let plugin = Plugin::new(&library, UNBRAID);
                (library, plugin)
            });
            let window = screen.new_window(1_200, 900);
            screen.map(window);
            let mut processor = plugin.activate(RATE, BLOCK_LEN);
            plugin.open_editor(window);
            screen.wait_for_picture(window, PATIENCE).expect("the editor draws");
            processor.render(&block, repeat(BLOCK_LEN), &[]);
            plugin.idle();
            plugin.close_editor();
            plugin.deactivate(processor);
            screen.destroy(window);
            memory.push(resident_mb());
            opened.push(num_open());
        }
        // What is kept for good (Mesa, ONNX Runtime, the library itself) is there after the first quarter.
        let [before, after] = [num_cycles / 4, num_cycles - 1].map(|cycle| memory[cycle]);
        let what = format!("{before:.1} MB after a quarter, {after:.1} MB at the end");
        // Mesa's threads end a little later than their window.
        std::thread::sleep(Duration::from_secs(1));
        let [open, open_after] = [opened[num_cycles / 4], num_open()];
        say(&format!("  {num_cycles} cycles: {what}; threads and files {open:?}, then {open_after:?}"));
        // Mesa and LLVM take their time until nothing new comes (200 cycles: 20 MB); on our heap nothing is left.
        assert!(after - before < 40.0 + 0.15 * num_cycles as f64, "{what}");
        assert!(open_after[0] <= open[0] + 2 && open_after[1] <= open[1] + 2, "{open:?}, then {open_after:?}");
    });
}

/// Resident memory in MB, without what the allocator keeps for later.
fn resident_mb() -> f64 {
    // SAFETY: may be called at any time.
    unsafe { libc::malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line with the memory");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// Threads and open files of this process.
fn num_open() -> [usize; 2] {
    ["task", "fd"].map(|what| std::fs::read_dir(format!("/proc/self/{what}")).expect("Linux has it").count())
}
