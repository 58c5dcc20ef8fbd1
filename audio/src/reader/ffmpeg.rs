//! An installed ffmpeg, for the formats that are not decoded here.

use std::env;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Environment variable with the path of ffmpeg; empty: none is used.
pub const FFMPEG_VARIABLE: &str = "UNBRAID_FFMPEG";

/// The ffmpeg that is installed: that of [`FFMPEG_VARIABLE`], else the first one on the PATH.
pub fn find_ffmpeg() -> Option<PathBuf> {
    if let Some(path) = env::var_os(FFMPEG_VARIABLE) {
        return (!path.is_empty()).then(|| path.into());
    }
    let name = format!("ffmpeg{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(&name)).find(|path| path.is_file())
}

/// How to get it, for messages.
pub(crate) fn how_to_install() -> &'static str {
    if cfg!(target_os = "macos") {
        "`brew install ffmpeg`"
    } else if cfg!(windows) {
        "`winget install ffmpeg`"
    } else {
        "`apt install ffmpeg`, or the package of your system"
    }
}

/// A running ffmpeg that decodes the first audio track of a file into a WAV stream.
pub(crate) struct Decoding {
    child: Child,
    stdout: ChildStdout,
    complaints: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Decoding {
    pub fn start(ffmpeg: &Path, song: &Path) -> io::Result<Decoding> {
        // `file:`, since ffmpeg takes names like `concat:a` for protocols.
        let mut url = std::ffi::OsString::from("file:");
        url.push(song);
        let mut child = Command::new(ffmpeg)
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-i"])
            .arg(url)
            .args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-c:a", "pcm_f32le", "-f", "wav", "-rf64", "never", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut stderr = child.stderr.take().expect("it is piped");
        let complaints = Arc::new(Mutex::new(String::new()));
        // Read beside the samples: a full pipe of messages would stop ffmpeg.
        let listener = std::thread::spawn({
            let complaints = Arc::clone(&complaints);
            move || {
                let mut text = Vec::new();
                let _ = stderr.read_to_end(&mut text);
                *complaints.lock().unwrap_or_else(PoisonError::into_inner) = String::from_utf8_lossy(&text).into();
            }
        });
        Ok(Decoding { child, stdout, complaints, listener: Some(listener) })
    }

    /// After the last sample: an error if ffmpeg failed, else what it complained about.
    fn end(&mut self) -> io::Result<()> {
        let status = self.child.wait()?;
        self.listener.take().map(JoinHandle::join);
        let text = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(text.lines().last().unwrap_or("it failed without a message").to_string())),
        }
    }
}

impl Read for Decoding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.stdout.read(buffer)?;
        if len == 0 && !buffer.is_empty() {
            self.end()?;
        }
        Ok(len)
    }
}

impl Drop for Decoding {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
