//! Audio files in and out, and the measures taken on them.
//!
//! - [`AudioReader`] streams audio files (what it cannot decode itself, through an installed ffmpeg) as two channels of
//!   f32 with the encoder's delay and padding removed; [`read_all`] reads a whole file.
//! - [`FileWriter`] writes WAV and FLAC, and through ffmpeg MP3, Opus and AAC, beside the final name and renames the file
//!   when it is complete; [`Tags`] go from file to file.
//! - [`StemFolder`] is one song as a folder of stems; [`StemReader`] streams its stems in step.
//! - [`SdrMeter`] is the global signal-to-distortion ratio, accumulated while streaming.
//!
//! Buffers are planar, `[channel_idx][sample_idx]`, full scale at 1.0; counts are per channel.
//! Nothing here is for the audio thread: every function may allocate and wait for the disk.

#![warn(missing_docs)]

mod error;
mod reader;
mod sdr;
mod stem_folder;
mod stem_reader;
mod writer;

pub use error::AudioError;
pub use reader::{Audio, AudioReader, FFMPEG_VARIABLE, ReadNotes, ReadOptions, find_ffmpeg, read_all};
pub use sdr::{SdrMeter, global_sdr_db};
pub use stem_folder::{STEM_NAMES, StemFolder, song_name};
pub use stem_reader::StemReader;
pub use writer::{Cover, FileFormat, FileSpec, FileWriter, StemFileWriter, Tags, WavFormat, WavSpec, WavWriter};
