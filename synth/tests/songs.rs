//! Whole runs: what is written sums up, comes out the same, survives a kill, and bad files stop nothing.

use audio::{STEM_NAMES, StemFolder, read_all};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use synth::{Options, run};

fn options(out: &Path) -> Options {
    Options {
        out: Some(out.into()),
        hours: 0.012,
        midi: Vec::new(),
        compose: true,
        soundfont: Vec::new(),
        vocals: Vec::new(),
        kits: Vec::new(),
        bass: Vec::new(),
        groove: Vec::new(),
        recorded_share: 0.8,
        groove_share: 0.5,
        seed: 7,
        jobs: Some(2),
        max_seconds: 20.0,
        measure: None,
    }
}

/// Every file below `dir` with its contents, by path.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_path_buf();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A MIDI file of one track at 120 beats per minute: `notes` are channel, program, key; each lasts a beat.
fn midi_file(notes: &[(u8, u8, u8)], num_beats: usize) -> Vec<u8> {
    let mut track = Vec::new();
    for (channel, program, _) in notes {
        track.extend([0, 0xc0 | channel, *program]);
    }
    for _ in 0..num_beats {
        notes.iter().for_each(|(channel, _, key)| track.extend([0, 0x90 | channel, *key, 100]));
        for (note_idx, (channel, _, key)) in notes.iter().enumerate() {
            track.extend([if note_idx == 0 { 96 } else { 0 }, 0x80 | channel, *key, 0]);
        }
    }
    track.extend([0, 0xff, 0x2f, 0]);
    let header = [&b"MThd"[..], &6u32.to_be_bytes(), &[0, 0, 0, 1, 0, 96]].concat();
    [&header[..], b"MTrk", &(track.len() as u32).to_be_bytes(), &track].concat()
}

/// The smallest SoundFont on this machine.
fn sound_font() -> Option<PathBuf> {
    let mut found = synth::midi::find_installed();
    found.sort_by_key(|path| fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len()));
    if found.is_empty() {
        println!("skipped: no SoundFont here; {} brings some", synth::midi::PACKAGES);
    }
    found.into_iter().next()
}

#[test]
fn composed_songs_have_four_stems_that_sound_and_a_mix_below_full_scale() {
    let dir = tempfile::tempdir().unwrap();
    let summary = run(&options(dir.path())).unwrap();
    let songs = StemFolder::open_all(dir.path()).unwrap();
    assert_eq!((summary.num_rendered, summary.num_kept, summary.num_bad), (songs.len(), 0, 0));
    let mut seconds = 0.0;
    for song in &songs {
        let mut mix = [Vec::new(), Vec::new()];
        for stem_idx in 0..4 {
            let Some(path) = song.file(stem_idx) else { continue };
            let stem = read_all(path).unwrap();
            assert_eq!(stem.sample_rate_hz, 44_100);
            for (mix, stem) in mix.iter_mut().zip(&stem.samples) {
                mix.resize(stem.len(), 0.0f32);
                mix.iter_mut().zip(stem).for_each(|(mix, x)| *mix += x);
            }
        }
        seconds += mix[0].len() as f64 / 44_100.0;
        let peak = mix.iter().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
        // The ceiling is below 0.99; four stems are each rounded to 16 bit.
        assert!((0.2..0.9902).contains(&peak), "{}: {peak}", song.name());
        let json: serde_json::Value = serde_json::from_slice(&fs::read(song.dir().join("song.json")).unwrap()).unwrap();
        let ceiling = json["synth"]["mastering"]["ceiling"].as_f64().unwrap();
        assert!(f64::from(peak) <= ceiling + 1e-4, "{}: {peak} above {ceiling}", song.name());
        assert!(json["note"].as_str().unwrap().contains("synthetic voice"), "{json}");
    }
    assert!(seconds >= 43.2, "{seconds} s are less than 0.012 h");
    let heard: Vec<bool> = (0..4).map(|stem_idx| songs.iter().any(|song| song.file(stem_idx).is_some())).collect();
    assert_eq!(heard, [true; 4], "{STEM_NAMES:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let [a, b, c] = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
    run(&Options { jobs: Some(1), ..options(a.path()) }).unwrap();
    run(&Options { jobs: Some(3), ..options(b.path()) }).unwrap();
    assert_eq!(contents(a.path()), contents(b.path()));
    run(&Options { seed: 8, ..options(c.path()) }).unwrap();
    let flac = |dir: &Path| fs::read(dir.join("composed-0000/drums.flac")).ok();
    assert_ne!(flac(a.path()), flac(c.path()));
    // The same folder with another seed: nobody gets a mixture of both without being told.
    let error = run(&Options { seed: 8, ..options(a.path()) }).unwrap_err().to_string();
    assert!(error.contains("\"seed\"") && error.contains("--seed"), "{error}");
}

#[test]
fn a_run_that_was_killed_goes_on_and_ends_like_one_that_was_not() {
    let [killed, whole] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let hours = 0.025;
    let command = |out: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_synth"));
        command.args(["--hours", &hours.to_string(), "--seed", "7", "--jobs", "2", "--max-seconds", "20", "--out"]);
        command.arg(out).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut child = command(killed.path()).spawn().unwrap();
    let first = killed.path().join("composed-0000");
    let start = Instant::now();
    while !first.exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let complete = StemFolder::open_all(killed.path()).expect("what is there is complete").len();
    let summary = run(&Options { hours, ..options(killed.path()) }).unwrap();
    assert_eq!(summary.num_kept, complete);
    let all = run(&Options { hours, ..options(whole.path()) }).unwrap();
    assert!(complete >= 1 && complete < all.num_rendered, "killed too late to tell: {complete}");
    assert_eq!(summary.table, all.table);
    assert_eq!(contents(killed.path()), contents(whole.path()));
}

#[test]
fn midi_notes_sound_in_their_stem_only_and_bad_files_are_named_and_counted() {
    let Some(sound_font) = sound_font() else { return };
    let [midi, out] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    fs::write(midi.path().join("bass.mid"), midi_file(&[(1, 33, 40)], 12)).unwrap();
    fs::write(midi.path().join("drums.mid"), midi_file(&[(9, 0, 38)], 12)).unwrap();
    fs::write(midi.path().join("piano.mid"), midi_file(&[(0, 0, 60)], 12)).unwrap();
    fs::write(midi.path().join("noise.mid"), b"no MIDI file at all").unwrap();
    fs::write(midi.path().join("cut.mid"), &midi_file(&[(0, 0, 60)], 12)[..10]).unwrap();
    fs::write(midi.path().join("bad.sf2"), b"RIFF no SoundFont").unwrap();
    let options = Options {
        midi: vec![midi.path().into()],
        compose: false,
        soundfont: vec![midi.path().join("bad.sf2"), sound_font],
        hours: 20.0 / 3600.0,
        ..options(out.path())
    };
    let summary = run(&options).unwrap();
    assert_eq!(summary.num_bad, 3, "noise.mid, cut.mid, bad.sf2");
    let songs = StemFolder::open_all(out.path()).unwrap();
    assert!(songs.len() >= 3);
    for song in songs {
        let name = song.name();
        let stem = if name.ends_with("piano") { "other" } else { name.rsplit('-').next().unwrap() };
        assert_eq!(song.file_of("vocals"), None, "{name}: nobody sings, and it says so");
        for other in &STEM_NAMES[1..] {
            let sound = read_all(song.file_of(other).expect("silent stems are written too")).unwrap();
            let is_heard = sound.samples.iter().flatten().any(|x| *x != 0.0);
            assert_eq!(is_heard, *other == stem, "{name}: {other}");
        }
    }
    // Nothing but bad files is an error that says what was expected.
    let none = Options { soundfont: vec![midi.path().join("bad.sf2")], ..options.clone() };
    let error = run(&none).unwrap_err().to_string();
    assert!(error.contains("fluid-soundfont-gm"), "{error}");
}

#[test]
fn singing_is_laid_over_and_its_licence_told() {
    let [vocals, out] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    // The synthetic voice of one song sings another one.
    run(&options(vocals.path())).unwrap();
    let with_vocals = Options { vocals: vec![vocals.path().into()], seed: 9, ..options(out.path()) };
    fs::create_dir(vocals.path().join("broken")).unwrap();
    fs::write(vocals.path().join("broken/vocals.ogg"), b"OggS, but not really").unwrap();
    run(&with_vocals).unwrap();
    let songs = StemFolder::open_all(out.path()).unwrap();
    let sung: Vec<_> = songs.iter().filter(|song| song.file_of("vocals").is_some()).collect();
    assert!(!sung.is_empty());
    for song in sung {
        let json: serde_json::Value = serde_json::from_slice(&fs::read(song.dir().join("song.json")).unwrap()).unwrap();
        assert!(json["licence"].as_str().unwrap().contains("vocals: CC0-1.0"), "{json}");
        assert!(json["synth"]["vocals"]["num_phrases"].as_u64().unwrap() > 0, "{json}");
        assert!(json["synth"]["vocals"]["semitones"].as_i64().unwrap().abs() <= 4, "{json}");
    }
}
