//! Decoding of audio files, streaming.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP3, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{FORMAT_ID_ADTS, FORMAT_ID_ISOMP4, FORMAT_ID_OGG};
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use crate::AudioError;
use crate::mp4_edit::read_edit;

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
/// What the encoder added in front and behind (mp3 with a LAME tag, Vorbis, AAC in MP4) is removed, so that the samples
/// are those that went into the encoder. An mp3 without a LAME tag does not say what to remove and keeps its delay.
pub struct AudioReader {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    sample_rate_hz: u32,
    num_channels: usize,
    /// Exact, as the file says.
    num_samples: Option<u64>,
    /// For progress bars.
    estimated_num_samples: Option<u64>,
    /// Samples to drop before the first one that is delivered.
    skip: u64,
    /// Samples delivered so far.
    position: u64,
    /// The last packet, `[channel_idx][sample_idx]`; waiting to be delivered if `is_pending`.
    planes: Vec<Vec<f32>>,
    is_pending: bool,
    is_vorbis: bool,
}

impl AudioReader {
    /// Opens a file and decodes its first packet.
    ///
    /// # Errors
    /// The file cannot be read, is not of a known kind, or has more than two channels.
    ///
    /// # Realtime
    /// Not safe: allocates, reads the disk.
    pub fn open(path: impl AsRef<Path>) -> Result<AudioReader, AudioError> {
        let path = path.as_ref();
        let unsupported = |found: String| AudioError::Unsupported { path: path.to_path_buf(), found };
        let file = File::open(path).map_err(AudioError::io(path, "open"))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(unsupported("a folder".into()));
        }
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| match error {
                SymphoniaError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
                    AudioError::io(path, "read")(error)
                }
                SymphoniaError::IoError(_) => unsupported("none of their headers".into()),
                other => unsupported(other.to_string()),
            })?;
        let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported("no audio track".into()))?;
        let params = track
            .codec_params
            .as_ref()
            .and_then(|params| params.audio())
            .ok_or_else(|| unsupported("a track without a known codec".into()))?;

        let container = format.format_info().format;
        let is_estimate = match params.codec {
            // Without a LAME tag symphonia guesses the number of frames from the bit rate.
            CODEC_ID_MP3 => track.delay.is_none(),
            CODEC_ID_AAC => container == FORMAT_ID_ADTS,
            _ => false,
        };
        // The length of an Ogg stream stands in its last page.
        if container == FORMAT_ID_OGG && track.num_frames.is_none() {
            let reason = "the last page is missing".to_string();
            return Err(AudioError::Damaged { path: path.to_path_buf(), position: 0, reason });
        }
        // With gapless on, symphonia cuts at its guess: only let it cut where the number is known. In Vorbis it would cut
        // at the end of every page that counts fewer samples than its packets hold. Pages in the middle may (ffmpeg
        // writes such files); only the last one's count means a cut, and that count is `num_samples`.
        let is_vorbis = params.codec == CODEC_ID_VORBIS;
        let options = AudioDecoderOptions::default().gapless(!is_estimate && !is_vorbis);
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &options)
            .map_err(|error| unsupported(error.to_string()))?;
        let mut reader = AudioReader {
            path: path.to_path_buf(),
            track_id: track.id,
            sample_rate_hz: params.sample_rate.unwrap_or(0),
            num_channels: params.channels.as_ref().map_or(0, |channels| channels.count()),
            num_samples: track.num_frames.filter(|_| !is_estimate),
            estimated_num_samples: track.num_frames,
            skip: 0,
            position: 0,
            planes: Vec::new(),
            is_pending: false,
            is_vorbis,
            decoder,
            format,
        };
        reader.is_pending = reader.decode_packet()?;
        if reader.sample_rate_hz == 0 || reader.num_channels == 0 {
            return Err(unsupported("no audio in it".into()));
        }
        if container == FORMAT_ID_ISOMP4 {
            let edit = read_edit(path, reader.track_id, reader.sample_rate_hz, reader.num_samples);
            if let Some(edit) = edit {
                reader.skip = edit.start;
                reader.num_samples = edit.len.or(reader.num_samples);
            }
        }
        Ok(reader)
    }

    /// The file.
    ///
    /// # Realtime
    /// Safe.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples per second of each channel.
    ///
    /// # Realtime
    /// Safe.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Channels in the file, 1 or 2; delivered are always two.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_channels(&self) -> usize {
        self.num_channels
    }

    /// Number of samples that will be delivered, where the file says it exactly.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_samples(&self) -> Option<u64> {
        self.num_samples
    }

    /// Number of samples for a progress bar: exact where it is known, else the decoder's guess.
    ///
    /// # Realtime
    /// Safe.
    pub fn estimated_num_samples(&self) -> Option<u64> {
        self.num_samples.or(self.estimated_num_samples)
    }

    /// Replaces the contents of `block`, `[channel_idx][sample_idx]`, by the next samples: as many as the file's next
    /// packet holds, some hundreds to some thousands. Returns their number; 0 is the end.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is shorter than it says.
    ///
    /// # Realtime
    /// Not safe: allocates, reads the disk.
    pub fn read_block(&mut self, block: &mut [Vec<f32>; 2]) -> Result<usize, AudioError> {
        block[0].clear();
        block[1].clear();
        loop {
            if self.num_samples.is_some_and(|expected| self.position >= expected) {
                return Ok(0);
            }
            if !std::mem::take(&mut self.is_pending) && !self.decode_packet()? {
                return match self.num_samples {
                    Some(expected) if self.position < expected => {
                        Err(AudioError::Truncated { path: self.path.clone(), expected, found: self.position })
                    }
                    _ => Ok(0),
                };
            }
            let packet_len = self.planes[0].len();
            let start = self.skip.min(packet_len as u64) as usize;
            self.skip -= start as u64;
            let mut len = packet_len - start;
            if let Some(expected) = self.num_samples {
                len = len.min(usize::try_from(expected - self.position).unwrap_or(usize::MAX));
            }
            if len > 0 {
                let right = self.planes.len() - 1;
                block[0].extend_from_slice(&self.planes[0][start..start + len]);
                block[1].extend_from_slice(&self.planes[right][start..start + len]);
                self.position += len as u64;
                return Ok(len);
            }
        }
    }

    /// Decodes the next packet that holds samples into `planes`; false at the end.
    fn decode_packet(&mut self) -> Result<bool, AudioError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                Err(SymphoniaError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(decode_error(&self.path, self.position, error)),
            };
            if packet.track_id != self.track_id {
                continue;
            }
            let decoded =
                self.decoder.decode(&packet).map_err(|error| decode_error(&self.path, self.position, error))?;
            // The first packet of Vorbis only primes the overlap.
            if decoded.frames() == 0 || (self.is_vorbis && packet.trim_start.get() > 0) {
                continue;
            }
            let (num_channels, rate_hz) = (decoded.num_planes(), decoded.spec().rate());
            if !(1..=2).contains(&num_channels) {
                return Err(AudioError::Channels { path: self.path.clone(), found: num_channels });
            }
            // The first packet decides: for AAC the container's word is not reliable.
            if self.planes.is_empty() {
                (self.num_channels, self.sample_rate_hz) = (num_channels, rate_hz);
            } else if (num_channels, rate_hz) != (self.num_channels, self.sample_rate_hz) {
                let reason = format!(
                    "{} channels at {} Hz turn into {num_channels} at {rate_hz} Hz",
                    self.num_channels, self.sample_rate_hz
                );
                return Err(AudioError::Damaged { path: self.path.clone(), position: self.position, reason });
            }
            decoded.copy_to_vecs_planar(&mut self.planes);
            return Ok(true);
        }
    }
}

fn decode_error(path: &Path, position: u64, error: SymphoniaError) -> AudioError {
    match error {
        SymphoniaError::IoError(source) if source.kind() != ErrorKind::Other => AudioError::io(path, "read")(source),
        SymphoniaError::ResetRequired => {
            AudioError::Unsupported { path: path.to_path_buf(), found: "several streams chained in one file".into() }
        }
        other => AudioError::Damaged { path: path.to_path_buf(), position, reason: other.to_string() },
    }
}

/// Reads a whole file into memory.
///
/// # Errors
/// As [`AudioReader::open`] and [`AudioReader::read_block`].
///
/// # Realtime
/// Not safe: allocates, uses the disk.
pub fn read_all(path: impl AsRef<Path>) -> Result<Audio, AudioError> {
    let mut reader = AudioReader::open(path)?;
    let capacity = reader.num_samples().map_or(0, |n| n.min(1 << 28) as usize);
    let mut samples = [Vec::with_capacity(capacity), Vec::with_capacity(capacity)];
    let mut block = [Vec::new(), Vec::new()];
    while reader.read_block(&mut block)? > 0 {
        for (all, new) in samples.iter_mut().zip(&block) {
            all.extend_from_slice(new);
        }
    }
    Ok(Audio { sample_rate_hz: reader.sample_rate_hz(), samples })
}
