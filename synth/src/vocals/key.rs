//! Keys: of singing, from its pitch; of a song, from its notes.

use crate::patch::Note;
use crate::tone::Stereo;
use std::ops::Range;

/// How much each step above the tonic of a major key is heard (C. Krumhansl and E. Kessler, 1982).
const MAJOR_PROFILE: [f64; 12] = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88];
/// The same for minor.
const MINOR_PROFILE: [f64; 12] = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17];

/// Seconds that notes sound per pitch class, from C.
pub fn pitch_classes<'a>(notes: impl Iterator<Item = &'a Note>) -> [f64; 12] {
    let mut classes = [0.0; 12];
    for note in notes {
        classes[(note.key.round() as i64).rem_euclid(12) as usize] += note.duration_s.min(2.0);
    }
    classes
}

/// The tonic of the key that fits the pitch classes best; of the relative major where that is a minor key. `None` if
/// there are no notes.
pub fn major_tonic_of(classes: &[f64; 12]) -> Option<i32> {
    if classes.iter().sum::<f64>() <= 0.0 {
        return None;
    }
    let fit = |profile: &[f64; 12], tonic: usize| -> f64 {
        let rotated: [f64; 12] = std::array::from_fn(|class| profile[(class + 12 - tonic) % 12]);
        correlation(classes, &rotated)
    };
    let keys = (0..12).flat_map(|tonic| {
        [(fit(&MAJOR_PROFILE, tonic), tonic as i32), (fit(&MINOR_PROFILE, tonic), (tonic as i32 + 3) % 12)]
    });
    keys.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, tonic)| tonic)
}

fn correlation(a: &[f64; 12], b: &[f64; 12]) -> f64 {
    let mean = |x: &[f64; 12]| x.iter().sum::<f64>() / 12.0;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(usize) -> f64| (0..12).map(f).sum::<f64>();
    let spread = |x: &[f64; 12], mean: f64| sum(&|i| (x[i] - mean).powi(2)).sqrt();
    sum(&|i| (a[i] - mean_a) * (b[i] - mean_b)) / (spread(a, mean_a) * spread(b, mean_b)).max(1e-12)
}

/// Rate at which pitches are looked for, as a divisor of the recording's.
const DECIMATION: usize = 4;
/// Range of voices in Hz.
const RANGE_HZ: [f64; 2] = [80.0, 800.0];

/// Time that a voice spends on each pitch class, from C, in frames. Pitches are those of YIN's steps 1 to 3 (A. de
/// Cheveigné and H. Kawahara, 2002): the first dip of the cumulative mean normalized difference.
pub fn sung_pitch_classes(sound: &Stereo, phrases: &[Range<usize>], rate: f64) -> [f64; 12] {
    const MAX_FRAMES: usize = 600;
    let rate = rate / DECIMATION as f64;
    let (min_lag, max_lag) = ((rate / RANGE_HZ[1]) as usize, (rate / RANGE_HZ[0]) as usize);
    let window_len = 2 * max_lag;
    let total: usize = phrases.iter().map(Range::len).sum::<usize>() / DECIMATION;
    let hop = (total / MAX_FRAMES).max(window_len);
    let mut classes = [0.0; 12];
    for phrase in phrases {
        let mono: Vec<f32> = phrase
            .clone()
            .step_by(DECIMATION)
            .map(|i| sound.iter().map(|c| c[i..(i + DECIMATION).min(c.len())].iter().sum::<f32>()).sum())
            .collect();
        for start in (0..mono.len().saturating_sub(window_len + max_lag)).step_by(hop) {
            if let Some(lag) = period(&mono[start..], window_len, min_lag, max_lag) {
                let note = 69.0 + 12.0 * (rate / lag / 440.0).log2();
                classes[(note.round() as i64).rem_euclid(12) as usize] += 1.0;
            }
        }
    }
    classes
}

fn period(x: &[f32], window_len: usize, min_lag: usize, max_lag: usize) -> Option<f64> {
    let difference =
        |lag: usize| -> f64 { x[..window_len].iter().zip(&x[lag..]).map(|(a, b)| f64::from((a - b) * (a - b))).sum() };
    let mut sum = 0.0;
    let mut normalized = vec![1.0; max_lag + 1];
    for (lag, normalized) in normalized.iter_mut().enumerate().skip(1) {
        let d = difference(lag);
        sum += d;
        *normalized = if sum > 0.0 { d * lag as f64 / sum } else { 1.0 };
    }
    let mut lag = (min_lag.max(1)..max_lag).find(|lag| normalized[*lag] < 0.15)?;
    while lag + 1 < max_lag && normalized[lag + 1] < normalized[lag] {
        lag += 1;
    }
    // The lowest point of the parabola through three values.
    let (a, b, c) = (normalized[lag - 1], normalized[lag], normalized[lag + 1]);
    let bend = a - 2.0 * b + c;
    Some(lag as f64 + if bend > 0.0 { 0.5 * (a - c) / bend } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::silence;
    use crate::voice::{Syllable, sing};

    #[test]
    fn the_key_of_a_melody_in_major_and_minor_and_of_a_voice() {
        for tonic in 0..12 {
            let melody = [0, 4, 7, 0, 2, 4, 5, 7, 9, 7, 5, 4, 2, 11, 0];
            let key = |step: i32| f64::from(48 + tonic + step);
            let note = |step: &i32| Note { start_s: 0.0, duration_s: 0.4, key: key(*step), velocity: 1.0 };
            let notes: Vec<Note> = melody.iter().map(note).collect();
            assert_eq!(major_tonic_of(&pitch_classes(notes.iter())), Some(tonic));
            // In minor, with a raised seventh: three semitones below its relative major.
            let melody = [0, 3, 7, 0, 2, 3, 5, 7, 8, 7, 5, 3, 2, -1, 0];
            let notes: Vec<Note> = melody.iter().map(note).collect();
            assert_eq!(major_tonic_of(&pitch_classes(notes.iter())), Some((tonic + 3) % 12));
        }
        let tonic = 2;
        let mut sound = silence(6 * 44_100);
        let syllables: Vec<Syllable> = [0, 4, 7, 0, 2, 4, 5, 7, 9, 7, 5, 4, 2, 0]
            .iter()
            .enumerate()
            .map(|(n, step)| Syllable {
                start_s: 0.4 * n as f64,
                duration_s: 0.38,
                note: f64::from(50 + tonic + step - 2),
                vowel: n % 5,
            })
            .collect();
        sing(&mut sound, 44_100.0, &syllables, 1);
        let classes = sung_pitch_classes(&sound, &[0..3 * 44_100, 3 * 44_100..6 * 44_100], 44_100.0);
        assert_eq!(major_tonic_of(&classes), Some(tonic), "{classes:?}");
        assert_eq!(major_tonic_of(&[0.0; 12]), None);
    }
}
