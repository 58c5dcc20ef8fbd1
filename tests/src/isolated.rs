//! Tests in a process of their own: the plugin reads its environment, and its process has one ONNX Runtime for good.

use separator::testing::TestModel;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Points the plugin at a model folder.
pub use base::MODEL_VARIABLE;
const CHILD_VARIABLE: &str = "UNBRAID_TEST_CHILD";
/// Where nice-plug writes the plugin's messages.
const LOG_VARIABLE: &str = "NICE_LOG";

/// Runs `body` in a new process, started from this test's binary with `envs` set. `test` is the name of the calling
/// test function, with its modules.
///
/// # Panics
/// When the process fails; its output is shown.
pub fn isolated(test: &str, envs: &[(&str, &OsStr)], body: impl FnOnce()) {
    if std::env::var_os(CHILD_VARIABLE).is_some_and(|child| child == test) {
        // The test harness has begun a line; what the test says begins on the next one.
        println!();
        return body();
    }
    let log = crate::places::target().join("tests").join(format!("{}.log", test.replace("::", "-")));
    std::fs::create_dir_all(log.parent().expect("a file lies in a folder")).expect("the folder can be made");
    // Left over from the last run, perhaps.
    let _ = std::fs::remove_file(&log);
    let output = Command::new(std::env::current_exe().expect("this program has a path"))
        .args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(CHILD_VARIABLE, test)
        .env(LOG_VARIABLE, &log)
        .envs(envs.iter().copied())
        .output()
        .expect("this program can be started again");
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).join("\n");
    let messages = std::fs::read_to_string(&log).unwrap_or_default();
    assert!(output.status.success(), "{test}: {}\n{text}\nThe plugin says:\n{messages}", output.status);
    assert!(text.contains("1 passed"), "no test is called {test}:\n{text}");
    text.lines().filter(|line| line.starts_with("  ")).for_each(say);
}

/// Whether this is a process that [`isolated`] has started.
pub fn is_child() -> bool {
    std::env::var_os(CHILD_VARIABLE).is_some()
}

/// Prints a line that is seen even when the test passes: what was measured, what was skipped.
pub fn say(line: &str) {
    // Not `println!`, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What the plugin has logged so far, inside `isolated`.
pub fn messages() -> String {
    let log = std::env::var_os(LOG_VARIABLE).expect("called inside isolated()");
    std::fs::read_to_string(log).unwrap_or_default()
}

/// Runs `body` in a process whose plugin uses `model`.
pub fn isolated_with_model(test: &str, model: &TestModel, body: impl FnOnce()) {
    let dir = scratch_dir(test).join("model");
    model.write(&dir).expect("the test model can be written");
    isolated(test, &[(MODEL_VARIABLE, dir.as_os_str())], body);
}

/// The bundles of `format`, `clap` or `vst3`, once more, with these models by their names instead of the shipped ones;
/// the path of the plugin in it.
///
/// # Panics
/// When that fails.
pub fn bundle_with_models(test: &str, format: &str, models: &[(&str, TestModel)]) -> PathBuf {
    let (bundle, plugin, resources) = match format {
        "clap" => (crate::places::clap().parent().expect("it lies in a folder").to_owned(), "Unbraid.clap", ""),
        _ => (crate::places::vst3(), "", "Contents/Resources"),
    };
    let copy = scratch_dir(test).join(bundle.file_name().expect("a folder with a name"));
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        copy_dir(&bundle, &copy);
        let models_dir = copy.join(resources).join("models");
        std::fs::remove_dir_all(&models_dir).expect("the bundle holds models");
        for (name, model) in models {
            model.write(&models_dir.join(name)).expect("the test model can be written");
        }
    }
    copy.join(plugin)
}

/// An empty folder for `test`, below Cargo's target folder. Inside `isolated` it is left as it is.
pub fn scratch_dir(test: &str) -> PathBuf {
    let dir = crate::places::target().join("tests").join(test.replace("::", "-"));
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        // Left over from the last run, perhaps.
        let _ = std::fs::remove_dir_all(&dir);
    }
    std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("could not create {}: {error}", dir.display()));
    dir
}

/// Copies a folder with all that is in it.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let copy: PathBuf = to.join(path.file_name().map(OsString::from).unwrap_or_default());
        match path.is_dir() {
            true => copy_dir(&path, &copy),
            false => std::fs::copy(&path, &copy).map(drop).expect("the file can be copied"),
        }
    }
}
