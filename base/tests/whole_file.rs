//! Files appear complete or not at all.

use base::{part_path, put_in_place, replace_dir, write_whole, write_whole_with};
use std::{fs, io, io::Write, path::Path};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_and_nothing_is_left_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.txt");
    write_whole(&path, "one").unwrap();
    write_whole(&path, "two").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(names(dir.path()), ["file.txt"]);
}

#[test]
fn after_an_error_the_old_file_is_there_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.txt");
    write_whole(&path, "old").unwrap();
    let half = write_whole_with(&path, |file| {
        file.write_all(b"new")?;
        // The target is untouched while the new one is being written.
        assert_eq!(fs::read_to_string(&path)?, "old");
        Err(io::Error::other("the disk is full"))
    });
    assert_eq!(half.unwrap_err().to_string(), "the disk is full");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(dir.path()), ["file.txt"]);
    assert!(write_whole(&dir.path().join("missing/file"), "x").is_err());
    assert!(write_whole(dir.path(), "x").is_err(), "a folder is not replaced by a file");
    assert!(write_whole(Path::new("/"), "x").is_err());
}

#[cfg(unix)]
#[test]
fn others_may_read_what_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (plain, whole) = (dir.path().join("plain"), dir.path().join("whole"));
    fs::write(&plain, "x").unwrap();
    write_whole(&whole, "x").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&whole), mode(&plain));
}

#[test]
fn a_part_gets_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    let part = part_path(&path);
    assert_eq!(part.file_name().unwrap(), "model.onnx.part");
    assert!(put_in_place(&part, &path).is_err());
    fs::write(&path, "old").unwrap();
    fs::write(&part, "new").unwrap();
    put_in_place(&part, &path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(names(dir.path()), ["model.onnx"]);
}

#[test]
fn a_folder_is_replaced_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let (part, place) = (dir.path().join("part"), dir.path().join("place"));
    let fill = |text: &str| {
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join(text), text).unwrap();
    };
    fill("one");
    replace_dir(&part, &place).unwrap();
    fill("two");
    fs::create_dir(dir.path().join("place.old")).unwrap();
    replace_dir(&part, &place).unwrap();
    assert_eq!((names(&place), names(dir.path())), (vec!["two".to_owned()], vec!["place".to_owned()]));
    assert!(replace_dir(&part, &place).is_err(), "there is no part");
    assert_eq!(names(dir.path()), ["place"], "what was there is still there");
}
