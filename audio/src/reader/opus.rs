//! Opus packets (RFC 6716) as planes of samples.

use std::io;
use std::path::Path;

use opus_decoder::OpusDecoder;

use super::window::Window;

/// Opus decodes at 48 kHz, whatever rate went into its encoder.
pub(crate) const SAMPLE_RATE_HZ: u32 = 48_000;

pub(crate) struct OpusPackets {
    decoder: OpusDecoder,
    num_channels: usize,
    /// Linear, from the header.
    gain: f32,
    /// Samples that the header says to drop.
    pub pre_skip: u64,
    /// `[sample][channel]`
    interleaved: Vec<f32>,
}

impl OpusPackets {
    /// `head` is the identification header (RFC 7845, 5.1). `None` for more than two channels.
    pub fn new(head: &[u8]) -> Option<OpusPackets> {
        let word = |at: usize| Some([*head.get(at)?, *head.get(at + 1)?]);
        if !head.starts_with(b"OpusHead") || *head.get(18)? != 0 {
            return None;
        }
        let num_channels = usize::from(*head.get(9)?);
        let gain_db = f32::from(i16::from_le_bytes(word(16)?)) / 256.0;
        Some(OpusPackets {
            decoder: OpusDecoder::new(SAMPLE_RATE_HZ, num_channels).ok()?,
            num_channels,
            gain: 10f32.powf(gain_db / 20.0),
            pre_skip: u64::from(u16::from_le_bytes(word(10)?)),
            interleaved: vec![0.0; OpusDecoder::MAX_FRAME_SIZE_48K * num_channels],
        })
    }

    /// `planes`: `[channel][sample]`.
    pub fn decode(&mut self, packet: &[u8], planes: &mut Vec<Vec<f32>>) -> Result<(), String> {
        let decoded = self.decoder.decode_float(packet, &mut self.interleaved, false);
        let len = decoded.map_err(|error| error.to_string())?;
        planes.resize_with(self.num_channels, Vec::new);
        for (channel_idx, plane) in planes.iter_mut().enumerate() {
            plane.clear();
            let samples = self.interleaved[..len * self.num_channels].iter().skip(channel_idx);
            plane.extend(samples.step_by(self.num_channels).map(|sample| sample * self.gain));
        }
        Ok(())
    }
}

/// Samples of padding in the last packet of a WebM file: the DiscardPadding (RFC 9559, 5.1.3.5.7) of its last block, in
/// nanoseconds, which symphonia passes over. It is looked for by its bytes in the last part of the file.
pub(crate) fn webm_padding(path: &Path) -> io::Result<u64> {
    const TAIL_LEN: u64 = 1 << 16;
    let mut file = Window::open(path)?;
    let start = file.file_len().saturating_sub(TAIL_LEN);
    let tail = file.at(start, TAIL_LEN as usize)?;
    let element = |at: usize| {
        let len = usize::from(*tail.get(at + 2)? & 0x7f);
        let is_element = tail[at..].starts_with(b"\x75\xa2") && tail[at + 2] & 0x80 != 0 && (1..=8).contains(&len);
        let bytes = tail.get(at + 3..at + 3 + len).filter(|_| is_element)?;
        let nanoseconds = bytes.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        // A packet is at most 120 ms.
        (1..120_000_000).contains(&nanoseconds).then_some(nanoseconds)
    };
    let last = (0..tail.len()).rev().find_map(element);
    Ok(last.map_or(0, |nanoseconds| nanoseconds * u64::from(SAMPLE_RATE_HZ) / 1_000_000_000))
}
