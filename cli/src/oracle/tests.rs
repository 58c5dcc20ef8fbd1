//! The oracles against what must be true of any of them.

use std::f32::consts::TAU;

use audio::global_sdr_db;
use slicqt::Design;

use super::*;

/// Whole stems, `[stem][channel][sample]`.
type Stems = Vec<[Vec<f32>; 2]>;

fn plans() -> Vec<Arc<Plan>> {
    let designs = ["mel-32", "bark-262", "mr:1000=2048,22050=512", "stft:2048:512"];
    designs.map(|text| Arc::new(Plan::new(&text.parse::<Design>().unwrap()).unwrap())).to_vec()
}

/// Noise of a fixed seed, in -1..1.
fn noise(num_samples: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..num_samples).map(|_| next()).collect()
}

fn sine(num_samples: usize, frequency_hz: f32) -> Vec<f32> {
    (0..num_samples).map(|i| (TAU * (i as f32 * frequency_hz / 44_100.0).fract()).sin() * 0.3).collect()
}

/// Estimates of whole stems, without cutting the delay off.
fn run(oracle: &mut Oracle, stems: &Stems) -> Stems {
    let hop_len = oracle.masked.plan.hop_len();
    let num_samples = stems[0][0].len();
    let mut estimates: Stems = vec![Default::default(); stems.len()];
    for start in (0..num_samples + oracle.delay_samples()).step_by(hop_len) {
        let sample = |channel: &Vec<f32>, i| channel.get(start + i).copied().unwrap_or(0.0);
        let hop: Stems =
            stems.iter().map(|stem| stem.each_ref().map(|c| (0..hop_len).map(|i| sample(c, i)).collect())).collect();
        for (all, hop) in estimates.iter_mut().zip(oracle.process_hop(&hop)) {
            all.iter_mut().zip(hop).for_each(|(all, hop)| all.extend(hop));
        }
    }
    estimates
}

/// SDR of the estimates once the delay is cut off.
fn sdr_db(oracle: &Oracle, stem: &[Vec<f32>; 2], estimate: &[Vec<f32>; 2]) -> f64 {
    let aligned = estimate.each_ref().map(|channel| &channel[oracle.delay_samples()..][..stem[0].len()]);
    global_sdr_db([&stem[0], &stem[1]], aligned).unwrap()
}

#[test]
fn a_stem_alone_is_the_mix() {
    let stems: Stems = vec![[noise(50_000, 1), noise(50_000, 2)]];
    for plan in plans() {
        for mask in OracleMask::ALL {
            let mut oracle = Oracle::new(Arc::clone(&plan), 1, mask);
            let estimates = run(&mut oracle, &stems);
            let sdr_db = sdr_db(&oracle, &stems[0], &estimates[0]);
            assert!(sdr_db > 110.0, "{}: {sdr_db} dB", mask.name());
        }
    }
}

#[test]
fn stems_that_share_no_coefficient_come_apart() {
    let n = 100_000;
    let stems: Stems = vec![[sine(n, 220.0), sine(n, 330.0)], [sine(n, 5_000.0), sine(n, 8_000.0)]];
    for plan in plans() {
        for mask in OracleMask::ALL {
            let mut oracle = Oracle::new(Arc::clone(&plan), 2, mask);
            let estimates = run(&mut oracle, &stems);
            for (stem, estimate) in stems.iter().zip(&estimates) {
                let sdr_db = sdr_db(&oracle, stem, estimate);
                assert!(sdr_db > 40.0, "{}: {sdr_db} dB", mask.name());
            }
        }
    }
}

/// A hand case: stems 3 and 4i, so the mix is 3 + 4i, of magnitude 5.
#[test]
fn factors_by_hand() {
    let (s, x) = (Complex::new(3.0, 0.0), Complex::new(3.0, 4.0));
    let factor = |mask: OracleMask| mask.factor(s, x, mask.share(s) + mask.share(x - s));
    for (mask, expected) in OracleMask::ALL.into_iter().zip([3.0 / 7.0, 9.0 / 25.0, 3.0 / 5.0, 9.0 / 25.0]) {
        assert!((factor(mask) - expected).abs() < 1e-6, "{}: {} instead of {expected}", mask.name(), factor(mask));
    }
    // A stem that another one nearly cancels: beyond 1 only with its true magnitude. One in antiphase: nothing.
    let x = Complex::new(1.0, 0.0);
    assert_eq!(OracleMask::MixPhase.factor(s, x, 0.0), 3.0);
    assert_eq!(OracleMask::PhaseSensitive.factor(s, x, 0.0), 1.0);
    assert_eq!(OracleMask::PhaseSensitive.factor(-s, x, 0.0), 0.0);
    for mask in OracleMask::ALL {
        assert_eq!(mask.factor(Complex::default(), Complex::default(), 0.0), 0.0, "{}", mask.name());
    }
}

#[test]
fn ratio_masks_sum_to_the_mix_and_the_phase_sensitive_is_best() {
    let n = 60_000;
    let stems: Stems = (0..4).map(|seed| [noise(n, 10 + seed), noise(n, 20 + seed)]).collect();
    let mix: [Vec<f32>; 2] = std::array::from_fn(|c| (0..n).map(|i| stems.iter().map(|s| s[c][i]).sum()).collect());
    for plan in plans() {
        let mut first_stem_db = Vec::new();
        for mask in OracleMask::ALL {
            let mut oracle = Oracle::new(Arc::clone(&plan), 4, mask);
            let estimates = run(&mut oracle, &stems);
            first_stem_db.push(sdr_db(&oracle, &stems[0], &estimates[0]));
            let len = estimates[0][0].len();
            let sum = std::array::from_fn(|c| (0..len).map(|i| estimates.iter().map(|e| e[c][i]).sum()).collect());
            let sum_db = sdr_db(&oracle, &mix, &sum);
            let is_ratio = matches!(mask, OracleMask::IdealRatio1 | OracleMask::IdealRatio2);
            assert_eq!(sum_db > 110.0, is_ratio, "{}: sum {sum_db} dB", mask.name());
        }
        assert!(first_stem_db[..3].iter().all(|db| *db < first_stem_db[3]), "{first_stem_db:?}");
    }
}

/// An impulse comes out where `delay_samples` says, wherever in the hop it went in.
#[test]
fn the_delay_is_proven_by_impulses() {
    for plan in plans() {
        for offset in [0, 1, 17, plan.hop_len() / 2, plan.hop_len() - 1] {
            let mut oracle = Oracle::new(Arc::clone(&plan), 2, OracleMask::IdealRatio2);
            let position = 2 * plan.hop_len() + offset;
            let mut stems: Stems = vec![[vec![0.0; position + 1], vec![0.0; position + 1]]; 2];
            stems[0][0][position] = 1.0;
            let estimates = run(&mut oracle, &stems);
            let peak = (0..estimates[0][0].len()).max_by(|a, b| estimates[0][0][*a].total_cmp(&estimates[0][0][*b]));
            assert_eq!(peak, Some(position + oracle.delay_samples()));
            assert!(estimates[0][1].iter().chain(&estimates[1][0]).all(|x| *x == 0.0), "nothing elsewhere");
        }
    }
}

#[test]
fn reset_equals_new() {
    let stems: Stems = (0..2).map(|seed| [noise(30_000, 30 + seed), noise(30_000, 40 + seed)]).collect();
    for plan in plans() {
        for mask in OracleMask::ALL {
            let mut oracle = Oracle::new(Arc::clone(&plan), 2, mask);
            let first = run(&mut oracle, &stems);
            // A hop of noise whose slices are not over; a run ends with silence.
            let hop: Stems = vec![[noise(plan.hop_len(), 50), noise(plan.hop_len(), 51)]; 2];
            oracle.process_hop(&hop);
            assert!(first != run(&mut oracle, &stems), "the past must matter, or this test shows nothing");
            oracle.process_hop(&hop);
            oracle.reset();
            assert!(first == run(&mut oracle, &stems), "{}", mask.name());
        }
    }
}
