//! A folder that appears complete or not at all.

use crate::BundleError;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder that is being written.
pub(crate) struct Folder {
    path: PathBuf,
}

/// Fills a new folder beside `path`, then moves it there in place of what was there before. After an error, what was
/// there before is still there.
pub(crate) fn replace_folder(
    path: &Path,
    fill: impl FnOnce(&Folder) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    let part = base::part_path(path);
    remove(&part)?;
    fs::create_dir_all(&part).map_err(BundleError::file(&part))?;
    if let Err(error) = fill(&Folder { path: part.clone() }) {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&part);
        return Err(error);
    }
    base::replace_dir(&part, path).map_err(BundleError::file(path))
}

impl Folder {
    /// Copies a file to `to`, a path in this folder.
    pub fn copy(&self, from: &Path, to: &str) -> Result<(), BundleError> {
        let to = self.make_parent(to)?;
        // Which of the two is at fault is seen from opening the first.
        fs::File::open(from).map_err(BundleError::file(from))?;
        fs::copy(from, &to).map(drop).map_err(BundleError::file(to))
    }

    /// Copies a program or a library, which must be executable.
    pub fn copy_program(&self, from: &Path, to: &str) -> Result<(), BundleError> {
        self.copy(from, to)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let to = self.path.join(to);
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).map_err(BundleError::file(to))?;
        }
        Ok(())
    }

    /// Writes a text file.
    pub fn write(&self, to: &str, text: &str) -> Result<(), BundleError> {
        let to = self.make_parent(to)?;
        fs::write(&to, text).map_err(BundleError::file(to))
    }

    /// Makes this a bundle of macOS for the plugin format.
    pub fn write_bundle_info(&self, format: &str) -> Result<(), BundleError> {
        self.write("Contents/PkgInfo", "BNDL????")?;
        let version = env!("CARGO_PKG_VERSION");
        self.write(
            "Contents/Info.plist",
            &format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>CFBundleExecutable</key><string>Unbraid</string>
    <key>CFBundleIdentifier</key><string>org.unbraid.unbraid.{format}</string>
    <key>CFBundleName</key><string>Unbraid</string>
    <key>CFBundlePackageType</key><string>BNDL</string>
    <key>CFBundleSignature</key><string>????</string>
    <key>CFBundleShortVersionString</key><string>{version}</string>
    <key>CFBundleVersion</key><string>{version}</string>
    <key>NSHighResolutionCapable</key><true/>
</dict>
</plist>
"#
            ),
        )
    }

    fn make_parent(&self, to: &str) -> Result<PathBuf, BundleError> {
        let to = self.path.join(to);
        let parent = to.parent().expect("a path in this folder");
        fs::create_dir_all(parent).map_err(BundleError::file(parent))?;
        Ok(to)
    }
}

fn remove(path: &Path) -> Result<(), BundleError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BundleError::file(path)(error)),
        _ => Ok(()),
    }
}
