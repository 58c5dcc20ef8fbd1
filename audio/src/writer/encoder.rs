//! Lossy files through an installed ffmpeg, which gets the samples through a pipe.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use base::{part_path, put_in_place};

use super::{FileFormat, Tags};
use crate::AudioError;
use crate::reader::{find_ffmpeg, how_to_install};

/// Writes one stereo file through ffmpeg, beside its name; renamed when complete.
pub(crate) struct Encoder {
    path: PathBuf,
    part_path: PathBuf,
    ffmpeg: PathBuf,
    /// `None` only after `finish`.
    child: Option<Child>,
    stdin: Option<BufWriter<ChildStdin>>,
    listener: Option<JoinHandle<String>>,
    /// The cover, while ffmpeg needs it.
    _cover: Option<tempfile::TempPath>,
    bytes: Vec<u8>,
}

impl Encoder {
    pub fn create(path: &Path, rate_hz: u32, format: FileFormat, tags: &Tags) -> Result<Encoder, AudioError> {
        let no_ffmpeg = || AudioError::NoEncoder { path: path.into(), format: format.name(), how: how_to_install() };
        let ffmpeg = find_ffmpeg().ok_or_else(no_ffmpeg)?;
        let part_path = part_path(path);
        let cover = match (&tags.cover, format) {
            (Some(cover), FileFormat::Mp3 { .. } | FileFormat::M4a { .. }) => {
                let mut file = tempfile::NamedTempFile::new().map_err(AudioError::io(path, "write the cover of"))?;
                file.write_all(&cover.data).map_err(AudioError::io(path, "write the cover of"))?;
                Some(file.into_temp_path())
            }
            _ => None,
        };
        let mut command = Command::new(&ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]);
        command.args(["-f", "f32le", "-ar", &rate_hz.to_string(), "-ac", "2", "-i", "-"]);
        if let Some(cover) = &cover {
            command.arg("-i").arg(cover).args(["-map", "0:a", "-map", "1:v", "-c:v", "copy"]);
            command.args(["-disposition:v:0", "attached_pic"]);
        }
        let (codec, kbps, container) = match format {
            FileFormat::Mp3 { kbps } => ("libmp3lame", kbps, "mp3"),
            FileFormat::Opus { kbps } => ("libopus", kbps, "ogg"),
            FileFormat::M4a { kbps } => ("aac", kbps, "ipod"),
            FileFormat::Wav { .. } | FileFormat::Flac { .. } => unreachable!("these are written without ffmpeg"),
        };
        command.args(["-c:a", codec, "-b:a", &format!("{kbps}k"), "-f", container]);
        if container == "mp3" {
            command.args(["-id3v2_version", "3"]);
        }
        for (name, value) in &tags.fields {
            command.arg("-metadata").arg(format!("{}={value}", ffmpeg_name(name)));
        }
        let mut url = std::ffi::OsString::from("file:");
        url.push(&part_path);
        command.arg(url).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(AudioError::io(&ffmpeg, "start"))?;
        let stdin = BufWriter::with_capacity(1 << 16, child.stdin.take().expect("it is piped"));
        let mut stderr = child.stderr.take().expect("it is piped");
        let listener = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_string()
        });
        Ok(Encoder {
            path: path.to_path_buf(),
            part_path,
            ffmpeg,
            child: Some(child),
            stdin: Some(stdin),
            listener: Some(listener),
            _cover: cover,
            bytes: Vec::new(),
        })
    }

    pub fn write(&mut self, [left, right]: [&[f32]; 2]) -> Result<(), AudioError> {
        self.bytes.clear();
        self.bytes.extend(left.iter().zip(right).flat_map(|(l, r)| [*l, *r]).flat_map(f32::to_le_bytes));
        let result = self.stdin.as_mut().expect("only finish takes it").write_all(&self.bytes);
        result.map_err(|error| self.failed(&error))
    }

    /// What ffmpeg said, or else `error`.
    fn failed(&mut self, error: &io::Error) -> AudioError {
        self.stdin = None;
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
        let said = self.listener.take().and_then(|listener| listener.join().ok()).unwrap_or_default();
        let message = said.lines().last().map_or_else(|| error.to_string(), String::from);
        AudioError::Encoder { path: self.path.clone(), ffmpeg: self.ffmpeg.clone(), message }
    }

    pub fn finish(mut self) -> Result<(), AudioError> {
        let flushed = self.stdin.take().expect("only finish takes it").into_inner();
        if let Err(error) = flushed.map(drop) {
            return Err(self.failed(error.error()));
        }
        let status = self.child.as_mut().expect("only finish takes it").wait();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(self.failed(&io::Error::other(status.to_string()))),
            Err(error) => return Err(self.failed(&error)),
        }
        put_in_place(&self.part_path, &self.path).map_err(AudioError::io(&self.path, "rename"))?;
        self.child = None;
        Ok(())
    }
}

/// Names of fields as ffmpeg has them for all its containers.
pub(crate) fn ffmpeg_name(name: &str) -> String {
    match name {
        "TRACKNUMBER" => "track".into(),
        "ALBUMARTIST" => "album_artist".into(),
        name => name.to_lowercase(),
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_file(&self.part_path);
        }
    }
}
