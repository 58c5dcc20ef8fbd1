//! Audio files in and out, and the measures taken on them.
//!
//! - [`AudioReader`] streams wav, aiff, flac, ogg (Vorbis), mp3 and m4a/aac (AAC-LC, ALAC) files as two channels of f32
//!   with the encoder's delay and padding removed; [`read_all`] reads a whole file.
//! - [`WavWriter`] writes 16 bit, 24 bit or float WAV beside the final name and renames it when complete.
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
pub use stem_folder::{STEM_NAMES, StemFolder};
pub use stem_reader::StemReader;
pub use writer::{WavFormat, WavWriter};
