//! One channel of a song, or of its mid and side, block by block.

use std::path::Path;

use anyhow::{Result, bail};
use audio::AudioReader;
use clap::ValueEnum;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    Left,
    Right,
    /// Half the sum of both
    Mid,
    /// Half their difference
    Side,
}

impl Channel {
    /// Overwrites `out` with this channel of `[channel][sample]`.
    pub fn take_into(self, [left, right]: &[Vec<f32>; 2], out: &mut Vec<f32>) {
        out.clear();
        let both = left.iter().zip(right);
        match self {
            Channel::Left => out.extend(left),
            Channel::Right => out.extend(right),
            Channel::Mid => out.extend(both.map(|(l, r)| (l + r) / 2.0)),
            Channel::Side => out.extend(both.map(|(l, r)| (l - r) / 2.0)),
        }
    }
}

/// The samples of a song, counted where its file does not say how many there are.
pub fn num_samples(path: &Path) -> Result<u64> {
    let mut reader = AudioReader::open(path)?;
    if let Some(num_samples) = reader.num_samples() {
        return Ok(num_samples);
    }
    let (mut block, mut num_samples) = ([Vec::new(), Vec::new()], 0);
    loop {
        match reader.read_block(&mut block)? {
            0 => return Ok(num_samples),
            len => num_samples += len as u64,
        }
    }
}

/// Where a picture begins and ends: `seconds` from `start_s` on, or less where the song ends.
///
/// # Errors
/// The song has no sound there.
pub fn stretch_s(path: &Path, song_s: f64, start_s: f64, seconds: Option<f64>) -> Result<[f64; 2]> {
    if !(start_s.is_finite() && start_s >= 0.0) {
        bail!("--start: expected seconds from 0 up, got {start_s}");
    }
    if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0.0 || seconds.is_nan()) {
        bail!("--seconds: expected a number above 0, got {seconds}");
    }
    if song_s <= 0.0 {
        bail!("{}: too short: expected at least one sample, got 0", path.display());
    }
    if start_s >= song_s {
        bail!("{}: too short: --start {start_s} lies behind its end at {song_s:.3} s", path.display());
    }
    Ok([start_s, seconds.map_or(song_s, |seconds| (start_s + seconds).min(song_s))])
}
