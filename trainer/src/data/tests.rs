//! Folders of songs: layouts, splits, bad files, bounded memory.

use crate::data::known::Known;
use crate::data::split::{DataFolder, Split};
use crate::data::{Data, DataConfig};
use std::path::Path;

fn write_wav(path: &Path, value: f32, num_samples: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = audio::WavWriter::create(path, 44_100, audio::WavFormat::Float32).unwrap();
    let channel = vec![value; num_samples];
    writer.write([&channel, &channel]).unwrap();
    writer.finish().unwrap();
}

fn write_song(dir: &Path) {
    for (stem, value) in crate::data::songs::STEMS.iter().zip([0.1, 0.2, 0.3, 0.4]) {
        write_wav(&dir.join(stem).with_extension("wav"), value, 2_000);
    }
    write_wav(&dir.join("mixture.wav"), 1.0, 2_000);
}

fn folder(path: &Path) -> DataFolder {
    DataFolder { path: path.into(), weight: 1.0 }
}

fn config(data: &Path, valid: Option<&Path>) -> DataConfig {
    let valid = valid.map(folder).into_iter().collect();
    DataConfig { data: vec![folder(data)], valid, memory_gb: 1.0, decoded: None }
}

fn names(lists: &[crate::data::split::SongList]) -> Vec<String> {
    let name = |song: &std::path::PathBuf| song.file_name().unwrap().to_string_lossy().into_owned();
    lists.iter().flat_map(|list| &list.songs).map(name).collect()
}

#[test]
fn the_published_split_of_musdb18() {
    let dir = tempfile::tempdir().unwrap();
    for song in ["A - One", "Leaf - Summerghost", "B - Two", "Triviul - Angelsaint"] {
        write_song(&dir.path().join("train").join(song));
    }
    write_song(&dir.path().join("test/C - Three"));
    let data = [folder(dir.path())];
    let split = Split::new(&data, &[]).unwrap();
    assert_eq!(names(&split.train), ["A - One", "B - Two"]);
    assert_eq!(names(&split.valid), ["Leaf - Summerghost", "Triviul - Angelsaint"]);
    assert_eq!(Split::new(&data, &data).unwrap(), Split { reason: "given with --valid".into(), ..split });
    let train = dir.path().join("train");
    assert_eq!(names(&Split::new(&[folder(&train)], &[]).unwrap().train), ["A - One", "B - Two"]);
    let split = Split::new(&data, &[folder(&dir.path().join("test"))]).unwrap();
    assert_eq!((names(&split.train).len(), names(&split.valid)), (4, vec!["C - Three".into()]));
}

#[test]
fn one_song_in_ten_is_held_back_where_there_is_no_split() {
    let dir = tempfile::tempdir().unwrap();
    let song = |i: usize| dir.path().join(format!("{i:02}"));
    write_song(&song(0));
    let error = Split::new(&[folder(dir.path())], &[]).unwrap_err().to_string();
    assert!(error.contains("--valid"), "{error}");
    (1..12).for_each(|i| write_song(&song(i)));
    let split = Split::new(&[folder(dir.path())], &[]).unwrap();
    assert_eq!(names(&split.valid), ["00", "10"]);
    assert_eq!(names(&split.train).len(), 10);
    assert!(!names(&split.train).contains(&"10".into()));
}

#[test]
fn the_rest_is_the_mix_less_vocals_and_bad_songs_are_named_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (data, valid) = (dir.path().join("data"), dir.path().join("valid"));
    write_song(&valid.join("judge"));
    for song in ["bad", "good"] {
        write_wav(&data.join(song).join("vocals.wav"), 0.25, 5_000);
        write_wav(&data.join(song).join("mix.wav"), 0.75, 5_000);
    }
    std::fs::write(data.join("bad/mix.wav"), b"no wav at all").unwrap();
    let opened = Data::open(&config(&data, Some(&valid)), dir.path()).unwrap();
    assert_eq!(opened.train.iter().map(|song| song.name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(opened.train[0].known, Known::VocalsOnly);
    let whole = opened.train[0].whole().unwrap();
    let first = whole.stems.map(|stem| Some(stem?[0]));
    assert_eq!(first, [Some([0.25; 2]), None, None, Some([0.5; 2])]);
    assert_eq!(opened.counts.left_out.len(), 1);
    assert!(opened.counts.left_out[0].contains("bad/mix.wav"), "{:?}", opened.counts.left_out);

    std::fs::remove_dir_all(data.join("good")).unwrap();
    let error = Data::open(&config(&data, Some(&valid)), dir.path()).err().unwrap().to_string();
    assert!(error.contains("none of its 1 songs") && error.contains("bad/mix.wav"), "{error}");
}

#[test]
fn stems_that_end_early_go_on_with_silence_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (data, valid) = (dir.path().join("data"), dir.path().join("valid"));
    for song in [&valid.join("judge"), &data.join("even"), &data.join("uneven"), &data.join("nearly even")] {
        write_song(song);
    }
    // A second and a half more of drums than of the others; and half a second, which is not worth a word.
    write_wav(&data.join("uneven/drums.wav"), 0.2, 2_000 + 66_150);
    write_wav(&data.join("nearly even/drums.wav"), 0.2, 2_000 + 22_050);
    let opened = Data::open(&config(&data, Some(&valid)), dir.path()).unwrap();
    assert!(opened.counts.left_out.is_empty(), "{:?}", opened.counts.left_out);
    let expected = "uneven: vocals ends 1.5 s before the song, bass ends 1.5 s before the song, \
        other ends 1.5 s before the song; silence takes its place";
    assert_eq!(opened.counts.filled_up, [expected]);
    let song = opened.train.iter().find(|song| song.name == "uneven").unwrap();
    let whole = song.whole().unwrap();
    assert_eq!((song.num_samples, whole.num_samples), (68_150, 68_150));
    let [vocals, drums, ..] = whole.stems.map(Option::unwrap);
    assert_eq!((vocals.len(), vocals[1_999], vocals[2_000], vocals[68_149]), (68_150, [0.1; 2], [0.0; 2], [0.0; 2]));
    assert_eq!(drums[68_149], [0.2; 2]);
}

#[test]
fn memory_is_bounded_and_what_is_over_is_the_same_from_disk() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../audio/tests/fixtures/stereo_44100.ogg");
    let dir = tempfile::tempdir().unwrap();
    let (data, valid) = (dir.path().join("data"), dir.path().join("valid"));
    write_song(&valid.join("judge"));
    std::fs::create_dir_all(data.join("song")).unwrap();
    for stem in crate::data::songs::STEMS {
        std::fs::copy(&fixture, data.join("song").join(stem).with_extension("ogg")).unwrap();
    }
    let open = |memory_gb| {
        let config = DataConfig { memory_gb, ..config(&data, Some(&valid)) };
        let song = Data::open(&config, dir.path()).unwrap().train.remove(0);
        let num_bytes: usize = song.stems.iter().flatten().map(|stem| stem.num_bytes()).sum();
        (num_bytes, song.whole().unwrap().stems)
    };
    let (num_bytes, in_memory) = open(1.0);
    assert_eq!(num_bytes, 4 * 4 * in_memory[0].as_ref().unwrap().len());
    let sound = audio::read_all(&fixture).unwrap();
    for (i, frame) in in_memory[3].as_ref().unwrap().iter().enumerate() {
        assert!((0..2).all(|c| (frame[c] - sound.samples[c][i]).abs() < 2e-5), "{i}: {frame:?}");
    }
    // Room for one and a half stems.
    let (bounded_bytes, bounded) = open(num_bytes as f64 * 0.375 / 1e9);
    assert_eq!((bounded_bytes, &bounded), (num_bytes / 4, &in_memory));
    // What was decoded to disk is found again.
    let decoded = || std::fs::read_dir(dir.path().join("decoded")).unwrap().count();
    let num_files = decoded();
    assert!(num_files >= 6, "{num_files}");
    assert_eq!(open(0.0).1, in_memory);
    assert!(decoded() >= num_files);
}
