//! Opening: which decoder takes a file, and whether the file is as long as its headers say.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use symphonia::core::formats::well_known::FORMAT_ID_ISOMP4;
use symphonia::core::io::{MediaSource, ReadOnlySource};

use super::ffmpeg::{FFMPEG_VARIABLE, find_ffmpeg};
use super::mpeg::MpegLayout;
use super::native::{Native, NativeError, Step};
use super::ogg::OggLayout;
use super::riff::WaveLayout;
use super::{AudioReader, ReadNotes, ReadOptions, ffmpeg, kind, mp4, opus, to_audio_error};
use crate::AudioError;

impl AudioReader {
    /// Reads `file`, which messages call `path`.
    pub(super) fn open_file(file: &Path, path: &Path, options: ReadOptions) -> Result<AudioReader, AudioError> {
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
}

/// Only one thread at a time reads it: `MediaSource` asks for more than it uses.
struct Unshared<R>(R);

impl<R: Read> Read for Unshared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
