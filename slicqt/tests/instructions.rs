//! What the transform costs beyond its FFTs, counted in instructions by valgrind's callgrind: the same on every run, so
//! a gate can be tight where a clock cannot. Skipped where valgrind is missing.

#[path = "../benches/bare_ffts/mod.rs"]
mod bare_ffts;

use bare_ffts::{BareFfts, coef, sample};
use slicqt::{Design, Plan};
use std::{env, process::Command};

/// Instructions of the transform per instruction of its bare FFTs.
const MAX_RATIO: f64 = 1.5;

/// Rounds that are counted; a process without any is subtracted.
const NUM_ROUNDS: usize = 10;

const WORKLOAD: &str = "SLICQT_WORKLOAD";

fn design(name: &str) -> Design {
    match name {
        "bark-262" => Design::bark_262(),
        _ => Design::mel_32(),
    }
}

/// What is counted: this test in a process of its own, under valgrind. Alone it has nothing to do.
#[test]
#[ignore = "run by the other tests, under valgrind"]
fn workload() {
    let Ok(workload) = env::var(WORKLOAD) else { return };
    let [name, part, num_rounds] = workload.split(' ').collect::<Vec<_>>()[..] else { panic!("{workload}") };
    let plan = Plan::<f32>::new(&design(name)).unwrap();
    let mut bare = BareFfts::new(&plan);
    let slice: Vec<f32> = (0..plan.slice_len()).map(sample).collect();
    let coefs: Vec<_> = (0..plan.num_coefs()).map(coef).collect();
    let (mut out_slice, mut out_coefs, mut scratch) = (plan.make_slice(), plan.make_coefs(), plan.make_scratch());
    bare.refill();
    for _ in 0..num_rounds.parse().unwrap() {
        match part {
            "forward" => plan.forward_into(&slice, &mut out_coefs, &mut scratch),
            "inverse" => plan.inverse_into(&coefs, &mut out_slice, &mut scratch),
            "bare-forward" => bare.forward(),
            _ => bare.inverse(),
        }
    }
}

/// Instructions of a process that computes so many rounds; `None` without valgrind.
fn instructions(name: &str, part: &str, num_rounds: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "workload", "--ignored", "--test-threads=1"])
        .env(WORKLOAD, format!("{name} {part} {num_rounds}"))
        .output()
        .ok()?;
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {part}: {}\n{words}", String::from_utf8_lossy(&output.stdout));
    let collected = words.lines().find_map(|line| line.split_once("Collected :"));
    Some(collected.expect("callgrind says what it counted").1.trim().parse().unwrap())
}

fn check(name: &str) {
    let Some(start_up) = instructions(name, "forward", 0) else {
        eprintln!("SKIPPED: no valgrind here (Debian: apt-get install valgrind)");
        return;
    };
    let per_round = |part: &str| {
        let total = instructions(name, part, NUM_ROUNDS).expect("valgrind was there a moment ago");
        (total - start_up) / NUM_ROUNDS as f64
    };
    for part in ["forward", "inverse"] {
        let (transform, bare) = (per_round(part), per_round(&format!("bare-{part}")));
        let ratio = transform / bare;
        eprintln!("{name} {part}: {transform:.0} instructions, its bare FFTs {bare:.0}, ratio {ratio:.3}");
        assert!(bare > 10_000.0, "the bare FFTs were counted");
        assert!(ratio <= MAX_RATIO, "{name} {part}: {ratio:.3} times the bare FFTs, at most {MAX_RATIO} allowed");
    }
}

#[test]
fn bark_262() {
    check("bark-262");
}

#[test]
fn mel_32() {
    check("mel-32");
}
