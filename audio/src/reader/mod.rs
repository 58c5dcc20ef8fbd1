//! Decoding of audio files, streaming: as stereo, whole, and aligned with what went into the encoder.
//!
//! [`open`] finds out what a file is and whether it is whole, [`blocks`] delivers its samples. [`native`] decodes packets; [`riff`], [`mp4`], [`ogg`] and [`mpeg`] know what the containers say about the length,
//! so that a file that is not whole is noticed; [`ffmpeg`] decodes what [`native`] cannot.

mod blocks;
mod downmix;
mod ffmpeg;
mod kind;
mod mp4;
mod mpeg;
mod native;
mod notes;
mod ogg;
mod open;
mod opus;
mod riff;
mod window;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(crate) use ffmpeg::how_to_install;
pub use ffmpeg::{FFMPEG_VARIABLE, find_ffmpeg};
pub use notes::{ReadNotes, ReadOptions};

use crate::AudioError;
use native::{Native, Step};

/// A decoded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples per second of each channel.
    pub sample_rate_hz: u32,
    /// `[channel_idx][sample_idx]`, left and right; equal where the file is mono.
    pub samples: [Vec<f32>; 2],
}

/// Streams one file as stereo f32, in constant memory.
///
/// What the encoder added in front and behind (mp3 with a LAME tag, Vorbis, Opus, AAC in MP4) is removed, so that the
/// samples are those that went into the encoder. An mp3 without a LAME tag does not say what to remove and keeps its
/// delay. More than two channels are mixed down to stereo.
pub struct AudioReader {
    path: PathBuf,
    /// What a pipe delivered; removed with the reader.
    _spool: Option<tempfile::TempPath>,
    options: ReadOptions,
    notes: ReadNotes,
    native: Native,
    num_channels: usize,
    /// Exact, as the file says.
    num_samples: Option<u64>,
    /// Samples to drop before the first one that is delivered.
    skip: u64,
    /// Samples delivered so far.
    position: u64,
    /// What the first step brought, until it is delivered.
    pending: Option<Step>,
    /// `[left, right][channel]`, for more than two channels.
    factors: [Vec<f32>; 2],
    /// The song was over before the file was.
    is_finished: bool,
}

impl AudioReader {
    /// Opens a file and decodes its first packet. What cannot be decoded is an error, here and later.
    ///
    /// # Errors
    /// The file cannot be read, is not an audio file, holds no sample, or is cut off as far as its headers tell.
    pub fn open(path: impl AsRef<Path>) -> Result<AudioReader, AudioError> {
        AudioReader::open_with(path, ReadOptions::default())
    }

    /// As [`open`](Self::open), with a choice of what to do with files that are not whole.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: ReadOptions) -> Result<AudioReader, AudioError> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(AudioError::io(path, "open"))?;
        if metadata.is_dir() {
            return Err(AudioError::NotAudio { path: path.to_path_buf(), found: "it is a folder".into() });
        }
        if metadata.is_file() {
            return AudioReader::open_file(path, path, options);
        }
        // Most kinds of file are read with jumps, which a pipe does not allow.
        let mut pipe = File::open(path).map_err(AudioError::io(path, "open"))?;
        AudioReader::from_stream(&mut pipe, path, options)
    }

    /// Reads a file of any kind from a pipe: first all of it into a temporary file. `name` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open); also if the temporary file cannot be written.
    pub fn from_stream(
        stream: &mut dyn Read,
        name: impl AsRef<Path>,
        options: ReadOptions,
    ) -> Result<AudioReader, AudioError> {
        let name = name.as_ref();
        let mut spool = tempfile::NamedTempFile::new().map_err(AudioError::io(name, "make a temporary file for"))?;
        io::copy(stream, &mut spool).map_err(AudioError::io(name, "copy to a temporary file"))?;
        let spool = spool.into_temp_path();
        let mut reader = AudioReader::open_file(&spool, name, options)?;
        reader._spool = Some(spool);
        Ok(reader)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples per second of each channel.
    pub fn sample_rate_hz(&self) -> u32 {
        self.native.sample_rate_hz
    }

    /// Channels in the file; delivered are always two.
    pub fn num_channels(&self) -> usize {
        self.num_channels
    }

    /// Number of samples that will be delivered, where the file says it exactly.
    pub fn num_samples(&self) -> Option<u64> {
        self.num_samples
    }

    /// Number of samples for a progress bar: exact where it is known, else the decoder's guess.
    pub fn estimated_num_samples(&self) -> Option<u64> {
        self.num_samples.or(self.native.estimated_num_samples).filter(|num_samples| *num_samples > 0)
    }

    /// What the reader came across so far that did not stop it.
    pub fn notes(&self) -> &ReadNotes {
        &self.notes
    }
}

fn to_audio_error(error: native::NativeError, file: &Path, path: &Path, position: u64, rate_hz: u32) -> AudioError {
    let path_buf = path.to_path_buf();
    match error {
        native::NativeError::Io(error) => AudioError::io(path, "read")(error),
        native::NativeError::Damaged(reason) => AudioError::Damaged { path: path_buf, position, reason },
        native::NativeError::Change { from_hz, to_hz } => {
            let seconds = position as f64 / f64::from(rate_hz.max(1));
            AudioError::Change { path: path_buf, seconds, from_hz, to_hz }
        }
        native::NativeError::HeaderCut if kind::is_known(file) => {
            AudioError::Truncated { path: path_buf, expected: None, found: None }
        }
        native::NativeError::Unknown | native::NativeError::HeaderCut => match kind::kind_of(file) {
            Ok(found) => AudioError::NeedsFfmpeg { path: path_buf, found: found.into() },
            Err(found) => AudioError::NotAudio { path: path_buf, found: found.into() },
        },
    }
}

/// Reads a whole file into memory. What cannot be decoded is an error.
///
/// # Errors
/// As [`AudioReader::open`] and [`AudioReader::read_block`].
pub fn read_all(path: impl AsRef<Path>) -> Result<Audio, AudioError> {
    let mut reader = AudioReader::open(path)?;
    // Not on the header's word alone: memory for a minute, then it grows with what is there.
    let capacity = reader.num_samples().map_or(0, |n| n.min(1 << 22) as usize);
    let mut samples = [Vec::with_capacity(capacity), Vec::with_capacity(capacity)];
    let mut block = [Vec::new(), Vec::new()];
    while reader.read_block(&mut block)? > 0 {
        for (all, new) in samples.iter_mut().zip(&block) {
            all.extend_from_slice(new);
        }
    }
    Ok(Audio { sample_rate_hz: reader.sample_rate_hz(), samples })
}
