//! Changes to drawn stems that leave them the same instruments: other rooms, other players, other keys.

use crate::songs::{BASS, DRUMS};
use rand::{Rng, rngs::StdRng};
use slicqt::Plan;

/// Gives a stem the course of plucked notes: a bass that decays like a kick drum is a bass all the same.
pub fn pluck(stem: &mut [Vec<f32>; 2], rng: &mut StdRng) {
    let period = (44_100.0 * rng.random_range(0.2..0.8)) as usize;
    let decay_samples = 44_100.0 * rng.random_range(0.05..0.4);
    let floor = if rng.random_bool(0.5) { 0.0 } else { rng.random_range(0.0..0.4) };
    let offset = rng.random_range(0..period);
    const ATTACK_LEN: f32 = 130.0; // 3 ms
    for channel in stem {
        for (n, sample) in channel.iter_mut().enumerate() {
            let since = ((n + offset) % period) as f32;
            let envelope = (since / ATTACK_LEN).min(1.0) * (-since / decay_samples).exp();
            *sample *= floor + (1.0 - floor) * envelope;
        }
    }
}

/// Puts a stem elsewhere on the stage: side times `width`, left times and right over `balance`.
pub fn restage(stem: &mut [Vec<f32>; 2], width: f32, balance: f32) {
    let [left, right] = stem;
    for (l, r) in left.iter_mut().zip(right) {
        let (mid, side) = (0.5 * (*l + *r), 0.5 * width * (*l - *r));
        *l = balance * (mid + side);
        *r = (mid - side) / balance;
    }
}

/// Pitch and tempo together, by up to three semitones, for two draws in three. Drums and bass go down as far as ten:
/// few training songs reach the lowest octave, and there a kick and a sub-bass are told apart by their course alone.
pub fn random_speed(stem_idx: usize, rng: &mut StdRng) -> f64 {
    let lowest = if matches!(stem_idx, DRUMS | BASS) { -10.0 } else { -3.0 };
    if rng.random_bool(0.35) { 1.0 } else { 2f64.powf(rng.random_range(lowest..3.0) / 12.0) }
}

/// `[bin]` A gentle equaliser: up to 1 dB per octave of tilt around 800 Hz, a broad bump of up to 4 dB, and
/// for half of the draws a shelf of up to 9 dB below 50 to 150 Hz.
pub fn random_tilt(plan: &Plan<f32>, rng: &mut StdRng) -> Vec<f32> {
    let tilt_db: f32 = rng.random_range(-1.0..1.0);
    let (bump_db, centre, width): (f32, f32, f32) =
        (rng.random_range(-4.0..4.0), rng.random_range(6.0..13.0), rng.random_range(0.7..2.0));
    let shelf_db: f32 = if rng.random_bool(0.5) { rng.random_range(-5.0..9.0) } else { 0.0 };
    let shelf_octave: f32 = rng.random_range(5.6..7.2);
    plan.bins()
        .iter()
        .map(|bin| {
            let octave = (bin.frequency_hz as f32).max(20.0).log2();
            let shelf = shelf_db / (1.0 + (4.0 * (octave - shelf_octave)).exp());
            let db = tilt_db * (octave - 9.6) + bump_db * (-((octave - centre) / width).powi(2)).exp() + shelf;
            10f32.powf(db / 20.0)
        })
        .collect()
}
