//! The program alone, as `cargo install --path cli` leaves it, and with what `cargo xtask install` puts into the user's
//! data folder.

use std::path::Path;
use std::process::{Command, Output};

use separator::testing::TestModel;

use crate::command::{tones, write_wav};

#[test]
fn it_says_what_is_missing_and_finds_what_was_installed() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("bin/unbraid");
    std::fs::create_dir(home.path().join("bin")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_unbraid"), &program).unwrap();
    let tone = tones(20_000, 44_100, 1);
    write_wav(&home.path().join("song.wav"), 44_100, [&tone, &tone]);
    let separate = || -> Output {
        Command::new(&program)
            .args(["separate", "song.wav"])
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env_remove("UNBRAID_MODEL")
            .env_remove("UNBRAID_ONNXRUNTIME")
            .output()
            .unwrap()
    };
    let complaint = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };

    let message = complaint(separate());
    assert!(message.contains("'mix' not found") && message.contains("cargo xtask install"), "{message}");

    let installed = home.path().join("data/unbraid/program");
    TestModel::identity().write(&installed.join("models/mix")).unwrap();
    let message = complaint(separate());
    assert!(message.contains("ONNX Runtime not found") && message.contains("cargo xtask install"), "{message}");

    let library = Path::new(env!("CARGO_BIN_EXE_unbraid")).parent().unwrap().parent().unwrap().join("onnxruntime");
    let name = separator::runtime_library_name();
    std::os::unix::fs::symlink(library.join(name), installed.join(name)).unwrap();
    let output = separate();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(home.path().join("separated/song/vocals.wav").is_file());
}
