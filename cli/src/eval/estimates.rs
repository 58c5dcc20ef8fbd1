//! Stems that another program has made, in place of a model's.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use audio::AudioReader;
use base::Stereo;

/// Endings of files that are taken for stems.
const EXTENSIONS: [&str; 7] = ["wav", "flac", "ogg", "opus", "mp3", "m4a", "aiff"];
/// Files beside stems that are none.
const NO_STEMS: [&str; 3] = ["mixture", "mix", "linear_mixture"];

/// What to do with estimates that are not as long as the truth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lengths {
    /// Fill up with silence.
    pub pad: bool,
    /// Leave out what is beyond the truth.
    pub trim: bool,
}

/// The stems' files of one song, and their names.
pub struct EstimateFolder {
    pub names: Vec<String>,
    files: Vec<PathBuf>,
}

impl EstimateFolder {
    /// The folder `data/song`, or `data` itself if it holds stems and no such folder.
    pub fn open(data: &Path, song: &str) -> Result<EstimateFolder> {
        let dir = if data.join(song).is_dir() { data.join(song) } else { data.to_path_buf() };
        let entries = std::fs::read_dir(&dir).map_err(|error| anyhow!("{}: could not open: {error}", dir.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        let name_of = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        files.retain(|file| {
            let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
            let is_audio = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()));
            is_audio && !NO_STEMS.contains(&name_of(file).as_str())
        });
        files.sort();
        let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
        if names.is_empty() {
            bail!("{}: no estimates of the song {song} there", data.display());
        }
        Ok(EstimateFolder { names, files })
    }

    pub fn reader(&self, sample_rate_hz: u32, lengths: Lengths) -> Result<EstimateReader> {
        let mut stems = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let reader = AudioReader::open(file)?;
            if reader.sample_rate_hz() != sample_rate_hz {
                let rate_hz = reader.sample_rate_hz();
                bail!("{}: is at {rate_hz} Hz, the true stems at {sample_rate_hz} Hz", file.display());
            }
            stems.push(Estimate { reader, waiting: Stereo::default(), used: 0, is_over: false });
        }
        Ok(EstimateReader { stems, lengths, position: 0 })
    }
}

struct Estimate {
    reader: AudioReader,
    /// The last block, used up to `used`.
    waiting: Stereo,
    used: usize,
    is_over: bool,
}

/// Reads the estimates of one song in step with the truth.
pub struct EstimateReader {
    stems: Vec<Estimate>,
    lengths: Lengths,
    position: u64,
}

impl EstimateReader {
    /// The next `len` samples of every estimate, `[stem][channel][sample]`.
    pub fn read(&mut self, len: usize) -> Result<Vec<Stereo>> {
        let mut block = vec![Stereo::default(); self.stems.len()];
        for (stem, samples) in self.stems.iter_mut().zip(&mut block) {
            stem.fill(len, samples)?;
            let path = stem.reader.path();
            if samples.iter().flatten().any(|x| !x.is_finite()) {
                bail!("{}: the estimate has samples that are NaN or infinite", path.display());
            }
            let found = samples[0].len();
            if found < len {
                if !self.lengths.pad {
                    let end = self.position + found as u64;
                    bail!("{}: ends after {end} samples, before the truth; --pad fills it up", path.display());
                }
                samples.iter_mut().for_each(|channel| channel.resize(len, 0.0));
            }
        }
        self.position += len as u64;
        Ok(block)
    }

    /// After the truth has ended.
    pub fn end(&mut self) -> Result<()> {
        for stem in &mut self.stems {
            let mut rest = Stereo::default();
            stem.fill(1, &mut rest).with_context(|| format!("{}", stem.reader.path().display()))?;
            if !rest[0].is_empty() && !self.lengths.trim {
                let path = stem.reader.path().display();
                bail!("{path}: goes on after the truth ends at {} samples; --trim cuts it", self.position);
            }
        }
        Ok(())
    }
}

impl Estimate {
    fn fill(&mut self, len: usize, samples: &mut Stereo) -> Result<()> {
        while samples[0].len() < len && !self.is_over {
            if self.used == self.waiting[0].len() {
                self.used = 0;
                self.is_over = self.reader.read_block(&mut self.waiting)? == 0;
            }
            let end = self.waiting[0].len().min(self.used + len - samples[0].len());
            for (out, waiting) in samples.iter_mut().zip(&self.waiting) {
                out.extend_from_slice(&waiting[self.used..end]);
            }
            self.used = end;
        }
        Ok(())
    }
}
