//! Not a test of anything: writes the files that `fixtures/README.md` encodes.

mod signal;

use audio::{WavFormat, WavWriter};

#[test]
#[ignore = "only for making the fixtures anew: cargo test --release -p audio --test write_fixture_sources -- --ignored"]
fn write_fixture_sources() {
    let dir = std::path::Path::new("/tmp/unbraid-fixtures");
    std::fs::create_dir_all(dir).unwrap();
    for (name, num_samples, sample_rate_hz) in
        [("second_44100.wav", 44117, 44100), ("second_48000.wav", 48017, 48000), ("short_44100.wav", 5003, 44100)]
    {
        let [left, right] = signal::fixture_signal(num_samples, sample_rate_hz);
        let mut writer = WavWriter::create(dir.join(name), sample_rate_hz, WavFormat::Int16).unwrap();
        writer.write([&left, &right]).unwrap();
        writer.finish().unwrap();
    }
}
