//! WAV files: what is written is read back; nothing half-written bears the final name.

use audio::{AudioError, WavFormat, WavWriter, read_all};

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0.9 * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        })
        .collect()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (left, right) = (noise(10_001, 1), noise(10_001, 2));
    for (format, max_error) in
        [(WavFormat::Float32, 0.0), (WavFormat::Int24, 1.0 / 8_388_608.0), (WavFormat::Int16, 1.0 / 65_536.0)]
    {
        let path = dir.path().join(format!("{format:?}.wav"));
        let mut writer = WavWriter::create(&path, 48000, format).unwrap();
        for (l, r) in left.chunks(777).zip(right.chunks(777)) {
            writer.write([l, r]).unwrap();
        }
        assert!(!path.exists());
        assert!(dir.path().join(format!("{format:?}.wav.part")).exists());
        writer.finish().unwrap();
        let audio = read_all(&path).unwrap();
        assert_eq!(audio.sample_rate_hz, 48000);
        for (got, want) in audio.samples.iter().zip([&left, &right]) {
            assert_eq!(got.len(), want.len());
            let error = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error <= max_error, "{format:?}: {error}");
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn beyond_full_scale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loud.wav");
    let loud = [1.5, -1.5, 0.5, -1.0];
    let mut writer = WavWriter::create(&path, 44100, WavFormat::Int24).unwrap();
    writer.write([&loud, &[0.0; 4]]).unwrap();
    assert_eq!(writer.num_clipped(), 2);
    writer.finish().unwrap();
    let full_scale = 1.0 - 1.0 / 8_388_608.0;
    assert_eq!(read_all(&path).unwrap().samples[0], [full_scale, -1.0, 0.5, -1.0]);

    let mut writer = WavWriter::create(&path, 44100, WavFormat::Float32).unwrap();
    writer.write([&loud, &[0.0; 4]]).unwrap();
    assert_eq!(writer.num_clipped(), 0);
    writer.finish().unwrap();
    assert_eq!(read_all(&path).unwrap().samples[0], loud);
}

#[test]
fn an_abandoned_file_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("song.wav");
    std::fs::write(&path, "the file of the run before").unwrap();
    let mut writer = WavWriter::create(&path, 44100, WavFormat::Float32).unwrap();
    writer.write([&[0.5; 1000], &[0.5; 1000]]).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), b"the file of the run before");
}

#[test]
fn a_cut_wav_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("song.wav");
    let mut writer = WavWriter::create(&path, 44100, WavFormat::Int16).unwrap();
    writer.write([&[0.5; 5000], &[0.5; 5000]]).unwrap();
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = read_all(&path).unwrap_err();
    assert!(matches!(error, AudioError::Truncated { expected: Some(5000), .. }), "{error}");
    assert!(error.to_string().contains("song.wav"), "{error}");
}

#[test]
fn errors_name_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no_such_folder").join("song.wav");
    let error = WavWriter::create(&path, 44100, WavFormat::Int16).map(drop).unwrap_err();
    assert!(error.to_string().contains("no_such_folder"), "{error}");
}

/// `/dev/full` is Linux' disk without space.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("song.wav");
    std::os::unix::fs::symlink("/dev/full", dir.path().join("song.wav.part")).unwrap();
    let result = WavWriter::create(&path, 44100, WavFormat::Float32).and_then(|mut writer| {
        writer.write([&[0.5; 100_000], &[0.5; 100_000]])?;
        writer.finish()
    });
    let error = result.unwrap_err();
    assert!(error.to_string().contains("song.wav"), "{error}");
    assert!(!path.exists());
}

/// Five GiB that are a hole in the disk: the length is known, and the first samples are there.
#[cfg(unix)]
#[test]
fn rf64_beyond_4_gib_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.wav");
    let num_samples = 5 * (1u64 << 30) / 4;
    let mut header = Vec::from(*b"RF64\xff\xff\xff\xffWAVEds64");
    header.extend(28u32.to_le_bytes());
    [4 * num_samples + 72, 4 * num_samples, num_samples].iter().for_each(|len| header.extend(len.to_le_bytes()));
    header.extend([0; 4]);
    header.extend(b"fmt \x10\0\0\0\x01\0\x02\0");
    header.extend(44_100u32.to_le_bytes());
    header.extend(176_400u32.to_le_bytes());
    header.extend(b"\x04\0\x10\0data\xff\xff\xff\xff\0\x40\0\xc0");
    std::fs::write(&path, &header).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(header.len() as u64 - 4 + 4 * num_samples).unwrap();
    let mut reader = audio::AudioReader::open(&path).unwrap();
    assert_eq!(reader.num_samples(), Some(num_samples));
    let mut block = [Vec::new(), Vec::new()];
    assert!(reader.read_block(&mut block).unwrap() > 0);
    assert_eq!((block[0][0], block[1][0], block[0][1]), (0.5, -0.5, 0.0));
    // A byte less than it says is a cut file.
    file.set_len(header.len() as u64 - 5 + 4 * num_samples).unwrap();
    assert!(matches!(audio::AudioReader::open(&path), Err(AudioError::Truncated { .. })));
}
