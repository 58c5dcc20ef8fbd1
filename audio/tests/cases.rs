//! The files of `../shared/cases`, which show what people really have: each gives what its README says is right.

use std::path::PathBuf;

use audio::{Audio, AudioError, AudioReader, ReadNotes, ReadOptions, find_ffmpeg, read_all};

const LENIENT: ReadOptions = ReadOptions { skip_damaged: true, keep_going: false };
const KEEP_GOING: ReadOptions = ReadOptions { skip_damaged: true, keep_going: true };

fn case(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no {}", path.display());
    }
    path.exists().then_some(path)
}

fn read(path: &std::path::Path, options: ReadOptions) -> Result<(Audio, ReadNotes), AudioError> {
    let mut reader = AudioReader::open_with(path, options)?;
    let mut samples = [Vec::new(), Vec::new()];
    let mut block = [Vec::new(), Vec::new()];
    while reader.read_block(&mut block)? > 0 {
        samples.iter_mut().zip(&block).for_each(|(all, new)| all.extend_from_slice(new));
    }
    Ok((Audio { sample_rate_hz: reader.sample_rate_hz(), samples }, reader.notes().clone()))
}

/// SDR in dB of what `audio` has `offset` samples late, from sample `range` of `base.wav` on.
fn sdr_of(audio: &Audio, range: std::ops::Range<usize>, offset: usize) -> f64 {
    let base = read_all(case("base.wav").unwrap()).unwrap();
    let late = range.start + offset..range.end + offset;
    let slices =
        |audio: &Audio, range: std::ops::Range<usize>| audio.samples.each_ref().map(|x| x[range.clone()].to_vec());
    let (base, got) = (slices(&base, range), slices(audio, late));
    audio::global_sdr_db([&base[0], &base[1]], [&got[0], &got[1]]).unwrap()
}

/// Lengths are those of ffmpeg; offsets where the first sample of `base.wav` lies.
#[test]
fn whole_files_are_decoded_whole_and_in_place() {
    for (name, rate_hz, num_samples, offset, min_sdr_db) in [
        ("base.wav", 44_100, 264_600, 0, 150.0),
        ("frag_1s.mp4", 44_100, 266_240, 1024, 10.0),
        ("frag_alac.m4a", 44_100, 264_600, 0, 150.0),
        ("frag_plain.m4a", 44_100, 266_240, 1024, 10.0),
        ("caf.caf", 44_100, 264_600, 0, 150.0),
        ("w64.w64", 44_100, 264_600, 0, 150.0),
        ("video.mkv", 44_100, 266_240, 1024, 10.0),
        ("wav_adpcm_ima.wav", 44_100, 265_437, 0, 15.0),
        ("wav_adpcm_ms.wav", 44_100, 265_144, 0, 15.0),
        ("opus.opus", 48_000, 288_000, 0, f64::NEG_INFINITY),
        ("opus.webm", 48_000, 288_000, 0, f64::NEG_INFINITY),
        ("rate_48000.wav", 48_000, 288_000, 0, f64::NEG_INFINITY),
        ("wav_rf64.wav", 44_100, 88_200, 0, f64::NEG_INFINITY),
    ] {
        let Some(path) = case(name) else { continue };
        let announced = AudioReader::open(&path).unwrap().num_samples();
        let audio = read_all(&path).unwrap();
        assert_eq!((audio.sample_rate_hz, audio.samples[0].len()), (rate_hz, num_samples), "{name}");
        assert!(announced.is_none_or(|announced| announced == num_samples as u64), "{name}: {announced:?}");
        if min_sdr_db.is_finite() {
            for range in [20_000..40_000, 240_000..260_000] {
                let sdr_db = sdr_of(&audio, range, offset);
                assert!(sdr_db > min_sdr_db, "{name}: {sdr_db} dB");
            }
        }
    }
}

#[test]
fn chained_streams_are_all_decoded() {
    let Some(path) = case("ogg_chained.ogg") else { return };
    let audio = read_all(path).unwrap();
    assert_eq!(audio.samples[0].len(), 2 * 264_600);
    let [first, second] = [0, 264_600].map(|offset| sdr_of(&audio, 20_000..200_000, offset));
    assert!(first > 10.0 && second > 10.0, "{first} dB, {second} dB");
}

#[test]
fn a_song_without_samples_is_an_error() {
    let Some(path) = case("wav_header_only.wav") else { return };
    let error = read_all(path).unwrap_err();
    assert!(matches!(error, AudioError::Empty { .. }), "{error}");
}

/// Silence of the same length: what follows stays in its place.
#[test]
fn damage_is_skipped_counted_and_does_not_shift_the_rest() {
    for (name, min_sdr_db, num_silent) in [("mp3_damaged.mp3", 10.0, 1152), ("flac_damaged.flac", 150.0, 4608)] {
        let Some(path) = case(name) else { continue };
        let strict = read_all(&path).unwrap_err();
        assert!(matches!(strict, AudioError::Damaged { .. }), "{name}: {strict}");
        let (audio, notes) = read(&path, LENIENT).unwrap();
        assert_eq!(audio.samples[0].len(), 264_600, "{name}");
        assert_eq!((notes.num_damaged, notes.num_silent), (1, num_silent), "{name}");
        for range in [20_000..100_000, 180_000..260_000] {
            let sdr_db = sdr_of(&audio, range, 0);
            assert!(sdr_db > min_sdr_db, "{name}: {sdr_db} dB");
        }
    }
}

/// A page that does not pass its checksum is left out, and what follows stays in its place.
#[test]
fn a_lost_page_of_ogg_becomes_silence() {
    let Some(path) = case("ogg_chained.ogg") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let pages: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"OggS")).collect();
    // In the middle of the first stream.
    bytes[pages[pages.len() / 4] + 200] ^= 0x55;
    let damaged = dir.path().join("song.ogg");
    std::fs::write(&damaged, &bytes).unwrap();
    assert!(matches!(read_all(&damaged), Err(AudioError::Damaged { .. })));
    let (audio, notes) = read(&damaged, LENIENT).unwrap();
    assert_eq!(audio.samples[0].len(), 2 * 264_600);
    assert!(notes.num_damaged >= 1 && notes.num_silent > 1000, "{notes:?}");
    for offset in [0, 264_600] {
        let sdr_db = sdr_of(&audio, 200_000..260_000, offset);
        assert!(sdr_db > 10.0, "{sdr_db} dB");
    }
}

#[test]
fn cut_files_are_refused_or_kept() {
    for (name, num_samples) in [("mp3_truncated.mp3", 175_151), ("ogg_truncated.ogg", 133_824)] {
        let Some(path) = case(name) else { continue };
        for options in [ReadOptions::default(), LENIENT] {
            let error = read(&path, options).unwrap_err();
            assert!(matches!(error, AudioError::Truncated { .. }), "{name}: {error}");
            assert!(AudioReader::open_with(&path, options).is_err(), "{name}: known only after the work");
        }
        let (audio, notes) = read(&path, KEEP_GOING).unwrap();
        assert_eq!(audio.samples[0].len(), num_samples, "{name}");
        assert!(notes.is_cut && sdr_of(&audio, 20_000..120_000, 0) > 10.0, "{name}: {notes:?}");
    }
}

#[test]
fn parameters_that_change_midway() {
    if let Some(path) = case("mp3_mono_then_stereo.mp3") {
        let (audio, _) = read(&path, LENIENT).unwrap();
        // ffmpeg drops three frames where the files meet.
        assert_eq!(audio.samples[0].len(), 396_288 + 3 * 1152);
        assert_eq!(audio.samples[0][..100_000], audio.samples[1][..100_000]);
        assert_ne!(audio.samples[0][200_000..], audio.samples[1][200_000..]);
    }
    if let Some(path) = case("mp3_rate_change.mp3") {
        match (find_ffmpeg(), read_all(&path)) {
            (Some(_), result) => assert_eq!(result.unwrap().samples[0].len(), 531_864),
            (None, result) => assert!(matches!(result, Err(AudioError::Change { .. })), "{result:?}"),
        }
    }
}

#[test]
fn surround_is_mixed_down() {
    let Some(path) = case("ch51.wav") else { return };
    let (audio, notes) = read(&path, ReadOptions::default()).unwrap();
    assert_eq!((audio.samples[0].len(), notes.num_channels_mixed), (88_200, Some(6)));
    assert!(audio.samples.iter().flatten().all(|x| x.abs() <= 1.0));
    assert!(audio.samples[0].iter().any(|x| x.abs() > 0.01));
}

#[test]
fn samples_that_are_no_numbers_are_counted() {
    let Some(path) = case("wav_nan.wav") else { return };
    let (audio, notes) = read(&path, ReadOptions::default()).unwrap();
    assert_eq!((audio.samples[0].len(), notes.num_not_finite), (88_200, 2));
}

/// Kinds that only ffmpeg decodes; without it, the message says how to get it.
#[test]
fn other_formats_are_read_through_ffmpeg() {
    for (name, num_samples) in [("heaac_signalled.m4a", 266_240), ("wavpack.wv", 264_600)] {
        let Some(path) = case(name) else { continue };
        match (find_ffmpeg(), read(&path, ReadOptions::default())) {
            (Some(ffmpeg), result) => {
                let (audio, notes) = result.unwrap();
                assert_eq!((audio.samples[0].len(), notes.ffmpeg), (num_samples, Some(ffmpeg)), "{name}");
            }
            (None, result) => {
                eprintln!("SKIPPED: no ffmpeg to decode {name} with");
                let error = result.unwrap_err().to_string();
                assert!(error.contains("ffmpeg") && error.contains("install"), "{error}");
            }
        }
    }
}

#[test]
fn text_is_refused_in_plain_words() {
    let Some(path) = case("text.mp3") else { return };
    let error = read_all(path).unwrap_err();
    assert!(error.to_string().ends_with("text.mp3: not an audio file (it is text)"), "{error}");
}

/// Every file, cut and with bits flipped, ends without a panic and within its length.
#[test]
fn no_damage_panics() {
    let Some(dir) = case("") else { return };
    let work = tempfile::tempdir().unwrap();
    let mut state = 7u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let num_rounds = std::env::var("UNBRAID_FUZZ_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let names = ["caf.caf", "w64.w64", "wav_rf64.wav", "opus.opus", "opus.webm", "video.mkv", "frag_1s.mp4"];
    let more = ["frag_plain.m4a", "ogg_chained.ogg", "mp3_damaged.mp3", "wav_adpcm_ima.wav", "wav_adpcm_ms.wav"];
    for name in names.into_iter().chain(more) {
        let whole = std::fs::read(dir.join(name)).unwrap();
        let path = work.path().join(name);
        for round in 0..num_rounds {
            let mut bytes = whole[..if round % 2 == 0 { whole.len() } else { random() % whole.len() }].to_vec();
            let region = if round % 3 == 0 { 600 } else { bytes.len() }.min(bytes.len());
            for _ in 0..=round {
                if region > 0 {
                    bytes[random() % region] ^= 1 << (random() % 8);
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            for options in [ReadOptions::default(), KEEP_GOING] {
                // A few bytes of a header may claim hours of silence, but not for free.
                if let Ok((audio, _)) = read(&path, options) {
                    assert!(audio.samples[0].len() < 40_000_000, "{name}");
                }
            }
        }
    }
}
