//! Decoding of audio files, streaming: as stereo, whole, and aligned with what went into the encoder.
//!
//! [`native`] decodes packets; [`riff`], [`mp4`], [`ogg`] and [`mpeg`] know what the containers say about the length,
//! so that a file that is not whole is noticed; [`ffmpeg`] decodes what [`native`] cannot.

mod downmix;
mod ffmpeg;
mod kind;
mod mp4;
mod mpeg;
mod native;
mod notes;
mod ogg;
mod opus;
mod riff;
mod window;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use symphonia::core::formats::well_known::FORMAT_ID_ISOMP4;
use symphonia::core::io::{MediaSource, ReadOnlySource};

pub(crate) use ffmpeg::how_to_install;
pub use ffmpeg::{FFMPEG_VARIABLE, find_ffmpeg};
pub use notes::{ReadNotes, ReadOptions};

use crate::AudioError;
use mpeg::MpegLayout;
use native::{Native, NativeError, Step};
use ogg::OggLayout;
use riff::WaveLayout;

/// A decoded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples per second of each channel.
    pub sample_rate_hz: u32,
    /// `[channel_idx][sample_idx]`, left and right; equal where the file is mono.
    pub samples: [Vec<f32>; 2],
}

/// Streams one file as stereo f32, in constant memory.
///
/// What the encoder added in front and behind (mp3 with a LAME tag, Vorbis, Opus, AAC in MP4) is removed, so that the
/// samples are those that went into the encoder. An mp3 without a LAME tag does not say what to remove and keeps its
/// delay. More than two channels are mixed down to stereo.
pub struct AudioReader {
    path: PathBuf,
    /// What a pipe delivered; removed with the reader.
    _spool: Option<tempfile::TempPath>,
    options: ReadOptions,
    notes: ReadNotes,
    native: Native,
    num_channels: usize,
    /// Exact, as the file says.
    num_samples: Option<u64>,
    /// Samples to drop before the first one that is delivered.
    skip: u64,
    /// Samples delivered so far.
    position: u64,
    /// What the first step brought, until it is delivered.
    pending: Option<Step>,
    /// `[left, right][channel]`, for more than two channels.
    factors: [Vec<f32>; 2],
    /// The song was over before the file was.
    is_finished: bool,
}

impl AudioReader {
    /// Opens a file and decodes its first packet. What cannot be decoded is an error, here and later.
    ///
    /// # Errors
    /// The file cannot be read, is not an audio file, holds no sample, or is cut off as far as its headers tell.
    pub fn open(path: impl AsRef<Path>) -> Result<AudioReader, AudioError> {
        AudioReader::open_with(path, ReadOptions::default())
    }

    /// As [`open`](Self::open), with a choice of what to do with files that are not whole.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: ReadOptions) -> Result<AudioReader, AudioError> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(AudioError::io(path, "open"))?;
        if metadata.is_dir() {
            return Err(AudioError::NotAudio { path: path.to_path_buf(), found: "it is a folder".into() });
        }
        if metadata.is_file() {
            return AudioReader::open_file(path, path, options);
        }
        // Most kinds of file are read with jumps, which a pipe does not allow.
        let mut pipe = File::open(path).map_err(AudioError::io(path, "open"))?;
        AudioReader::from_stream(&mut pipe, path, options)
    }

    /// Reads a file of any kind from a pipe: first all of it into a temporary file. `name` is for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open); also if the temporary file cannot be written.
    pub fn from_stream(
        stream: &mut dyn Read,
        name: impl AsRef<Path>,
        options: ReadOptions,
    ) -> Result<AudioReader, AudioError> {
        let name = name.as_ref();
        let mut spool = tempfile::NamedTempFile::new().map_err(AudioError::io(name, "make a temporary file for"))?;
        io::copy(stream, &mut spool).map_err(AudioError::io(name, "copy to a temporary file"))?;
        let spool = spool.into_temp_path();
        let mut reader = AudioReader::open_file(&spool, name, options)?;
        reader._spool = Some(spool);
        Ok(reader)
    }

    /// Reads `file`, which messages call `path`.
    fn open_file(file: &Path, path: &Path, options: ReadOptions) -> Result<AudioReader, AudioError> {
        let (error, ffmpeg) = match (AudioReader::open_native(file, path, options), find_ffmpeg()) {
            (Err(error @ (AudioError::NeedsFfmpeg { .. } | AudioError::Change { .. })), Some(ffmpeg)) => {
                (error, ffmpeg)
            }
            (Err(error @ AudioError::NotAudio { .. }), Some(ffmpeg)) if kind::kind_of(file).is_ok() => (error, ffmpeg),
            (result, _) => return result,
        };
        drop(error);
        let failed = |message: String| AudioError::Ffmpeg { path: path.into(), ffmpeg: ffmpeg.clone(), message };
        let decoding = ffmpeg::Decoding::start(&ffmpeg, file)
            .map_err(|error| failed(format!("it cannot be started ({error}); is {FFMPEG_VARIABLE} right?")))?;
        let native = Native::open(Box::new(ReadOnlySource::new(Unshared(decoding))), Path::new("ffmpeg.wav"), false);
        let native = native.map_err(|error| match error {
            NativeError::Io(error) => failed(error.to_string()),
            _ => failed("it gave no samples".into()),
        })?;
        let mut reader = AudioReader::new(path, options, native);
        reader.notes.ffmpeg = Some(ffmpeg);
        reader.begin()?;
        Ok(reader)
    }

    fn open_native(file: &Path, path: &Path, options: ReadOptions) -> Result<AudioReader, AudioError> {
        let io_error = |error| AudioError::io(path, "read")(error);
        let cut = |expected: Option<u64>, found: Option<u64>| AudioError::Truncated {
            path: path.to_path_buf(),
            expected,
            found,
        };
        let wave = WaveLayout::read(file).map_err(io_error)?;
        let file_len = std::fs::metadata(file).map_err(io_error)?.len();
        let mut is_cut = false;
        if let Some(wave) = &wave {
            if wave.data.is_empty() {
                return Err(AudioError::Empty { path: path.to_path_buf() });
            }
            if wave.data.end > file_len {
                let found = wave.num_samples().map(|_| file_len.saturating_sub(wave.data.start) / wave.block_len);
                is_cut = true;
                if !options.keep_going {
                    return Err(cut(wave.num_samples(), found));
                }
            }
        }
        let source: Box<dyn MediaSource> = match &wave {
            Some(wave) if !wave.is_plain => Box::new(ReadOnlySource::new(wave.as_plain(file).map_err(io_error)?)),
            _ => Box::new(File::open(file).map_err(AudioError::io(path, "open"))?),
        };
        let mut head = [0; 8];
        let _ = File::open(file).and_then(|mut file| file.read_exact(&mut head));
        let ogg = if head.starts_with(b"OggS") { Some(OggLayout::read(file).map_err(io_error)?) } else { None };
        let mp4 = if head.ends_with(b"ftyp") { mp4::read_shape(file).map_err(io_error)? } else { Default::default() };
        if mp4.is_cut && !options.keep_going {
            return Err(cut(None, None));
        }
        let is_chained = ogg.as_ref().is_some_and(|ogg| ogg.num_links > 1);
        let native = Native::open(source, file, is_chained);
        let mut native = native.map_err(|error| to_audio_error(error, file, path, 0, 0))?;

        if native.is_webm_opus() {
            native.tail_padding = opus::webm_padding(file).map_err(io_error)?;
        }
        if native.is_mp3()
            && let Some(layout) = MpegLayout::read(file).map_err(io_error)?
        {
            if let Some((header, num_before)) = layout.change {
                let (from_hz, to_hz) = (layout.first.sample_rate_hz, header.sample_rate_hz);
                let seconds = num_before as f64 / f64::from(from_hz);
                return Err(AudioError::Change { path: path.to_path_buf(), seconds, from_hz, to_hz });
            }
            is_cut = layout.num_missing > 0;
            if is_cut && !options.keep_going {
                return Err(cut(Some(layout.num_samples + layout.num_missing), Some(layout.num_samples)));
            }
            native.use_mpeg(file, &layout).map_err(|error| to_audio_error(error, file, path, 0, 0))?;
        }
        if let Some(ogg) = &ogg {
            is_cut = !ogg.is_complete;
            if is_cut && !options.keep_going {
                return Err(cut(None, None));
            }
            native.is_timed |= ogg.is_damaged;
            if is_chained {
                native.estimated_num_samples = Some(ogg.num_samples);
            }
        }
        let mut reader = AudioReader::new(path, options, native);
        if let Some(wave) = &wave
            && !wave.is_plain
        {
            reader.num_samples = wave.num_samples();
        }
        reader.begin()?;
        if reader.native.container == FORMAT_ID_ISOMP4 {
            is_cut = mp4.is_cut;
            // The header of a fragmented file counts its own samples only, if any.
            let counted = reader.num_samples.filter(|_| !mp4.is_fragmented);
            let edit = mp4::read_edit(file, reader.native.track_id, reader.sample_rate_hz(), counted);
            reader.skip = edit.map_or(0, |edit| edit.start);
            reader.num_samples = match edit {
                Some(edit) if !mp4.is_fragmented => edit.len.or(counted),
                _ => counted,
            };
        }
        if is_cut {
            reader.notes.is_cut = true;
            // What the header says is not to be had.
            reader.native.estimated_num_samples = reader.num_samples.take();
        }
        Ok(reader)
    }

    fn new(path: &Path, options: ReadOptions, native: Native) -> AudioReader {
        AudioReader {
            path: path.to_path_buf(),
            _spool: None,
            options,
            notes: ReadNotes::default(),
            num_channels: 0,
            num_samples: native.num_samples,
            skip: native.skip,
            position: 0,
            pending: None,
            factors: Default::default(),
            is_finished: false,
            native,
        }
    }

    /// Decodes the first packet, which knows rate and channels.
    fn begin(&mut self) -> Result<(), AudioError> {
        let mut num_lost = 0;
        loop {
            match self.step()? {
                Step::Samples => break,
                Step::Lost(len) => num_lost += len,
                Step::End => return Err(AudioError::Empty { path: self.path.clone() }),
            }
        }
        self.num_channels = self.native.planes.len();
        if self.native.sample_rate_hz == 0 || self.num_channels == 0 {
            return Err(AudioError::Empty { path: self.path.clone() });
        }
        // Silence for what was lost before the first samples would come after them: drop less of them.
        self.skip = self.skip.saturating_sub(num_lost);
        if self.num_channels > 2 {
            self.notes.num_channels_mixed = Some(self.num_channels);
        }
        self.pending = Some(Step::Samples);
        Ok(())
    }

    fn step(&mut self) -> Result<Step, AudioError> {
        let (path, position) = (&self.path, self.position);
        let rate_hz = self.native.sample_rate_hz;
        let step = self.native.step().map_err(|error| match (&self.notes.ffmpeg, error) {
            (Some(ffmpeg), NativeError::Io(error)) => {
                AudioError::Ffmpeg { path: path.clone(), ffmpeg: ffmpeg.clone(), message: error.to_string() }
            }
            (_, error) => to_audio_error(error, path, path, position, rate_hz),
        })?;
        if let Step::Lost(len) = step {
            if !self.options.skip_damaged {
                let reason = "a packet could not be decoded".to_string();
                return Err(AudioError::Damaged { path: path.clone(), position, reason });
            }
            self.notes.num_damaged += 1;
            self.notes.num_silent += len;
        }
        Ok(step)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples per second of each channel.
    pub fn sample_rate_hz(&self) -> u32 {
        self.native.sample_rate_hz
    }

    /// Channels in the file; delivered are always two.
    pub fn num_channels(&self) -> usize {
        self.num_channels
    }

    /// Number of samples that will be delivered, where the file says it exactly.
    pub fn num_samples(&self) -> Option<u64> {
        self.num_samples
    }

    /// Number of samples for a progress bar: exact where it is known, else the decoder's guess.
    pub fn estimated_num_samples(&self) -> Option<u64> {
        self.num_samples.or(self.native.estimated_num_samples).filter(|num_samples| *num_samples > 0)
    }

    /// What the reader came across so far that did not stop it.
    pub fn notes(&self) -> &ReadNotes {
        &self.notes
    }

    /// Replaces the contents of `block`, `[channel_idx][sample_idx]`, by the next samples: as many as the file's next
    /// packet holds, some hundreds to some thousands. Returns their number; 0 is the end.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is shorter than it says.
    pub fn read_block(&mut self, block: &mut [Vec<f32>; 2]) -> Result<usize, AudioError> {
        block.iter_mut().for_each(Vec::clear);
        loop {
            if self.is_finished || self.num_samples.is_some_and(|expected| self.position >= expected) {
                return Ok(0);
            }
            let step = match self.pending.take() {
                Some(step) => step,
                None => self.step()?,
            };
            let step_len = match step {
                Step::Samples => self.native.planes[0].len() as u64,
                Step::Lost(len) => len,
                Step::End => return self.end(),
            };
            let start = self.skip.min(step_len);
            self.skip -= start;
            let rest = self.num_samples.map_or(u64::MAX, |expected| expected - self.position);
            let len = (step_len - start).min(rest).min(MAX_BLOCK_LEN);
            if len == 0 {
                continue;
            }
            match step {
                Step::Samples => self.copy_into(block, start as usize, len as usize),
                _ => {
                    block.iter_mut().for_each(|channel| channel.resize(len as usize, 0.0));
                    if step_len - start > len {
                        self.pending = Some(Step::Lost(step_len - start - len));
                    }
                }
            }
            self.position += len;
            return Ok(len as usize);
        }
    }

    fn copy_into(&mut self, block: &mut [Vec<f32>; 2], start: usize, len: usize) {
        let planes = &self.native.planes;
        if planes.len() <= 2 {
            let right = planes.len() - 1;
            block[0].extend_from_slice(&planes[0][start..start + len]);
            block[1].extend_from_slice(&planes[right][start..start + len]);
        } else {
            if self.factors[0].len() != planes.len() {
                self.factors = downmix::factors(&self.native.channels, planes.len());
            }
            for (out, factors) in block.iter_mut().zip(&self.factors) {
                out.resize(len, 0.0);
                for (plane, factor) in planes.iter().zip(factors).filter(|(_, factor)| **factor != 0.0) {
                    out.iter_mut().zip(&plane[start..start + len]).for_each(|(out, x)| *out += x * factor);
                }
            }
        }
        let num_not_finite = block.iter().flatten().filter(|x| !x.is_finite()).count();
        self.notes.num_not_finite += num_not_finite as u64;
    }

    fn end(&mut self) -> Result<usize, AudioError> {
        self.is_finished = true;
        if self.position == 0 {
            return Err(AudioError::Empty { path: self.path.clone() });
        }
        match self.num_samples {
            Some(expected) if self.position < expected && !self.options.keep_going => Err(AudioError::Truncated {
                path: self.path.clone(),
                expected: Some(expected),
                found: Some(self.position),
            }),
            Some(expected) => {
                self.notes.is_cut |= self.position < expected;
                Ok(0)
            }
            None => Ok(0),
        }
    }
}

/// Longer silence comes in parts.
const MAX_BLOCK_LEN: u64 = 1 << 16;

/// Only one thread at a time reads it: `MediaSource` asks for more than it uses.
struct Unshared<R>(R);

impl<R: Read> Read for Unshared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

fn to_audio_error(error: NativeError, file: &Path, path: &Path, position: u64, rate_hz: u32) -> AudioError {
    let path_buf = path.to_path_buf();
    match error {
        NativeError::Io(error) => AudioError::io(path, "read")(error),
        NativeError::Damaged(reason) => AudioError::Damaged { path: path_buf, position, reason },
        NativeError::Change { from_hz, to_hz } => {
            let seconds = position as f64 / f64::from(rate_hz.max(1));
            AudioError::Change { path: path_buf, seconds, from_hz, to_hz }
        }
        NativeError::HeaderCut if kind::is_known(file) => {
            AudioError::Truncated { path: path_buf, expected: None, found: None }
        }
        NativeError::Unknown | NativeError::HeaderCut => match kind::kind_of(file) {
            Ok(found) => AudioError::NeedsFfmpeg { path: path_buf, found: found.into() },
            Err(found) => AudioError::NotAudio { path: path_buf, found: found.into() },
        },
    }
}

/// Reads a whole file into memory. What cannot be decoded is an error.
///
/// # Errors
/// As [`AudioReader::open`] and [`AudioReader::read_block`].
pub fn read_all(path: impl AsRef<Path>) -> Result<Audio, AudioError> {
    let mut reader = AudioReader::open(path)?;
    // Not on the header's word alone: memory for a minute, then it grows with what is there.
    let capacity = reader.num_samples().map_or(0, |n| n.min(1 << 22) as usize);
    let mut samples = [Vec::with_capacity(capacity), Vec::with_capacity(capacity)];
    let mut block = [Vec::new(), Vec::new()];
    while reader.read_block(&mut block)? > 0 {
        for (all, new) in samples.iter_mut().zip(&block) {
            all.extend_from_slice(new);
        }
    }
    Ok(Audio { sample_rate_hz: reader.sample_rate_hz(), samples })
}
