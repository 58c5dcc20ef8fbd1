//! Foreign, damaged and truncated files end in an error that names the file, never in a panic or a wrong length.

use std::path::{Path, PathBuf};

use audio::{AudioError, read_all};

const FIXTURES: [&str; 9] = [
    "stereo_44100.flac",
    "lossless_44100.m4a",
    "stereo_44100.aiff",
    "stereo_44100.ogg",
    "stereo_44100.mp3",
    "stereo_44100.m4a",
    "untagged_44100.mp3",
    "mono_48000.m4a",
    "piped_44100.wav",
];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn assert_names(error: &AudioError, path: &Path) {
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(message.len() > path.display().to_string().len() + 20, "{message}");
}

#[test]
fn foreign_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("song.wav");
    for content in [&b""[..], b"RIFF", b"Once upon a time there was a text file.", &[0; 70_000], &[0xff; 70_000]] {
        std::fs::write(&path, content).unwrap();
        let error = read_all(&path).unwrap_err();
        assert!(matches!(error, AudioError::Unsupported { .. }), "{error}");
        assert_names(&error, &path);
        assert!(error.to_string().contains("convert it first"), "{error}");
    }
    let missing = dir.path().join("nowhere.mp3");
    assert_names(&read_all(&missing).unwrap_err(), &missing);
    assert_names(&read_all(dir.path()).unwrap_err(), dir.path());
    let opus = fixture("opus_48000.ogg");
    assert_names(&read_all(&opus).unwrap_err(), &opus);
}

#[test]
fn six_channels_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("surround.wav");
    let spec = hound::WavSpec {
        channels: 6,
        sample_rate: 48000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(&path, spec).unwrap();
    (0..600).for_each(|i| wav.write_sample(i as i16).unwrap());
    wav.finalize().unwrap();
    let error = read_all(&path).unwrap_err();
    assert!(matches!(error, AudioError::Channels { found: 6, .. }), "{error}");
    assert_names(&error, &path);
}

#[test]
fn truncated_files() {
    let dir = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let whole = std::fs::read(fixture(name)).unwrap();
        let whole_len = read_all(fixture(name)).unwrap().samples[0].len();
        let path = dir.path().join(name);
        for len in (0..whole.len()).step_by(whole.len() / 97) {
            std::fs::write(&path, &whole[..len]).unwrap();
            match read_all(&path) {
                // Only kinds whose header does not announce the length may be shorter without an error.
                Ok(audio) => assert!(
                    audio.samples[0].len() == whole_len || ["untagged_44100.mp3", "piped_44100.wav"].contains(&name),
                    "{name} cut at {len} of {} bytes: {} samples, no error",
                    whole.len(),
                    audio.samples[0].len()
                ),
                Err(error) => assert_names(&error, &path),
            }
        }
    }
}

/// More in the environment variable for a long run by hand.
fn num_rounds() -> usize {
    std::env::var("UNBRAID_FUZZ_ROUNDS").map_or(150, |rounds| rounds.parse().unwrap())
}

#[test]
fn damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    for name in FIXTURES {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = dir.path().join(name);
        for round in 0..num_rounds() {
            let mut bytes = whole.clone();
            // The headers are at the start, for m4a at the end.
            let region = if round % 2 == 0 { bytes.len() } else { 600 };
            for _ in 0..=round % 8 {
                let at = random() % region;
                let at = if name.ends_with("m4a") { bytes.len() - 1 - at } else { at };
                bytes[at] ^= 1 << (random() % 8);
            }
            std::fs::write(&path, &bytes).unwrap();
            if let Err(error) = read_all(&path) {
                assert_names(&error, &path);
            }
        }
    }
}
