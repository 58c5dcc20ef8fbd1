//! Decoding by symphonia (and opus-decoder), packet by packet.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::Path;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{FORMAT_ID_ADTS, FORMAT_ID_FLAC, FORMAT_ID_MKV, FORMAT_ID_MP3};
use symphonia::core::formats::{FormatId, FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::mpeg::{Frames, MpegLayout, Piece, is_tag};
use super::opus::{self, OpusPackets};

/// Smaller jumps of time stamps are rounding.
const MIN_GAP: i64 = 64;
/// Longer gaps are broken time stamps, not lost packets: five minutes at 48 kHz.
const MAX_GAP: i64 = 5 * 60 * 48_000;

/// Why a file cannot be decoded here.
#[derive(Debug)]
pub(crate) enum NativeError {
    Io(io::Error),
    /// Not one of the kinds that are known here, or a codec that is not.
    Unknown,
    /// The file ends within its headers, or none were found.
    HeaderCut,
    /// Damage, in the decoder's words.
    Damaged(String),
    /// The sample rate changes.
    Change {
        from_hz: u32,
        to_hz: u32,
    },
}

/// What a step brought.
pub(crate) enum Step {
    /// [`Native::planes`] holds samples.
    Samples,
    /// So many samples could not be decoded.
    Lost(u64),
    End,
}

enum Packets {
    Symphonia(Box<dyn FormatReader>),
    Mpeg { frames: Frames, lost_frames: VecDeque<u64>, position: i64 },
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<OpusPackets>),
}

/// One audio track, decoded.
pub(crate) struct Native {
    packets: Packets,
    decoder: Decoder,
    options: AudioDecoderOptions,
    pub container: FormatId,
    pub track_id: u32,
    pub sample_rate_hz: u32,
    pub channels: Channels,
    /// The last packet, `[channel_idx][sample_idx]`.
    pub planes: Vec<Vec<f32>>,
    /// Exact, as the file says, without what is trimmed.
    pub num_samples: Option<u64>,
    pub estimated_num_samples: Option<u64>,
    /// Samples before the first of the music.
    pub skip: u64,
    /// Streams follow one another: the samples of the present one that are still to come.
    link_rest: Option<u64>,
    is_vorbis: bool,
    /// Whether time stamps count samples and tell of lost packets.
    pub is_timed: bool,
    /// Where the next packet should begin.
    next_ts: Option<i64>,
    /// Waits behind a gap, or to see whether another one follows.
    held: Option<Packet>,
    /// Samples of the last packet that are padding, where symphonia does not say it.
    pub tail_padding: u64,
}

impl Native {
    /// Opens what `source` gives; nothing is decoded yet.
    pub fn open(source: Box<dyn MediaSource>, path: &Path, is_chained: bool) -> Result<Native, NativeError> {
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| match error {
                SymphoniaError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => NativeError::Io(error),
                SymphoniaError::IoError(_) => NativeError::HeaderCut,
                SymphoniaError::Unsupported(_) => NativeError::Unknown,
                other => NativeError::Damaged(other.to_string()),
            })?;
        let track = format.default_track(TrackType::Audio).ok_or(NativeError::Unknown)?.clone();
        let params = audio_params(&track)?.clone();
        let container = format.format_info().format;
        let is_estimate = match params.codec {
            // Without a LAME tag symphonia guesses the number of frames from the bit rate.
            CODEC_ID_MP3 => track.delay.is_none(),
            CODEC_ID_AAC => container == FORMAT_ID_ADTS,
            _ => false,
        };
        // With gapless on, symphonia cuts at its guess: only let it cut where the number is known. In Vorbis it would cut
        // at the end of every page that counts fewer samples than its packets hold. Pages in the middle may (ffmpeg
        // writes such files); only the last one's count means a cut, and that count is `num_samples`.
        let is_vorbis = params.codec == CODEC_ID_VORBIS;
        let options = AudioDecoderOptions::default().gapless(!is_estimate && !is_vorbis);
        let decoder = make_decoder(&params, &options)?;
        let skip = if let Decoder::Opus(opus) = &decoder { opus.pre_skip } else { 0 };
        // The last page counts what is skipped, too (RFC 7845, 4).
        let num_frames = track.num_frames.map(|num_frames| num_frames.saturating_sub(skip));
        Ok(Native {
            decoder,
            options,
            container,
            track_id: track.id,
            sample_rate_hz: params.sample_rate.unwrap_or(0),
            channels: params.channels.clone().unwrap_or_default(),
            planes: Vec::new(),
            num_samples: num_frames.filter(|_| !is_estimate && !is_chained),
            estimated_num_samples: num_frames,
            skip,
            link_rest: if is_chained { track.num_frames } else { None },
            is_vorbis,
            is_timed: container == FORMAT_ID_FLAC,
            next_ts: None,
            held: None,
            tail_padding: 0,
            packets: Packets::Symphonia(format),
        })
    }

    /// Whether the file is an mp3 whose frames [`MpegLayout`] could count.
    pub fn is_mp3(&self) -> bool {
        self.container == FORMAT_ID_MP3
    }

    /// Whether it is Opus in WebM or Matroska.
    pub fn is_webm_opus(&self) -> bool {
        self.container == FORMAT_ID_MKV && matches!(self.decoder, Decoder::Opus(_))
    }

    /// From here on, frames come from our own walk.
    pub fn use_mpeg(&mut self, path: &Path, layout: &MpegLayout) -> Result<(), NativeError> {
        self.options = AudioDecoderOptions::default().gapless(false);
        self.restart_mpeg_decoder()?;
        self.packets = Packets::Mpeg {
            frames: Frames::open(path).map_err(NativeError::Io)?,
            lost_frames: layout.lost_frames.iter().copied().collect(),
            position: 0,
        };
        self.num_samples = Some(layout.num_samples);
        self.estimated_num_samples = self.num_samples;
        self.skip = layout.skip;
        Ok(())
    }

    fn restart_mpeg_decoder(&mut self) -> Result<(), NativeError> {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_MP3);
        self.decoder = make_decoder(&params, &self.options)?;
        Ok(())
    }

    /// Decodes the next packet that holds samples.
    pub fn step(&mut self) -> Result<Step, NativeError> {
        loop {
            if let Packets::Mpeg { .. } = self.packets {
                match self.next_frame()? {
                    Ok(packet) => self.held = Some(packet),
                    Err(step) => return Ok(step),
                }
            }
            let packet = match self.held.take() {
                Some(packet) => packet,
                None => match self.next_packet()? {
                    Some(packet) => packet,
                    None => return Ok(Step::End),
                },
            };
            let pts = packet.pts.get();
            let len = (packet.dur.get() + packet.trim_start.get() + packet.trim_end.get()) as i64;
            if let (true, Some(expected)) = (self.is_timed, self.next_ts)
                && (MIN_GAP..MAX_GAP).contains(&(pts - expected))
            {
                self.next_ts = Some(pts);
                self.held = Some(packet);
                let num_lost = (pts - expected) as u64;
                self.link_rest = self.link_rest.map(|rest| rest.saturating_sub(num_lost));
                return Ok(Step::Lost(num_lost));
            }
            self.next_ts = Some(pts + len);
            match self.decode(&packet)? {
                Step::Samples if self.planes.first().is_none_or(Vec::is_empty) => {}
                step => return Ok(step),
            }
        }
    }

    /// The next packet of the track.
    fn next_packet(&mut self) -> Result<Option<Packet>, NativeError> {
        loop {
            let Packets::Symphonia(format) = &mut self.packets else { return Ok(None) };
            match format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track_id => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(SymphoniaError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                Err(SymphoniaError::ResetRequired) => self.begin_link()?,
                Err(error) => return Err(native_error(error)),
            }
        }
    }

    /// Another stream follows in the same file.
    fn begin_link(&mut self) -> Result<(), NativeError> {
        let Packets::Symphonia(format) = &self.packets else { return Ok(()) };
        let track = format.default_track(TrackType::Audio).ok_or(NativeError::Unknown)?;
        let params = audio_params(track)?;
        let to_hz = params.sample_rate.unwrap_or(self.sample_rate_hz);
        if to_hz != self.sample_rate_hz {
            return Err(NativeError::Change { from_hz: self.sample_rate_hz, to_hz });
        }
        self.decoder = make_decoder(params, &self.options)?;
        self.channels = params.channels.clone().unwrap_or_default();
        (self.track_id, self.link_rest, self.next_ts) = (track.id, track.num_frames, None);
        Ok(())
    }

    /// The next frame of an mp3; `Err` is a step that needs no decoder.
    fn next_frame(&mut self) -> Result<Result<Packet, Step>, NativeError> {
        loop {
            let Packets::Mpeg { frames, lost_frames, position } = &mut self.packets else {
                return Ok(Err(Step::End));
            };
            match frames.next_piece().map_err(NativeError::Io)? {
                None => return Ok(Err(Step::End)),
                Some(Piece::Gap(_)) => match lost_frames.pop_front() {
                    Some(num_frames) if num_frames > 0 => {
                        let frame_len = if self.sample_rate_hz >= 32_000 { 1152 } else { 576 };
                        return Ok(Err(Step::Lost(num_frames * frame_len)));
                    }
                    _ => {}
                },
                Some(Piece::Frame(header, bytes)) if is_tag(header, &bytes) => {}
                Some(Piece::Frame(header, bytes)) => {
                    let (pts, len) = (*position, header.num_samples());
                    *position += len as i64;
                    if header.sample_rate_hz != self.sample_rate_hz && self.sample_rate_hz != 0 {
                        let (from_hz, to_hz) = (self.sample_rate_hz, header.sample_rate_hz);
                        return Err(NativeError::Change { from_hz, to_hz });
                    }
                    // symphonia's decoder takes one number of channels only.
                    if self.channels.count() != header.num_channels() && !self.planes.is_empty() {
                        self.restart_mpeg_decoder()?;
                    }
                    return Ok(Ok(Packet::new(0, Timestamp::new(pts), Duration::new(len), bytes)));
                }
            }
        }
    }

    fn decode(&mut self, packet: &Packet) -> Result<Step, NativeError> {
        let lost = Step::Lost(packet.dur.get().max(1));
        match &mut self.decoder {
            Decoder::Opus(opus) => {
                if opus.decode(&packet.data, &mut self.planes).is_err() {
                    return Ok(lost);
                }
                self.sample_rate_hz = opus::SAMPLE_RATE_HZ;
            }
            Decoder::Symphonia(decoder) => {
                let decoded = match decoder.decode(packet) {
                    Ok(decoded) => decoded,
                    Err(SymphoniaError::DecodeError(_) | SymphoniaError::LimitError(_)) => return Ok(lost),
                    Err(SymphoniaError::IoError(error)) if error.kind() != ErrorKind::Interrupted => return Ok(lost),
                    Err(error) => return Err(native_error(error)),
                };
                // The first packet of Vorbis only primes the overlap.
                if decoded.frames() == 0 || (self.is_vorbis && packet.trim_start.get() > 0) {
                    self.planes.iter_mut().for_each(Vec::clear);
                    return Ok(Step::Samples);
                }
                let to_hz = decoded.spec().rate();
                // The first packet decides: for AAC the container's word is not reliable.
                if self.planes.is_empty() {
                    self.sample_rate_hz = to_hz;
                } else if to_hz != self.sample_rate_hz {
                    return Err(NativeError::Change { from_hz: self.sample_rate_hz, to_hz });
                }
                self.channels = decoded.spec().channels().clone();
                decoded.copy_to_vecs_planar(&mut self.planes);
            }
        }
        if self.tail_padding > 0 {
            self.held = self.next_packet()?;
            if self.held.is_none() {
                let len = self.planes[0].len().saturating_sub(self.tail_padding as usize);
                self.planes.iter_mut().for_each(|plane| plane.truncate(len));
            }
        }
        if let Some(rest) = &mut self.link_rest {
            let len = (self.planes[0].len() as u64).min(*rest);
            self.planes.iter_mut().for_each(|plane| plane.truncate(len as usize));
            *rest -= len;
        }
        Ok(Step::Samples)
    }
}

fn audio_params(track: &Track) -> Result<&AudioCodecParameters, NativeError> {
    track.codec_params.as_ref().and_then(|params| params.audio()).ok_or(NativeError::Unknown)
}

fn make_decoder(params: &AudioCodecParameters, options: &AudioDecoderOptions) -> Result<Decoder, NativeError> {
    if params.codec == CODEC_ID_OPUS {
        let opus = params.extra_data.as_ref().and_then(|head| OpusPackets::new(head));
        return opus.map(|opus| Decoder::Opus(Box::new(opus))).ok_or(NativeError::Unknown);
    }
    let decoder = symphonia::default::get_codecs().make_audio_decoder(params, options);
    decoder.map(Decoder::Symphonia).map_err(|_| NativeError::Unknown)
}

fn native_error(error: SymphoniaError) -> NativeError {
    match error {
        SymphoniaError::IoError(error) if error.kind() != ErrorKind::Other => NativeError::Io(error),
        SymphoniaError::Unsupported(_) => NativeError::Unknown,
        other => NativeError::Damaged(other.to_string()),
    }
}
