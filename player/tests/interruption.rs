//! Ctrl-C while `unbraid-play` exports.
#![cfg(unix)]

use audio::{WavFormat, WavWriter};
use separator::testing::TestModel;
use std::{process::Command, thread, time::Duration};

#[test]
fn ctrl_c_leaves_no_unfinished_export() {
    let dir = tempfile::tempdir().unwrap();
    TestModel::with_masks([0.25; 4]).write(&dir.path().join("model")).unwrap();
    // Ten minutes, so that there is time to interrupt.
    let mut writer = WavWriter::create(dir.path().join("long.wav"), 44_100, WavFormat::Int16).unwrap();
    let second: Vec<f32> = (0..44_100).map(|i| 0.5 * (i as f32 * 0.03).sin()).collect();
    (0..600).for_each(|_| writer.write([&second, &second]).unwrap());
    writer.finish().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_unbraid-play"))
        .args(["long.wav", "--model", "./model", "--mute", "vocals", "--export", "out.wav"])
        .current_dir(dir.path())
        .spawn()
        .unwrap();
    let part = dir.path().join("out.wav.part");
    while !part.metadata().is_ok_and(|metadata| metadata.len() > 100_000) {
        assert!(program.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap().success());
    assert_eq!(program.wait().unwrap().code(), Some(130));
    let left: Vec<_> = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("out.wav")), "{left:?}");
}
