//! WAV files, written beside their final name and renamed when complete.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec};

use crate::AudioError;

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavFormat {
    /// 16 bit integers; values beyond full scale are clipped and counted. Rounded, without dither.
    Int16,
    /// 24 bit integers; values beyond full scale are clipped and counted. Rounded, without dither.
    Int24,
    /// 32 bit floats, stored as they are.
    Float32,
}

impl WavFormat {
    fn num_bits(self) -> u16 {
        match self {
            WavFormat::Int16 => 16,
            WavFormat::Int24 => 24,
            WavFormat::Float32 => 32,
        }
    }
}

/// Writes a stereo WAV file to `NAME.wav.part`, which [`WavWriter::finish`] renames to `NAME.wav`; a writer that is
/// dropped before that removes what it wrote.
pub struct WavWriter {
    /// `None` only after `finish`.
    wav: Option<hound::WavWriter<BufWriter<File>>>,
    format: WavFormat,
    path: PathBuf,
    part_path: PathBuf,
    num_samples: u64,
    num_clipped: u64,
}

/// Room for the largest header that hound writes.
const MAX_HEADER_LEN: u64 = 128;

impl WavWriter {
    /// Creates `path` with `.part` appended.
    ///
    /// # Errors
    /// The file cannot be created.
    ///
    /// # Realtime
    /// Not safe: allocates, uses the disk.
    pub fn create(path: impl AsRef<Path>, sample_rate_hz: u32, format: WavFormat) -> Result<WavWriter, AudioError> {
        let path = path.as_ref();
        let mut part_path = path.as_os_str().to_owned();
        part_path.push(".part");
        let part_path = PathBuf::from(part_path);
        let spec = WavSpec {
            channels: 2,
            sample_rate: sample_rate_hz,
            bits_per_sample: format.num_bits(),
            sample_format: if format == WavFormat::Float32 { SampleFormat::Float } else { SampleFormat::Int },
        };
        let wav =
            hound::WavWriter::create(&part_path, spec).map_err(|error| hound_error(&part_path, "create", error))?;
        Ok(WavWriter { wav: Some(wav), format, path: path.to_path_buf(), part_path, num_samples: 0, num_clipped: 0 })
    }

    /// Appends samples, `[channel_idx][sample_idx]`.
    ///
    /// # Errors
    /// The disk is full or gone, or the file would be longer than WAV allows.
    ///
    /// # Panics
    /// If the channels differ in length.
    ///
    /// # Realtime
    /// Not safe: allocates, uses the disk.
    pub fn write(&mut self, samples: [&[f32]; 2]) -> Result<(), AudioError> {
        let [left, right] = samples;
        assert_eq!(left.len(), right.len(), "WavWriter::write: channels differ in length");
        let max_samples = (u64::from(u32::MAX) - MAX_HEADER_LEN) / (2 * u64::from(self.format.num_bits() / 8));
        self.num_samples += left.len() as u64;
        if self.num_samples > max_samples {
            return Err(AudioError::TooLong { path: self.path.clone(), max_samples });
        }
        let wav = self.wav.as_mut().expect("only finish takes it");
        let mut write = |x: f32| match self.format {
            WavFormat::Float32 => wav.write_sample(x),
            format => {
                let full_scale = f64::from(1u32 << (format.num_bits() - 1));
                let scaled = (f64::from(x) * full_scale).round();
                let clipped = scaled.clamp(-full_scale, full_scale - 1.0);
                self.num_clipped += u64::from(clipped != scaled);
                wav.write_sample(clipped as i32)
            }
        };
        for (&left, &right) in left.iter().zip(right) {
            write(left).and_then(|()| write(right)).map_err(|error| hound_error(&self.part_path, "write", error))?;
        }
        Ok(())
    }

    /// Samples beyond full scale so far, both channels together; always 0 for floats.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_clipped(&self) -> u64 {
        self.num_clipped
    }

    /// Completes the file and gives it its name, replacing what was there.
    ///
    /// # Errors
    /// The disk is full or gone, or the file cannot be renamed.
    ///
    /// # Realtime
    /// Not safe: allocates, uses the disk.
    pub fn finish(mut self) -> Result<(), AudioError> {
        let wav = self.wav.take().expect("only finish takes it");
        let result = wav
            .finalize()
            .map_err(|error| hound_error(&self.part_path, "write", error))
            .and_then(|()| std::fs::rename(&self.part_path, &self.path).map_err(AudioError::io(&self.path, "rename")));
        if result.is_err() {
            self.remove_part();
        }
        result
    }

    /// A complaint about removing what is abandoned anyway would only hide the first error.
    fn remove_part(&self) {
        let _ = std::fs::remove_file(&self.part_path);
    }
}

impl Drop for WavWriter {
    fn drop(&mut self) {
        if let Some(wav) = self.wav.take() {
            drop(wav);
            self.remove_part();
        }
    }
}

fn hound_error(path: &Path, action: &'static str, error: hound::Error) -> AudioError {
    let source = match error {
        hound::Error::IoError(source) => source,
        other => std::io::Error::other(other),
    };
    AudioError::Io { path: path.to_path_buf(), action, source }
}
