//! Where somebody sings.

use crate::tone::Stereo;
use std::ops::Range;

/// Length of the frames in which levels are taken, in s.
const FRAME_S: f64 = 0.02;
/// Level re the loudest tenth of the frames below which nobody sings, in dB.
const SILENCE_DB: f64 = -32.0;
/// Pauses shorter than this are part of a phrase, in s.
const MAX_PAUSE_S: f64 = 0.3;
/// Kept around a phrase for consonants and breath, in s.
const MARGIN_S: f64 = 0.08;
/// Phrases shorter than this are left out, longer ones are cut at their quietest frame, in s.
const LENGTHS_S: [f64; 2] = [0.8, 9.0];

/// Cuts a recording `[channel][sample]` at its silences. Returns ranges of samples, in order.
pub fn cut(sound: &Stereo, rate: f64) -> Vec<Range<usize>> {
    let frame_len = (FRAME_S * rate) as usize;
    let powers: Vec<f64> = sound[0]
        .chunks(frame_len)
        .zip(sound[1].chunks(frame_len))
        .map(|(l, r)| l.iter().chain(r).map(|x| f64::from(x * x)).sum::<f64>() / (2.0 * frame_len as f64))
        .collect();
    let mut sorted = powers.clone();
    sorted.sort_by(f64::total_cmp);
    let Some(loud) = sorted.get(sorted.len() * 9 / 10).copied().filter(|power| *power > 1e-9) else {
        return Vec::new();
    };
    let threshold = loud * 10f64.powf(SILENCE_DB / 10.0);
    let frames = |seconds: f64| (seconds / FRAME_S) as usize;
    let mut phrases: Vec<Range<usize>> = Vec::new();
    for (frame_idx, _) in powers.iter().enumerate().filter(|(_, power)| **power > threshold) {
        match phrases.last_mut() {
            Some(last) if frame_idx - last.end <= frames(MAX_PAUSE_S) => last.end = frame_idx + 1,
            _ => phrases.push(frame_idx..frame_idx + 1),
        }
    }
    let mut cut = Vec::new();
    while let Some(phrase) = phrases.pop() {
        if phrase.len() > frames(LENGTHS_S[1]) {
            // The quietest frame, away from both ends.
            let third = phrase.len() / 3;
            let middle = phrase.start + third..phrase.end - third;
            let at = middle.min_by(|a, b| powers[*a].total_cmp(&powers[*b])).unwrap_or(phrase.start + third);
            phrases.extend([phrase.start..at, at..phrase.end]);
        } else if phrase.len() >= frames(LENGTHS_S[0]) {
            cut.push(phrase);
        }
    }
    cut.reverse();
    let margin = (MARGIN_S * rate) as usize;
    let in_samples = |phrase: Range<usize>| {
        let (start, end) = (phrase.start * frame_len, phrase.end * frame_len);
        start.saturating_sub(margin)..(end + margin).min(sound[0].len())
    };
    cut.into_iter().map(in_samples).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_cut_at_silences_and_long_ones_at_their_quietest_place() {
        let rate = 8000.0;
        // 2 s of sound, 1 s of silence, 12 s of sound with a dip at 9 s, 0.5 s of silence, 0.3 s of sound.
        let level = |t: f64| match t {
            t if t < 2.0 => 0.5,
            t if t < 3.0 => 0.0,
            t if (8.9..9.1).contains(&t) => 0.2,
            t if t < 15.0 => 0.5,
            t if t < 15.5 => 0.0,
            _ => 0.5,
        };
        let sound: Vec<f32> =
            (0..(15.8 * rate) as usize).map(|i| (level(i as f64 / rate) * (i as f64).sin()) as f32).collect();
        let phrases = cut(&[sound.clone(), sound], rate);
        let seconds: Vec<[f64; 2]> = phrases.iter().map(|p| [p.start as f64 / rate, p.end as f64 / rate]).collect();
        assert_eq!(seconds.len(), 3, "{seconds:?}");
        for (found, expected) in seconds.iter().zip([[0.0, 2.1], [2.9, 9.0], [9.0, 15.1]]) {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.2), "{seconds:?}");
        }
        assert!(cut(&[vec![0.0; 8000], vec![0.0; 8000]], rate).is_empty());
    }
}
