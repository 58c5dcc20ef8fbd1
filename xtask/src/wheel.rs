//! Wheels from PyPI: pinned by version and SHA-256, downloaded once, unpacked without Python.

use crate::process::{run, say};
use crate::{python, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// One file on PyPI.
pub struct Wheel {
    /// The file's full name, which says name, version, Python and platform.
    pub file_name: &'static str,
    /// Of the whole file, in hexadecimal.
    pub sha256: &'static str,
}

impl Wheel {
    /// The checked wheel in `target/wheels`, downloaded by pip if it is not there yet.
    pub fn fetch(&self) -> Result<PathBuf> {
        let dir = workspace::target().join("wheels");
        let path = dir.join(self.file_name);
        if path.is_file() && sha256_of(&path)? == self.sha256 {
            return Ok(path);
        }
        let [name, version, python_tag, _, platforms] =
            self.file_name.trim_end_matches(".whl").split('-').collect::<Vec<_>>()[..]
        else {
            bail!("{} is not the name of a wheel", self.file_name);
        };
        say(format!("Downloading {name} {version} from PyPI"));
        let part = dir.join(format!("{name}.part"));
        remove_dir(&part)?;
        fs::create_dir_all(&part).with_context(|| format!("could not create {}", part.display()))?;
        let requirements = part.join("requirements.txt");
        fs::write(&requirements, format!("{name}=={version} --hash=sha256:{}\n", self.sha256))?;

        // Asking for the tags of the wheel itself makes any Python 3 do as the downloader.
        let mut pip = python::pip()?;
        pip.args(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement"]);
        pip.arg(&requirements).arg("--dest").arg(&part).args(["--implementation", "cp"]);
        for platform in platforms.split('.') {
            pip.args(["--platform", platform]);
        }
        if let Some(digits) = python_tag.strip_prefix("cp3") {
            pip.args(["--python-version", &format!("3.{digits}"), "--abi", python_tag]);
        }
        run(&mut pip).with_context(|| format!("could not download {} (is there a network?)", self.file_name))?;

        let downloaded = part.join(self.file_name);
        let actual = sha256_of(&downloaded)?;
        ensure!(
            actual == self.sha256,
            "{} has SHA-256 {actual}, but {} was expected: it is not the file this version of Unbraid was made with",
            downloaded.display(),
            self.sha256
        );
        base::put_in_place(&downloaded, &path)?;
        remove_dir(&part)?;
        Ok(path)
    }
}

/// Unpacks those files of `wheel` for which `place` gives a path below `dir`.
pub fn unpack(wheel: &Path, dir: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<()> {
    let file = File::open(wheel).with_context(|| format!("could not open {}", wheel.display()))?;
    let mut archive = zip::ZipArchive::new(file).with_context(|| format!("could not read {}", wheel.display()))?;
    for entry_idx in 0..archive.len() {
        let mut entry = archive.by_index(entry_idx)?;
        let Some(name) = entry.enclosed_name().filter(|_| entry.is_file()) else { continue };
        let Some(place) = name.to_str().and_then(&place) else { continue };
        let path = dir.join(place);
        let parent = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
        let mut out = File::create(&path).with_context(|| format!("could not create {}", path.display()))?;
        io::copy(&mut entry, &mut out).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

/// Makes `dir` by way of `fill`, unless it holds the result for the same `stamp` already. It is filled beside and then
/// renamed, so that an interrupted run leaves nothing half done.
pub fn install_dir(dir: &Path, stamp: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stamp_name = "installed-from.txt";
    if fs::read_to_string(dir.join(stamp_name)).is_ok_and(|text| text == stamp) {
        return Ok(());
    }
    let part = base::part_path(dir);
    remove_dir(&part)?;
    fs::create_dir_all(&part).with_context(|| format!("could not create {}", part.display()))?;
    fill(&part)?;
    fs::write(part.join(stamp_name), stamp)?;
    base::replace_dir(&part, dir).with_context(|| format!("could not rename {} to {}", part.display(), dir.display()))
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn sha256_of(path: &Path) -> Result<String> {
    let hash = base::sha256_file(path).with_context(|| format!("could not read {}", path.display()))?;
    Ok(hash.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_filled_once_for_each_stamp_and_never_left_half_done() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("library");
        install_dir(&place, "1", |part| Ok(fs::write(part.join("file"), "one")?)).unwrap();
        install_dir(&place, "1", |_| panic!("there already")).unwrap();
        assert!(install_dir(&place, "2", |_| bail!("no network")).is_err());
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "one");
        install_dir(&place, "2", |part| Ok(fs::write(part.join("other"), "two")?)).unwrap();
        assert!(!place.join("file").exists() && place.join("other").exists());
    }
}
