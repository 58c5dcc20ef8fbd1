//! The files of `../shared/cases` through the program: every row of its README.

use std::path::PathBuf;

use crate::command::Workplace;
use audio::{find_ffmpeg, read_all};

fn case(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no {}", path.display());
    }
    path.exists().then(|| path.to_str().unwrap().to_string())
}

#[test]
fn songs_of_every_kind_give_stems_of_their_length() {
    let workplace = Workplace::new([0.25; 4]);
    let native = [
        ("frag_1s.mp4", 266_240),
        ("frag_alac.m4a", 264_600),
        ("frag_plain.m4a", 266_240),
        ("ogg_chained.ogg", 529_200),
        ("opus.opus", 288_000),
        ("opus.webm", 288_000),
        ("video.mkv", 266_240),
        ("w64.w64", 264_600),
        ("wav_rf64.wav", 88_200),
        ("caf.caf", 264_600),
        ("wav_adpcm_ima.wav", 265_437),
        ("wav_adpcm_ms.wav", 265_144),
        ("ch51.wav", 88_200),
        ("rate_48000.wav", 288_000),
    ];
    let through_ffmpeg = [("heaac_signalled.m4a", 266_240), ("wavpack.wv", 264_600), ("mp3_rate_change.mp3", 531_864)];
    let is_there = find_ffmpeg().is_some();
    if !is_there {
        eprintln!("SKIPPED: HE-AAC, WavPack and changing rates, no ffmpeg is installed");
    }
    for (name, num_samples) in native.into_iter().chain(through_ffmpeg.into_iter().filter(|_| is_there)) {
        let Some(path) = case(name) else { return };
        let outcome = workplace.unbraid(&["separate", &path, "--out", "out", "--stems", "vocals", "--format", "16"]);
        assert!(outcome.is_success, "{name}: {}", outcome.stderr);
        let stem = workplace.path("out").join(name.rsplit_once('.').unwrap().0).join("vocals.wav");
        assert_eq!(read_all(&stem).unwrap().samples[0].len(), num_samples, "{name}");
        let has_warning = outcome.stderr.contains("6 channels were mixed down to stereo");
        assert_eq!(has_warning, name == "ch51.wav", "{name}: {}", outcome.stderr);
        std::fs::remove_dir_all(workplace.path("out")).unwrap();
    }
}

/// Without ffmpeg, its formats are refused with the advice to install it.
#[test]
fn without_ffmpeg_the_message_says_how_to_get_it() {
    let workplace = Workplace::new([0.25; 4]);
    for (name, part) in [
        ("heaac_signalled.m4a", "MP4 file (HE-AAC"),
        ("wavpack.wv", "a WavPack file is read through ffmpeg"),
        ("mp3_rate_change.mp3", "sample rate changes from 44100 to 48000 Hz"),
    ] {
        let Some(path) = case(name) else { return };
        let outcome = workplace.unbraid_with(&["separate", &path], &[("UNBRAID_FFMPEG", "")]);
        assert!(!outcome.is_success && outcome.stderr.contains(part), "{name}: {}", outcome.stderr);
        assert!(!workplace.path("separated").exists(), "{name}");
    }
    let Some(path) = case("base.wav") else { return };
    let outcome = workplace.unbraid_with(&["separate", &path, "--format", "mp3"], &[("UNBRAID_FFMPEG", "")]);
    assert!(!outcome.is_success && outcome.stderr.contains("install it, or choose wav or flac"), "{}", outcome.stderr);
}

#[test]
fn songs_that_are_refused_leave_nothing() {
    let workplace = Workplace::new([0.25; 4]);
    for (name, part) in [
        ("wav_header_only.wav", "holds no samples"),
        ("text.mp3", "not an audio file (it is text)"),
        ("mp3_truncated.mp3", "cut off"),
        ("ogg_truncated.ogg", "cut off"),
    ] {
        let Some(path) = case(name) else { return };
        let outcome = workplace.unbraid(&["separate", &path]);
        assert!(!outcome.is_success && outcome.stderr.contains(part), "{name}: {}", outcome.stderr);
        assert!(!workplace.path("separated").exists(), "{name}");
    }
}

#[test]
fn damage_is_told_and_cut_songs_are_kept_if_wanted() {
    let workplace = Workplace::new([0.25; 4]);
    for name in ["mp3_damaged.mp3", "flac_damaged.flac", "mp3_mono_then_stereo.mp3"] {
        let Some(path) = case(name) else { return };
        let outcome = workplace.unbraid(&["separate", &path]);
        assert!(
            outcome.is_success && outcome.stderr.contains("1 damaged place could not"),
            "{name}: {}",
            outcome.stderr
        );
        let outcome = workplace.unbraid(&["separate", &path, "--strict", "--out", "strict"]);
        assert!(!outcome.is_success && outcome.stderr.contains("damaged after"), "{name}: {}", outcome.stderr);
        assert!(!workplace.path("strict").exists());
    }
    for (name, num_samples) in [("mp3_truncated", 175_151), ("ogg_truncated", 133_824)] {
        let Some(path) = case(&format!("{name}.{}", &name[..3])) else { return };
        let outcome = workplace.unbraid(&["separate", &path, "--keep-going"]);
        assert!(outcome.is_success && outcome.stderr.contains("truncated"), "{name}: {}", outcome.stderr);
        let stem = read_all(workplace.path(&format!("separated/{name}/bass.wav"))).unwrap();
        assert_eq!(stem.samples[0].len(), num_samples);
    }
}

#[test]
fn samples_that_are_no_numbers_are_told() {
    let workplace = Workplace::new([0.25; 4]);
    let Some(path) = case("wav_nan.wav") else { return };
    let outcome = workplace.unbraid(&["separate", &path]);
    assert!(outcome.is_success && outcome.stderr.contains("2 samples that are NaN"), "{}", outcome.stderr);
    let stem = read_all(workplace.path("separated/wav_nan/vocals.wav")).unwrap();
    assert!(stem.samples.iter().flatten().all(|x| x.is_finite()));

    let Some(data) = case("eval_nan") else { return };
    let outcome = workplace.unbraid(&["eval", "--data", &data, "--json", "-"]);
    assert!(!outcome.is_success);
    assert!(
        outcome.stderr.contains("NaN or infinite") && outcome.stderr.contains("1 of 1 songs"),
        "{}",
        outcome.stderr
    );
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(json["failed"][0]["name"], "song", "{json}");
}

#[test]
fn inspect_draws_at_any_rate() {
    let workplace = Workplace::new([0.25; 4]);
    let Some(path) = case("rate_48000.wav") else { return };
    let outcome = workplace.unbraid(&["inspect", &path, "--width", "500", "--height", "400"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    assert!(workplace.path("rate_48000.png").exists());
}

#[test]
fn wrong_variables_are_named() {
    let workplace = Workplace::new([0.25; 4]);
    let Some(path) = case("wavpack.wv") else { return };
    for (variable, value, part) in [
        ("UNBRAID_FFMPEG", "/nowhere/ffmpeg", "cannot be started"),
        ("UNBRAID_ONNXRUNTIME", "/nowhere.so", "UNBRAID_ONNXRUNTIME: /nowhere.so is no file"),
        ("UNBRAID_MODEL", "./nowhere", "UNBRAID_MODEL: model './nowhere' not found"),
    ] {
        let outcome = workplace.unbraid_with(&["separate", &path], &[(variable, value)]);
        assert!(!outcome.is_success, "{variable}");
        assert!(outcome.stderr.contains(part) && outcome.stderr.contains(variable), "{}", outcome.stderr);
    }
}
