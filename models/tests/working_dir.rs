//! Where models are looked for and where not. A program of its own: folder and environment belong to the process.

use models::{MANIFEST_FILE, ModelError, find_by_name, locate, user_models_dir, user_models_dirs};
use std::{env, fs, path::Path};

#[test]
fn names_are_not_looked_up_in_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (data, work) = (dir.path().join("data"), dir.path().join("work"));
    let make = |dir: &Path| {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join(MANIFEST_FILE), "").unwrap();
    };
    make(&work.join("first"));
    make(&work.join("only_here"));
    env::set_current_dir(&work).unwrap();
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the only test of this program, on its only thread that reads or writes the environment.
        unsafe { env::set_var("XDG_DATA_HOME", &data) };
        assert_eq!(user_models_dir().unwrap(), data.join("unbraid/models"));
        make(&data.join("unbraid/models/first"));
        assert_eq!(find_by_name("first", &[]).unwrap(), data.join("unbraid/models/first"), "the installed one");
        assert_eq!(locate("first", &[]).unwrap(), data.join("unbraid/models/first"), "the installed one");
    }
    assert_eq!(user_models_dirs().into_iter().next(), user_models_dir());
    assert!(matches!(find_by_name("only_here", &[]), Err(ModelError::NotFound { .. })));
    let message = locate("only_here", &[]).unwrap_err().to_string();
    let written = Path::new(".").join("only_here").display().to_string();
    assert!(message.contains(&format!("there is one here: {written}")), "{message}");
    assert_eq!(locate(&written, &[]).unwrap(), Path::new(&written), "what is written as a path is one");
    assert_eq!(locate("../work/only_here", &[]).unwrap(), Path::new("../work/only_here"));
    assert!(locate("only_here:stream", &[]).is_err());
}
