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
    for (content, found) in [
        (&b""[..], "it is empty"),
        (b"Once upon a time there was a text file.", "it is text"),
        (&[0xc0; 70_000], "no known kind"),
        (b"PK\x03\x04...", "ZIP"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = read_all(&path).unwrap_err();
        assert!(matches!(error, AudioError::NotAudio { .. }), "{error}");
        assert_names(&error, &path);
        assert!(error.to_string().contains(found), "{error}");
    }
    let missing = dir.path().join("nowhere.mp3");
    assert_names(&read_all(&missing).unwrap_err(), &missing);
    let folder = read_all(dir.path()).unwrap_err();
    assert_names(&folder, dir.path());
    assert!(folder.to_string().contains("it is a folder"), "{folder}");
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
