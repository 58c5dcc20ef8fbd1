//! SoundFonts: where Debian puts them, and how they are opened.

use anyhow::{Context, Result, bail};
use rustysynth::{SoundFont, SoundFontError};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Debian packages that bring an uncompressed SoundFont.
pub const PACKAGES: &str =
    "apt-get install fluid-soundfont-gm timgm6mb-soundfont opl3-soundfont musescore-general-soundfont-lossless";

/// Where they put it.
const DIRS: [&str; 2] = ["/usr/share/sounds/sf2", "/usr/share/sounds/sf3"];

/// A SoundFont in memory.
pub struct Bank {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Shared by all threads.
    pub sounds: Arc<SoundFont>,
}

impl Bank {
    /// Reads an sf2 file.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is an sf3 file, whose samples are compressed.
    ///
    /// # Realtime
    /// Not safe: reads the disk.
    pub fn open(path: &Path) -> Result<Bank> {
        let file = File::open(path).with_context(|| format!("SoundFont {}: could not open it", path.display()))?;
        let mut reader = Digesting { inner: BufReader::with_capacity(1 << 20, file), digest: Sha256::new() };
        let sounds = match SoundFont::new(&mut reader) {
            Ok(sounds) => sounds,
            Err(SoundFontError::UnsupportedSampleFormat) => bail!(
                "SoundFont {}: expected an sf2 file, found sf3, whose samples are compressed (Ogg), which cannot be \
                 read yet; `sf3convert -z IN.sf3 OUT.sf2` (Debian package sf3convert) unpacks it",
                path.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("SoundFont {}: expected a sound sf2 file", path.display()));
            }
        };
        std::io::copy(&mut reader, &mut std::io::sink())?;
        Ok(Bank { path: path.into(), sha256: hex::encode(reader.digest.finalize()), sounds: Arc::new(sounds) })
    }

    /// Kits of percussion that it has (presets of bank 128), as program numbers.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn kits(&self) -> Vec<u8> {
        let presets = self.sounds.get_presets().iter().filter(|preset| preset.get_bank_number() == 128);
        let mut kits: Vec<u8> = presets.filter_map(|preset| u8::try_from(preset.get_patch_number()).ok()).collect();
        kits.retain(|kit| *kit < 128);
        kits.sort_unstable();
        kits
    }
}

/// The sf2 files where Debian's packages put them, each once.
///
/// # Realtime
/// Not safe: reads the disk.
pub fn find_installed() -> Vec<PathBuf> {
    let entries = DIRS.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
    let is_sf2 = |path: &PathBuf| path.extension().is_some_and(|e| e == "sf2");
    // Names like default-GM.sf2 are links to one of the others.
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok()?.path().canonicalize().ok()).filter(is_sf2).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Passes on what it reads, and takes its digest.
struct Digesting<R> {
    inner: R,
    digest: Sha256,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.digest.update(&buffer[..len]);
        Ok(len)
    }
}
