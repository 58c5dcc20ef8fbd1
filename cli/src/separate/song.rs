//! One song, from its file to the files of its stems.
//!
//! One thread decodes, one or several separate, one writes. Few blocks are between them, so memory stays constant.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use audio::{
    AudioError, AudioReader, FileFormat, FileSpec, FileWriter, ReadNotes, ReadOptions, Tags, WavSpec, WavWriter,
};
use separator::{FileSeparator, Stereo};

use super::names::Job;
use super::stems::Stem;
use crate::installation::Installation;
use crate::interruption;
use crate::progress::{Progress, SongProgress};

/// Blocks that wait between two threads.
const NUM_WAITING: usize = 8;
/// Samples that go from thread to thread at a time, at least: for every block the next one may have to be woken.
const BLOCK_LEN: usize = 8192;

/// What is done to every song.
pub struct Request<'a> {
    pub installation: &'a Installation,
    pub stems: &'a [Stem],
    pub format: FileFormat,
    pub is_dithered: bool,
    pub read_options: ReadOptions,
    /// Where to begin and how much to take, in seconds.
    pub start_s: f64,
    pub duration_s: Option<f64>,
    /// Threads that separate one song.
    pub threads_per_song: usize,
    /// The one stem goes to the standard output.
    pub to_stdout: bool,
    /// One .stem.mp4 of all stems.
    pub is_stem_file: bool,
}

/// How a song went.
pub struct Done {
    pub seconds: f64,
    pub elapsed_s: f64,
    pub warnings: Vec<String>,
}

/// Separates the song of `job` into its files.
pub fn separate(request: &Request, job: &Job, progress: &Progress) -> Result<Done> {
    let start = Instant::now();
    let reader = match &job.song.path {
        Some(path) => AudioReader::open_with(path, request.read_options)?,
        None => AudioReader::from_stream(&mut std::io::stdin().lock(), "standard input", request.read_options)?,
    };
    let rate_hz = reader.sample_rate_hz();
    let in_samples = |seconds: f64| (seconds * f64::from(rate_hz)).round() as u64;
    let cut = Cut { start: in_samples(request.start_s), len: request.duration_s.map(in_samples) };
    let known_len = reader.num_samples().map(|len| cut.of(len));
    if known_len == Some(0) {
        bail!("{}: --start {} lies behind its end", job.song.name(), request.start_s);
    }
    let writers = Writers::create(request, job, rate_hz, known_len)?;
    let bar = progress.song(&job.song.file_name(), reader.estimated_num_samples().map(|len| cut.of(len)));
    let pipeline = request.installation.pipeline()?;
    let mut separator = FileSeparator::with_threads(pipeline, f64::from(rate_hz), request.threads_per_song)?;

    let (to_separator, from_reader) = sync_channel(NUM_WAITING);
    let (to_writer, from_separator) = sync_channel(NUM_WAITING);
    let (notes, num_samples, num_clipped) = std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(reader, cut, &to_separator));
        let writing = scope.spawn(move || write(writers, &from_separator));
        let mut outgoing = Outgoing::new(request.stems, to_writer);
        let separated = push_all(&mut separator, &mut outgoing, &from_reader, &bar).and_then(|num_samples| {
            separator.finish(&mut |separated| outgoing.add(separated))?;
            outgoing.send();
            Ok(num_samples)
        });
        // Ends both threads.
        drop((from_reader, outgoing));
        let (read, written) = (join(reading), join(writing));
        // Report the first cause rather than what followed from it; an interruption goes first.
        interruption::check()?;
        let (notes, writers, num_samples) = (read?, written?, separated?);
        bar.finish_and_clear();
        if num_samples == 0 {
            bail!("{}: --start {} lies behind its end", job.song.name(), request.start_s);
        }
        Ok((notes, num_samples, writers.finish()?))
    })?;

    let mut warnings = notes.warnings(rate_hz);
    if num_clipped > 0 {
        let place = job.place();
        warnings.push(format!(
            "{}: {num_clipped} samples were beyond full scale and are clipped; use --format float to keep them",
            place.display()
        ));
    }
    let seconds = num_samples as f64 / f64::from(rate_hz);
    Ok(Done { seconds, elapsed_s: start.elapsed().as_secs_f64(), warnings })
}

fn join<T>(thread: std::thread::ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The part of a song that is wanted, in samples.
#[derive(Clone, Copy)]
struct Cut {
    start: u64,
    len: Option<u64>,
}

impl Cut {
    /// How much of a song of `len` samples it is.
    fn of(self, len: u64) -> u64 {
        let rest = len.saturating_sub(self.start);
        self.len.map_or(rest, |wanted| wanted.min(rest))
    }
}

/// Decodes until the song or the requested part is over, or the separator has stopped.
fn read(mut reader: AudioReader, cut: Cut, to_separator: &SyncSender<Stereo>) -> Result<ReadNotes> {
    let mut position = 0;
    let end = cut.len.map_or(u64::MAX, |len| cut.start.saturating_add(len));
    let (mut block, mut waiting) = (Stereo::default(), Stereo::default());
    loop {
        let len = if position < end { reader.read_block(&mut block)? as u64 } else { 0 };
        let from = cut.start.saturating_sub(position).min(len) as usize;
        let to = end.saturating_sub(position).min(len) as usize;
        position += len;
        for (waiting, block) in waiting.iter_mut().zip(&block) {
            waiting.extend_from_slice(&block[from.min(to)..to]);
        }
        let is_over = len == 0;
        if (is_over || waiting[0].len() >= BLOCK_LEN) && to_separator.send(std::mem::take(&mut waiting)).is_err() {
            break;
        }
        if is_over {
            break;
        }
    }
    Ok(reader.notes().clone())
}

fn push_all(
    separator: &mut FileSeparator,
    outgoing: &mut Outgoing,
    from_reader: &Receiver<Stereo>,
    bar: &SongProgress,
) -> Result<u64> {
    let mut num_samples = 0;
    while let Ok([left, right]) = from_reader.recv() {
        interruption::check()?;
        separator.push([&left, &right], &mut |separated| outgoing.add(separated))?;
        if !outgoing.is_taken {
            break;
        }
        num_samples += left.len() as u64;
        bar.set_position(num_samples);
    }
    Ok(num_samples)
}

/// Stems on their way to the writer.
struct Outgoing<'a> {
    stems: &'a [Stem],
    to_writer: SyncSender<Vec<Stereo>>,
    /// `[stem][channel][sample]`, of the wanted stems.
    waiting: Vec<Stereo>,
    /// False if the writer has stopped: its error says why.
    is_taken: bool,
}

impl<'a> Outgoing<'a> {
    fn new(stems: &'a [Stem], to_writer: SyncSender<Vec<Stereo>>) -> Self {
        let waiting = vec![Stereo::default(); stems.len()];
        Outgoing { stems, to_writer, waiting, is_taken: true }
    }

    /// Takes what the model has made.
    fn add(&mut self, separated: &[Stereo]) {
        for (stem, waiting) in self.stems.iter().zip(&mut self.waiting) {
            stem.append_to(separated, waiting);
        }
        if self.waiting[0][0].len() >= BLOCK_LEN {
            self.send();
        }
    }

    fn send(&mut self) {
        let block = std::mem::replace(&mut self.waiting, vec![Stereo::default(); self.stems.len()]);
        self.is_taken &= self.to_writer.send(block).is_ok();
    }
}

fn write(mut writers: Writers, from_separator: &Receiver<Vec<Stereo>>) -> Result<Writers> {
    while let Ok(stems) = from_separator.recv() {
        writers.write(&stems)?;
    }
    Ok(writers)
}

/// The files of a song's stems.
enum Writers {
    Files(Vec<FileWriter>),
    StemFile(Box<audio::StemFileWriter>),
}

impl Writers {
    fn create(request: &Request, job: &Job, sample_rate_hz: u32, num_samples: Option<u64>) -> Result<Writers> {
        let (format, is_dithered) = (request.format, request.is_dithered);
        if request.to_stdout {
            let FileFormat::Wav(format) = format else { bail!("--out -: only wav goes to the standard output") };
            let spec = WavSpec { sample_rate_hz, format, is_dithered, num_samples };
            let stdout = Box::new(std::io::stdout());
            return Ok(Writers::Files(vec![FileWriter::of_wav(WavWriter::to_stream(
                stdout,
                "standard output",
                spec,
            )?)]));
        }
        for dir in job.files.iter().filter_map(|file| file.parent()) {
            std::fs::create_dir_all(dir)
                .map_err(|error| anyhow!("{}: could not create the folder for the stems: {error}", dir.display()))?;
        }
        let tags = match (&job.song.path, format) {
            (Some(path), format) if !matches!(format, FileFormat::Wav(_)) => Tags::read(path),
            _ => Tags::default(),
        };
        if request.is_stem_file {
            let FileFormat::M4a { kbps } = format else { bail!("--format stem: expected AAC") };
            let names: Vec<&str> = request.stems.iter().map(|stem| stem.name.as_str()).collect();
            let writer = audio::StemFileWriter::create(&job.files[0], &names, sample_rate_hz, kbps, tags)?;
            return Ok(Writers::StemFile(Box::new(writer)));
        }
        let writers = job.files.iter().zip(request.stems).map(|(file, stem)| {
            let tags = tags.of_stem(&stem.name);
            FileWriter::create(file, FileSpec { format, sample_rate_hz, num_samples, is_dithered, tags: &tags })
        });
        Ok(Writers::Files(writers.collect::<Result<_, AudioError>>()?))
    }

    fn write(&mut self, stems: &[Stereo]) -> Result<()> {
        match self {
            Writers::Files(files) => {
                for (file, [left, right]) in files.iter_mut().zip(stems) {
                    file.write([left, right])?;
                }
            }
            Writers::StemFile(file) => file.write(stems)?,
        }
        Ok(())
    }

    /// Gives the files their names; returns the number of clipped samples.
    fn finish(self) -> Result<u64> {
        match self {
            Writers::Files(files) => {
                let num_clipped = files.iter().map(FileWriter::num_clipped).sum();
                // Each waits until the disk has its file.
                std::thread::scope(|scope| {
                    let finishing: Vec<_> = files.into_iter().map(|file| scope.spawn(|| file.finish())).collect();
                    let finished = finishing.into_iter().map(|thread| join(thread));
                    finished.collect::<Result<(), AudioError>>()
                })?;
                Ok(num_clipped)
            }
            Writers::StemFile(file) => {
                file.finish()?;
                Ok(0)
            }
        }
    }
}

/// Whether all stems of an earlier run are there.
pub fn is_done(job: &Job) -> bool {
    job.files.iter().all(|file| file.is_file())
}

/// Removes the folders of a song that failed, if nothing is in them.
pub fn remove_empty_dirs(job: &Job, out: &Path) {
    for file in &job.files {
        let dirs = file.ancestors().skip(1).take_while(|dir| *dir != out && dir.starts_with(out));
        for dir in dirs {
            // Only an empty folder goes.
            if std::fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}
