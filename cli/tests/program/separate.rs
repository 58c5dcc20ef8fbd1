//! `unbraid separate`.

use std::path::{Path, PathBuf};

use crate::command::{Workplace, tones, write_wav};
use audio::{STEM_NAMES, WavFormat, WavWriter, global_sdr_db, read_all};

const MASKS: [f32; 4] = [0.5, 0.25, 0.125, 0.125];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../audio/tests/fixtures").join(name)
}

/// Every stem must be its mask's share of the song, sample by sample, and all together the song.
fn check_stems(song: &Path, dir: &Path, min_sdr_db: f64) {
    let song = read_all(song).unwrap();
    let mut sum = song.samples.each_ref().map(|channel| vec![0.0; channel.len()]);
    for (stem, mask) in STEM_NAMES.iter().zip(MASKS) {
        let path = dir.join(format!("{stem}.wav"));
        let audio = read_all(&path).unwrap();
        assert_eq!(audio.sample_rate_hz, song.sample_rate_hz, "{path:?}");
        assert_eq!(audio.samples[0].len(), song.samples[0].len(), "{path:?}");
        let want = song.samples.each_ref().map(|channel| channel.iter().map(|x| x * mask).collect::<Vec<_>>());
        let sdr_db = global_sdr_db([&want[0], &want[1]], [&audio.samples[0], &audio.samples[1]]).unwrap();
        assert!(sdr_db > min_sdr_db, "{path:?}: {sdr_db} dB");
        for (sum, channel) in sum.iter_mut().zip(&audio.samples) {
            sum.iter_mut().zip(channel).for_each(|(sum, x)| *sum += x);
        }
    }
    let sdr_db = global_sdr_db([&song.samples[0], &song.samples[1]], [&sum[0], &sum[1]]).unwrap();
    assert!(sdr_db > 130.0, "{dir:?}: the stems sum to the song within {sdr_db} dB");
}

#[test]
fn files_of_every_kind() {
    let workplace = Workplace::new(MASKS);
    for (name, min_sdr_db) in [
        ("stereo_44100.flac", 100.0),
        ("lossless_44100.m4a", 100.0),
        ("stereo_44100.aiff", 100.0),
        ("piped_44100.wav", 100.0),
        ("stereo_44100.ogg", 100.0),
        ("stereo_44100.mp3", 100.0),
        ("stereo_44100.m4a", 100.0),
        // These begin and end abruptly: what lies above the music band is lost in the resampler.
        ("mono_48000.ogg", 65.0),
        ("mono_48000.mp3", 65.0),
        ("mono_48000.m4a", 65.0),
    ] {
        let song = fixture(name);
        let out = format!("out_{name}");
        let outcome = workplace.unbraid(&["separate", song.to_str().unwrap(), "--out", &out]);
        assert!(outcome.is_success, "{name}: {}", outcome.stderr);
        assert!(outcome.stdout.contains("real time"), "{}", outcome.stdout);
        check_stems(&song, &workplace.path(&out).join(song.file_stem().unwrap()), min_sdr_db);
    }
}

#[test]
fn every_sample_rate() {
    let workplace = Workplace::new(MASKS);
    for sample_rate_hz in [44100, 48000, 88200, 96000, 192_000, 22050, 32000] {
        let num_samples = sample_rate_hz as usize + 123;
        let [left, right] = [1, 2].map(|seed| tones(num_samples, sample_rate_hz, seed));
        let song = workplace.path(&format!("{sample_rate_hz}.wav"));
        write_wav(&song, sample_rate_hz, [&left, &right]);
        let outcome = workplace.unbraid(&["separate", song.to_str().unwrap(), "--out", "out"]);
        assert!(outcome.is_success, "{}", outcome.stderr);
        check_stems(&song, &workplace.path(&format!("out/{sample_rate_hz}")), 110.0);
    }
}

#[test]
fn files_of_every_short_length() {
    let workplace = Workplace::new(MASKS);
    let mut songs = Vec::new();
    for num_samples in [1, 2, 100, 1007, 1008, 1009, 2015, 2016, 2017, 5000] {
        let song = workplace.path(&format!("{num_samples}.wav"));
        let [left, right] = [1, 2].map(|seed| tones(num_samples + 2, 44100, seed));
        write_wav(&song, 44100, [&left[1..=num_samples], &right[1..=num_samples]]);
        songs.push(song);
    }
    let mut args = vec!["separate", "--out", "out"];
    args.extend(songs.iter().map(|song| song.to_str().unwrap()));
    let outcome = workplace.unbraid(&args);
    assert!(outcome.is_success, "{}", outcome.stderr);
    assert_eq!(outcome.stdout.lines().count(), songs.len());
    for song in &songs {
        check_stems(song, &workplace.path("out").join(song.file_stem().unwrap()), 110.0);
    }
}

#[test]
fn chosen_stems_in_a_chosen_format() {
    let workplace = Workplace::new(MASKS);
    let song = fixture("stereo_44100.flac");
    for (format, num_bits) in [("16", 16), ("24", 24), ("float", 32)] {
        let args = ["separate", song.to_str().unwrap(), "--out", format, "--stems", "vocals,other", "--format", format];
        let outcome = workplace.unbraid(&args);
        assert!(outcome.is_success, "{}", outcome.stderr);
        let dir = workplace.path(format).join("stereo_44100");
        let mut names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["other.wav", "vocals.wav"]);
        let header = std::fs::read(dir.join("vocals.wav")).unwrap();
        assert_eq!(u16::from_le_bytes([header[34], header[35]]), num_bits);
    }
    let outcome = workplace.unbraid(&["separate", "x.wav", "--out", "out", "--stems", "voice"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("no stem \"voice\"") && outcome.stderr.contains("vocals, drums, bass, other"));
}

#[test]
fn clipping_is_said() {
    let workplace = Workplace::new([1.0, 0.0, 0.0, 0.0]);
    let loud: Vec<f32> = tones(20_000, 44100, 0).iter().map(|x| x * 3.0).collect();
    write_wav(&workplace.path("loud.wav"), 44100, [&loud, &loud]);
    let outcome = workplace.unbraid(&["separate", "loud.wav", "--out", "out", "--format", "16"]);
    assert!(outcome.is_success);
    assert!(outcome.stderr.contains("clipped; use --format float"), "{}", outcome.stderr);
    let outcome = workplace.unbraid(&["separate", "loud.wav", "--out", "out"]);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn one_bad_song_does_not_keep_the_others_from_being_done() {
    let workplace = Workplace::new(MASKS);
    let whole = std::fs::read(fixture("stereo_44100.flac")).unwrap();
    std::fs::write(workplace.path("cut.flac"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(workplace.path("text.mp3"), "lyrics").unwrap();
    let good = fixture("stereo_44100.ogg");
    let args = ["separate", "cut.flac", "text.mp3", "nowhere.wav", good.to_str().unwrap(), "--out", "out"];
    let outcome = workplace.unbraid(&args);
    assert!(!outcome.is_success);
    for part in ["cut.flac", "text.mp3", "nowhere.wav", "3 of 4 songs"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    check_stems(&good, &workplace.path("out/stereo_44100"), 100.0);
    // Nothing half-written stays.
    assert_eq!(std::fs::read_dir(workplace.path("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(workplace.path("out/stereo_44100")).unwrap().count(), 4);
}

/// `/dev/full` is Linux' disk without space.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_song_with_the_name_of_the_file() {
    let workplace = Workplace::new(MASKS);
    let song = fixture("stereo_44100.ogg");
    let dir = workplace.path("out/stereo_44100");
    std::fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.join("drums.wav.part")).unwrap();
    let outcome = workplace.unbraid(&["separate", song.to_str().unwrap(), "--out", "out"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("drums.wav.part: could not"), "{}", outcome.stderr);
    assert!(!dir.exists(), "nothing half-written stays");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_nothing_half_written() {
    let workplace = Workplace::new(MASKS);
    // Ten minutes, so that there is time to interrupt.
    let mut writer = WavWriter::create(workplace.path("long.wav"), 44100, WavFormat::Int16).unwrap();
    let second = tones(44100, 44100, 0);
    (0..600).for_each(|_| writer.write([&second, &second]).unwrap());
    writer.finish().unwrap();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .args(["separate", "long.wav", "--out", "out", "--model", "./model"])
        .current_dir(workplace.path(""))
        .spawn()
        .unwrap();
    let part = workplace.path("out/long/vocals.wav.part");
    while !part.metadata().is_ok_and(|metadata| metadata.len() > 100_000) {
        assert!(program.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(program.wait().unwrap().code(), Some(130));
    assert!(!workplace.path("out/long").exists(), "nothing half-written stays");
}

#[test]
fn songs_of_one_name_are_refused_before_anything_is_written() {
    let workplace = Workplace::new(MASKS);
    let outcome = workplace.unbraid(&["separate", "a/song.wav", "b/song.mp3", "--out", "out"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("a/song.wav and b/song.mp3 would both write to out/song"), "{}", outcome.stderr);
    assert!(!workplace.path("out").exists());
}

#[test]
fn missing_model_and_runtime_say_what_to_do() {
    let workplace = Workplace::new(MASKS);
    let outcome = workplace.unbraid(&["separate", "x.wav", "--out", "out", "--model", "no_such_model"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("'no_such_model' not found"), "{}", outcome.stderr);

    std::fs::write(workplace.path("model/model.onnx"), "damaged").unwrap();
    let outcome = workplace.unbraid(&["separate", "x.wav", "--out", "out"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("install the model again"), "{}", outcome.stderr);
}

#[test]
fn help_teaches() {
    let workplace = Workplace::new(MASKS);
    let help = workplace.unbraid(&["--help"]);
    assert!(help.is_success);
    assert!(help.stdout.contains("unbraid separate song.mp3 --two-stems vocals"));
    assert!(workplace.unbraid(&["models", "--help"]).stdout.contains("unbraid models fetch"));
    for command in ["separate", "eval"] {
        assert!(workplace.unbraid(&[command, "--help"]).stdout.contains("--model"));
    }
}

#[test]
fn the_help_names_the_default_model() {
    let place = Workplace::new(MASKS);
    for command in ["separate", "eval"] {
        let help = place.unbraid(&[command, "--help"]).stdout;
        assert!(help.contains(&format!("[default: {}]", base::DEFAULT_MODEL)), "{command}: {help}");
    }
}
