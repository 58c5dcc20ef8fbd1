//! Where the samples of a WAV file lie, also in its kinds beyond 4 GiB: RF64 (EBU Tech 3306), BW64 and Sony's W64.
//!
//! symphonia reads the plain kind. For the others, and for files whose header was never completed, it is given a plain
//! header of unknown length and then the samples.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::window::Window;

/// Where the samples are, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaveLayout {
    /// The body of the `fmt ` chunk.
    format: Vec<u8>,
    /// Bytes of the file that hold samples, as the header says; may go beyond the end of the file.
    pub data: Range<u64>,
    /// Bytes of one sample of all channels; of a block of them in compressed files.
    pub block_len: u64,
    /// Whether a block is one sample.
    pub is_pcm: bool,
    /// Whether symphonia has to be helped.
    pub is_plain: bool,
}

const W64_RIFF: [u8; 16] = *b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
const W64_WAVE: [u8; 16] = *b"wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
/// What the names of W64's chunks end in.
const W64_TAIL: [u8; 12] = *b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

impl WaveLayout {
    /// `None` if it is no WAV file, or one without a format or samples.
    pub fn read(path: &Path) -> io::Result<Option<WaveLayout>> {
        let mut file = Window::open(path)?;
        let head = file.at(0, 40)?;
        match head.get(..4) {
            Some(b"RIFF" | b"RF64" | b"BW64") if head.get(8..12) == Some(b"WAVE") => riff(&mut file),
            _ if head.get(..16) == Some(&W64_RIFF) && head.get(24..40) == Some(&W64_WAVE) => w64(&mut file),
            _ => Ok(None),
        }
    }

    /// Samples per channel, as the header says; `None` for compressed files.
    pub fn num_samples(&self) -> Option<u64> {
        (self.is_pcm && self.block_len > 0).then(|| (self.data.end - self.data.start) / self.block_len)
    }

    /// A plain WAV file of unknown length in front of the samples.
    pub fn as_plain(&self, path: &Path) -> io::Result<impl Read + Send + Sync + use<>> {
        let mut header = Vec::from(*b"RIFF\xff\xff\xff\xffWAVEfmt ");
        header.extend((self.format.len() as u32).to_le_bytes());
        header.extend(&self.format);
        header.extend(b"data\xff\xff\xff\xff");
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.data.start))?;
        Ok(Cursor::new(header).chain(file.take(self.data.end - self.data.start)))
    }
}

fn riff(file: &mut Window) -> io::Result<Option<WaveLayout>> {
    let is_long = file.array::<4>(0)? != Some(*b"RIFF");
    let (mut position, mut format, mut long_len) = (12, Vec::new(), None);
    while let Some(header) = file.array::<8>(position)? {
        let declared = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
        let body = position + 8;
        match &header[..4] {
            b"ds64" => long_len = file.array::<8>(body + 8)?.map(u64::from_le_bytes),
            b"fmt " => format = file.at(body, declared.min(64) as usize)?.to_vec(),
            b"data" => {
                let rest = file.file_len().saturating_sub(body);
                let is_unknown = declared == u64::from(u32::MAX);
                let len = match long_len {
                    Some(len) if is_long => len,
                    // A recorder that never came to complete its header, unless chunks follow a song without samples.
                    _ if declared == 0 && rest > 0 && !is_chunk(file, body)? => rest,
                    _ if is_unknown => rest,
                    _ => declared,
                };
                let is_plain = !is_long && (is_unknown || len == declared);
                return Ok(layout(format, body..body.saturating_add(len), is_plain));
            }
            _ => {}
        }
        position = body.saturating_add(declared).saturating_add(declared & 1);
    }
    Ok(None)
}

fn is_chunk(file: &mut Window, position: u64) -> io::Result<bool> {
    Ok(file.array::<8>(position)?.is_some_and(|header| {
        let len = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
        header[..4].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
            && position + 8 + len <= file.file_len() + 1
    }))
}

fn w64(file: &mut Window) -> io::Result<Option<WaveLayout>> {
    let (mut position, mut format) = (40, Vec::new());
    while let Some(header) = file.array::<24>(position)? {
        let len = u64::from_le_bytes(header[16..].try_into().expect("8 of 24 bytes"));
        // The header is part of the length.
        if len < 24 {
            return Ok(None);
        }
        let body = position + 24;
        if header[4..16] == W64_TAIL {
            match &header[..4] {
                b"fmt " => format = file.at(body, (len - 24).min(64) as usize)?.to_vec(),
                b"data" => return Ok(layout(format, body..position.saturating_add(len), false)),
                _ => {}
            }
        }
        position = position.saturating_add(len).saturating_add(7) & !7;
    }
    Ok(None)
}

fn layout(format: Vec<u8>, data: Range<u64>, is_plain: bool) -> Option<WaveLayout> {
    let word = |at: usize| Some(u16::from_le_bytes([*format.get(at)?, *format.get(at + 1)?]));
    let block_len = u64::from(word(12)?);
    let kind = match word(0)? {
        // The first two bytes of the GUID.
        EXTENSIBLE => word(24)?,
        kind => kind,
    };
    let is_pcm = (kind == PCM || kind == FLOAT) && block_len > 0;
    Some(WaveLayout { format, data, block_len, is_pcm, is_plain })
}
