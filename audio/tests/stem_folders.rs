//! What is a song, what is missing, and what does not fit together.

use std::path::Path;

use audio::{AudioError, STEM_NAMES, StemFolder, WavFormat, WavWriter};

fn write_stem(dir: &Path, stem: &str, len: usize, sample_rate_hz: u32) {
    std::fs::create_dir_all(dir).unwrap();
    let level = STEM_NAMES.iter().position(|name| *name == stem).unwrap() as f32 * 0.1 + 0.1;
    let mut writer = WavWriter::create(dir.join(format!("{stem}.wav")), sample_rate_hz, WavFormat::Float32).unwrap();
    writer.write([&vec![level; len], &vec![-level; len]]).unwrap();
    writer.finish().unwrap();
}

#[test]
fn all_four_stems() {
    let dir = tempfile::tempdir().unwrap();
    STEM_NAMES.iter().for_each(|stem| write_stem(dir.path(), stem, 3000, 44100));
    let song = StemFolder::open(dir.path()).unwrap();
    let mut reader = song.reader().unwrap();
    assert_eq!((reader.sample_rate_hz(), reader.num_samples()), (44100, Some(3000)));
    let mut block: [[Vec<f32>; 2]; 4] = Default::default();
    let lens: Vec<usize> = std::iter::from_fn(|| {
        let len = reader.read_block(1001, &mut block).unwrap();
        for (stem_idx, stem) in block.iter().enumerate() {
            let level = stem_idx as f32 * 0.1 + 0.1;
            assert_eq!(stem, &[vec![level; len], vec![-level; len]]);
        }
        (len > 0).then_some(len)
    })
    .collect();
    assert_eq!(lens, [1001, 1001, 998]);
}

#[test]
fn a_missing_stem_must_be_declared() {
    let dir = tempfile::tempdir().unwrap();
    ["vocals", "drums", "other"].iter().for_each(|stem| write_stem(dir.path(), stem, 100, 44100));
    let error = StemFolder::open(dir.path()).unwrap_err();
    assert!(matches!(&error, AudioError::MissingStem { stem, .. } if stem == "bass"), "{error}");
    assert!(error.to_string().contains("song.json"), "{error}");

    let song_json = dir.path().join("song.json");
    std::fs::write(&song_json, r#"{"title": "x", "stems": ["other", "drums", "vocals"]}"#).unwrap();
    let song = StemFolder::open(dir.path()).unwrap();
    assert_eq!(song.file_of("bass"), None);
    let mut block: [[Vec<f32>; 2]; 4] = Default::default();
    song.reader().unwrap().read_block(1000, &mut block).unwrap();
    assert_eq!(block[2], [vec![0.0; 100], vec![0.0; 100]]);

    write_stem(dir.path(), "bass", 100, 44100);
    let error = StemFolder::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("does not list it"), "{error}");

    for (text, part) in [("{", "song.json"), (r#"{"stems": ["voice"]}"#, "voice"), (r#"{"stems": []}"#, "empty")] {
        std::fs::write(&song_json, text).unwrap();
        let error = StemFolder::open(dir.path()).unwrap_err();
        assert!(matches!(error, AudioError::SongJson { .. }) && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_stem_twice_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    STEM_NAMES.iter().for_each(|stem| write_stem(dir.path(), stem, 100, 44100));
    std::fs::write(dir.path().join("bass.flac"), "").unwrap();
    let error = StemFolder::open(dir.path()).unwrap_err();
    assert!(matches!(&error, AudioError::AmbiguousStem { stem, .. } if stem == "bass"), "{error}");
}

#[test]
fn stems_that_do_not_fit_together() {
    for (len, sample_rate_hz, part) in [(101, 44100, "101 samples"), (100, 48000, "48000 Hz")] {
        let dir = tempfile::tempdir().unwrap();
        STEM_NAMES.iter().for_each(|stem| write_stem(dir.path(), stem, 100, 44100));
        write_stem(dir.path(), "other", len, sample_rate_hz);
        let error = StemFolder::open(dir.path()).unwrap().reader().map(drop).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("other.wav") && message.contains(part), "{message}");
    }
}

#[test]
fn a_folder_of_songs() {
    let dir = tempfile::tempdir().unwrap();
    assert!(StemFolder::open_all(dir.path()).unwrap_err().to_string().contains("found none"));
    for song in ["b", "a"] {
        STEM_NAMES.iter().for_each(|stem| write_stem(&dir.path().join(song), stem, 100, 44100));
    }
    std::fs::create_dir(dir.path().join("notes")).unwrap();
    let names = |path: &Path| StemFolder::open_all(path).unwrap().iter().map(StemFolder::name).collect::<Vec<_>>();
    assert_eq!(names(dir.path()), ["a", "b"]);
    assert_eq!(names(&dir.path().join("b")), ["b"]);
}
