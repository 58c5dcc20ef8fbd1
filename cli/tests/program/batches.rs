//! `unbraid separate` on folders and in chains: names, formats, progress, what goes wrong on the way.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{Workplace, tones, write_wav};
use audio::{Tags, find_ffmpeg, read_all};
use serde_json::Value;

const MASKS: [f32; 4] = [0.5, 0.25, 0.125, 0.125];

fn workplace(songs: &[&str]) -> Workplace {
    let workplace = Workplace::new(MASKS);
    for (seed, song) in songs.iter().enumerate() {
        let [left, right] = [1, 2].map(|channel| tones(20_000, 44_100, channel + 10 * seed as u32));
        write_wav(&workplace.path(song), 44_100, [&left, &right]);
    }
    workplace
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => dirs.push(path),
                path => names.push(path.strip_prefix(dir).unwrap().display().to_string().replace('\\', "/")),
            }
        }
    }
    names.sort();
    names
}

#[test]
fn folders_are_gone_through_and_kept() {
    let workplace = workplace(&["music/a.wav", "music/x/y/b.WAV", "music/.hidden/c.wav", "music/separated/old.wav"]);
    std::fs::write(workplace.path("music/cover.jpg"), "no song").unwrap();
    let args = ["separate", "music", "--out", "music/separated", "--two-stems", "vocals", "--jobs", "2"];
    let outcome = workplace.unbraid(&args);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let want = ["a/instrumental.wav", "a/vocals.wav", "old.wav", "x/y/b/instrumental.wav", "x/y/b/vocals.wav"];
    assert_eq!(files(&workplace.path("music/separated")), want);
    let song = read_all(workplace.path("music/a.wav")).unwrap().samples;
    let rest = read_all(workplace.path("music/separated/a/instrumental.wav")).unwrap().samples;
    assert!(song[0].iter().zip(&rest[0]).all(|(song, rest)| (song / 2.0 - rest).abs() < 1e-4), "a mask of 0.5");

    std::fs::create_dir(workplace.path("empty")).unwrap();
    let outcome = workplace.unbraid(&["separate", "empty"]);
    assert!(!outcome.is_success && outcome.stderr.contains("empty: no audio files"), "{}", outcome.stderr);
}

#[test]
fn names_follow_the_pattern() {
    let workplace = workplace(&["a.wav"]);
    for (args, want) in [
        (&["--flat"][..], ["out/a - drums.wav", "out/a - vocals.wav"]),
        (&["--name", "{model}/{stem}/{song}.{ext}"], ["out/test/drums/a.wav.wav", "out/test/vocals/a.wav.wav"]),
    ] {
        let args = [&["separate", "a.wav", "--out", "out", "--stems", "vocals,drums"], args].concat();
        let outcome = workplace.unbraid(&args);
        assert!(outcome.is_success, "{}", outcome.stderr);
        assert!(
            want.iter().all(|file| workplace.path(file).is_file()),
            "{args:?}: {:?}",
            files(&workplace.path("out"))
        );
    }
    let outcome = workplace.unbraid(&["separate", "a.wav", "--name", "../{stem}"]);
    assert!(!outcome.is_success && outcome.stderr.contains("below --out"), "{}", outcome.stderr);
}

#[test]
fn a_stem_never_replaces_a_song() {
    let workplace = workplace(&["vocals.wav"]);
    let before = std::fs::read(workplace.path("vocals.wav")).unwrap();
    let outcome = workplace.unbraid(&["separate", "vocals.wav", "--out", ".", "--name", "{stem}"]);
    assert!(!outcome.is_success && outcome.stderr.contains("would replace the song"), "{}", outcome.stderr);
    assert_eq!(std::fs::read(workplace.path("vocals.wav")).unwrap(), before);
    assert!(!workplace.path("drums.wav").exists());
}

#[test]
fn a_batch_goes_on_where_it_stopped() {
    let workplace = workplace(&["in/a.wav", "in/b.wav"]);
    assert!(workplace.unbraid(&["separate", "in/a.wav", "--out", "out"]).is_success);
    std::fs::write(workplace.path("out/a/bass.wav"), "mine").unwrap();
    let outcome = workplace.unbraid(&["separate", "in", "--out", "out", "--skip-existing", "--json"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let mut lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["song"].to_string());
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&"skipped".into(), &"done".into()), "{lines:?}");
    assert_eq!(std::fs::read(workplace.path("out/a/bass.wav")).unwrap(), b"mine");
    assert!(lines[1]["seconds"].as_f64().unwrap() > 0.4 && lines[1]["files"].as_array().unwrap().len() == 4);
    // Without it, they are replaced.
    assert!(workplace.unbraid(&["separate", "in", "--out", "out"]).is_success);
    assert!(read_all(workplace.path("out/a/bass.wav")).is_ok());
}

#[test]
fn parts_of_songs() {
    let workplace = workplace(&["a.wav"]);
    let song = read_all(workplace.path("a.wav")).unwrap().samples;
    let outcome = workplace.unbraid(&["separate", "a.wav", "--start", "0.1", "--duration", "0.2", "--stems", "vocals"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let stem = read_all(workplace.path("separated/a/vocals.wav")).unwrap().samples;
    assert_eq!(stem[0].len(), 8820);
    assert!((2000..6000).all(|i| (stem[0][i] - song[0][4410 + i] / 2.0).abs() < 1e-3));
    let outcome = workplace.unbraid(&["separate", "a.wav", "--start", "3"]);
    assert!(!outcome.is_success && outcome.stderr.contains("--start 3 lies behind its end"), "{}", outcome.stderr);
}

/// From a pipe into a pipe, in WAV that knows its length.
#[test]
fn standard_input_and_output() {
    let workplace = workplace(&["a.wav"]);
    let song = std::fs::File::open(workplace.path("a.wav")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .args(["separate", "-", "--out", "-", "--stems", "vocals", "--model"])
        .arg(workplace.path("model"))
        .stdin(song)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(workplace.path("piped.wav"), &output.stdout).unwrap();
    assert!(workplace.unbraid(&["separate", "a.wav"]).is_success);
    let [piped, written] =
        ["piped.wav", "separated/a/vocals.wav"].map(|name| read_all(workplace.path(name)).unwrap().samples);
    assert_eq!(piped, written);
    let outcome = workplace.unbraid(&["separate", "a.wav", "--out", "-"]);
    assert!(!outcome.is_success && outcome.stderr.contains("expected one song and one stem"), "{}", outcome.stderr);
}

#[test]
fn flac_is_written_without_ffmpeg() {
    let workplace = workplace(&["a.wav"]);
    for (bits, max_error) in [(&[][..], 1.0 / 8_388_608.0), (&["--bits", "16"], 2.0 / 32_768.0)] {
        let args = [&["separate", "a.wav", "--format", "flac"], bits].concat();
        let outcome = workplace.unbraid_with(&args, &[("UNBRAID_FFMPEG", "")]);
        assert!(outcome.is_success, "{}", outcome.stderr);
        assert!(workplace.unbraid(&["separate", "a.wav"]).is_success);
        let [flac, wav] =
            ["flac", "wav"].map(|kind| read_all(workplace.path(&format!("separated/a/drums.{kind}"))).unwrap().samples);
        assert_eq!(flac[0].len(), wav[0].len());
        assert!(flac[0].iter().zip(&wav[0]).all(|(flac, wav)| (flac - wav).abs() <= max_error));
    }
    let outcome = workplace.unbraid(&["separate", "a.wav", "--format", "flac", "--bits", "float"]);
    assert!(!outcome.is_success && outcome.stderr.contains("FLAC has 16 or 24 bit"), "{}", outcome.stderr);
}

/// At 16 bit the default adds noise of less than two steps; without it, samples are the nearest ones.
#[test]
fn dither_at_16_bit_can_be_turned_off() {
    let workplace = workplace(&["a.wav"]);
    let stem = |args: &[&str]| {
        let args = [&["separate", "a.wav", "--stems", "vocals"], args].concat();
        assert!(workplace.unbraid(&args).is_success);
        read_all(workplace.path("separated/a/vocals.wav")).unwrap().samples[0].clone()
    };
    let (exact, dithered) = (stem(&[]), stem(&["--bits", "16"]));
    let rounded = stem(&["--bits", "16", "--no-dither"]);
    let worst = |got: &[f32]| got.iter().zip(&exact).map(|(got, x)| (got - x).abs() * 32_768.0).fold(0.0, f32::max);
    assert!(worst(&rounded) <= 0.501, "{}", worst(&rounded));
    assert!((0.6..=1.501).contains(&worst(&dithered)), "{}", worst(&dithered));
}

/// What ffmpeg writes can be read again, with the song's tags and cover.
#[test]
fn lossy_files_keep_tags_and_cover() {
    let Some(ffmpeg) = find_ffmpeg() else {
        eprintln!("SKIPPED: no ffmpeg is installed");
        return;
    };
    let workplace = workplace(&["a.wav"]);
    let tagged = workplace.path("tagged.mp3");
    let made = Command::new(ffmpeg)
        .args(["-loglevel", "error", "-i"])
        .arg(workplace.path("a.wav"))
        .args(["-f", "lavfi", "-i", "color=red:s=16x16:d=1", "-map", "0:a", "-map", "1:v", "-frames:v", "1"])
        .args(["-c:v", "mjpeg", "-disposition:v", "attached_pic", "-metadata", "title=Tune", "-metadata", "artist=Me"])
        .arg(&tagged)
        .status()
        .unwrap();
    assert!(made.success());
    for (format, has_cover) in [("flac", true), ("mp3", true), ("m4a", true), ("opus", false)] {
        let args = ["separate", "tagged.mp3", "--format", format, "--stems", "vocals"];
        let outcome = workplace.unbraid(&args);
        assert!(outcome.is_success, "{format}: {}", outcome.stderr);
        let stem = workplace.path(&format!("separated/tagged/vocals.{format}"));
        let tags = Tags::read(&stem);
        let has = |name: &str, value: &str| tags.fields.iter().any(|(n, v)| *n == name && v == value);
        assert!(has("TITLE", "Tune (vocals)") && has("ARTIST", "Me"), "{format}: {:?}", tags.fields);
        assert_eq!(tags.cover.is_some(), has_cover, "{format}");
        let len = read_all(&stem).unwrap().samples[0].len();
        let want = if format == "opus" { 20_000 * 480 / 441 } else { 20_000 };
        assert!(len.abs_diff(want) <= 1200, "{format}: {len} samples");
    }
    let outcome = workplace.unbraid(&["separate", "tagged.mp3", "--format", "stem"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let bytes = std::fs::read(workplace.path("separated/tagged.stem.mp4")).unwrap();
    let at = bytes.windows(5).rposition(|word| word == b"stem{").unwrap();
    let json: Value = serde_json::from_slice(&bytes[at + 4..]).unwrap();
    let names: Vec<_> = json["stems"].as_array().unwrap().iter().map(|stem| stem["name"].clone()).collect();
    assert_eq!(names, ["drums", "bass", "other", "vocals"]);
    // Its first track is the song.
    assert!(read_all(workplace.path("separated/tagged.stem.mp4")).unwrap().samples[0].len() >= 20_000);
    assert_eq!(files(&workplace.path("separated")).iter().filter(|name| name.contains("stem.mp4")).count(), 1);
}

#[test]
fn quiet_and_progress_for_programs() {
    let workplace = workplace(&["a.wav"]);
    let outcome = workplace.unbraid(&["separate", "a.wav", "--quiet"]);
    assert!(outcome.is_success && outcome.stdout.is_empty() && outcome.stderr.is_empty());
    let outcome = workplace.unbraid(&["separate", "a.wav", "--progress", "json"]);
    let events: Vec<Value> = outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["event"], &events.last().unwrap()["event"]), (&"start".into(), &"end".into()));
    assert_eq!(events[0]["song"], "a.wav");
}

/// A reader that has gone, and a full device: no panic, the stems are there.
#[cfg(target_os = "linux")]
#[test]
fn closed_and_full_outputs_do_not_end_a_batch() {
    let workplace = workplace(&["a.wav", "b.wav"]);
    let run = |stdout: Stdio, stderr: Stdio| {
        let status = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .args(["separate", "a.wav", "nowhere.wav", "b.wav", "--jobs", "1", "--model", "./model"])
            .current_dir(workplace.path(""))
            .stdout(stdout)
            .stderr(stderr)
            .status()
            .unwrap();
        let are_there = ["separated/a/bass.wav", "separated/b/bass.wav"].iter().all(|f| workplace.path(f).is_file());
        std::fs::remove_dir_all(workplace.path("separated")).unwrap();
        (status.code(), are_there)
    };
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let closed = || {
        let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let pipe = reader.stdin.take().unwrap();
        reader.wait().unwrap();
        Stdio::from(pipe)
    };
    assert_eq!(run(closed(), Stdio::null()), (Some(1), true));
    assert_eq!(run(full(), full()), (Some(1), true));
    assert_eq!(run(closed(), closed()), (Some(1), true));
    // Where nothing else fails, a reader that has gone is no failure, and a full device is.
    let help = |stdout: Stdio| {
        let args = ["models", "list", "--json"];
        Command::new(env!("CARGO_BIN_EXE_unbraid")).args(args).stdout(stdout).status().unwrap().code()
    };
    assert_eq!((help(closed()), help(full())), (Some(0), Some(1)));
}

#[test]
fn completions_man_pages_and_version() {
    let workplace = Workplace::new(MASKS);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let outcome = workplace.unbraid(&["completions", shell]);
        assert!(outcome.is_success && outcome.stdout.contains("two-stems"), "{shell}");
    }
    assert!(workplace.unbraid(&["man", "man1"]).is_success);
    let page = std::fs::read_to_string(workplace.path("man1/unbraid-separate.1")).unwrap();
    assert!(page.contains("skip\\-existing"), "{page}");
    assert!(workplace.unbraid(&["--version"]).stdout.starts_with("unbraid "));
}

#[test]
fn help_names_what_people_look_for() {
    let help = Workplace::new(MASKS).unbraid(&["separate", "--help"]).stdout;
    for option in [
        "--two-stems",
        "--format",
        "--bits",
        "--bitrate",
        "--no-dither",
        "--name",
        "--flat",
        "--skip-existing",
        "--start",
        "--duration",
        "--strict",
        "--keep-going",
        "--jobs",
        "--quiet",
        "--progress",
        "--json",
        "[default: separated]",
    ] {
        assert!(help.contains(option), "{option}: {help}");
    }
}
