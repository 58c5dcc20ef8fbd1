//! The command line of `unbraid inspect`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, builder::NonEmptyStringValueParser};

use super::song::Channel;

/// Draws a song as a transform sees it, draws and lists the transform itself, or searches for a good one.
///
/// With SONG, writes two pictures: the spectrogram, in which every bucket of bins has its own resolution in time, and
/// beside it (FILE-design.png) the design: windows of the bins, Q, resolution in time, slices, and how evenly the bins
/// cover the spectrum. Prints the design as a table. Without SONG, only the design.
///
/// With --find, tries random transforms and ranks them by the scores of oracle masks, which know the true stems: the
/// ideal ratio mask of magnitudes (IRM1) and of powers (IRM2), the true magnitude with the phase of the mix, and the
/// truncated phase-sensitive mask (PSM), the best mask between 0 and 1. Scores are SDR in dB, mean over a song's stems and
/// median over songs; the ranking is by the mean of IRM1 and mix phase. The latency is that of the plugin, for a network
/// without look-ahead.
#[derive(ClapArgs)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// The song, in any format and at any rate
    #[arg(value_name = "SONG", conflicts_with = "find")]
    pub song: Option<PathBuf>,

    /// The transform, as below
    #[arg(long, value_name = "SPEC", default_value = "bark-262", conflicts_with = "find")]
    pub transform: String,

    /// Draw an STFT below it, with the same axes [default when given: 4096:1024]
    #[arg(long, value_name = "FFT:HOP", num_args = 0..=1, require_equals = true, default_missing_value = "4096:1024",
          requires = "song", value_parser = NonEmptyStringValueParser::new())]
    pub stft: Option<String>,

    /// Where the picture begins, in seconds
    #[arg(long, value_name = "S", default_value_t = 0.0, requires = "song")]
    pub start: f64,

    /// How much to draw [default: all], or with --find to use of each song [default: 20], in seconds
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,

    /// What to draw of a stereo song
    #[arg(long, value_enum, default_value_t = Channel::Mid, requires = "song")]
    pub channel: Channel,

    /// From the brightest colour to black, in dB
    #[arg(long, value_name = "DB", default_value_t = 80.0, requires = "song")]
    pub range_db: f32,

    /// Width of the pictures in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1600, conflicts_with = "find")]
    pub width: usize,

    /// Height of the pictures in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1000, conflicts_with = "find")]
    pub height: usize,

    /// The picture to write [default: SONG's name, or design.png]; with --find the table (.md, .csv) or the whole search
    /// (.json), which the same command resumes
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print a JSON object instead of the table
    #[arg(long, conflicts_with = "find")]
    pub json: bool,

    /// Search for a transform
    #[arg(long, requires = "data", help_heading = "Search")]
    pub find: bool,

    /// Folder of song folders with vocals, drums, bass and other, as for `unbraid eval`
    #[arg(long, value_name = "DIR", requires = "find", help_heading = "Search")]
    pub data: Option<PathBuf>,

    /// Random designs to try
    #[arg(long, value_name = "N", default_value_t = 100, requires = "find", help_heading = "Search")]
    pub trials: u64,

    /// Equal seeds give equal designs
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "find", help_heading = "Search")]
    pub seed: u64,

    /// Ends of the latency classes, in ms; the draws go round them
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [25.0, 50.0, 100.0, 250.0, 500.0],
          requires = "find", help_heading = "Search")]
    pub latency_ms: Vec<f64>,

    /// Also measure this design; may be given several times
    #[arg(long, value_name = "SPEC", requires = "find", help_heading = "Search",
          default_values_t = ["bark-262", "mel-32", "stft:4096:1024"].map(String::from))]
    pub also: Vec<String>,

    /// Designs to print of each class
    #[arg(long, value_name = "N", default_value_t = 3, requires = "find", help_heading = "Search")]
    pub best: usize,

    /// Threads [default: all cores]
    #[arg(long, value_name = "N", requires = "find", help_heading = "Search")]
    pub threads: Option<usize>,
}

const AFTER_HELP: &str = "\
Transforms (Hz and samples; at the rate of the song, or 44100 Hz, unless a rate is named):
  bark-262, mel-32                      the published ones
  SCALE:BANDS:FMIN[-FMAX][:slice=N][:transition=N][:rate=HZ]
                                        SCALE is bark, mel, cq (constant Q), vq(GAMMA) (variable Q) or linear
  mr:HZ=WINDOW,HZ=WINDOW,...[:rate=HZ]  multi-resolution: up to HZ, windows of WINDOW samples
  stft:FFT:HOP[:rate=HZ]                a plain STFT

Examples:
  unbraid inspect song.mp3
      writes song.png and song-design.png, and prints the design of bark-262
  unbraid inspect song.mp3 --transform cq:96:32.7 --start 60 --seconds 5 --stft=2048:512 --out verse.png
      five seconds from 1:00 on in constant Q, and the same as an STFT below
  unbraid inspect --transform 'vq(30):120:40'
      writes design.png and prints the table: is this design what I want?
  unbraid inspect --find --data stems/train --trials 200 --out search.json
      the best transforms up to 25, 50, 100, 250 and 500 ms; call it again with more trials to go on
  unbraid inspect --find --data stems/train --latency-ms 30 --trials 50 --out table.md
      only designs up to 30 ms, as a Markdown table";
