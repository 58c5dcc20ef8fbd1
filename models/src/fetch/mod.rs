//! Published weights from the network to a model folder.

mod download;
mod error;

pub use error::FetchError;

use crate::import::{ImportError, ImportOptions, Imported, Published, SETTINGS_FILE, import};
use download::{Expected, agent, download};
use std::fs;

/// Settings are a few kilobytes of text; their authors give no hash for them.
const MAX_SETTINGS_BYTES: u64 = 1 << 20;

/// Downloads published weights and their settings from `base_url` (see [`Published::base_url`]) into a folder beside the
/// models, checks length and SHA-256, and imports them. A download that was broken off is continued. `progress` is called with the number
/// of bytes of the weights received so far.
///
/// # Errors
/// [`FetchError`] says what to do.
pub fn fetch(
    published: &'static Published,
    base_url: &str,
    options: &ImportOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, FetchError> {
    let name = options.name.clone().unwrap_or_else(|| published.name.to_owned());
    let dir = options.models_dir.join(&name);
    if dir.exists() && !options.replace {
        return Err(ImportError::Exists { dir }.into());
    }
    let downloads = options.models_dir.join(format!(".{}.download", published.name));
    let disk = |source| FetchError::Disk { path: downloads.clone(), source, num_bytes: published.num_bytes };
    fs::create_dir_all(&downloads).map_err(disk)?;
    let base_url = format!("{}/{}", base_url.trim_end_matches('/'), published.folder);
    let agent = agent();
    // The small one first: a wrong address shows at once.
    if published.has_settings {
        let (url, path) = (format!("{base_url}/{SETTINGS_FILE}"), downloads.join(SETTINGS_FILE));
        let expected = Expected { num_bytes: MAX_SETTINGS_BYTES, sha256: None };
        download(&agent, &url, &path, &expected, &mut |_| ())?;
    }
    let weights = downloads.join(published.file);
    let expected = Expected { num_bytes: published.num_bytes, sha256: Some(published.sha256) };
    download(&agent, &format!("{base_url}/{}", published.file), &weights, &expected, progress)?;
    let imported = import(&weights, &ImportOptions { name: Some(name), ..options.clone() })?;
    fs::remove_dir_all(&downloads).map_err(disk)?;
    Ok(imported)
}
