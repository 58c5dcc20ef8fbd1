//! What a reader came across that did not stop it.

use std::path::PathBuf;

/// What to do with files that are not whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Puts silence in the place of what cannot be decoded and counts it, instead of an error.
    pub skip_damaged: bool,
    /// Ends where the file ends, if it is shorter than it says, instead of an error.
    pub keep_going: bool,
}

/// What a reader came across so far that did not stop it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadNotes {
    /// Places that could not be decoded.
    pub num_damaged: u64,
    /// Samples of silence in their place.
    pub num_silent: u64,
    /// The file ends early.
    pub is_cut: bool,
    /// Samples that are NaN or infinite, both channels together; they are delivered as they are.
    pub num_not_finite: u64,
    /// Channels of the file, if they were mixed down to stereo.
    pub num_channels_mixed: Option<usize>,
    /// The ffmpeg that decodes the file, if it is not decoded here.
    pub ffmpeg: Option<PathBuf>,
}

impl ReadNotes {
    /// As sentences for the user.
    pub fn warnings(&self, sample_rate_hz: u32) -> Vec<String> {
        let mut warnings = Vec::new();
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        if self.num_damaged > 0 {
            warnings.push(format!(
                "{} damaged place{} could not be decoded; {:.0} ms of silence are in their place",
                self.num_damaged,
                plural(self.num_damaged),
                1000.0 * self.num_silent as f64 / f64::from(sample_rate_hz)
            ));
        }
        if self.is_cut {
            warnings.push("the file is truncated; kept what could be decoded".into());
        }
        if self.num_not_finite > 0 {
            warnings.push(format!(
                "{} sample{} that are NaN or infinite count as silence",
                self.num_not_finite,
                plural(self.num_not_finite)
            ));
        }
        if let Some(num_channels) = self.num_channels_mixed {
            warnings.push(format!("{num_channels} channels were mixed down to stereo"));
        }
        warnings
    }
}
