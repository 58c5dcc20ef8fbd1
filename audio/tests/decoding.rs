//! Every file kind gives back what went into its encoder: length, rate, position, both channels.

mod signal;

use std::path::PathBuf;

use audio::{Audio, AudioReader, global_sdr_db, read_all};
use signal::fixture_signal;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// SDR against the source, the decoded signal read `offset` samples late.
fn sdr_at(audio: &Audio, source: &[Vec<f32>; 2], offset: usize) -> f64 {
    let len = audio.samples[0].len().min(source[0].len()) - 8;
    let decoded = |c: usize| &audio.samples[c][offset..offset + len];
    global_sdr_db([&source[0][..len], &source[1][..len]], [decoded(0), decoded(1)]).unwrap()
}

fn check(name: &str, num_samples: usize, rate_hz: u32, is_mono: bool, min_sdr_db: f64) {
    let reader = AudioReader::open(fixture(name)).unwrap();
    assert_eq!(reader.num_channels(), if is_mono { 1 } else { 2 }, "{name}");
    assert_eq!(reader.num_samples(), Some(num_samples as u64), "{name}");
    let audio = read_all(fixture(name)).unwrap();
    assert_eq!(audio.sample_rate_hz, rate_hz, "{name}");
    assert_eq!(audio.samples.each_ref().map(Vec::len), [num_samples; 2], "{name}");
    let mut source = fixture_signal(num_samples, rate_hz);
    if is_mono {
        source[1] = source[0].clone();
        assert_eq!(audio.samples[0], audio.samples[1], "{name}");
    }
    let (in_place, late) = (sdr_at(&audio, &source, 0), sdr_at(&audio, &source, 1));
    assert!(in_place > min_sdr_db, "{name}: {in_place} dB");
    assert!(late < in_place - 3.0, "{name}: {in_place} dB in place, {late} dB a sample late");
}

#[test]
fn lossless_files() {
    check("stereo_44100.flac", 5003, 44100, false, 80.0);
    check("lossless_44100.m4a", 5003, 44100, false, 80.0);
    check("stereo_44100.aiff", 5003, 44100, false, 80.0);
}

#[test]
fn ogg_vorbis() {
    check("stereo_44100.ogg", 44117, 44100, false, 15.0);
    check("mono_48000.ogg", 48017, 48000, true, 15.0);
}

#[test]
fn mp3_with_a_lame_tag_loses_its_padding() {
    check("stereo_44100.mp3", 44117, 44100, false, 15.0);
    check("mono_48000.mp3", 48017, 48000, true, 15.0);
}

#[test]
fn aac_in_mp4_loses_its_padding() {
    check("stereo_44100.m4a", 44117, 44100, false, 15.0);
    check("mono_48000.m4a", 48017, 48000, true, 15.0);
}

#[test]
fn opus() {
    check("opus_48000.ogg", 5446, 48_000, false, 0.0);
}

#[test]
fn mp3_without_a_tag_keeps_everything() {
    let reader = AudioReader::open(fixture("untagged_44100.mp3")).unwrap();
    let announced = reader.num_samples().unwrap();
    let audio = read_all(fixture("untagged_44100.mp3")).unwrap();
    assert_eq!(audio.samples[0].len() as u64, announced);
    // 1105 samples of delay; whole frames of 1152.
    assert_eq!(audio.samples[0].len() % 1152, 0);
    assert!((44117 + 1105..44117 + 1105 + 1152 * 2).contains(&audio.samples[0].len()));
    assert!(sdr_at(&audio, &fixture_signal(44117, 44100), 1105) > 15.0);
}

#[test]
fn mp3_of_changing_bit_rate_is_counted() {
    let reader = AudioReader::open(fixture("vbr_44100.mp3")).unwrap();
    // 51 frames, as ffmpeg decodes it too; the first ones say nothing about the others.
    assert_eq!(reader.num_samples(), Some(51 * 1152));
    assert_eq!(read_all(fixture("vbr_44100.mp3")).unwrap().samples[0].len(), 51 * 1152);
}

/// `cat a.mp3 b.mp3`: the tag of the first counts its own frames only.
#[test]
fn mp3_files_one_after_the_other_are_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("two.mp3");
    let one = std::fs::read(fixture("stereo_44100.mp3")).unwrap();
    std::fs::write(&path, [&one[..], &one].concat()).unwrap();
    let (one, two) = (read_all(fixture("stereo_44100.mp3")).unwrap(), read_all(&path).unwrap());
    // As ffmpeg decodes it: only the delay of the first is removed.
    assert_eq!(two.samples[0].len(), 91_055);
    assert_eq!(two.samples[0][..40_000], one.samples[0][..40_000]);
    // 40 frames of the first, then the delay of the second: 1105 samples of its encoder and decoder.
    let start = 40 * 1152;
    let late =
        sdr_at(&Audio { samples: two.samples.map(|x| x[start..].to_vec()), ..one }, &fixture_signal(44_117, 44_100), 0);
    assert!(late > 15.0, "{late} dB");
}

#[test]
fn wav_of_unknown_length() {
    let audio = read_all(fixture("piped_44100.wav")).unwrap();
    assert_eq!(audio.samples[0].len(), 5003);
    assert!(sdr_at(&audio, &fixture_signal(5003, 44100), 0) > 80.0);
}

#[test]
fn wav_of_every_sample_format() {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<f32> = (0..3000).map(|i| (i as f32 * 0.01).sin() * 0.7).collect();
    for (bits, format) in [
        (8, hound::SampleFormat::Int),
        (16, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ] {
        for channels in [1, 2] {
            let path = dir.path().join(format!("{bits}_{format:?}_{channels}.wav"));
            let spec = hound::WavSpec { channels, sample_rate: 96000, bits_per_sample: bits, sample_format: format };
            let mut wav = hound::WavWriter::create(&path, spec).unwrap();
            for x in &samples {
                for _ in 0..channels {
                    match format {
                        hound::SampleFormat::Float => wav.write_sample(*x).unwrap(),
                        hound::SampleFormat::Int => {
                            wav.write_sample((f64::from(*x) * 2f64.powi(i32::from(bits) - 1)) as i32).unwrap();
                        }
                    }
                }
            }
            wav.finalize().unwrap();
            let audio = read_all(&path).unwrap();
            assert_eq!((audio.sample_rate_hz, audio.samples[0].len()), (96000, 3000), "{path:?}");
            for (got, want) in audio.samples.iter().flat_map(|channel| channel.iter().zip(&samples)) {
                assert!((got - want).abs() <= 2f32.powi(1 - i32::from(bits.min(24))), "{path:?}: {got} for {want}");
            }
        }
    }
}
