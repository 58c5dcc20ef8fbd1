//! How stems are stored.

use anyhow::{Result, bail};
use audio::{FileFormat, WavFormat, find_ffmpeg};
use clap::ValueEnum;

/// Kinds of files, as the command line names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// 32 bit float unless --bits says otherwise
    Wav,
    /// 24 bit unless --bits says otherwise; keeps tags and cover
    Flac,
    /// Through an installed ffmpeg; keeps tags and cover
    Mp3,
    /// AAC, through an installed ffmpeg; keeps tags and cover
    M4a,
    /// Through an installed ffmpeg; keeps tags
    Opus,
    /// One .stem.mp4 for DJ programs: the song and four stems in AAC, through an installed ffmpeg
    Stem,
    /// WAV of 16 bit
    #[value(name = "16")]
    Wav16,
    /// WAV of 24 bit
    #[value(name = "24")]
    Wav24,
    /// WAV of 32 bit float
    Float,
}

/// Bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    /// What is beyond full scale is clipped; dithered
    #[value(name = "16")]
    Int16,
    /// What is beyond full scale is clipped
    #[value(name = "24")]
    Int24,
    /// 32 bit, wav only: nothing is clipped, the stems add up to the song
    Float,
}

/// What the options come to.
pub fn file_format(name: FormatName, bits: Option<Bits>, bitrate: Option<u32>) -> Result<FileFormat> {
    let wav = |bits: Bits| {
        FileFormat::Wav(match bits {
            Bits::Int16 => WavFormat::Int16,
            Bits::Int24 => WavFormat::Int24,
            Bits::Float => WavFormat::Float32,
        })
    };
    let kbps = |default: u32| bitrate.unwrap_or(default);
    let format = match (name, bits) {
        (FormatName::Wav, bits) => wav(bits.unwrap_or(Bits::Float)),
        (FormatName::Wav16, None) => wav(Bits::Int16),
        (FormatName::Wav24, None) => wav(Bits::Int24),
        (FormatName::Float, None) => wav(Bits::Float),
        (FormatName::Flac, None | Some(Bits::Int24)) => FileFormat::Flac { num_bits: 24 },
        (FormatName::Flac, Some(Bits::Int16)) => FileFormat::Flac { num_bits: 16 },
        (FormatName::Flac, Some(Bits::Float)) => bail!("--bits float: FLAC has 16 or 24 bit; choose --format wav"),
        (FormatName::Mp3, None) => FileFormat::Mp3 { kbps: kbps(320) },
        (FormatName::M4a | FormatName::Stem, None) => FileFormat::M4a { kbps: kbps(256) },
        (FormatName::Opus, None) => FileFormat::Opus { kbps: kbps(192) },
        (_, Some(_)) => bail!("--bits: only --format wav and flac have a choice of bits"),
    };
    if bitrate.is_some() && !format.needs_ffmpeg() {
        bail!("--bitrate: only mp3, m4a, opus and stem have one");
    }
    if format.needs_ffmpeg() && find_ffmpeg().is_none() {
        bail!(
            "--format: {} is written through ffmpeg, and no ffmpeg is on the PATH; install it, or choose wav or flac",
            format.name()
        );
    }
    Ok(format)
}
