//! `unbraid separate`: songs in, stems out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use audio::{AudioError, AudioReader, WavFormat, WavSpec, WavWriter};
use clap::ValueEnum;
use separator::FileSeparator;

use crate::installation::Installation;
use crate::interruption;
use crate::progress::{readable, song_bar};

/// Writes the stems of songs as WAV files.
///
/// Reads wav, aiff, flac, ogg (Vorbis), mp3 and m4a (AAC-LC, ALAC) files, mono or stereo, at any sample rate and of any
/// length. The stems are stereo, have the song's sample rate and exactly its length, line up with it, and together are
/// the song again. A file gets its name when it is complete; stems of an earlier run are replaced.
#[derive(clap::Args)]
pub struct Args {
    /// The songs
    #[arg(required = true, value_name = "SONG")]
    songs: Vec<PathBuf>,

    /// Folder for the stems: DIR/SONG/vocals.wav and so on
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,

    /// Only these stems, as in vocals,drums [default: all of the model's]
    #[arg(long, value_delimiter = ',', value_name = "STEMS")]
    stems: Vec<String>,

    /// Sample format of the stems
    #[arg(long, value_enum, default_value_t = Format::Float)]
    format: Format,

    /// Name of the model, or a path to its folder, as ./mine [default: first]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// 16 bit; what is beyond full scale is clipped
    #[value(name = "16")]
    Int16,
    /// 24 bit; what is beyond full scale is clipped
    #[value(name = "24")]
    Int24,
    /// 32 bit float: nothing is clipped, the stems add up to the song
    Float,
}

impl From<Format> for WavFormat {
    fn from(format: Format) -> WavFormat {
        match format {
            Format::Int16 => WavFormat::Int16,
            Format::Int24 => WavFormat::Int24,
            Format::Float => WavFormat::Float32,
        }
    }
}

/// Separates every song; one that fails does not keep the others from being done.
pub fn run(args: &Args) -> Result<()> {
    let dirs = song_dirs(&args.songs, &args.out)?;
    let installation = Installation::load(args.model.as_deref())?;
    let stems = stem_indices(&args.stems, &installation.model.manifest.stems)?;
    interruption::listen()?;
    let mut num_failed = 0;
    for (song, dir) in args.songs.iter().zip(&dirs) {
        if let Err(error) = separate(&installation, song, dir, &stems, args.format.into()) {
            eprintln!("error: {error}");
            // Only an empty folder goes.
            let _ = std::fs::remove_dir(dir);
            num_failed += 1;
        }
        if interruption::is_interrupted() {
            bail!("stopped; stems of songs that were not finished are removed");
        }
    }
    match num_failed {
        0 => Ok(()),
        _ => bail!("{num_failed} of {} songs could not be separated", args.songs.len()),
    }
}

/// The output folder of each song, DIR/SONG; refused if two songs would write to the same.
fn song_dirs(songs: &[PathBuf], out: &Path) -> Result<Vec<PathBuf>> {
    let mut song_of_dir: HashMap<PathBuf, &Path> = HashMap::new();
    let mut dirs = Vec::with_capacity(songs.len());
    for song in songs {
        let Some(name) = song.file_stem() else { bail!("{}: expected an audio file", song.display()) };
        let dir = out.join(name);
        if let Some(other) = song_of_dir.insert(dir.clone(), song) {
            bail!(
                "{} and {} would both write to {}; separate them into different folders",
                other.display(),
                song.display(),
                dir.display()
            );
        }
        dirs.push(dir);
    }
    Ok(dirs)
}

/// Index and name of the wanted stems within the model's; all if none is named.
fn stem_indices(wanted: &[String], known: &[String]) -> Result<Vec<(usize, String)>> {
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!("--stems: the model has no stem \"{unknown}\"; it has {}", known.join(", "));
    }
    let all = known.iter().cloned().enumerate();
    Ok(all.filter(|(_, name)| wanted.is_empty() || wanted.contains(name)).collect())
}

fn separate(
    installation: &Installation,
    song: &Path,
    dir: &Path,
    stems: &[(usize, String)],
    format: WavFormat,
) -> Result<()> {
    let mut reader = AudioReader::open(song)?;
    let sample_rate_hz = reader.sample_rate_hz();
    let mut separator = FileSeparator::new(installation.pipeline()?, f64::from(sample_rate_hz));
    std::fs::create_dir_all(dir)
        .map_err(|error| anyhow!("{}: could not create the folder for the stems: {error}", dir.display()))?;
    let mut writers = StemWriters::create(
        dir,
        stems,
        WavSpec { sample_rate_hz, format, is_dithered: false, num_samples: reader.num_samples() },
    )?;

    let name = song.file_name().unwrap_or_default().to_string_lossy();
    let bar = song_bar(&name, reader.estimated_num_samples());
    let start = Instant::now();
    let mut block = [Vec::new(), Vec::new()];
    let mut num_samples = 0;
    loop {
        let len = reader.read_block(&mut block)?;
        if len == 0 {
            break;
        }
        interruption::check()?;
        separator.push([&block[0], &block[1]], &mut |separated| writers.write(separated))?;
        writers.take_error()?;
        num_samples += len as u64;
        bar.set_position(num_samples);
    }
    separator.finish(&mut |separated| writers.write(separated))?;
    interruption::check()?;
    let num_clipped = writers.finish()?;
    bar.finish_and_clear();

    let (song_s, elapsed_s) = (num_samples as f64 / f64::from(sample_rate_hz), start.elapsed().as_secs_f64());
    println!(
        "{} -> {}: {} in {} ({:.1} x real time)",
        song.display(),
        dir.display(),
        readable(song_s),
        readable(elapsed_s),
        song_s / elapsed_s.max(1e-9)
    );
    if num_clipped > 0 {
        eprintln!(
            "warning: {}: {num_clipped} samples were beyond full scale and are clipped; use --format float to keep them",
            dir.display()
        );
    }
    Ok(())
}

/// The files of a song's stems.
struct StemWriters {
    /// Index among the model's stems, and its file.
    writers: Vec<(usize, WavWriter)>,
    /// The first thing that went wrong since [`StemWriters::take_error`].
    result: Result<(), AudioError>,
}

impl StemWriters {
    fn create(dir: &Path, stems: &[(usize, String)], spec: WavSpec) -> Result<StemWriters, AudioError> {
        let create = |(stem_idx, name): &(usize, String)| {
            Ok((*stem_idx, WavWriter::create_with(dir.join(format!("{name}.wav")), spec)?))
        };
        Ok(StemWriters { writers: stems.iter().map(create).collect::<Result<_, _>>()?, result: Ok(()) })
    }

    /// Appends what the separator gives, `[stem_idx][channel_idx][sample_idx]`; after an error it does nothing.
    fn write(&mut self, separated: &[[Vec<f32>; 2]]) {
        for (stem_idx, writer) in &mut self.writers {
            if self.result.is_ok() {
                let [left, right] = &separated[*stem_idx];
                self.result = writer.write([left, right]);
            }
        }
    }

    fn take_error(&mut self) -> Result<(), AudioError> {
        std::mem::replace(&mut self.result, Ok(()))
    }

    /// Gives the files their names; returns the number of clipped samples.
    fn finish(mut self) -> Result<u64, AudioError> {
        self.take_error()?;
        let mut num_clipped = 0;
        for (_, writer) in self.writers {
            num_clipped += writer.num_clipped();
            writer.finish()?;
        }
        Ok(num_clipped)
    }
}
