//! What can go wrong with an audio file, said so that the user can act on it.

use std::path::{Path, PathBuf};

/// An error about one file or folder; the message names it and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The operating system refused to read, write, create or rename.
    #[error("{path}: could not {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "open", "read", "write", "rename", ...
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not an audio file of a known kind.
    #[error(
        "{path}: expected a wav, aiff, flac, ogg (Vorbis), mp3 or m4a (AAC-LC, ALAC) file, but found {found}; \
         convert it first, for example with `ffmpeg -i IN OUT.wav`"
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What the decoder found instead.
        found: String,
    },
    /// More than two channels.
    #[error(
        "{path}: expected 1 or 2 channels, but found {found}; \
         mix it down to stereo first, for example with `ffmpeg -i IN -ac 2 OUT.wav`"
    )]
    Channels {
        /// The file.
        path: PathBuf,
        /// Number of channels in the file.
        found: usize,
    },
    /// The data in the file cannot be decoded.
    #[error(
        "{path}: the file is damaged after {position} samples ({reason}); copy or download it again, \
         or repair it, for example with `ffmpeg -i IN OUT.wav`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Samples delivered before the damage.
        position: u64,
        /// What the decoder said.
        reason: String,
    },
    /// The file ends early.
    #[error(
        "{path}: expected {expected} samples as its header says, but found {found}; copy or download it again, \
         or keep what is there, for example with `ffmpeg -i IN OUT.wav`"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Number of samples that the header announces.
        expected: u64,
        /// Number of samples that were there.
        found: u64,
    },
    /// A stem is neither there nor declared missing.
    #[error(
        "{folder}: expected {stem}.wav, {stem}.flac or {stem}.ogg, but found none; add the file, \
         or declare the stem missing by listing only the others in {folder}/song.json, as in {{\"stems\": [\"drums\"]}}"
    )]
    MissingStem {
        /// The song's folder.
        folder: PathBuf,
        /// Name of the stem.
        stem: String,
    },
    /// A stem is there twice, or there although `song.json` does not list it.
    #[error("{folder}: stem {stem}: {problem}")]
    AmbiguousStem {
        /// The song's folder.
        folder: PathBuf,
        /// Name of the stem.
        stem: String,
        /// What contradicts what, and the way out.
        problem: String,
    },
    /// `song.json` cannot be understood.
    #[error("{path}: expected a JSON object whose optional field \"stems\" lists some of {known}: {problem}")]
    SongJson {
        /// The file.
        path: PathBuf,
        /// The names of stems that exist.
        known: String,
        /// What is wrong.
        problem: String,
    },
    /// The stems of a song do not fit together.
    #[error("{path}: expected {expected} as in the other stems of the song, but found {found}; export the stems again")]
    StemMismatch {
        /// The stem's file.
        path: PathBuf,
        /// Rate or length of the song's first stem.
        expected: String,
        /// Rate or length of this one.
        found: String,
    },
    /// A WAV file cannot hold more than 4 GiB.
    #[error(
        "{path}: a WAV file holds at most {max_samples} samples in this format; \
         write 16 or 24 bit instead of float, or cut the song in parts"
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Number of samples per channel that fit.
        max_samples: u64,
    },
}

impl AudioError {
    /// For `map_err`: an I/O error with its path and what was tried.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> AudioError {
        move |source| AudioError::Io { path: path.to_path_buf(), action, source }
    }
}
