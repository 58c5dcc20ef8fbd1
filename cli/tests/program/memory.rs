//! Long files need no more memory than short ones. Their peak is read from `/proc`.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{Workplace, tones};
use audio::{WavFormat, WavWriter};

/// Peak resident memory in KiB of a run over a song of so many seconds.
fn peak_kib(workplace: &Workplace, seconds: usize) -> u64 {
    let song = workplace.path(&format!("{seconds}.wav"));
    let mut writer = WavWriter::create(&song, 44100, WavFormat::Int16).unwrap();
    let second = tones(44100, 44100, 0);
    (0..seconds).for_each(|_| writer.write([&second, &second]).unwrap());
    writer.finish().unwrap();
    let mut unbraid = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .args(["separate", song.to_str().unwrap(), "--format", "16", "--out", workplace.path("out").to_str().unwrap()])
        .env("UNBRAID_MODEL", workplace.path("model"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", unbraid.id());
    let mut peak = 0;
    let result = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        if let Some(result) = unbraid.try_wait().unwrap() {
            break result;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(result.success());
    assert!(peak > 0, "{status} says nothing");
    peak
}

#[test]
fn memory_does_not_grow_with_the_song() {
    let workplace = Workplace::new([0.25; 4]);
    let (short, long) = (peak_kib(&workplace, 10), peak_kib(&workplace, 240));
    // Four minutes are 84 MB as stereo f32, once; their stems four times as much.
    assert!(long < short + 16 * 1024, "{short} KiB for 10 s, {long} KiB for 240 s");
    eprintln!("{short} KiB for 10 s, {long} KiB for 240 s");
}
