//! Random designs and signals for the tests and examples, from seeds.
#![allow(dead_code)] // every test takes what it needs

use rand::{Rng, rngs::StdRng};
use slicqt::{Design, ResolutionBand, Sample, Scale};
use std::f64::consts::PI;

pub const KINDS: [&str; 7] = ["bark", "mel", "cq", "vq", "linear", "mr", "stft"];
const RATES_HZ: [f64; 8] = [8_000.0, 11_025.0, 16_000.0, 22_050.0, 44_100.0, 48_000.0, 88_200.0, 96_000.0];

/// `10^x`, x between the logarithms of both.
pub fn log_uniform(rng: &mut StdRng, from: f64, to: f64) -> f64 {
    rng.random_range(from.ln()..to.ln()).exp()
}

/// A design of one of [`KINDS`], legal or not; with slices of up to `max_slice_len` samples if it suggests its own.
pub fn random_design(kind: &str, max_slice_len: usize, rng: &mut StdRng) -> Design {
    let rate = match rng.random_range(0..10) {
        i if i < 8 => RATES_HZ[i],
        _ => log_uniform(rng, 4_000.0, 192_000.0),
    };
    let design = match kind {
        "stft" => {
            let hop_len = rng.random_range(1..=(max_slice_len / 16).min(1500));
            let overlap = rng.random_range(2..=8);
            return Design::stft(hop_len * overlap, hop_len, rate);
        }
        "mr" => {
            let num_bands = rng.random_range(1..=4);
            let mut up_to_hz: Vec<f64> = (1..num_bands).map(|_| log_uniform(rng, 100.0, rate / 2.5)).collect();
            up_to_hz.sort_by(f64::total_cmp);
            up_to_hz.push(rate / 2.0);
            let bands: Vec<ResolutionBand> = up_to_hz
                .into_iter()
                .map(|up_to_hz| ResolutionBand {
                    up_to_hz,
                    window_len: log_uniform(rng, 24.0, max_slice_len as f64 / 3.0) as usize,
                })
                .collect();
            Design::multi_resolution(&bands, rate)
        }
        _ => {
            let scale = match kind {
                "bark" => Scale::Bark,
                "mel" => Scale::Mel,
                "cq" => Scale::ConstantQ,
                "vq" => Scale::VariableQ { gamma_hz: log_uniform(rng, 1.0, 500.0) },
                _ => Scale::Linear,
            };
            let fmin = log_uniform(rng, 15.0, rate / 6.0);
            let num_bands = log_uniform(rng, 4.0, 300.0) as usize;
            let design = Design::new(scale, num_bands, fmin, rate);
            match rng.random_range(0..3) {
                0 => design.with_fmax_hz(rng.random_range(1.5 * fmin..rate / 2.0)),
                _ => design,
            }
        }
    };
    let Ok(suggested) = slicqt::Plan::<f32>::new(&design) else { return design };
    let design = match rng.random_range(0..3) {
        0 => {
            let longer = log_uniform(rng, 1.0, 3.0) * suggested.slice_len() as f64;
            design.with_slice_len(Design::next_slice_len(longer as usize))
        }
        _ => design,
    };
    match rng.random_range(0..3) {
        0 => design.with_transition_len(2 * rng.random_range(1..=suggested.slice_len() / 4)),
        _ => design,
    }
}

fn cast<T: Sample>(x: f64) -> T {
    T::from_f64(x).unwrap()
}

pub fn noise<T: Sample>(num_samples: usize, rng: &mut StdRng) -> Vec<T> {
    (0..num_samples).map(|_| cast(rng.random_range(-1.0..1.0))).collect()
}

/// Plucked chords over a kick: tonal, transient, and loud at the low end.
pub fn music<T: Sample>(num_samples: usize, sample_rate_hz: f64) -> Vec<T> {
    let sine = |f: f64, t: f64| (2.0 * PI * f * t).sin();
    (0..num_samples)
        .map(|n| {
            let t = n as f64 / sample_rate_hz;
            let beat = t % 0.5;
            let chord: f64 = [110.0, 277.2, 329.6, 1318.5].iter().map(|f| sine(*f, t)).sum();
            let kick = sine(45.0 + 90.0 * (-30.0 * beat).exp(), beat) * (-8.0 * beat).exp();
            cast(0.15 * chord * (-3.0 * beat).exp() + 0.5 * kick)
        })
        .collect()
}

/// Noise, a sine, an impulse, music.
pub fn signals<T: Sample>(num_samples: usize, rate: f64, rng: &mut StdRng) -> Vec<(&'static str, Vec<T>)> {
    let f = log_uniform(rng, 20.0, rate / 2.0);
    let sine = (0..num_samples).map(|n| cast(0.7 * (2.0 * PI * f * n as f64 / rate + 0.3).sin())).collect();
    let mut impulse = vec![T::zero(); num_samples];
    impulse[rng.random_range(0..num_samples)] = T::one();
    vec![("noise", noise(num_samples, rng)), ("sine", sine), ("impulse", impulse), ("music", music(num_samples, rate))]
}

/// Energy of the reference by energy of the difference.
pub fn snr_db<T: Sample>(reference: &[T], estimate: &[T]) -> f64 {
    assert_eq!(reference.len(), estimate.len());
    let (mut signal, mut error) = (0.0, 0.0);
    for (r, e) in reference.iter().zip(estimate) {
        signal += r.to_f64().unwrap().powi(2);
        error += (r.to_f64().unwrap() - e.to_f64().unwrap()).powi(2);
    }
    10.0 * (signal / error).log10()
}
