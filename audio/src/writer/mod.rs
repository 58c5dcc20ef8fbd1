//! Audio files out: WAV and FLAC by ourselves, mp3, Opus and AAC through an installed ffmpeg.

mod encoder;
mod flac;
mod quantizer;
mod stem_file;
mod tags;
mod wav;

use std::path::Path;

pub use stem_file::StemFileWriter;
pub use tags::{Cover, Tags};
pub use wav::{WavFormat, WavSpec, WavWriter};

use crate::AudioError;
use encoder::Encoder;
use flac::FlacWriter;

/// Kind of a file to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// RIFF WAVE; RF64 beyond 4 GiB.
    Wav(WavFormat),
    /// FLAC of 16 or 24 bit.
    Flac {
        /// 16 or 24.
        num_bits: u16,
    },
    /// MP3, through ffmpeg.
    Mp3 {
        /// Bit rate in kbit/s.
        kbps: u32,
    },
    /// Opus in Ogg, through ffmpeg.
    Opus {
        /// Bit rate in kbit/s.
        kbps: u32,
    },
    /// AAC in MP4, through ffmpeg.
    M4a {
        /// Bit rate in kbit/s.
        kbps: u32,
    },
}

impl FileFormat {
    /// The end of such files' names, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            FileFormat::Wav(_) => "wav",
            FileFormat::Flac { .. } => "flac",
            FileFormat::Mp3 { .. } => "mp3",
            FileFormat::Opus { .. } => "opus",
            FileFormat::M4a { .. } => "m4a",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            FileFormat::Wav(_) => "WAV",
            FileFormat::Flac { .. } => "FLAC",
            FileFormat::Mp3 { .. } => "MP3",
            FileFormat::Opus { .. } => "Opus",
            FileFormat::M4a { .. } => "AAC",
        }
    }

    /// Whether an ffmpeg must be installed to write it.
    pub fn needs_ffmpeg(self) -> bool {
        !matches!(self, FileFormat::Wav(_) | FileFormat::Flac { .. })
    }
}

/// What a file is to be.
#[derive(Debug, Clone, Copy)]
pub struct FileSpec<'a> {
    /// Kind of the file.
    pub format: FileFormat,
    /// Samples per second of each channel.
    pub sample_rate_hz: u32,
    /// Samples per channel, if they are known.
    pub num_samples: Option<u64>,
    /// Whether 16 bit are dithered.
    pub is_dithered: bool,
    /// Written where the kind has a place for them; WAV has none.
    pub tags: &'a Tags,
}

enum Kind {
    Wav(WavWriter),
    Flac(Box<FlacWriter>),
    Encoded(Encoder),
}

/// Writes a stereo file of any [`FileFormat`] beside its name; [`finish`](Self::finish) gives it the name, and a writer
/// that is dropped before removes what it wrote.
pub struct FileWriter(Kind);

impl FileWriter {
    /// Creates `path` with `.part` appended.
    ///
    /// # Errors
    /// The file cannot be created, its kind cannot have that rate, or no ffmpeg is there for it.
    pub fn create(path: impl AsRef<Path>, spec: FileSpec) -> Result<FileWriter, AudioError> {
        let path = path.as_ref();
        Ok(FileWriter(match spec.format {
            FileFormat::Wav(format) => {
                let FileSpec { sample_rate_hz, num_samples, is_dithered, .. } = spec;
                let wav = WavSpec { sample_rate_hz, format, is_dithered, num_samples };
                Kind::Wav(WavWriter::create_with(path, wav)?)
            }
            FileFormat::Flac { num_bits } => Kind::Flac(Box::new(FlacWriter::create(path, num_bits, spec)?)),
            format => Kind::Encoded(Encoder::create(path, spec.sample_rate_hz, format, spec.tags)?),
        }))
    }

    /// A WAV stream through a pipe.
    pub fn of_wav(writer: WavWriter) -> FileWriter {
        FileWriter(Kind::Wav(writer))
    }

    /// Appends samples, `[channel_idx][sample_idx]`.
    ///
    /// # Errors
    /// The disk is full or gone, or ffmpeg failed.
    ///
    /// # Panics
    /// If the channels differ in length.
    pub fn write(&mut self, samples: [&[f32]; 2]) -> Result<(), AudioError> {
        match &mut self.0 {
            Kind::Wav(writer) => writer.write(samples),
            Kind::Flac(writer) => writer.write(samples),
            Kind::Encoded(writer) => writer.write(samples),
        }
    }

    /// Samples beyond full scale so far, both channels together, in formats of integers.
    pub fn num_clipped(&self) -> u64 {
        match &self.0 {
            Kind::Wav(writer) => writer.num_clipped(),
            Kind::Flac(writer) => writer.num_clipped(),
            Kind::Encoded(_) => 0,
        }
    }

    /// Completes the file and gives it its name, replacing what was there.
    ///
    /// # Errors
    /// The disk is full or gone, the file cannot be renamed, or ffmpeg failed.
    pub fn finish(self) -> Result<(), AudioError> {
        match self.0 {
            Kind::Wav(writer) => writer.finish(),
            Kind::Flac(writer) => writer.finish(),
            Kind::Encoded(writer) => writer.finish(),
        }
    }
}
