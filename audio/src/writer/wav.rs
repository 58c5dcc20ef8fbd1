//! WAV files, written beside their final name and renamed when complete.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base::{part_path, put_in_place};

use super::quantizer::Quantizer;
use crate::AudioError;

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavFormat {
    /// 16 bit integers; values beyond full scale are clipped and counted.
    Int16,
    /// 24 bit integers; values beyond full scale are clipped and counted. Rounded, without dither.
    Int24,
    /// 32 bit floats, stored as they are.
    Float32,
}

impl WavFormat {
    fn num_bits(self) -> u16 {
        match self {
            WavFormat::Int16 => 16,
            WavFormat::Int24 => 24,
            WavFormat::Float32 => 32,
        }
    }

    fn block_len(self) -> u64 {
        2 * u64::from(self.num_bits() / 8)
    }
}

/// What a WAV file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavSpec {
    /// Samples per second of each channel.
    pub sample_rate_hz: u32,
    /// How a sample is stored.
    pub format: WavFormat,
    /// Whether triangular dither of one step is added before rounding to 16 bit.
    pub is_dithered: bool,
    /// Samples per channel, if they are known: then the header is right from the start, and RF64 (EBU Tech 3306) if the
    /// file will be longer than 4 GiB. If not, room is left for the longer header.
    pub num_samples: Option<u64>,
}

enum Sink {
    File(BufWriter<File>),
    /// Cannot go back to its header.
    Stream(Box<dyn Write + Send>),
}

/// Writes a stereo WAV file to `NAME.wav.part`, which [`WavWriter::finish`] renames to `NAME.wav`; a writer that is
/// dropped before that removes what it wrote.
pub struct WavWriter {
    /// `None` only after `finish`.
    sink: Option<Sink>,
    spec: WavSpec,
    quantizer: Quantizer,
    path: PathBuf,
    part_path: PathBuf,
    num_samples: u64,
    /// Encoded samples on their way to the sink.
    bytes: Vec<u8>,
    max_riff_len: u64,
}

/// What the length field of the header holds.
const MAX_RIFF_LEN: u64 = u32::MAX as u64;
/// A chunk of nothing, as long as the one that RF64 needs in its place.
const DS64_LEN: usize = 28;

impl WavWriter {
    /// Creates `path` with `.part` appended; its length is not known yet, and there is no dither.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: impl AsRef<Path>, sample_rate_hz: u32, format: WavFormat) -> Result<WavWriter, AudioError> {
        WavWriter::create_with(path, WavSpec { sample_rate_hz, format, is_dithered: false, num_samples: None })
    }

    /// Creates `path` with `.part` appended.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create_with(path: impl AsRef<Path>, spec: WavSpec) -> Result<WavWriter, AudioError> {
        WavWriter::with_limit(path.as_ref(), spec, MAX_RIFF_LEN)
    }

    fn with_limit(path: &Path, spec: WavSpec, max_riff_len: u64) -> Result<WavWriter, AudioError> {
        let part_path = part_path(path);
        let file = File::create(&part_path).map_err(AudioError::io(&part_path, "create"))?;
        WavWriter::begin(Sink::File(BufWriter::new(file)), path.to_path_buf(), part_path, spec, max_riff_len)
    }

    /// Writes to a pipe, `name` being for messages. Without a known number of samples the header says that it is unknown.
    ///
    /// # Errors
    /// The pipe takes no header.
    pub fn to_stream(
        stream: Box<dyn Write + Send>,
        name: impl AsRef<Path>,
        spec: WavSpec,
    ) -> Result<WavWriter, AudioError> {
        let name = name.as_ref().to_path_buf();
        WavWriter::begin(Sink::Stream(stream), name.clone(), name, spec, MAX_RIFF_LEN)
    }

    fn begin(
        sink: Sink,
        path: PathBuf,
        part_path: PathBuf,
        spec: WavSpec,
        max_riff_len: u64,
    ) -> Result<WavWriter, AudioError> {
        let quantizer = Quantizer::new(spec.format.num_bits(), spec.is_dithered && spec.format == WavFormat::Int16);
        let mut writer = WavWriter {
            sink: Some(sink),
            spec,
            quantizer,
            path,
            part_path,
            num_samples: 0,
            bytes: Vec::new(),
            max_riff_len,
        };
        let header = writer.header(spec.num_samples);
        writer.write_bytes(&header)?;
        Ok(writer)
    }

    /// The header for this many samples; its length does not depend on the number.
    fn header(&self, num_samples: Option<u64>) -> Vec<u8> {
        let format = self.spec.format;
        let block_len = format.block_len();
        let is_float = format == WavFormat::Float32;
        // Readers want these two of every format but PCM.
        let (format_len, fact_len) = if is_float { (18, 12) } else { (16, 0) };
        let data_len = num_samples.map(|num_samples| num_samples * block_len);
        let riff_len =
            |ds64_len: usize| data_len.map(|len| 4 + ds64_len as u64 + (8 + format_len) + fact_len + 8 + len);
        // The same decision at the start and at the end, unless the number was not known at the start.
        let announced = self.spec.num_samples.map(|num_samples| num_samples * block_len + 64);
        let has_room = match (&self.sink, announced) {
            (_, Some(len)) => len > self.max_riff_len,
            (Some(Sink::File(_)), None) => true,
            _ => false,
        };
        let room_len = if has_room { 8 + DS64_LEN } else { 0 };
        let riff_len = riff_len(room_len);
        let is_long = has_room && riff_len.is_some_and(|len| len > self.max_riff_len);
        let short = |len: Option<u64>| {
            let len = len.filter(|_| !is_long).and_then(|len| u32::try_from(len).ok());
            len.unwrap_or(u32::MAX).to_le_bytes()
        };

        let mut header = Vec::with_capacity(128);
        header.extend(if is_long { b"RF64" } else { b"RIFF" });
        header.extend(short(riff_len));
        header.extend(b"WAVE");
        if has_room {
            header.extend(if is_long { b"ds64" } else { b"JUNK" });
            header.extend((DS64_LEN as u32).to_le_bytes());
            for len in [riff_len, data_len, num_samples] {
                header.extend(len.filter(|_| is_long).unwrap_or(0).to_le_bytes());
            }
            header.extend([0; 4]);
        }
        header.extend(b"fmt ");
        header.extend((format_len as u32).to_le_bytes());
        header.extend(if is_float { 3u16 } else { 1 }.to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(self.spec.sample_rate_hz.to_le_bytes());
        let bytes_per_s = u32::try_from(u64::from(self.spec.sample_rate_hz) * block_len);
        header.extend(bytes_per_s.unwrap_or(u32::MAX).to_le_bytes());
        header.extend((block_len as u16).to_le_bytes());
        header.extend(format.num_bits().to_le_bytes());
        if is_float {
            header.extend(0u16.to_le_bytes());
            header.extend(b"fact");
            header.extend(4u32.to_le_bytes());
            header.extend(short(num_samples));
        }
        header.extend(b"data");
        header.extend(short(data_len));
        header
    }

    /// Appends samples, `[channel_idx][sample_idx]`.
    ///
    /// # Errors
    /// The disk is full or gone.
    ///
    /// # Panics
    /// If the channels differ in length.
    pub fn write(&mut self, samples: [&[f32]; 2]) -> Result<(), AudioError> {
        let [left, right] = samples;
        assert_eq!(left.len(), right.len(), "WavWriter::write: channels differ in length");
        self.num_samples += left.len() as u64;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        match self.spec.format {
            // All room at once: the compiler makes wide copies of it.
            WavFormat::Float32 => {
                bytes.resize(8 * left.len(), 0);
                for (bytes, (left, right)) in bytes.chunks_exact_mut(8).zip(left.iter().zip(right)) {
                    bytes[..4].copy_from_slice(&left.to_le_bytes());
                    bytes[4..].copy_from_slice(&right.to_le_bytes());
                }
            }
            WavFormat::Int24 | WavFormat::Int16 => {
                let len = if self.spec.format == WavFormat::Int24 { 3 } else { 2 };
                for x in left.iter().zip(right).flat_map(|(left, right)| [*left, *right]) {
                    bytes.extend(&self.quantizer.quantize(x).to_le_bytes()[..len]);
                }
            }
        }
        let result = self.write_bytes(&bytes);
        self.bytes = bytes;
        result
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), AudioError> {
        let result = match self.sink.as_mut().expect("only finish takes it") {
            Sink::File(file) => file.write_all(bytes),
            Sink::Stream(stream) => stream.write_all(bytes),
        };
        result.map_err(AudioError::io(&self.part_path, "write"))
    }

    /// Samples beyond full scale so far, both channels together; always 0 for floats.
    pub fn num_clipped(&self) -> u64 {
        self.quantizer.num_clipped()
    }

    /// Completes the file and gives it its name, replacing what was there.
    ///
    /// # Errors
    /// The disk is full or gone, or the file cannot be renamed.
    pub fn finish(mut self) -> Result<(), AudioError> {
        let header = self.header(Some(self.num_samples));
        match self.sink.take().expect("only finish takes it") {
            Sink::Stream(mut stream) => stream.flush().map_err(AudioError::io(&self.path, "write")),
            Sink::File(file) => {
                let is_right = self.spec.num_samples == Some(self.num_samples);
                let result = complete(file, (!is_right).then_some(&header))
                    .map_err(AudioError::io(&self.part_path, "write"))
                    .and_then(|()| {
                        put_in_place(&self.part_path, &self.path).map_err(AudioError::io(&self.path, "rename"))
                    });
                if result.is_err() {
                    self.remove_part();
                }
                result
            }
        }
    }

    /// A complaint about removing what is abandoned anyway would only hide the first error.
    fn remove_part(&self) {
        let _ = std::fs::remove_file(&self.part_path);
    }
}

fn complete(mut file: BufWriter<File>, header: Option<&Vec<u8>>) -> io::Result<()> {
    file.flush()?;
    if let Some(header) = header {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(header)?;
        file.flush()?;
    }
    Ok(())
}

impl Drop for WavWriter {
    fn drop(&mut self) {
        if let Some(Sink::File(file)) = self.sink.take() {
            // Without a last try to write what is thrown away.
            drop(file.into_parts());
            self.remove_part();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AudioReader, read_all};

    fn spec(num_samples: Option<u64>) -> WavSpec {
        WavSpec { sample_rate_hz: 44_100, format: WavFormat::Int24, is_dithered: false, num_samples }
    }

    /// The limit of 4 GiB, moved to 1 MB: known before, and only noticed at the end.
    #[test]
    fn files_beyond_the_limit_are_rf64() {
        let dir = tempfile::tempdir().unwrap();
        let samples: Vec<f32> = (0..200_000).map(|i| (i % 256) as f32 / 256.0).collect();
        for (announced, len, magic) in [
            (Some(200_000), 200_000, b"RF64"),
            (None, 200_000, b"RF64"),
            (None, 100_000, b"RIFF"),
            (Some(100_000), 100_000, b"RIFF"),
            // Shorter than announced, as cut songs are.
            (Some(200_000), 100_000, b"RIFF"),
        ] {
            let path = dir.path().join("x.wav");
            let mut writer = WavWriter::with_limit(&path, spec(announced), 1_000_000).unwrap();
            writer.write([&samples[..len], &samples[..len]]).unwrap();
            writer.finish().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(&bytes[..4], magic, "{announced:?}, {len}");
            assert_eq!(AudioReader::open(&path).unwrap().num_samples(), Some(len as u64));
            assert_eq!(read_all(&path).unwrap().samples[1], samples[..len]);
        }
    }

    /// 44 bytes for integers: what the simplest readers know.
    #[test]
    fn headers_are_plain_where_the_length_is_known() {
        let dir = tempfile::tempdir().unwrap();
        for (format, tag, header_len) in
            [(WavFormat::Int16, 1, 44), (WavFormat::Int24, 1, 44), (WavFormat::Float32, 3, 58)]
        {
            let path = dir.path().join("x.wav");
            let mut writer = WavWriter::create_with(&path, WavSpec { format, ..spec(Some(3)) }).unwrap();
            writer.write([&[0.5; 3], &[0.25; 3]]).unwrap();
            writer.finish().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, header_len + 3 * format.block_len());
            assert_eq!(bytes[20], tag);
            assert_eq!(u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize, bytes.len() - 8);
        }
    }
}
