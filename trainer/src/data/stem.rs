//! One stem of one song, wherever it lies: decoded in memory, decoded on disk, or in a wav file that is read in place.
//! Songs of any number thus fit into bounded memory, and a chunk costs a seek, never the decoding of what precedes it.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stem; reading is safe from any thread.
pub struct Stem {
    place: Place,
    num_samples: usize,
}

enum Place {
    /// Decoded: `[sample][channel]`, in steps of `scale`.
    Memory { samples: Vec<[i16; 2]>, scale: f32 },
    /// Decoded to disk: the same, little endian.
    Disk { path: PathBuf, scale: f32 },
    /// A wav file, read in place.
    Wav { path: PathBuf },
    /// What is left of a mix without a stem.
    Rest { mix: Box<Stem>, stem: Arc<Stem> },
}

impl Stem {
    /// A stem in memory.
    pub fn from_memory(samples: Vec<[i16; 2]>, scale: f32) -> Self {
        Stem { num_samples: samples.len(), place: Place::Memory { samples, scale } }
    }

    /// A stem in memory from exact samples, which are rounded to 16 bits under their peak.
    #[cfg(test)]
    pub fn from_samples(samples: &[[f32; 2]]) -> Self {
        let peak = samples.iter().flatten().fold(0f32, |peak, x| peak.max(x.abs()));
        let scale = scale_of(peak);
        Stem::from_memory(samples.iter().map(|frame| frame.map(|x| quantize(x, scale))).collect(), scale)
    }

    /// A stem that was decoded to disk by [`crate::data::decode`].
    pub fn from_disk(path: PathBuf, num_samples: usize, scale: f32) -> Self {
        Stem { num_samples, place: Place::Disk { path, scale } }
    }

    /// A wav file, if it is one that can be read in place: PCM or float, one or two channels, at this rate, all of it
    /// there.
    pub fn from_wav(path: &Path, sample_rate_hz: u32) -> Option<Self> {
        let mut reader = hound::WavReader::open(path).ok()?;
        let spec = reader.spec();
        let num_samples = reader.duration();
        if spec.sample_rate != sample_rate_hz || !(1..=2).contains(&spec.channels) || num_samples == 0 {
            return None;
        }
        reader.seek(num_samples - 1).ok()?;
        let stem = Stem { num_samples: num_samples as usize, place: Place::Wav { path: path.to_path_buf() } };
        stem.read(num_samples as i64 - 1, &mut [[0.0; 2]]).ok()?;
        Some(stem)
    }

    /// What is left of `mix` without `stem`.
    pub fn rest(mix: Stem, stem: Arc<Stem>) -> Self {
        Stem { num_samples: mix.num_samples, place: Place::Rest { mix: Box::new(mix), stem } }
    }

    /// Samples per channel.
    pub fn num_samples(&self) -> usize {
        self.num_samples
    }

    /// Bytes that it takes in memory.
    #[cfg(test)]
    pub fn num_bytes(&self) -> usize {
        match &self.place {
            Place::Memory { samples, .. } => samples.len() * 4,
            Place::Rest { mix, .. } => mix.num_bytes(),
            _ => 0,
        }
    }

    /// Fills `out`, `[sample][channel]`, from position `from` on; zeros before the start and after the end.
    ///
    /// # Errors
    /// If a file that was there at the start of the run cannot be read any more.
    pub fn read(&self, from: i64, out: &mut [[f32; 2]]) -> Result<()> {
        out.fill([0.0; 2]);
        let end = (from + out.len() as i64).clamp(0, self.num_samples as i64);
        let start = from.clamp(0, end);
        let inside = &mut out[(start - from).max(0) as usize..][..(end - start) as usize];
        if inside.is_empty() {
            return Ok(());
        }
        let start = start as usize;
        match &self.place {
            Place::Memory { samples, scale } => {
                for (out, frame) in inside.iter_mut().zip(&samples[start..]) {
                    *out = frame.map(|x| f32::from(x) * scale);
                }
                Ok(())
            }
            Place::Disk { path, scale } => read_raw(path, start, *scale, inside),
            Place::Wav { path } => read_wav(path, start, inside),
            Place::Rest { mix, stem } => {
                mix.read(start as i64, inside)?;
                let mut less = vec![[0.0; 2]; inside.len()];
                stem.read(start as i64, &mut less)?;
                for (out, less) in inside.iter_mut().zip(less) {
                    *out = [out[0] - less[0], out[1] - less[1]];
                }
                Ok(())
            }
        }
    }

    /// Mean square of a stretch, from a part of its samples: enough to tell sound from silence.
    ///
    /// # Errors
    /// As [`Stem::read`].
    pub fn power(&self, from: usize, num_samples: usize) -> Result<f64> {
        const PROBE_LEN: usize = 512;
        const NUM_PROBES: usize = 8;
        let probe_len = PROBE_LEN.min(num_samples.max(1));
        let mut probe = vec![[0.0f32; 2]; probe_len];
        let mut sum = 0.0;
        for i in 0..NUM_PROBES {
            let at = from + i * num_samples.saturating_sub(probe_len) / (NUM_PROBES - 1);
            self.read(at as i64, &mut probe)?;
            sum += probe.iter().map(|[l, r]| f64::from(l * l + r * r)).sum::<f64>();
        }
        Ok(sum / (NUM_PROBES * probe_len) as f64)
    }
}

/// Step of 16 bit samples that reach `peak`.
pub fn scale_of(peak: f32) -> f32 {
    peak.max(1e-6) / f32::from(i16::MAX)
}

/// The nearest 16 bit sample.
pub fn quantize(x: f32, scale: f32) -> i16 {
    (x / scale).round().clamp(-32768.0, 32767.0) as i16
}

fn read_raw(path: &Path, start: usize, scale: f32, out: &mut [[f32; 2]]) -> Result<()> {
    let mut bytes = vec![0u8; out.len() * 4];
    let read = |bytes: &mut [u8]| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start as u64 * 4))?;
        file.read_exact(bytes)
    };
    read(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    for (out, frame) in out.iter_mut().zip(bytes.chunks_exact(4)) {
        let sample = |i: usize| f32::from(i16::from_le_bytes([frame[i], frame[i + 1]])) * scale;
        *out = [sample(0), sample(2)];
    }
    Ok(())
}

fn read_wav(path: &Path, start: usize, out: &mut [[f32; 2]]) -> Result<()> {
    let context = || format!("cannot read {}", path.display());
    let mut reader = hound::WavReader::open(path).with_context(context)?;
    let spec = reader.spec();
    reader.seek(start as u32).with_context(context)?;
    let num_values = out.len() * usize::from(spec.channels);
    let values: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().take(num_values).collect::<Result<_, _>>(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().take(num_values).map(|x| Ok(x? as f32 * scale)).collect::<Result<_, _>>()
        }
    }
    .with_context(context)?;
    if values.len() < num_values {
        bail!("{}: expected {num_values} more samples at {start}, found {}", path.display(), values.len());
    }
    for (out, frame) in out.iter_mut().zip(values.chunks_exact(usize::from(spec.channels))) {
        *out = [frame[0], frame[frame.len() - 1]];
    }
    Ok(())
}
