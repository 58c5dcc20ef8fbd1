//! Event files for TensorBoard: records of `Event` messages (tensorflow/core/util/event.proto and
//! framework/summary.proto; only the fields in use), framed as TFRecord: length, masked CRC-32C of the length, data,
//! masked CRC-32C of the data.

use anyhow::{Context, Result};
use prost::Message;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// One moment of a run.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Content", tags = "2, 4, 6")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "4")]
    Image(Image),
    #[prost(message, tag = "6")]
    Audio(Audio),
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// 3 is RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    png: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Audio {
    #[prost(float, tag = "1")]
    sample_rate_hz: f32,
    #[prost(int64, tag = "2")]
    num_channels: i64,
    #[prost(int64, tag = "3")]
    num_samples: i64,
    #[prost(bytes = "vec", tag = "4")]
    wav: Vec<u8>,
    #[prost(string, tag = "5")]
    content_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    /// 1 is START: what older files say about later steps is void.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Writes one event file.
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Starts a file in `dir` for a run that goes on at `step`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(dir: &Path, step: u64) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let name = format!("events.out.tfevents.{}.{}.unbraid", now_s() as u64, std::process::id());
        let path = dir.join(name);
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut writer = EventWriter { path, file };
        writer.write(&Event { file_version: Some("brain.Event:2".into()), ..Event::default() })?;
        let session_log = Some(SessionLog { status: 1 });
        writer.write(&Event { step: step as i64, session_log, ..Event::default() })?;
        Ok(writer)
    }

    /// A number.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f64) -> Result<()> {
        self.value(step, tag, Content::Scalar(value as f32))
    }

    /// An RGB picture.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn image(&mut self, step: u64, tag: &str, picture: &image::RgbImage) -> Result<()> {
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png)?;
        let (width, height) = (picture.width() as i32, picture.height() as i32);
        self.value(step, tag, Content::Image(Image { height, width, colorspace: 3, png: png.into_inner() }))
    }

    /// Stereo sound, `[channel][sample]`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn audio(&mut self, step: u64, tag: &str, sound: &[Vec<f32>; 2], sample_rate_hz: u32) -> Result<()> {
        let mut wav = std::io::Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: sample_rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::new(&mut wav, spec)?;
        for (l, r) in sound[0].iter().zip(&sound[1]) {
            writer.write_sample((l.clamp(-1.0, 1.0) * 32767.0) as i16)?;
            writer.write_sample((r.clamp(-1.0, 1.0) * 32767.0) as i16)?;
        }
        writer.finalize()?;
        let audio = Audio {
            sample_rate_hz: sample_rate_hz as f32,
            num_channels: 2,
            num_samples: sound[0].len() as i64,
            wav: wav.into_inner(),
            content_type: "audio/wav".into(),
        };
        self.value(step, tag, Content::Audio(audio))
    }

    fn value(&mut self, step: u64, tag: &str, content: Content) -> Result<()> {
        let summary = Some(Summary { values: vec![Value { tag: tag.to_owned(), content: Some(content) }] });
        self.write(&Event { step: step as i64, summary, ..Event::default() })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let event = Event { wall_time: now_s(), ..event.clone() };
        let record = record(&event.encode_to_vec());
        self.file.write_all(&record).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn record(data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u64).to_le_bytes();
    [&len[..], &masked_crc(&len).to_le_bytes(), data, &masked_crc(data).to_le_bytes()].concat()
}

/// tensorflow/core/lib/hash/crc32c.h
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that `EventFileWriter` of tensorboard 2.21 writes when it is opened and closed: one record.
    const WRITTEN_BY_TENSORBOARD: &str = "4800000000000000fe92489d09b4bc924356c0da411a0d627261696e2e4576656e743a32522e0a\
        2c74656e736f72626f6172642e73756d6d6172792e7772697465722e6576656e745f66696c655f7772697465720b5d29a2";

    #[test]
    fn records_and_messages_are_those_of_tensorboard() {
        let digits = WRITTEN_BY_TENSORBOARD.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
        let file: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
        let data = &file[12..file.len() - 4];
        assert_eq!(record(data), file);
        let event = Event::decode(data).unwrap();
        assert_eq!(event.file_version.as_deref(), Some("brain.Event:2"));
        assert!(event.wall_time > 1.7e9, "{}", event.wall_time);
    }
}
