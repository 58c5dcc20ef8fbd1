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
    /// Not an audio file.
    #[error("{path}: not an audio file ({found})")]
    NotAudio {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },
    /// An audio file of a kind that is not decoded here, and no ffmpeg is installed.
    #[error(
        "{path}: {found} is read through ffmpeg, and no ffmpeg is on the PATH; install it ({}), or convert the file to \
         wav or flac with another program",
        crate::reader::how_to_install()
    )]
    NeedsFfmpeg {
        /// The file.
        path: PathBuf,
        /// What kind it is.
        found: String,
    },
    /// ffmpeg cannot decode the file.
    #[error("{path}: {} could not decode it: {message}", ffmpeg.display())]
    Ffmpeg {
        /// The file.
        path: PathBuf,
        /// Which ffmpeg.
        ffmpeg: PathBuf,
        /// What it said.
        message: String,
    },
    /// A kind of file that is written through ffmpeg, and no ffmpeg is installed.
    #[error(
        "{path}: {format} is written through ffmpeg, and no ffmpeg is on the PATH; install it ({how}), or choose wav or \
         flac"
    )]
    NoEncoder {
        /// The file.
        path: PathBuf,
        /// Its kind.
        format: &'static str,
        /// How to get ffmpeg.
        how: &'static str,
    },
    /// ffmpeg cannot write the file.
    #[error("{path}: {} could not write it: {message}", ffmpeg.display())]
    Encoder {
        /// The file.
        path: PathBuf,
        /// Which ffmpeg.
        ffmpeg: PathBuf,
        /// What it said.
        message: String,
    },
    /// There is a header, but not one sample.
    #[error("{path}: the file holds no samples; nothing was recorded, or the export failed: make it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The sample rate changes within the file.
    #[error(
        "{path}: the sample rate changes from {from_hz} to {to_hz} Hz after {seconds:.1} s; bring it to one rate, for \
         example with `ffmpeg -i IN -ar {from_hz} OUT.wav`"
    )]
    Change {
        /// The file.
        path: PathBuf,
        /// Where it changes, in seconds.
        seconds: f64,
        /// The rate before.
        from_hz: u32,
        /// The rate after.
        to_hz: u32,
    },
    /// The data in the file cannot be decoded.
    #[error("{path}: the file is damaged after {position} samples; copy or download it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Samples delivered before the damage.
        position: u64,
        /// What the decoder said, for developers.
        reason: String,
    },
    /// The file ends early.
    #[error(
        "{path}: the file is cut off: {}; copy or download it again, or keep what is there (`unbraid separate --keep-going`)",
        describe_cut(*expected, *found)
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Number of samples that the header announces, if it does.
        expected: Option<u64>,
        /// Number of samples that are there, if it is known.
        found: Option<u64>,
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
}

impl AudioError {
    /// For `map_err`: an I/O error with its path and what was tried.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> AudioError {
        move |source| AudioError::Io { path: path.to_path_buf(), action, source }
    }
}

fn describe_cut(expected: Option<u64>, found: Option<u64>) -> String {
    match (expected, found) {
        (Some(expected), Some(found)) => {
            format!("it holds {found} of the {expected} samples that its header announces")
        }
        (Some(expected), None) => format!("it holds fewer than the {expected} samples that its header announces"),
        _ => "its end is missing".into(),
    }
}
