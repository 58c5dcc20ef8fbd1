//! What instances of the shipped model cost at the pace of a sound card: time on the audio thread, share of the
//! processor, memory, and late hops where the machine is nearly full. Prints the tables of `docs/VALIDATION.md`:
//!
//! `cargo bench -p separator --bench costs [-- SECONDS [MODEL]]`: so long plays each row (20). With
//! `--busy` only the last row, with `--silent` only those of instances that nothing is heard of, with `--shares` those of
//! 1, 4 and 16 that play.
//!
//! A bench and no test: every figure depends on the machine, and on what else it does.

use models::Model;
use separator::{AudioSide, Engine, EngineConfig, EngineState, testing::runtime};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const RATE: f64 = 44_100.0;

struct Instance {
    engine: Engine,
    audio: AudioSide,
    output: Vec<Vec<f32>>,
}

impl Instance {
    fn start(model: &Model, block_len: usize) -> Instance {
        let config = EngineConfig { sample_rate_hz: RATE, max_block_len: block_len };
        let (engine, audio) = Engine::start(runtime(), model, &config).expect("a model for live use");
        let start = Instant::now();
        while engine.status().state == EngineState::Loading && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(engine.status().state, EngineState::Running);
        Instance { engine, audio, output: vec![vec![0.0; block_len]; 10] }
    }

    fn process(&mut self, block: &[f32]) -> usize {
        let mut channels = self.output.iter_mut().map(Vec::as_mut_slice);
        let mut stereo = || [channels.next().expect("ten"), channels.next().expect("ten")];
        let (delayed, mut stems) = (stereo(), [stereo(), stereo(), stereo(), stereo()]);
        self.audio.process_into([block, block], delayed, &mut stems, false).num_missing
    }
}

/// What one run shows.
struct Run {
    /// Processor time over wall time, in cores.
    cores: f64,
    late_hops: u64,
    /// Time of each `process()`, in microseconds, sorted.
    times: Vec<f64>,
}

/// Plays all instances in step, block by block, as one audio thread of a host would.
fn play(instances: &mut [Instance], block_len: usize, is_silent: bool, duration: Duration) -> Run {
    let mut state = 1_u32;
    let noise: Vec<f32> = (0..44_100)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if is_silent { 0.0 } else { (state >> 8) as f32 / 83_886_080.0 - 0.1 }
        })
        .collect();
    let late_before: u64 = instances.iter().map(|instance| instance.engine.status().late_hops).sum();
    let mut times = Vec::new();
    let (start, cpu_start) = (Instant::now(), processor_time());
    let mut position = 0;
    while start.elapsed() < duration {
        let block = &noise[position % (noise.len() - block_len)..][..block_len];
        for instance in &mut *instances {
            let begin = Instant::now();
            instance.process(block);
            times.push(begin.elapsed().as_secs_f64() * 1e6);
        }
        position += block_len;
        let due = Duration::from_secs_f64(position as f64 / RATE);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    let cores = (processor_time() - cpu_start) / start.elapsed().as_secs_f64();
    let late_hops = instances.iter().map(|instance| instance.engine.status().late_hops).sum::<u64>() - late_before;
    times.sort_by(f64::total_cmp);
    Run { cores, late_hops, times }
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// Seconds of processor time that this process has used.
fn processor_time() -> f64 {
    // SAFETY: all-zero bytes are a valid `rusage`, which the call fills in.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Resident memory in MB; 0 where the system does not tell.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn num_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn main() {
    // cargo adds --bench
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let seconds = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(20.0);
    let is_busy_only = std::env::args().any(|arg| arg == "--busy");
    let dir = args.next().map_or(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/first")), PathBuf::from);
    let model = Model::load(&dir).expect("a model");
    let duration = Duration::from_secs_f64(seconds);
    let num_cores = thread::available_parallelism().map_or(1, usize::from);
    println!("model {}, {num_cores} cores, {seconds} s a row\n", model.manifest.name);

    if std::env::args().any(|arg| arg == "--silent") {
        return while_nothing_plays((0..16).map(|_| Instance::start(&model, 512)).collect(), duration);
    }
    if std::env::args().any(|arg| arg == "--shares") {
        shares(&model, duration);
        return;
    }
    if !is_busy_only {
        audio_thread(&model, duration);
        many_instances(&model, duration, num_cores);
    }
    one_core_busy(&model, duration);
}

/// The time that `process()` takes.
fn audio_thread(model: &Model, duration: Duration) {
    println!("| process(), block of | p50 | p99 | p99.9 | worst (µs) |\n|---|---|---|---|---|");
    for block_len in [32, 64, 128, 512, 2048] {
        let mut instances = [Instance::start(model, block_len)];
        play(&mut instances, block_len, false, Duration::from_secs(1));
        let run = play(&mut instances, block_len, false, duration);
        let at = |share| percentile(&run.times, share);
        println!("| {block_len} | {:.1} | {:.1} | {:.1} | {:.1} |", at(0.5), at(0.99), at(0.999), at(1.0));
    }
}

/// What 1, 4 and 16 instances take; gives the cores of each further one.
fn shares(model: &Model, duration: Duration) -> f64 {
    println!("\n| instances, blocks of 512 | cores | late hops |\n|---|---|---|");
    let cores = [1, 4, 16].map(|num| {
        let mut instances: Vec<Instance> = (0..num).map(|_| Instance::start(model, 512)).collect();
        play(&mut instances, 512, false, Duration::from_secs(1));
        let run = play(&mut instances, 512, false, duration);
        println!("| {num} playing | {:.3} | {} |", run.cores, run.late_hops);
        run.cores
    });
    let share = (cores[2] - cores[0]) / 15.0;
    println!("| each further one; the first takes {:.2} times as much | {share:.4} | |", cores[0] / share);
    share
}

/// Processor time, memory and threads of many instances.
fn many_instances(model: &Model, duration: Duration, num_cores: usize) {
    // As many as fill four fifths of the machine, at what each further one costs.
    let share_of_one = shares(model, duration);
    let num = (0.8 * num_cores as f64 / share_of_one).floor().max(1.0) as usize;
    let mut memory = vec![];
    let mut instances: Vec<Instance> = Vec::new();
    let num_threads_before = num_threads();
    for _ in 0..num.max(16) {
        instances.push(Instance::start(model, 512));
        play(&mut instances[..], 512, false, Duration::from_millis(100));
        memory.push(resident_mb());
    }
    let threads = num_threads() - num_threads_before;
    let spare = instances.split_off(num);
    play(&mut instances, 512, false, Duration::from_secs(1));
    let minute = duration.max(Duration::from_secs(60));
    let run = play(&mut instances, 512, false, minute);
    println!(
        "| {num} playing (80 %), begun one after the other, for 60 s or more | {:.3} | {} |",
        run.cores, run.late_hops
    );
    // A host that starts all at once makes all hops fall due together.
    for (share, num) in [(80, num), (50, num * 5 / 8), (40, num / 2)] {
        let instances = &mut instances[..num.max(1)];
        instances.iter_mut().for_each(|instance| instance.audio.reset());
        play(instances, 512, false, Duration::from_secs(1));
        let run = play(instances, 512, false, duration.max(Duration::from_secs(20)));
        println!(
            "| {num} playing ({share} %), begun at once, for 20 s or more | {:.3} | {} |",
            run.cores, run.late_hops
        );
    }
    instances.extend(spare);
    instances.truncate(16.max(num));
    let all: Vec<Instance> = instances.drain(..16).collect();
    drop(instances);
    while_nothing_plays(all, duration);

    let growth: Vec<f64> = memory.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = growth.iter().sum::<f64>() / growth.len() as f64;
    println!("\nmemory of each further instance: {mean:.1} MB; threads of {} instances: {threads}", memory.len());
}

/// Instances that nothing is heard of.
fn while_nothing_plays(mut all: Vec<Instance>, duration: Duration) {
    let seconds = duration.as_secs_f64();
    play(&mut all, 512, true, Duration::from_secs(12));
    let run = play(&mut all, 512, true, duration);
    println!("| {} in silence | {:.3} | {} |", all.len(), run.cores, run.late_hops);
    let before = processor_time();
    thread::sleep(duration);
    println!("| the same, the host calls no more | {:.4} | |", (processor_time() - before) / seconds);
    all.iter_mut().for_each(|instance| instance.audio.stop());
    thread::sleep(Duration::from_millis(100));
    let before = processor_time();
    thread::sleep(duration);
    println!("| the same, the host has stopped | {:.4} | |", (processor_time() - before) / seconds);
    all.iter().for_each(|instance| instance.engine.set_active(false));
    thread::sleep(Duration::from_millis(100));
    let before = processor_time();
    thread::sleep(duration);
    println!("| the same, deactivated | {:.4} | |", (processor_time() - before) / seconds);
}

/// Sets it when it goes, also by a panic: a scope waits for its threads even then.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One instance, while another program takes a whole core.
fn one_core_busy(model: &Model, duration: Duration) {
    let seconds = duration.as_secs_f64();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // An ordinary program, whatever priority this one was started with.
            // SAFETY: concerns the calling thread only; all-zero bytes are the parameters that this policy wants.
            unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &std::mem::zeroed()) };
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let _stop = SetOnDrop(&stop);
        let mut instances = [Instance::start(model, 512)];
        play(&mut instances, 512, false, Duration::from_secs(1));
        let run = play(&mut instances, 512, false, duration);
        println!("one core busy otherwise, one instance, {seconds} s: {} late hops", run.late_hops);
    });
}
