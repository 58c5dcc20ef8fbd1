//! Thousands of damaged models: each is refused with a message or runs, without abort, hang, or more memory than the
//! limits allow.
//!
//! `UNBRAID_FUZZ_CASES` says how many (300 by default, 100000 for a long run), `UNBRAID_FUZZ_FIRST` where to begin. Cases
//! run in child processes with bounded memory, so that an abort within ONNX Runtime is seen as the failure of a case.

use models::{
    Manifest, Model,
    limits::{MAX_BUFFERED_LEN, MAX_RUN_BYTES},
    sha256_file,
    testing::Mutator,
};
use separator::{
    Pipeline, Runtime, SeparatorError,
    testing::{TestModel, runtime},
};
use slicqt::Design;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Counts what our own code allocates; ONNX Runtime has its own heap, which the child's memory limit bounds.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs something and gives the most memory that it took, and its largest piece.
fn measured<T>(run: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    LARGEST.store(0, Ordering::Relaxed);
    let result = run();
    (result, PEAK.load(Ordering::Relaxed).saturating_sub(before), LARGEST.load(Ordering::Relaxed))
}

const CHILD: &str = "UNBRAID_FUZZ_CHILD";
/// A child that does nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Address space of a child: ONNX Runtime itself maps about 1 GiB.
#[cfg(target_os = "linux")]
const MAX_CHILD_BYTES: u64 = 8 << 30;
/// What a child may have in memory beside what graphs need while they run.
const MAX_OTHER_BYTES: usize = 2 << 30;
/// What reading a model may take beside the files' contents: each byte of a manifest becomes a few.
const MAX_LOAD_BYTES: usize = 4 << 20;

fn number(variable: &str, default: usize) -> usize {
    env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn damaged_models_are_refused_or_run() {
    if let Ok(place) = env::var(CHILD) {
        return run_cases(&PathBuf::from(place));
    }
    let (first, num_cases) = (number("UNBRAID_FUZZ_FIRST", 0), number("UNBRAID_FUZZ_CASES", 300));
    let dir = tempfile::tempdir().unwrap();
    let mut next = first;
    let mut totals = Totals::default();
    let mut failures = vec![];
    while next < first + num_cases {
        // A child at a time, so that a leak or an abort does not end the run.
        let last = (next + 5000).min(first + num_cases);
        let (done, outcome) = run_child(dir.path(), next, last, &mut totals);
        if let Err(problem) = outcome {
            failures.push(format!("case {done}: {problem}"));
            next = done + 1;
        } else {
            next = last;
        }
        assert!(failures.len() < 10, "{failures:#?}");
    }
    println!("{num_cases} cases from {first}: {totals:?}");
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(totals.max_resident_bytes < MAX_RUN_BYTES + MAX_OTHER_BYTES, "{totals:?}");
    assert!(totals.ran > 0 && totals.refused_at_load > 0 && totals.refused_at_open > 0, "{totals:?}");
}

#[derive(Debug, Default)]
struct Totals {
    ran: usize,
    failed_running: usize,
    refused_at_load: usize,
    refused_at_open: usize,
    max_load_bytes: usize,
    max_bytes: usize,
    /// Of a child, ONNX Runtime and all, over its cases.
    max_resident_bytes: usize,
}

/// Runs cases in a child; gives the case that it was at, and why it ended too early.
fn run_child(dir: &Path, first: usize, last: usize, totals: &mut Totals) -> (usize, Result<(), String>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["damaged_models_are_refused_or_run", "--exact", "--nocapture"])
        .env(CHILD, dir)
        .env("UNBRAID_FUZZ_FIRST", first.to_string())
        .env("UNBRAID_FUZZ_CASES", (last - first).to_string())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(dir.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut at = first;
    let problem = loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                if let Some(peak) = line.strip_prefix("peak ") {
                    totals.max_resident_bytes = totals.max_resident_bytes.max(peak.parse().unwrap());
                }
                let Some(rest) = line.strip_prefix("case ") else { continue };
                let mut words = rest.split(' ');
                at = words.next().unwrap().parse().unwrap();
                let Some(outcome) = words.next() else { continue };
                let [load, all] = [(); 2].map(|()| words.next().unwrap().parse::<usize>().unwrap());
                totals.max_load_bytes = totals.max_load_bytes.max(load);
                totals.max_bytes = totals.max_bytes.max(all);
                match outcome {
                    "load" => totals.refused_at_load += 1,
                    "open" => totals.refused_at_open += 1,
                    "run" => totals.failed_running += 1,
                    _ => totals.ran += 1,
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                break Some("it hangs".to_owned());
            }
        }
    };
    let status = child.wait().unwrap();
    let stderr = fs::read_to_string(dir.join("stderr")).unwrap_or_default();
    let tail: String = stderr.lines().rev().take(5).collect::<Vec<_>>().join(" | ");
    match problem {
        Some(problem) => (at, Err(problem)),
        None if status.success() => (at, Ok(())),
        None => (at, Err(format!("{status}: {tail}"))),
    }
}

/// The good models that are damaged, by kind of graph.
fn good_models(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let stft = TestModel { design: Design::stft(1024, 256, 44_100.0), ..TestModel::with_masks([0.4, 0.3, 0.2, 0.1]) };
    let models = [
        stft.clone(),
        TestModel { fade_in_hops: Some(3), look_ahead_slices: 2, ..stft.clone() },
        TestModel { listens: true, ..stft.clone() },
        TestModel { blocks: Some((4, 1)), ..stft.clone() },
        TestModel { wiener_window_frames: Some(50), ..stft.clone() },
        TestModel { design: "bark:24:100".parse().unwrap(), ..stft },
    ];
    let models = models.iter().map(|model| {
        let model = model.write(dir).unwrap();
        let text = fs::read_to_string(dir.join(models::MANIFEST_FILE)).unwrap();
        (text, fs::read(model.onnx_path()).unwrap())
    });
    models.collect()
}

fn run_cases(place: &Path) {
    #[cfg(target_os = "linux")]
    {
        let limit = libc::rlimit { rlim_cur: MAX_CHILD_BYTES, rlim_max: MAX_CHILD_BYTES };
        // SAFETY: the limit is a valid struct, and concerns this process only.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    }
    let (first, num_cases) = (number("UNBRAID_FUZZ_FIRST", 0), number("UNBRAID_FUZZ_CASES", 0));
    let runtime = runtime();
    let good = good_models(&place.join("good"));
    let dir = place.join("model");
    fs::create_dir_all(&dir).unwrap();
    for case in first..first + num_cases {
        println!("\ncase {case}");
        std::io::stdout().flush().unwrap();
        let mut mutator = Mutator::new(case as u64);
        let (text, graph) = &good[mutator.below(good.len())];
        let (mut manifest, mut bytes) = (text.clone().into_bytes(), graph.clone());
        // Graphs, manifests, or both: what was damaged gets its checksum, or nothing but that would be tested.
        let which = mutator.below(8);
        if which < 5 {
            bytes = mutator.bytes(graph);
        }
        fs::write(dir.join("model.onnx"), &bytes).unwrap();
        let sha256 = sha256_file(&dir.join("model.onnx")).unwrap().0;
        if which < 5 {
            let good: Manifest = toml_of(text);
            manifest = text.replace(&good.graph.sha256, &sha256).into_bytes();
        }
        if which >= 4 {
            manifest = mutator.text(&String::from_utf8(manifest).unwrap());
        }
        fs::write(dir.join(models::MANIFEST_FILE), &manifest).unwrap();
        let (outcome, load, all) = run_case(&runtime, &dir, manifest.len() + bytes.len());
        println!("\ncase {case} {outcome} {load} {all}");
    }
    println!("\npeak {}", max_resident_bytes());
}

/// 0 where the system does not tell.
fn max_resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<usize>().ok()).unwrap_or(0) * 1024
}

fn toml_of(text: &str) -> Manifest {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(models::MANIFEST_FILE);
    fs::write(&path, text).unwrap();
    Manifest::read(&path).unwrap()
}

/// How far it came, and the memory for loading and for all of it.
fn run_case(runtime: &Arc<Runtime>, dir: &Path, num_bytes: usize) -> (&'static str, usize, usize) {
    let (model, load, _) = measured(|| Model::load(dir));
    let max_load = MAX_LOAD_BYTES + 64 * num_bytes;
    assert!(load <= max_load, "loading took {load} bytes, for {num_bytes} of files");
    let model = match model {
        Ok(model) => model,
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 20_000 && message.contains("model"), "{message}");
            return ("load", load, load);
        }
    };
    let (result, all, largest) = measured(|| open_and_run(runtime, &model));
    assert!(largest <= 4 * MAX_BUFFERED_LEN, "a piece of {largest} bytes");
    assert!(all <= 8 * MAX_BUFFERED_LEN, "{all} bytes");
    (result, load, all)
}

fn open_and_run(runtime: &Arc<Runtime>, model: &Model) -> &'static str {
    let mut pipeline = match Pipeline::new(runtime, model) {
        Ok(pipeline) => pipeline,
        Err(error) => {
            assert!(error.to_string().len() > 20, "{error}");
            return "open";
        }
    };
    let hop_len = pipeline.hop_len();
    let mut stems = vec![[vec![0.0; hop_len], vec![0.0; hop_len]]; pipeline.num_stems()];
    let hop: Vec<f32> = (0..hop_len).map(|i| (i as f32 * 0.1).sin()).collect();
    for _ in 0..6 {
        match pipeline.process_hop([&hop, &hop], &mut stems) {
            Ok(()) => {}
            Err(SeparatorError::Graph { .. }) => return "run",
            Err(error) => panic!("{error}"),
        }
    }
    "ran"
}
