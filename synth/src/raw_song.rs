//! The stems of a song before it is mixed.

use crate::tone::Stereo;

/// Samples per second of everything that is rendered.
pub const SAMPLE_RATE_HZ: u32 = 44_100;
/// Index of the vocals in every array of stems.
pub const VOCALS: usize = 0;
/// Index of the drums.
pub const DRUMS: usize = 1;
/// Index of the bass.
pub const BASS: usize = 2;
/// Index of everything else.
pub const OTHER: usize = 3;

/// Stems as the instruments gave them: at any level, dry.
pub struct RawSong {
    /// `[stem][channel][sample]`, in the order of [`audio::STEM_NAMES`]; all of one length, silent where there is nothing.
    pub stems: [Stereo; 4],
}
