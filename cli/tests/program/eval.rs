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
        if stem_idx < 2 {
            let of_bassless = expected_sdr_db(&bassless, stem_idx, MASKS[stem_idx]);
            close(&scores["songs"][1]["stems"][stem]["sdr_db"], of_bassless);
            mean = (of_full + of_bassless) / 2.0;
        }
        close(&scores["stems"][stem]["sdr_db"], mean);
        means.push(mean);
    }
    // Without a bass of its own, the song has it inside other: the model's bass counts as other.
    let both = expected_sdr_db(&bassless, 2, MASKS[2] + MASKS[3]);
    close(&scores["songs"][1]["stems"]["bass+other"]["sdr_db"], both);
    means.push(both);
    close(&scores["mean"]["sdr_db"], means.iter().sum::<f64>() / 5.0);
    // Masks on the true spectra are better than constant ones, and those better than the mix.
    for stem in STEM_NAMES {
        let score = &scores["songs"][0]["stems"][stem];
        let oracle = score["oracle_sdr_db"].as_f64().unwrap();
        assert!(oracle > score["sdr_db"].as_f64().unwrap() && oracle.is_finite(), "{stem}: {score}");
        for set in ["bss_eval", "mix_bss_eval", "oracle_bss_eval"] {
            assert!(score[set]["SDR"].is_f64(), "{stem}: {score}");
        }
    }

    let rows = |name: &str| outcome.stdout.lines().filter(|line| line.contains(name)).collect::<Vec<_>>();
    assert_eq!(rows("bass  ").len(), 2, "{}", outcome.stdout);
    assert_eq!(rows("bass+other  ").len(), 2, "{}", outcome.stdout);
    assert!(outcome.stdout.contains("real time"), "{}", outcome.stdout);
}

#[test]
fn jobs_do_not_matter_and_global_only_measures_the_same() {
    let workplace = Workplace::new(MASKS);
    for (song_idx, song) in ["a", "b", "c"].into_iter().enumerate() {
        write_song(&workplace, song, [&[][..], &["drums"][..], &["bass"][..]][song_idx]);
    }
    let scores = |name: &str, args: &[&str]| -> Value {
        let outcome = workplace.unbraid(&[&["eval", "--data", "data", "--json", name][..], args].concat());
        assert!(outcome.is_success, "{}", outcome.stderr);
        serde_json::from_str(&std::fs::read_to_string(workplace.path(name)).unwrap()).unwrap()
    };
    let (one, three) = (scores("1.json", &["--jobs", "1"]), scores("3.json", &["--jobs", "3"]));
    assert_eq!(one["stems"], three["stems"]);
    let names =
        |scores: &Value| scores["songs"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&three), ["a", "b", "c"]);
    let global = scores("global.json", &["--global-only"]);
    for stem in STEM_NAMES {
        assert_eq!(global["stems"][stem]["sdr_db"], one["stems"][stem]["sdr_db"]);
        assert!(global["stems"][stem].get("bss_eval").is_none());
    }
}

/// The mask of the rest is that of all stems that `--stems` does not name.
#[test]
fn coarser_stems_are_judged_as_sums() {
    let workplace = Workplace::new(MASKS);
    let stems = write_song(&workplace, "song", &[]);
    let rest: Vec<f32> = (0..stems[0].len()).map(|i| stems[1][i] + stems[2][i] + stems[3][i]).collect();
    let args = ["eval", "--data", "data", "--stems", "vocals,accompaniment", "--json", "scores.json", "--out", "out"];
    let outcome = workplace.unbraid(&args);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let scores: Value = serde_json::from_str(&std::fs::read_to_string(workplace.path("scores.json")).unwrap()).unwrap();
    let of_song = &scores["songs"][0]["stems"];
    close(&of_song["accompaniment"]["sdr_db"], expected_sdr_db(&[rest, stems[0].clone()], 0, 0.5));
    let museval = std::fs::read_to_string(workplace.path("out/song.json")).unwrap().replace("NaN", "null");
    let museval: Value = serde_json::from_str(&museval).unwrap();
    assert_eq!(museval["targets"][0]["name"], "vocals");
    assert_eq!(museval["targets"][1]["name"], "accompaniment");
    let frames = museval["targets"][1]["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 1, "a song shorter than a second is one window");
    // One window of the whole song: the same as the global SDR.
    close(&frames[0]["metrics"]["SDR"], of_song["accompaniment"]["sdr_db"].as_f64().unwrap());

    let outcome = workplace.unbraid(&["eval", "--data", "data", "--stems", "vocals,piano"]);
    assert!(!outcome.is_success && outcome.stderr.contains("piano"), "{}", outcome.stderr);
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

/// Files of any program against the truth: exact ones score infinity and are left out, halved ones 6.02 dB.
#[test]
fn given_estimates_are_judged() {
    let workplace = Workplace::new(MASKS);
    // As MUSDB18-HQ is laid out.
    for song in ["a", "b"] {
        let stems: Vec<Vec<f32>> = (0..4).map(|seed| tones(30_000, 44_100, seed)).collect();
        for (stem, name) in stems.iter().zip(STEM_NAMES) {
            write_wav(&workplace.path(&format!("musdb/test/{song}/{name}.wav")), 44_100, [stem, stem]);
            let half: Vec<f32> = stem.iter().map(|x| x / 2.0).collect();
            let len = if song == "a" { 30_000 } else { 29_000 };
            write_wav(&workplace.path(&format!("est/{song}/{name}.wav")), 44_100, [&half[..len], &half[..len]]);
        }
        write_wav(&workplace.path(&format!("musdb/test/{song}/mixture.wav")), 44_100, [&stems[0], &stems[0]]);
    }
    let scores = |more: &[&str]| {
        let args = ["eval", "--data", "musdb", "--estimates", "est", "--json", "-", "--global-only"];
        let outcome = workplace.unbraid(&[&args[..], more].concat());
        (outcome.is_success, serde_json::from_str::<Value>(&outcome.stdout).unwrap(), outcome.stderr)
    };
    let (is_success, json, stderr) = scores(&[]);
    assert!(!is_success && stderr.contains("--pad fills it up") && stderr.contains("1 of 2 songs"), "{stderr}");
    assert_eq!((json["songs"].as_array().unwrap().len(), &json["failed"][0]["name"]), (1, &"b".into()));
    close(&json["stems"]["vocals"]["sdr_db"], 20.0 * 2f64.log10());
    let (is_success, json, stderr) = scores(&["--pad"]);
    assert!(is_success && json["songs"].as_array().unwrap().len() == 2, "{stderr}");

    // A voice and the rest, longer than the truth.
    let stems: Vec<Vec<f32>> = (0..4).map(|seed| tones(30_000, 44_100, seed)).collect();
    let long = |stems: &[Vec<f32>]| -> Vec<f32> {
        let sum = (0..30_000).map(|i| stems.iter().map(|stem| stem[i]).sum::<f32>() / 2.0);
        sum.chain(vec![0.1; 500]).collect()
    };
    for (name, stems) in [("vocals", &stems[..1]), ("no_vocals", &stems[1..])] {
        let long = long(stems);
        write_wav(&workplace.path(&format!("two/a/{name}.wav")), 44_100, [&long, &long]);
    }
    let two = ["eval", "--data", "musdb/test/a", "--estimates", "two", "--json", "two.json"];
    let outcome = workplace.unbraid(&two);
    assert!(!outcome.is_success && outcome.stderr.contains("--trim cuts it"), "{}", outcome.stderr);
    let outcome = workplace.unbraid(&[&two[..], &["--trim"]].concat());
    assert!(outcome.is_success && outcome.stdout.contains("no_vocals"), "{} {}", outcome.stdout, outcome.stderr);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(workplace.path("two.json")).unwrap()).unwrap();
    close(&json["stems"]["no_vocals"]["sdr_db"], 20.0 * 2f64.log10());
}

#[test]
fn one_bad_song_does_not_end_the_evaluation() {
    let workplace = Workplace::new(MASKS);
    write_song(&workplace, "a", &[]);
    write_song(&workplace, "b", &["drums"]);
    std::fs::remove_file(workplace.path("data/b/song.json")).unwrap();
    write_song(&workplace, "c", &[]);
    let outcome = workplace.unbraid(&["eval", "--data", "data", "--json", "scores.json", "--global-only"]);
    assert!(!outcome.is_success && outcome.stderr.contains("1 of 3 songs could not be judged"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("left out: b: ") && outcome.stdout.contains("all songs"), "{}", outcome.stdout);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(workplace.path("scores.json")).unwrap()).unwrap();
    assert_eq!((json["songs"].as_array().unwrap().len(), json["failed"].as_array().unwrap().len()), (2, 1));
}
