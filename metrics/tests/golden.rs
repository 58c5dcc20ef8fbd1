//! Small signals against what museval 0.4.1 says about them: `golden.json`, written by `tests/museval/golden.py`, which
//! makes the same signals.

use metrics::{BssEval, Config, Signal, SourceScores};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    num_sources: usize,
    len: usize,
    window_len: usize,
    filter_len: usize,
    silent: Vec<usize>,
    mono: Vec<usize>,
    /// `[SDR, ISR, SIR, SAR][source][window]`
    estimates: Vec<Vec<Vec<Option<f64>>>>,
    /// Without SAR.
    mix: Vec<Vec<Vec<Option<f64>>>>,
}

fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as f32 / 32_768.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// True stems and estimates, `[source][channel][sample]`.
fn signals(case: &Case) -> (Vec<Signal>, Vec<Signal>) {
    let divisors = [1.0, 2.0, 4.0, 4.0];
    let mut sources: Vec<Signal> = (0..case.num_sources)
        .map(|j| {
            let channel = |c| {
                let c = if case.mono.contains(&j) { 0 } else { c };
                noise(100 * j as u32 + c + 1, case.len).iter().map(|x| x / divisors[j]).collect()
            };
            [0, 1].map(channel)
        })
        .collect();
    for window in &case.silent {
        let start = window * case.window_len;
        sources[1].iter_mut().for_each(|channel| channel[start..start + case.window_len].fill(0.0));
    }
    let estimates = (0..case.num_sources)
        .map(|j| {
            let (own, other) = (&sources[j], &sources[(j + 1) % case.num_sources]);
            [0, 1].map(|c| {
                let artifact = noise(5000 + 10 * j as u32 + c as u32, case.len);
                let delayed = |i: usize| if i < 3 { 0.0 } else { own[1 - c][i - 3] };
                let sample = |i| 0.75 * own[c][i] + 0.125 * delayed(i) + 0.125 * other[c][i] + artifact[i] / 64.0;
                (0..case.len).map(sample).collect()
            })
        })
        .collect();
    (sources, estimates)
}

fn compare(case: &str, got: &[SourceScores], want: &[Vec<Vec<Option<f64>>>]) {
    for (source, got) in got.iter().enumerate() {
        let got = got.as_ref().unwrap();
        for (ratio_idx, want) in want.iter().enumerate() {
            let want = &want[source];
            assert_eq!(got.len(), want.len(), "{case}: windows");
            for (got, want) in got.iter().zip(want) {
                let got = [got.sdr_db, got.isr_db, got.sir_db, got.sar_db][ratio_idx];
                let want = want.unwrap_or(f64::NAN);
                let is_close = (got - want).abs() < 1e-6 || (got.is_nan() && want.is_nan());
                assert!(is_close, "{case}, source {source}, ratio {ratio_idx}: {got} instead of {want}");
            }
        }
    }
}

fn measure(case: &Case, block_len: usize) -> metrics::Scores {
    let (sources, estimates) = signals(case);
    let Case { num_sources, window_len, filter_len, .. } = *case;
    let mut bss_eval = BssEval::new(Config { num_sources, num_sets: 2, window_len, filter_len });
    for start in (0..case.len).step_by(block_len) {
        let cut = |stereo: &Signal| stereo.each_ref().map(|x| x[start..case.len.min(start + block_len)].to_vec());
        let cut = |all: &[Signal]| -> Vec<Signal> { all.iter().map(cut).collect() };
        // The true stems as a second set: nothing is wrong with them.
        bss_eval.add(&cut(&sources), &[&cut(&estimates), &cut(&sources)]);
    }
    bss_eval.finish()
}

#[test]
fn ratios_are_those_of_museval() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden.json")).unwrap();
    for case in &cases {
        let scores = measure(case, 333);
        compare(&case.name, &scores.sets[0], &case.estimates);
        compare(&case.name, &scores.mix, &case.mix);
        for window in scores.sets[1].iter().flat_map(|source| source.as_ref().unwrap()) {
            assert!(window.sdr_db.is_nan() || window.sdr_db == f64::INFINITY, "{}: {window:?}", case.name);
            assert!(window.isr_db.is_nan() || window.isr_db > 200.0, "{}: {window:?}", case.name);
        }
    }
}

#[test]
fn blocks_do_not_matter() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden.json")).unwrap();
    let whole = measure(&cases[0], usize::MAX / 2);
    for block_len in [1, 999, 1000, 1001] {
        assert_eq!(measure(&cases[0], block_len), whole, "{block_len}");
    }
}

/// museval refuses silent signals. Here a silent stem is left out, as if it had not been given, and a silent estimate
/// has no ratios.
#[test]
fn what_is_silent_all_through_is_left_out() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden.json")).unwrap();
    let (mut sources, mut estimates) = signals(&cases[0]);
    let config = |num_sources| Config { num_sources, num_sets: 1, window_len: 1000, filter_len: 16 };
    let scores = |sources: &[Signal], estimates: &[Signal]| {
        let mut bss_eval = BssEval::new(config(sources.len()));
        bss_eval.add(sources, &[estimates]);
        bss_eval.finish()
    };
    let two = scores(&sources[..2], &estimates[..2]);
    sources[2].iter_mut().for_each(|x| x.fill(0.0));
    let three = scores(&sources, &estimates);
    assert!(three.sets[0][2].is_none() && three.mix[2].is_none());
    assert_eq!(three.sets[0][..2], two.sets[0]);

    estimates[1].iter_mut().for_each(|x| x.fill(0.0));
    let one = scores(&sources, &estimates);
    assert!(one.sets[0][1].is_none());
    assert_eq!(one.sets[0][0], two.sets[0][0]);

    sources[..2].iter_mut().flatten().for_each(|x| x.fill(0.0));
    assert!(scores(&sources, &estimates).sets[0].iter().all(Option::is_none));
}
