//! `unbraid eval`.

use crate::command::{Workplace, tones, write_wav};
use audio::{STEM_NAMES, global_sdr_db};
use serde_json::Value;

const MASKS: [f32; 4] = [0.5, 0.25, 0.125, 0.125];

/// SDR of `share` of the stems' sum as the estimate of one of them.
fn expected_sdr_db(stems: &[Vec<f32>], stem_idx: usize, share: f32) -> f64 {
    let estimate: Vec<f32> =
        (0..stems[0].len()).map(|i| share * stems.iter().map(|stem| stem[i]).sum::<f32>()).collect();
    let reference = &stems[stem_idx];
    global_sdr_db([reference, reference], [&estimate, &estimate]).unwrap()
}

/// Writes a song whose stems differ in level; returns them. `missing` is declared in `song.json`.
fn write_song(workplace: &Workplace, song: &str, missing: &[&str]) -> Vec<Vec<f32>> {
    let dir = workplace.path("data").join(song);
    let mut stems = Vec::new();
    for (stem_idx, stem) in STEM_NAMES.iter().enumerate() {
        if missing.contains(stem) {
            continue;
        }
        let level = 1.0 + stem_idx as f32;
        let samples: Vec<f32> = tones(30_000, 44100, stem_idx as u32).iter().map(|x| x * level).collect();
        write_wav(&dir.join(format!("{stem}.wav")), 44100, [&samples, &samples]);
        stems.push(samples);
    }
    let there: Vec<_> = STEM_NAMES.iter().filter(|stem| !missing.contains(stem)).collect();
    std::fs::write(dir.join("song.json"), serde_json::json!({ "stems": there }).to_string()).unwrap();
    stems
}

fn close(value: &Value, want: f64) {
    let got = value.as_f64().unwrap();
    assert!((got - want).abs() < 1e-3, "{got} instead of {want}");
}

#[test]
fn scores_are_those_of_the_definition() {
    let workplace = Workplace::new(MASKS);
    let full = write_song(&workplace, "full", &[]);
    let bassless = write_song(&workplace, "tune", &["bass"]);
    let outcome = workplace.unbraid(&["eval", "--data", "data", "--json", "scores.json"]);
    assert!(outcome.is_success, "{}", outcome.stderr);

    let text = std::fs::read_to_string(workplace.path("scores.json")).unwrap();
    let scores: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(scores["model"]["name"], "test");
    assert_eq!(scores["songs"][0]["name"], "full");
    assert_eq!(scores["songs"][1]["name"], "tune");
    assert!(scores["songs"][1]["stems"].get("bass").is_none());
    assert!(scores["real_time_factor"].as_f64().unwrap() > 0.0);
    close(&scores["songs"][0]["seconds"], 30_000.0 / 44_100.0);

    let mut means = Vec::new();
    for (stem_idx, stem) in STEM_NAMES.iter().enumerate() {
        let of_full = expected_sdr_db(&full, stem_idx, MASKS[stem_idx]);
        let score = &scores["songs"][0]["stems"][stem];
        close(&score["sdr_db"], of_full);
        close(&score["mix_sdr_db"], expected_sdr_db(&full, stem_idx, 1.0));
        close(&score["gain_db"], of_full - expected_sdr_db(&full, stem_idx, 1.0));
        let mut mean = of_full;
        if *stem != "bass" {
            let idx_without_bass = stem_idx.min(2);
            let of_bassless = expected_sdr_db(&bassless, idx_without_bass, MASKS[stem_idx]);
            close(&scores["songs"][1]["stems"][stem]["sdr_db"], of_bassless);
            mean = (of_full + of_bassless) / 2.0;
        }
        close(&scores["stems"][stem]["sdr_db"], mean);
        means.push(mean);
    }
    close(&scores["mean"]["sdr_db"], means.iter().sum::<f64>() / 4.0);

    let bass = outcome.stdout.lines().filter(|line| line.contains("bass  ")).collect::<Vec<_>>();
    assert_eq!(bass.len(), 3, "{}", outcome.stdout);
    assert!(bass[1].ends_with('-'), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("real time"), "{}", outcome.stdout);
}

#[test]
fn a_song_at_another_rate_is_scored_as_well() {
    let workplace = Workplace::new(MASKS);
    let stems: Vec<Vec<f32>> = (0..4).map(|seed| tones(48_000, 48_000, seed)).collect();
    for (stem, samples) in STEM_NAMES.iter().zip(&stems) {
        write_wav(&workplace.path("song").join(format!("{stem}.wav")), 48_000, [samples, samples]);
    }
    let outcome = workplace.unbraid(&["eval", "--data", "song", "--json", "scores.json"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let text = std::fs::read_to_string(workplace.path("scores.json")).unwrap();
    let scores: Value = serde_json::from_str(&text).unwrap();
    close(&scores["songs"][0]["stems"]["vocals"]["sdr_db"], expected_sdr_db(&stems, 0, MASKS[0]));
}

#[test]
fn a_stem_missing_without_a_word_is_an_error() {
    let workplace = Workplace::new(MASKS);
    write_song(&workplace, "song", &["drums"]);
    std::fs::remove_file(workplace.path("data/song/song.json")).unwrap();
    let outcome = workplace.unbraid(&["eval", "--data", "data"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("drums.wav") && outcome.stderr.contains("song.json"), "{}", outcome.stderr);

    let outcome = workplace.unbraid(&["eval", "--data", "nowhere"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("nowhere"), "{}", outcome.stderr);
}
