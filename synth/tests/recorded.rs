//! Songs on recorded drums and bass: made of the files given, the same at every run, and clear about what is missing.

use audio::{StemFolder, read_all};
use std::fs;
use std::path::{Path, PathBuf};
use synth::{Options, run};
use tempfile::TempDir;

const RATE: f64 = 44_100.0;

fn options(out: &Path) -> Options {
    Options {
        out: Some(out.into()),
        hours: 0.004,
        midi: Vec::new(),
        compose: false,
        soundfont: Vec::new(),
        vocals: Vec::new(),
        kits: Vec::new(),
        bass: Vec::new(),
        groove: Vec::new(),
        recorded_share: 1.0,
        groove_share: 1.0,
        seed: 7,
        jobs: Some(2),
        max_seconds: 10.0,
        measure: None,
    }
}

/// A decaying sine as a file of 16 bits, mono.
fn write_sine(path: &Path, hz: f64, seconds: f64, level: f64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let num_samples = (seconds * RATE) as u32;
    let sample = |i: u32| {
        let t = f64::from(i) / RATE;
        (32_767.0 * level * (-3.0 * t / seconds).exp() * (std::f64::consts::TAU * hz * t).sin()) as i16
    };
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend((36 + 2 * num_samples).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(44_100u32.to_le_bytes());
    bytes.extend(88_200u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((2 * num_samples).to_le_bytes());
    (0..num_samples).for_each(|i| bytes.extend(sample(i).to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// Drums that pitch tells apart: kick at 60 Hz, snare (two layers) at 600 Hz, hat at 6 kHz.
fn kits() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let kit = dir.path().join("sines");
    write_sine(&kit.join("kick/kick.wav"), 60.0, 0.3, 0.9);
    write_sine(&kit.join("snare/snare-soft.wav"), 600.0, 0.1, 0.1);
    write_sine(&kit.join("snare/snare-hard.wav"), 600.0, 0.1, 0.5);
    write_sine(&kit.join("hat/closed.wav"), 6000.0, 0.05, 0.3);
    fs::write(kit.join("SOURCE.json"), r#"{"licence": "CC0-1.0 (LICENSE)"}"#).unwrap();
    dir
}

fn basses() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for key in (28..=52).step_by(4) {
        let hz = 440.0 * ((f64::from(key) - 69.0) / 12.0).exp2();
        write_sine(&dir.path().join(format!("sine/{key}_60.wav")), hz, 2.0, 0.5);
        write_sine(&dir.path().join(format!("sine/{key}_110.wav")), hz, 2.0, 0.9);
    }
    dir
}

/// Four bars at 120 beats per minute of `key` on every beat, on channel 10.
fn groove(keys: &[u8], num_bars: usize) -> Vec<u8> {
    let mut track = vec![0, 0xff, 0x58, 4, 4, 2, 24, 8];
    for beat in 0..4 * num_bars {
        let key = keys[beat % keys.len()];
        track.extend([0, 0x99, key, 100, 96, 0x89, key, 0]);
    }
    track.extend([0, 0xff, 0x2f, 0]);
    let header = [&b"MThd"[..], &6u32.to_be_bytes(), &[0, 0, 0, 1, 0, 96]].concat();
    [&header[..], b"MTrk", &(track.len() as u32).to_be_bytes(), &track].concat()
}

/// Share of the energy of all drums below 300 Hz, from there to 2 kHz, and above, by differences of sums: crude, and enough
/// for sines that are decades apart.
fn bands(songs: &[StemFolder], stem: &str) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for song in songs {
        let sound = read_all(song.file_of(stem).unwrap()).unwrap();
        let mut low = [synth::Biquad::low_pass(300.0, 0.7, RATE), synth::Biquad::low_pass(300.0, 0.7, RATE)];
        let mut mid = [synth::Biquad::low_pass(2000.0, 0.7, RATE), synth::Biquad::low_pass(2000.0, 0.7, RATE)];
        for x in &sound.samples[0] {
            let below = low.iter_mut().fold(f64::from(*x), |x, f| f.filter(x)).powi(2);
            let under = mid.iter_mut().fold(f64::from(*x), |x, f| f.filter(x)).powi(2);
            sums[0] += below;
            sums[1] += (under - below).max(0.0);
            sums[2] += (f64::from(*x).powi(2) - under).max(0.0);
        }
    }
    let total: f64 = sums.iter().sum::<f64>().max(1e-12);
    sums.map(|sum| sum / total)
}

fn json(song: &StemFolder) -> serde_json::Value {
    serde_json::from_slice(&fs::read(song.dir().join("song.json")).unwrap()).unwrap()
}

#[test]
fn a_performance_is_played_on_the_hits_of_a_kit_and_its_licence_told() {
    let (kits, midi) = (kits(), tempfile::tempdir().unwrap());
    let mut found = Vec::new();
    for key in [36, 38] {
        let out = tempfile::tempdir().unwrap();
        let path = midi.path().join("one.mid");
        fs::write(&path, groove(&[key], 8)).unwrap();
        let options =
            Options { kits: vec![kits.path().into()], groove: vec![midi.path().into()], ..options(out.path()) };
        run(&options).unwrap();
        let songs = StemFolder::open_all(out.path()).unwrap();
        for song in &songs {
            let json = json(song);
            assert!(json["licence"].as_str().unwrap().contains("sines (CC0-1.0)"), "{json}");
            assert_eq!(json["synth"]["recorded"]["drums"][0], "sines", "{json}");
            assert!(json["synth"]["recorded"]["groove"].as_str().unwrap().ends_with("one.mid"), "{json}");
        }
        found.push(bands(&songs, "drums"));
    }
    // Only kicks: most of it is low, but for what an overdriven mix adds; only snares: nearly nothing.
    assert!(found[0][0] > 0.6, "{found:?}");
    assert!(found[1][0] < 0.2 && found[1][1] > 0.6, "{found:?}");
}

#[test]
fn recorded_songs_are_the_same_whatever_the_number_of_jobs_and_differ_from_synthesized_ones() {
    let (kits, basses) = (kits(), basses());
    let outs: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let recorded = |out: &TempDir, jobs: usize, recorded_share: f64| {
        let (kits, bass) = (vec![kits.path().to_path_buf()], vec![basses.path().to_path_buf()]);
        run(&Options { kits, bass, recorded_share, jobs: Some(jobs), ..options(out.path()) }).unwrap();
    };
    recorded(&outs[0], 1, 1.0);
    recorded(&outs[1], 3, 1.0);
    recorded(&outs[2], 2, 0.0);
    let stem = |out: &TempDir, stem: &str| fs::read(out.path().join(format!("composed-0000/{stem}.flac"))).unwrap();
    for name in ["drums", "bass", "other"] {
        assert_eq!(stem(&outs[0], name), stem(&outs[1], name), "{name}");
    }
    for name in ["drums", "bass"] {
        assert_ne!(stem(&outs[0], name), stem(&outs[2], name), "{name}");
    }
    let song = &StemFolder::open_all(outs[2].path()).unwrap()[0];
    assert!(json(song)["synth"]["recorded"].is_null(), "with a share of 0 nothing is recorded");
}

#[test]
fn folders_without_what_they_are_for_are_named_with_what_was_expected() {
    let (empty, out, kits) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), kits());
    let dir = || -> Vec<PathBuf> { vec![empty.path().into()] };
    let error = |options: Options| format!("{:#}", run(&options).unwrap_err());
    let cases = [
        (error(Options { kits: dir(), ..options(out.path()) }), "--kits"),
        (error(Options { bass: dir(), ..options(out.path()) }), "--bass"),
        (error(Options { groove: dir(), ..options(out.path()) }), "--groove"),
        (error(Options { recorded_share: 1.5, ..options(out.path()) }), "--recorded-share: expected 0 to 1, found 1.5"),
    ];
    for (error, option) in cases {
        assert!(error.contains(option) && error.contains("expected"), "{error}");
    }
    fs::remove_dir_all(kits.path().join("sines/kick")).unwrap();
    let error = error(Options { kits: vec![kits.path().into()], ..options(out.path()) });
    assert!(error.contains("Kick"), "{error}");
    // A waltz is no groove for songs in four, and neither is a fill alone.
    fs::write(empty.path().join("fill.mid"), groove(&[38], 1)).unwrap();
    let error = format!("{:#}", run(&Options { groove: dir(), ..options(out.path()) }).unwrap_err());
    assert!(error.contains("found none of 1"), "{error}");
}
