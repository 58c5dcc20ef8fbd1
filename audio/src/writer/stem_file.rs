//! Stem files of Native Instruments (`.stem.mp4`): an MP4 whose first track is the song and whose next four are its
//! stems, with their names and colours as JSON in `moov/udta/stem`. Encoded by an installed ffmpeg.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base::{part_path, put_in_place};

use super::{Tags, WavFormat, WavWriter};
use crate::AudioError;
use crate::reader::{find_ffmpeg, how_to_install};

/// Colours of the stems, in the order of the file.
const COLOURS: [&str; 4] = ["#FD4A4A", "#FFE13A", "#4AA3FD", "#009E73"];

/// The order that DJ programs expect, with other names for the same.
const ORDER: [&[&str]; 4] = [&["drums"], &["bass"], &["other", "accompaniment"], &["vocals"]];

/// Writes one stem file. The stems wait as WAV files in a temporary folder beside it until all of them are there.
pub struct StemFileWriter {
    path: PathBuf,
    ffmpeg: PathBuf,
    dir: tempfile::TempDir,
    names: Vec<String>,
    /// The song, then the stems as they come.
    tracks: Vec<WavWriter>,
    kbps: u32,
    tags: Tags,
}

impl StemFileWriter {
    /// Prepares `path` for the stems of these names.
    ///
    /// # Errors
    /// There is no ffmpeg, or nothing can be written beside `path`.
    ///
    /// # Panics
    /// If there are not four stems.
    pub fn create(
        path: &Path,
        names: &[&str],
        sample_rate_hz: u32,
        kbps: u32,
        tags: Tags,
    ) -> Result<StemFileWriter, AudioError> {
        assert_eq!(names.len(), 4, "stem files have four stems");
        let how = how_to_install();
        let no_ffmpeg = || AudioError::NoEncoder { path: path.into(), format: "a stem file", how };
        let ffmpeg = find_ffmpeg().ok_or_else(no_ffmpeg)?;
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = tempfile::Builder::new().prefix(".unbraid-").tempdir_in(parent);
        let dir = dir.map_err(AudioError::io(parent, "make a temporary folder in"))?;
        let track = |idx: usize| WavWriter::create(track_path(&dir, idx), sample_rate_hz, WavFormat::Float32);
        let tracks = (0..5).map(track).collect::<Result<_, _>>()?;
        let names = names.iter().map(|name| name.to_string()).collect();
        Ok(StemFileWriter { path: path.into(), ffmpeg, dir, names, tracks, kbps, tags })
    }

    /// Appends samples of every stem, `[stem_idx][channel_idx][sample_idx]`; the song is their sum.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn write(&mut self, stems: &[[Vec<f32>; 2]]) -> Result<(), AudioError> {
        let mut song = stems[0].clone();
        for stem in &stems[1..] {
            for (song, stem) in song.iter_mut().zip(stem) {
                song.iter_mut().zip(stem).for_each(|(song, x)| *song += x);
            }
        }
        for (track, [left, right]) in self.tracks.iter_mut().zip(std::iter::once(&song).chain(stems)) {
            track.write([left, right])?;
        }
        Ok(())
    }

    /// Encodes the file and gives it its name.
    ///
    /// # Errors
    /// ffmpeg failed, or the disk is full or gone.
    pub fn finish(mut self) -> Result<(), AudioError> {
        for track in self.tracks.drain(..) {
            track.finish()?;
        }
        // Names that DJ programs know in their order, the others in the gaps.
        let mut order: Vec<Option<usize>> =
            ORDER.iter().map(|known| self.names.iter().position(|name| known.contains(&name.as_str()))).collect();
        for stem_idx in 0..4 {
            if !order.contains(&Some(stem_idx))
                && let Some(gap) = order.iter_mut().find(|place| place.is_none())
            {
                *gap = Some(stem_idx);
            }
        }
        let order: Vec<usize> = order.into_iter().flatten().collect();
        let part = part_path(&self.path);
        let result = self
            .encode(&order, &part)
            .and_then(|()| add_stem_box(&part, &self.metadata(&order)).map_err(AudioError::io(&part, "write")))
            .and_then(|()| put_in_place(&part, &self.path).map_err(AudioError::io(&self.path, "rename")));
        if result.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        result
    }

    fn encode(&self, order: &[usize], part: &Path) -> Result<(), AudioError> {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
        for track in std::iter::once(0).chain(order.iter().map(|stem_idx| stem_idx + 1)) {
            command.arg("-i").arg(track_path(&self.dir, track));
        }
        for track in 0..5 {
            command.args(["-map", &format!("{track}:a")]);
        }
        command.args(["-c:a", "aac", "-b:a", &format!("{}k", self.kbps), "-disposition:a:0", "default"]);
        for track in 1..5 {
            command.args([&format!("-disposition:a:{track}"), "0"]);
        }
        for (name, value) in &self.tags.fields {
            command.arg("-metadata").arg(format!("{}={value}", super::encoder::ffmpeg_name(name)));
        }
        let mut url = std::ffi::OsString::from("file:");
        url.push(part);
        let output = command.args(["-f", "mp4"]).arg(url).stdin(Stdio::null()).output();
        let output = output.map_err(AudioError::io(&self.ffmpeg, "start"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let message = said.lines().last().unwrap_or("it failed without a message").to_string();
        Err(AudioError::Encoder { path: self.path.clone(), ffmpeg: self.ffmpeg.clone(), message })
    }

    /// With the mastering chain switched off: the song is the sum of its stems.
    fn metadata(&self, order: &[usize]) -> String {
        let stems: Vec<_> = order
            .iter()
            .zip(COLOURS)
            .map(|(stem_idx, colour)| serde_json::json!({ "name": self.names[*stem_idx], "color": colour }))
            .collect();
        serde_json::json!({
            "version": 1,
            "mastering_dsp": {
                "compressor": { "enabled": false, "ratio": 3, "output_gain": 0.5, "release": 0.3, "attack": 0.003,
                    "input_gain": 0.5, "threshold": 0, "hp_cutoff": 300, "dry_wet": 50 },
                "limiter": { "enabled": false, "release": 0.05, "threshold": 0, "ceiling": -0.35 },
            },
            "stems": stems,
        })
        .to_string()
    }
}

fn track_path(dir: &tempfile::TempDir, idx: usize) -> PathBuf {
    dir.path().join(format!("{idx}.wav"))
}

/// Puts a box `stem` into `moov/udta`, which must be at the end of the file, as ffmpeg writes it: nothing else moves.
fn add_stem_box(path: &Path, json: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let file_len = file.seek(SeekFrom::End(0))?;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "expected an MP4 file that ends with its header");
    let (moov, moov_len) =
        boxes(&mut file, 0, file_len)?.into_iter().find(|b| &b.2 == b"moov").map(|b| (b.0, b.1)).ok_or_else(bad)?;
    if moov + moov_len != file_len {
        return Err(bad());
    }
    let stem = [&(json.len() as u32 + 8).to_be_bytes()[..], b"stem", json.as_bytes()].concat();
    let udta = boxes(&mut file, moov + 8, file_len)?.into_iter().find(|b| &b.2 == b"udta");
    let added = match udta {
        Some((udta, udta_len, _)) if udta + udta_len == file_len => {
            write_len(&mut file, udta, udta_len + stem.len() as u64)?;
            stem
        }
        Some(_) => return Err(bad()),
        None => [&(stem.len() as u32 + 8).to_be_bytes()[..], b"udta", &stem].concat(),
    };
    write_len(&mut file, moov, moov_len + added.len() as u64)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(&added)
}

fn write_len(file: &mut File, at: u64, len: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&(len as u32).to_be_bytes())
}

/// Start, length and name of the boxes in a range.
fn boxes(file: &mut File, mut at: u64, end: u64) -> io::Result<Vec<(u64, u64, [u8; 4])>> {
    let mut found = Vec::new();
    while at + 8 <= end {
        let mut header = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        let header_len = if at + 16 <= end { 16 } else { 8 };
        file.read_exact(&mut header[..header_len])?;
        let len = match u32::from_be_bytes(header[..4].try_into().expect("4 bytes")) {
            0 => end - at,
            1 => u64::from_be_bytes(header[8..].try_into().expect("8 bytes")),
            len => u64::from(len),
        };
        if len < 8 {
            break;
        }
        found.push((at, len, header[4..8].try_into().expect("4 bytes")));
        at += len;
    }
    Ok(found)
}
