//! The frames of an mp3 file (ISO/IEC 11172-3, 13818-3, Layer III), and what its tags say about them.
//!
//! symphonia's own reader trusts the tag: of two files one after the other it gives the first, and bytes that hold no
//! frame shift all that follows. This walk counts what is there first.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::window::Window;

/// What a frame's first four bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    is_mpeg1: bool,
    pub sample_rate_hz: u32,
    is_mono: bool,
    /// Bytes, with the header.
    len: usize,
}

/// Layer III at 44100, 48000 and 32000 Hz, and at their halves and quarters.
const BIT_RATES: [[u32; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Samples that decoders of Layer III are late.
const DECODER_DELAY: u32 = 529;

impl FrameHeader {
    fn parse(bytes: [u8; 4]) -> Option<FrameHeader> {
        let word = u32::from_be_bytes(bytes);
        let field = |shift: u32, num_bits: u32| (word >> shift) & ((1 << num_bits) - 1);
        // Eleven bits of sync; Layer III is number 1.
        if field(21, 11) != 0x7ff || field(17, 2) != 1 {
            return None;
        }
        let divisor = match field(19, 2) {
            3 => 1,
            2 => 2,
            0 => 4,
            _ => return None,
        };
        let is_mpeg1 = divisor == 1;
        let bit_rate = BIT_RATES[usize::from(!is_mpeg1)].get((field(12, 4) as usize).checked_sub(1)?)?;
        let sample_rate_hz = [44_100, 48_000, 32_000].get(field(10, 2) as usize)? / divisor;
        let num_samples = if is_mpeg1 { 1152 } else { 576 };
        let len = num_samples / 8 * bit_rate * 1000 / sample_rate_hz + field(9, 1);
        Some(FrameHeader { is_mpeg1, sample_rate_hz, is_mono: field(6, 2) == 3, len: len as usize })
    }

    pub fn num_samples(self) -> u64 {
        if self.is_mpeg1 { 1152 } else { 576 }
    }

    pub fn num_channels(self) -> usize {
        if self.is_mono { 1 } else { 2 }
    }

    /// Bytes between header and main data.
    fn side_info_len(self) -> usize {
        match (self.is_mpeg1, self.is_mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        }
    }
}

/// What comes next in the file.
#[derive(Debug)]
pub(crate) enum Piece {
    Frame(FrameHeader, Vec<u8>),
    /// So many bytes that are neither frame nor tag.
    Gap(u64),
}

/// Walks from frame to frame.
pub(crate) struct Frames {
    file: Window,
    position: u64,
    last: Option<FrameHeader>,
}

impl Frames {
    pub fn open(path: &Path) -> io::Result<Frames> {
        Ok(Frames { file: Window::open(path)?, position: 0, last: None })
    }

    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let found = match self.last {
                // Between frames of one kind, a header in its place is trusted.
                Some(last) => self.header_at(self.position)?.filter(|header| is_alike(*header, last)),
                None => None,
            };
            let found = match found {
                None => self.confirmed_at(self.position)?,
                found => found,
            };
            if let Some(header) = found {
                let bytes = self.file.at(self.position, header.len)?.to_vec();
                // The file ends within the frame.
                if bytes.len() < header.len {
                    return Ok(None);
                }
                self.position += header.len as u64;
                self.last = Some(header);
                return Ok(Some(Piece::Frame(header, bytes)));
            }
            if let Some(len) = self.tag_len()? {
                self.position += len;
                continue;
            }
            let start = self.position;
            return match self.resync()? {
                // Before the first frame anything may stand.
                ControlFlow::Break(()) if self.last.is_none() => continue,
                ControlFlow::Break(()) => Ok(Some(Piece::Gap(self.position - start))),
                ControlFlow::Continue(()) => Ok(None),
            };
        }
    }

    fn header_at(&mut self, position: u64) -> io::Result<Option<FrameHeader>> {
        Ok(self.file.array(position)?.and_then(FrameHeader::parse))
    }

    /// A header that another one like it, or the end of the file, follows.
    fn confirmed_at(&mut self, position: u64) -> io::Result<Option<FrameHeader>> {
        let Some(header) = self.header_at(position)? else { return Ok(None) };
        let next = position + header.len as u64;
        let is_last = next == self.file.file_len() || self.file.array::<3>(next)? == Some(*b"TAG");
        let is_followed = self.header_at(next)?.is_some_and(|next| is_alike(header, next));
        Ok((is_last || is_followed).then_some(header))
    }

    /// Length of the tag at the present position: ID3v2, ID3v1, APEv2.
    fn tag_len(&mut self) -> io::Result<Option<u64>> {
        let bytes = self.file.at(self.position, 32)?;
        let seven_bits = |bytes: &[u8]| bytes.iter().fold(0, |len, byte| (len << 7) | u64::from(byte & 0x7f));
        Ok(match bytes {
            [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
                let footer_len = if flags & 0x10 != 0 { 10 } else { 0 };
                Some(10 + footer_len + seven_bits(&[*a, *b, *c, *d]))
            }
            [b'T', b'A', b'G', ..] => Some(128),
            _ if bytes.starts_with(b"APETAGEX") && bytes.len() == 32 => {
                let is_header = bytes[23] & 0x20 != 0;
                let len = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
                Some(32 + if is_header { u64::from(len) } else { 0 })
            }
            _ => None,
        })
    }

    /// Goes to the next frame; `Continue` if there is none.
    fn resync(&mut self) -> io::Result<ControlFlow<()>> {
        let mut position = self.position + 1;
        loop {
            let bytes = self.file.at(position, 1 << 12)?;
            if bytes.len() < 4 {
                return Ok(ControlFlow::Continue(()));
            }
            match bytes.iter().position(|byte| *byte == 0xff) {
                Some(at) => position += at as u64,
                None => {
                    position += bytes.len() as u64;
                    continue;
                }
            }
            if self.confirmed_at(position)?.is_some() {
                self.position = position;
                return Ok(ControlFlow::Break(()));
            }
            position += 1;
        }
    }
}

fn is_alike(a: FrameHeader, b: FrameHeader) -> bool {
    (a.is_mpeg1, a.sample_rate_hz) == (b.is_mpeg1, b.sample_rate_hz)
}

/// What the tag in the first frame says (Xing, Info; LAME's extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag {
    num_frames: Option<u64>,
    /// Samples before and behind the music, the decoder's delay counted.
    trim: Option<[u64; 2]>,
}

fn read_tag(header: FrameHeader, frame: &[u8]) -> Option<Tag> {
    if frame.get(36..40) == Some(b"VBRI") {
        return Some(Tag { num_frames: be_u32(frame, 50).map(u64::from), trim: None });
    }
    let start = 4 + header.side_info_len();
    if !matches!(frame.get(start..start + 4)?, b"Xing" | b"Info") {
        return None;
    }
    let flags = be_u32(frame, start + 4)?;
    let mut position = start + 8;
    let num_frames = if flags & 1 != 0 { be_u32(frame, position).map(u64::from) } else { None };
    for (bit, len) in [(1, 4), (2, 4), (4, 100), (8, 4)] {
        position += if flags & bit != 0 { len } else { 0 };
    }
    let is_known = matches!(frame.get(position..position + 4), Some(b"LAME" | b"Lavf" | b"Lavc"));
    let trim = frame.get(position + 21..position + 24).filter(|_| is_known).map(|bytes| {
        let both = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        let (delay, padding) = (both >> 12, both & 0xfff);
        [u64::from(delay + DECODER_DELAY), u64::from(padding.saturating_sub(DECODER_DELAY))]
    });
    Some(Tag { num_frames, trim })
}

/// Whether the frame holds a tag and no music.
pub(crate) fn is_tag(header: FrameHeader, frame: &[u8]) -> bool {
    // A tag has no sound: side information of zeros.
    let side_info = frame.get(4..4 + header.side_info_len());
    read_tag(header, frame).is_some() && side_info.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Everything that is known of the file before a sample is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MpegLayout {
    pub first: FrameHeader,
    /// Samples before the music.
    pub skip: u64,
    /// Samples of music, with the silence of lost frames.
    pub num_samples: u64,
    /// Samples that the tag promises beyond that.
    pub num_missing: u64,
    /// Frames that were lost, in order of [`Piece::Gap`].
    pub lost_frames: Vec<u64>,
    /// A later frame whose rate is not the first one's, and the samples before it.
    pub change: Option<(FrameHeader, u64)>,
}

/// More gaps than this are noise that happens to look like frames.
const MAX_GAPS: usize = 10_000;

impl MpegLayout {
    /// Walks over the whole file. `None` if it holds no frames of Layer III.
    pub fn read(path: &Path) -> io::Result<Option<MpegLayout>> {
        let mut frames = Frames::open(path)?;
        let Some(Piece::Frame(first, bytes)) = frames.next_piece()? else { return Ok(None) };
        let tag = read_tag(first, &bytes).filter(|_| is_tag(first, &bytes));
        let (mut num_frames, mut num_bytes) = if tag.is_some() { (0, 0) } else { (1, bytes.len() as u64) };
        let (mut gaps, mut change) = (Vec::new(), None);
        while let Some(piece) = frames.next_piece()? {
            match piece {
                // Where files were put together; neither ffmpeg nor we play it.
                Piece::Frame(header, bytes) if is_tag(header, &bytes) => {}
                Piece::Frame(header, bytes) => {
                    if header.sample_rate_hz != first.sample_rate_hz && change.is_none() {
                        change = Some((header, num_frames * first.num_samples()));
                    }
                    num_frames += 1;
                    num_bytes += bytes.len() as u64;
                }
                Piece::Gap(len) => gaps.push(len),
            }
            if gaps.len() > MAX_GAPS {
                return Ok(None);
            }
        }
        let mean_len = num_bytes.checked_div(num_frames).unwrap_or(0).max(1);
        let mut lost: Vec<u64> = gaps.iter().map(|len| (len + mean_len / 2) / mean_len).collect();
        let mut num_missing_frames = 0;
        let mut trim = tag.and_then(|tag| tag.trim).unwrap_or([0, 0]);
        if let Some(promised) = tag.and_then(|tag| tag.num_frames) {
            let num_known = num_frames + lost.iter().sum::<u64>();
            let rounding = lost.len() as u64 + 1;
            if num_known > promised + rounding {
                // Another file follows the one of the tag: its end is no end. ffmpeg plays all of it, too.
                trim[1] = 0;
            } else if let Some(last) = lost.last_mut()
                && num_known.abs_diff(promised) <= rounding
            {
                *last = (*last + promised).saturating_sub(num_known);
            } else {
                num_missing_frames = promised.saturating_sub(num_known);
            }
        }
        let num_decoded = (num_frames + lost.iter().sum::<u64>()) * first.num_samples();
        // What is missing at the end takes the padding with it.
        let num_padded = (num_missing_frames * first.num_samples()).saturating_sub(trim[1]);
        let padding = if num_missing_frames > 0 { 0 } else { trim[1] };
        Ok(Some(MpegLayout {
            first,
            skip: trim[0],
            num_samples: num_decoded.saturating_sub(trim[0] + padding),
            num_missing: num_padded,
            lost_frames: lost,
            change,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let header = FrameHeader::parse([0xff, 0xfb, 0x90, 0x64]).unwrap();
        assert_eq!((header.sample_rate_hz, header.len, header.num_channels()), (44_100, 417, 2));
        let half_rate = FrameHeader::parse([0xff, 0xf3, 0x84, 0xc4]).unwrap();
        assert_eq!((half_rate.sample_rate_hz, half_rate.len, half_rate.num_channels()), (24_000, 192, 1));
        assert_eq!(half_rate.num_samples(), 576);
        // Layer I, free bit rate, reserved rate.
        for bytes in [[0xff, 0xff, 0x90, 0x64], [0xff, 0xfb, 0x00, 0x64], [0xff, 0xfb, 0x9c, 0x64]] {
            assert_eq!(FrameHeader::parse(bytes), None, "{bytes:x?}");
        }
    }
}
