//! Decoding compressed stems once, ahead of training: to memory as long as there is room, then to disk. What was
//! decoded to disk stays there for the next start.

use crate::data::stem::{Stem, quantize, scale_of};
use anyhow::{Context, Result, bail};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where decoded stems go.
pub struct Decoder {
    sample_rate_hz: u32,
    /// Bytes of memory that are still free for decoded stems.
    free_bytes: AtomicU64,
    /// Folder for what does not fit.
    dir: PathBuf,
}

impl Decoder {
    /// A decoder that keeps up to `max_bytes` in memory and the rest in `dir`.
    pub fn new(sample_rate_hz: u32, max_bytes: u64, dir: PathBuf) -> Self {
        Decoder { sample_rate_hz, free_bytes: max_bytes.into(), dir }
    }

    /// Opens a file for reading at any place: a wav as it lies there, anything else decoded.
    ///
    /// # Errors
    /// If the file is damaged, too short, of another sample rate, or cannot be read.
    pub fn open(&self, path: &Path) -> Result<Stem> {
        if let Some(stem) = Stem::from_wav(path, self.sample_rate_hz) {
            return Ok(stem);
        }
        let cached = self.cache_path(path)?;
        if let Some(stem) = open_cached(&cached)? {
            return Ok(stem);
        }
        let sound = audio::read_all(path)?;
        if sound.sample_rate_hz != self.sample_rate_hz {
            bail!("{}: expected {} Hz, got {} Hz", path.display(), self.sample_rate_hz, sound.sample_rate_hz);
        }
        let [left, right] = &sound.samples;
        let peak = left.iter().chain(right).fold(0f32, |peak, x| peak.max(x.abs()));
        if !peak.is_finite() || left.iter().chain(right).any(|x| x.is_nan()) {
            bail!("{}: holds samples that are not numbers", path.display());
        }
        let scale = scale_of(peak);
        let samples: Vec<[i16; 2]> =
            left.iter().zip(right).map(|(l, r)| [quantize(*l, scale), quantize(*r, scale)]).collect();
        let num_bytes = samples.len() as u64 * 4;
        let take = |free: u64| free.checked_sub(num_bytes);
        if self.free_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            return Ok(Stem::from_memory(samples, scale));
        }
        write_cached(&cached, &samples, scale)?;
        Ok(Stem::from_disk(cached, samples.len(), scale))
    }

    /// A name for what a file holds: it changes with the file.
    fn cache_path(&self, path: &Path) -> Result<PathBuf> {
        let context = || format!("cannot open {}", path.display());
        let path_on_disk = path.canonicalize().with_context(context)?;
        let metadata = path_on_disk.metadata().with_context(context)?;
        let mut hasher = DefaultHasher::new();
        (&path_on_disk, metadata.len(), metadata.modified().ok()).hash(&mut hasher);
        Ok(self.dir.join(format!("{:016x}.i16", hasher.finish())))
    }
}

/// Number of samples and scale stand in a small file beside the samples, which is written last.
fn header_path(path: &Path) -> PathBuf {
    path.with_extension("json")
}

fn open_cached(path: &Path) -> Result<Option<Stem>> {
    let Ok(header) = fs::read(header_path(path)) else { return Ok(None) };
    let Ok((num_samples, scale)) = serde_json::from_slice::<(usize, f32)>(&header) else { return Ok(None) };
    let len = path.metadata().map_or(0, |metadata| metadata.len());
    Ok((len == num_samples as u64 * 4).then(|| Stem::from_disk(path.to_path_buf(), num_samples, scale)))
}

fn write_cached(path: &Path, samples: &[[i16; 2]], scale: f32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(path.parent().expect("a path in the cache folder"))?;
        base::write_whole_with(path, |file| {
            samples.as_flattened().iter().try_for_each(|sample| file.write_all(&sample.to_le_bytes()))
        })?;
        base::write_whole(&header_path(path), serde_json::to_vec(&(samples.len(), scale))?)
    };
    write().with_context(|| format!("cannot write decoded samples to {} (a full disk?)", path.display()))
}
