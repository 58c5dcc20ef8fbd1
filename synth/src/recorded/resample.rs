//! Sound at another speed: a windowed sinc at any place between two samples.

use std::f64::consts::PI;
use std::sync::OnceLock;

/// Samples on either side that count.
const HALF_LEN: usize = 12;
/// Places between two samples that the table has.
const NUM_PHASES: usize = 512;

/// `[phase][tap]`
fn table() -> &'static [[f32; 2 * HALF_LEN]] {
    static TABLE: OnceLock<Vec<[f32; 2 * HALF_LEN]>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let tap = |phase_idx: usize, tap_idx: usize| {
            let x = tap_idx as f64 + 1.0 - HALF_LEN as f64 - phase_idx as f64 / NUM_PHASES as f64;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
            // Hann: side lobes fall fast, and the pass band of recorded drums ends well below half of the rate.
            let window = 0.5 + 0.5 * (PI * x / HALF_LEN as f64).cos();
            if x.abs() < HALF_LEN as f64 { sinc * window } else { 0.0 }
        };
        (0..NUM_PHASES).map(|phase_idx| std::array::from_fn(|tap_idx| tap(phase_idx, tap_idx) as f32)).collect()
    })
}

/// The sound between samples, at `place`; zero before its start and behind its end.
pub fn value_at(sound: &[f32], place: f64) -> f32 {
    let index = place.floor();
    let phase_idx = (((place - index) * NUM_PHASES as f64) as usize).min(NUM_PHASES - 1);
    let first = index as isize + 1 - HALF_LEN as isize;
    let taps = &table()[phase_idx];
    if first >= 0 && (first as usize) + taps.len() <= sound.len() {
        let first = first as usize;
        return taps.iter().zip(&sound[first..]).map(|(tap, x)| tap * x).sum();
    }
    let sample = |i: isize| if i < 0 { 0.0 } else { sound.get(i as usize).copied().unwrap_or(0.0) };
    taps.iter().enumerate().map(|(tap_idx, tap)| tap * sample(first + tap_idx as isize)).sum()
}

/// The whole sound at `speed` times its own, which moves pitch and length together.
pub fn at_speed(sound: &[f32], speed: f64) -> Vec<f32> {
    let len = (sound.len() as f64 / speed) as usize;
    (0..len).map(|i| value_at(sound, i as f64 * speed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_at_another_speed_is_a_sine_of_another_pitch() {
        let sine = |hz: f64, i: usize| (2.0 * PI * hz * i as f64 / 44_100.0).sin();
        for (hz, speed) in [(100.0, 1.19), (1000.0, 0.84), (8000.0, 1.12), (5000.0, 1.0)] {
            let sound: Vec<f32> = (0..4410).map(|i| sine(hz, i) as f32).collect();
            let moved = at_speed(&sound, speed);
            let middle = 100..moved.len() - 100;
            let error = middle.map(|i| (f64::from(moved[i]) - sine(hz * speed, i)).abs()).fold(0.0, f64::max);
            assert!(error < 0.02, "{hz} Hz at {speed}: {error}");
        }
    }
}
