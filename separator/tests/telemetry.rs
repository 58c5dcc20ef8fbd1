//! ONNX Runtime keeps to itself: it writes nothing into the user's folders (newer ones queue telemetry there).
#![cfg(unix)]

use separator::{
    Pipeline,
    testing::{TestModel, runtime},
};
use std::{env, fs, process::Command};

const CHILD: &str = "UNBRAID_TELEMETRY_CHILD";

#[test]
fn a_model_that_runs_leaves_nothing_in_the_users_folders() {
    if env::var_os(CHILD).is_some() {
        let dir = tempfile::tempdir().unwrap();
        let mut pipeline = Pipeline::new(&runtime(), &TestModel::identity().write(dir.path()).unwrap()).unwrap();
        let hop = vec![0.1; pipeline.hop_len()];
        let mut stems = vec![[hop.clone(), hop.clone()]; pipeline.num_stems()];
        pipeline.process_hop([&hop, &hop], &mut stems).unwrap();
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "a_model_that_runs_leaves_nothing_in_the_users_folders"]).env(CHILD, "1");
    // As for a user: it is quiet by itself where tests run.
    for variable in ["CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"] {
        child.env_remove(variable);
    }
    for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        child.env_remove(variable);
    }
    assert!(child.env("HOME", home.path()).status().unwrap().success());
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}
