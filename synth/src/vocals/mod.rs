//! Singing laid over a song: phrases of one recording, cut at silences, moved to the song's key and beat.

mod key;
mod phrases;

pub use key::{major_tonic_of, pitch_classes};

use crate::raw_song::SAMPLE_RATE_HZ;
use crate::seed;
use crate::tone::{Stereo, add_sound, silence};
use anyhow::{Context, Result, bail};
use rand::Rng;
use rand::seq::SliceRandom;
use serde::Serialize;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use timestretch::{Backend, Parameters, PitchRatio, SessionConfig, TempoRate};

/// A recording of singing.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file.
    pub path: PathBuf,
    /// The song that it comes from.
    pub title: String,
    /// Its licence, as far as it is known.
    pub licence: String,
    /// What to beware of.
    pub note: String,
}

/// What is sung, for `song.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Sung {
    /// The recording.
    pub title: String,
    /// Its licence.
    pub licence: String,
    /// What to beware of.
    pub note: String,
    /// Semitones by which it was moved.
    pub semitones: i32,
    /// Phrases that were placed.
    pub num_phrases: usize,
}

/// What singing has to fit to.
#[derive(Clone, Debug)]
pub struct Backing {
    /// Length of a beat in s.
    pub beat_s: f64,
    /// Pitch class of the tonic, of the relative major's in minor; `None`: not known.
    pub major_tonic: Option<i32>,
    /// Where there may be singing, in s.
    pub windows_s: Vec<Range<f64>>,
    /// Length of the song.
    pub num_samples: usize,
}

/// Finds recordings: in every folder `vocals.{wav,flac,ogg}` of song folders, and sound files that lie in it directly.
///
/// # Errors
/// A folder cannot be read, or there is no singing in any of them.
pub fn find(dirs: &[PathBuf]) -> Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    for dir in dirs {
        let entries = fs::read_dir(dir).with_context(|| format!("--vocals {}: could not read it", dir.display()))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let found = recordings.len();
        for path in paths {
            recordings.extend(if path.is_dir() { in_song(&path) } else { solo(&path) });
        }
        if recordings.len() == found {
            bail!(
                "--vocals {}: expected song folders with vocals.wav, .flac or .ogg, or recordings of singing, found none",
                dir.display()
            );
        }
    }
    Ok(recordings)
}

fn in_song(dir: &Path) -> Option<Recording> {
    let path = ["wav", "flac", "ogg"].iter().map(|e| dir.join(format!("vocals.{e}"))).find(|path| path.is_file())?;
    let json: serde_json::Value = fs::read_to_string(dir.join("song.json"))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let text = |field: &str| json.get(field).and_then(|value| value.as_str()).map(str::to_string);
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let licence = text("licence").unwrap_or_else(|| "unknown".into());
    Some(Recording { path, title: text("title").unwrap_or(name), licence, note: text("note").unwrap_or_default() })
}

fn solo(path: &Path) -> Option<Recording> {
    let is_sound =
        path.extension().is_some_and(|e| ["wav", "flac", "ogg", "mp3", "m4a"].iter().any(|known| e == *known));
    let beside = path.with_file_name("SOURCE.txt");
    let licence = if beside.is_file() { format!("see {}", beside.display()) } else { "unknown".into() };
    let title = path.file_stem()?.to_string_lossy().into_owned();
    is_sound.then(|| Recording { path: path.into(), title, licence, note: String::new() })
}

/// Sings a song: phrases of one of the recordings, in random order, from bar lines on, with breaks.
///
/// Recordings that cannot be read are told to `complain`, and another one is taken.
///
/// # Errors
/// None of the recordings can be used.
pub fn sing(
    recordings: &[Recording],
    backing: &Backing,
    song_seed: u64,
    mut complain: impl FnMut(String),
) -> Result<(Stereo, Sung)> {
    let mut rng = seed::rng(song_seed, "vocals");
    let mut order: Vec<usize> = (0..recordings.len()).collect();
    order.shuffle(&mut rng);
    for recording_idx in order {
        let recording = &recordings[recording_idx];
        let sound = match audio::read_all(&recording.path) {
            Ok(audio) if audio.sample_rate_hz == SAMPLE_RATE_HZ => audio.samples,
            Ok(audio) => {
                let (path, rate) = (recording.path.display(), audio.sample_rate_hz);
                complain(format!("{path}: expected {SAMPLE_RATE_HZ} Hz, found {rate} Hz; left out"));
                continue;
            }
            Err(error) => {
                complain(format!("{error}; left out"));
                continue;
            }
        };
        let phrases = phrases::cut(&sound, f64::from(SAMPLE_RATE_HZ));
        if phrases.is_empty() {
            complain(format!("{}: no phrase of singing in it; left out", recording.path.display()));
            continue;
        }
        let (out, semitones, num_phrases) = place(&sound, phrases, backing, &mut rng)?;
        let Recording { title, licence, note, .. } = recording.clone();
        return Ok((out, Sung { title, licence, note, semitones, num_phrases }));
    }
    bail!("none of the {} recordings of singing can be used", recordings.len());
}

/// Semitones from one key to another, at most 4 either way: where the way is longer, to a neighbour on the circle of
/// fifths, which has all notes but one in common.
fn nearest_shift(from: i32, to: i32) -> i32 {
    let shift = (to - from + 5).rem_euclid(12) - 5;
    match shift {
        5 | 6 => shift - 7,
        -5 => 2,
        _ => shift,
    }
}

fn place(
    sound: &Stereo,
    mut phrases: Vec<Range<usize>>,
    backing: &Backing,
    rng: &mut impl Rng,
) -> Result<(Stereo, i32, usize)> {
    let rate = f64::from(SAMPLE_RATE_HZ);
    let sung_tonic = major_tonic_of(&key::sung_pitch_classes(sound, &phrases, rate));
    let semitones = match (sung_tonic, backing.major_tonic) {
        (Some(from), Some(to)) => nearest_shift(from, to),
        _ => rng.random_range(-2..3),
    };
    let mut out = silence(backing.num_samples);
    let mut num_phrases = 0;
    phrases.shuffle(rng);
    let mut next = phrases.iter().cycle();
    for window in &backing.windows_s {
        let mut beat = (window.start / backing.beat_s).ceil();
        for phrase in next.by_ref() {
            let duration_s = phrase.len() as f64 / rate;
            // A whole number of beats, if a stretch of an eighth does it.
            let num_beats = (duration_s / backing.beat_s).round().max(1.0);
            let tempo = (duration_s / (num_beats * backing.beat_s)).clamp(0.88, 1.14);
            let start_s = beat * backing.beat_s;
            if start_s + 0.5 * duration_s / tempo > window.end {
                break;
            }
            let moved = shift(sound, phrase, f64::from(semitones), tempo)?;
            add_sound(&mut out, &moved, (start_s * rate) as usize, 1.0);
            num_phrases += 1;
            beat += num_beats + f64::from(rng.random_range(0..3));
            beat = (beat / 2.0).ceil() * 2.0;
        }
    }
    Ok((out, semitones, num_phrases))
}

/// Fades in and out of a phrase in samples.
const FADE_LEN: usize = 441;

fn shift(sound: &Stereo, phrase: &Range<usize>, semitones: f64, tempo: f64) -> Result<Stereo> {
    let mut interleaved = Vec::with_capacity(2 * phrase.len());
    for (n, i) in phrase.clone().enumerate() {
        let fade = (n.min(phrase.len() - 1 - n) as f32 / FADE_LEN as f32).min(1.0);
        interleaved.extend([fade * sound[0][i], fade * sound[1][i]]);
    }
    let parameters = Parameters {
        tempo: TempoRate::new(tempo)?,
        pitch: PitchRatio::from_semitones(semitones)?,
        ..Parameters::default()
    };
    let config = SessionConfig {
        source_sample_rate: SAMPLE_RATE_HZ,
        output_sample_rate: SAMPLE_RATE_HZ,
        channels: 2,
        parameters,
        backend: Backend::Portable,
        ..SessionConfig::default()
    };
    let moved = timestretch::render(&interleaved, config)?;
    Ok([0, 1].map(|channel| moved.samples.iter().skip(channel).step_by(2).copied().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_brought_together_by_four_semitones_at_most() {
        for from in 0..12 {
            for to in 0..12 {
                let shift = nearest_shift(from, to);
                assert!((-4..=4).contains(&shift), "{from} to {to}: {shift}");
                let distance = (from + shift - to).rem_euclid(12);
                assert!([0, 5, 7].contains(&distance), "{from} to {to}: {shift}");
            }
        }
    }

    #[test]
    fn a_tone_is_moved_in_pitch_and_time() {
        let rate = f64::from(SAMPLE_RATE_HZ);
        let tone: Vec<f32> =
            (0..88_200).map(|i| 0.5 * (std::f64::consts::TAU * 220.0 * i as f64 / rate).sin() as f32).collect();
        let moved = shift(&[tone.clone(), tone], &(0..88_200), 3.0, 1.1).expect("a valid shift");
        let expected_len = 88_200.0 / 1.1;
        assert!((moved[0].len() as f64 / expected_len - 1.0).abs() < 0.01, "{}", moved[0].len());
        let middle = &moved[0][20_000..60_000];
        let crossings = middle.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let hz = crossings as f64 * rate / middle.len() as f64;
        let expected_hz = 220.0 * (3.0f64 / 12.0).exp2();
        assert!((hz / expected_hz - 1.0).abs() < 0.01, "{hz} for {expected_hz}");
    }
}
