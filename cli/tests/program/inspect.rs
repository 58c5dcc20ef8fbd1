//! `unbraid inspect`.

use std::path::Path;

use crate::command::{Workplace, tones, write_wav};

fn workplace() -> Workplace {
    let workplace = Workplace::new([0.25; 4]);
    let [left, right] = [1, 2].map(|seed| tones(66_150, 44100, seed));
    write_wav(&workplace.path("song.wav"), 44100, [&left, &right]);
    workplace
}

/// Width, height, and how many different colours.
fn look_at(path: &Path) -> (u32, u32, usize) {
    let picture = image::open(path).unwrap().to_rgb8();
    let colors: std::collections::HashSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
    (picture.width(), picture.height(), colors.len())
}

#[test]
fn pictures_of_song_and_design_are_drawn() {
    let workplace = workplace();
    let args = ["inspect", "song.wav", "--transform", "mel-32", "--stft=1024:256", "--start", "0.2", "--seconds", "1"];
    let outcome = workplace.unbraid(&[&args[..], &["--width", "900", "--height", "700"]].concat());
    assert!(outcome.is_success, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("wrote song.png and song-design.png"), "{}", outcome.stdout);
    let (width, height, num_colors) = look_at(&workplace.path("song.png"));
    assert_eq!((width, height), (900, 700));
    assert!(num_colors > 150, "{num_colors} colours");
    let (width, height, num_colors) = look_at(&workplace.path("song-design.png"));
    assert_eq!((width, height), (900, 700));
    assert!(num_colors > 4, "{num_colors} colours");
    // The table: sizes of the published design, and a row for each of 33 bins.
    for part in ["2016 samples, 45.7 ms", "1008 samples", "33 in 23 buckets", "2156 per slice", "2772 samples, 62.9 ms"]
    {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let rows = outcome.stdout.lines().skip_while(|line| !line.contains("designed Hz")).skip(1);
    assert_eq!(rows.take_while(|line| !line.is_empty()).count(), 33);
    // Nothing half-written stays.
    let parts = std::fs::read_dir(workplace.path(".")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".part")
    });
    assert_eq!(parts.count(), 0);
}

#[test]
fn every_kind_of_design_is_drawn_and_listed() {
    let workplace = workplace();
    for spec in ["cq:40:60", "vq(30):40:40", "linear:60:100", "stft:1024:256", "mr:1000=2048,22050=512"] {
        let outcome = workplace.unbraid(&["inspect", "--transform", spec, "--out", "d.png"]);
        assert!(outcome.is_success, "{spec}: {}", outcome.stderr);
        assert!(outcome.stdout.starts_with(spec), "{}", outcome.stdout);
        assert_eq!(look_at(&workplace.path("d.png")).0, 1600);
    }
}

/// Every refusal names what is wrong, and nothing is written.
#[test]
fn refusals() {
    let workplace = workplace();
    std::fs::create_dir(workplace.path("empty")).unwrap();
    write_wav(&workplace.path("empty.wav"), 44100, [&[], &[]]);
    write_wav(&workplace.path("other_rate.wav"), 48000, [&[0.1; 9000], &[0.1; 9000]]);
    let cases: [(&[&str], &str); 14] = [
        (&["song.wav", "--transform", "bark"], "--transform: "),
        (&["song.wav", "--transform", "quark:100:30"], "quark"),
        (&["song.wav", "--transform", "bark:262:30000"], "30000"),
        (&["song.wav", "--stft=4096:1000"], "1000"),
        (&["nowhere.wav"], "nowhere.wav: could not open"),
        (&["empty.wav"], "empty.wav: the file holds no samples"),
        (&["song.wav", "--start", "2"], "too short: --start 2 lies behind its end at 1.500 s"),
        (&["song.wav", "--seconds", "0"], "--seconds: expected a number above 0, got 0"),
        (&["song.wav", "--out", "no/such/folder.png"], "no/such/folder-design.png: could not write"),
        (&["song.wav", "--out", "empty"], "empty: expected a file to write, got a folder"),
        (&["other_rate.wav", "--transform", "mel:32:115.5:rate=44100"], "48000 Hz, but --transform mel"),
        (&["--width", "10"], "--width: expected 400 to 16384 pixels, got 10"),
        (&["--find", "--data", "empty"], "found none"),
        (&["--find", "--data", "x", "--out", "table.txt"], "x"),
    ];
    for (args, part) in cases {
        let outcome = workplace.unbraid(&[&["inspect"], args].concat());
        assert!(!outcome.is_success, "{args:?}");
        assert!(outcome.stderr.contains(part), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: "), "{args:?}: {}", outcome.stderr);
    }
    for name in ["song.png", "song-design.png", "design.png"] {
        assert!(!workplace.path(name).exists(), "{name}");
    }
}

/// Two songs of three stems each.
fn write_stems(workplace: &Workplace) {
    for (song_idx, song) in ["a", "b"].into_iter().enumerate() {
        for (stem_idx, stem) in ["vocals", "drums", "other"].into_iter().enumerate() {
            let seed = (7 * song_idx + 3 * stem_idx) as u32;
            let [left, right] = [seed, seed + 1].map(|seed| tones(44_100, 44100, seed));
            write_wav(&workplace.path(&format!("stems/{song}/{stem}.wav")), 44100, [&left, &right]);
        }
        let json = r#"{ "stems": ["vocals", "drums", "other"] }"#;
        std::fs::write(workplace.path(&format!("stems/{song}/song.json")), json).unwrap();
    }
}

#[test]
fn a_search_is_deterministic_and_can_be_gone_on_with() {
    let workplace = Workplace::new([0.25; 4]);
    write_stems(&workplace);
    let find = |out: &str, trials: &str, more: &[&str]| {
        let args =
            ["inspect", "--find", "--data", "stems", "--latency-ms", "50,90", "--seconds", "0.7", "--also", "mel-32"];
        let outcome = workplace.unbraid(&[&args[..], &["--out", out, "--trials", trials], more].concat());
        let text = std::fs::read_to_string(workplace.path(out)).unwrap_or_default();
        (outcome, text)
    };
    let (outcome, all) = find("all.json", "4", &["--threads", "2"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let rows: Vec<&str> = outcome.stdout.lines().collect();
    assert!(rows[0].contains("IRM1 dB") && rows.last().unwrap().contains("mel-32"), "{}", outcome.stdout);
    let json: serde_json::Value = serde_json::from_str(&all).unwrap();
    let trials = json["trials"].as_array().unwrap();
    assert!(trials.len() >= 4, "{all}");
    let irm1 = |trial: &serde_json::Value| trial["sdr_db"]["irm1"].as_f64().unwrap();
    let best = trials.iter().map(irm1).fold(f64::MIN, f64::max);
    assert!(best > 5.0, "the stems overlap little: {all}");
    for trial in trials {
        // Silence scores 0, and masks that know the stems do better even with as few bins as were drawn.
        assert!(irm1(trial) > 1.0, "{trial}");
        assert!(trial["sdr_db"]["phase_sensitive"].as_f64() >= trial["sdr_db"]["irm1"].as_f64(), "{trial}");
        assert_eq!(trial["song_sdr_db"].as_array().unwrap().len(), 2, "{trial}");
    }

    let (outcome, _) = find("parts.json", "2", &["--threads", "1"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let (outcome, parts) = find("parts.json", "4", &["--threads", "1"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    assert_eq!(all, parts);

    let (outcome, _) = find("parts.json", "4", &["--seed", "2"]);
    assert!(!outcome.is_success && outcome.stderr.contains("other settings"), "{}", outcome.stderr);
    let (outcome, csv) = find("table.csv", "1", &[]);
    assert!(outcome.is_success && csv.starts_with("number,design") && csv.contains("\"mel-32\""), "{csv}");
    let (outcome, _) = find("table.txt", "1", &[]);
    assert!(
        !outcome.is_success && outcome.stderr.contains("table.txt: expected a name that ends in"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn help_teaches() {
    let help = Workplace::new([0.25; 4]).unbraid(&["inspect", "--help"]);
    for part in ["Examples:", "unbraid inspect --find --data", "vq(GAMMA)", "--latency-ms"] {
        assert!(help.stdout.contains(part), "{part}: {}", help.stdout);
    }
}
