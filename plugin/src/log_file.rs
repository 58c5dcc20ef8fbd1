//! The log file: one per user, in the place that the system has for such files, never longer than two megabytes.

use directories::{BaseDirs, ProjectDirs};
use nice_plug::log::NiceLogWriter;
use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Sends messages elsewhere (`stderr`, or a file), for developers; nice-plug reads it.
const LOG_VARIABLE: &str = "NICE_LOG";
const FILE_NAME: &str = "unbraid.log";
/// Where the log goes when it is full.
const OLD_FILE_NAME: &str = "unbraid.old.log";
const MAX_LEN: u64 = 1 << 20;

/// The folder of the log: `~/.local/state/unbraid` (or below `$XDG_STATE_HOME`) on Linux, `~/Library/Logs/Unbraid` on
/// macOS, `%LOCALAPPDATA%\unbraid\data` on Windows. None without a home.
///
/// # Realtime
/// Not safe: allocates, reads the environment.
pub fn log_dir() -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return Some(BaseDirs::new()?.home_dir().join("Library/Logs/Unbraid"));
    }
    let dirs = ProjectDirs::from("", "", "unbraid")?;
    Some(dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned())
}

/// Sends all messages of this library to the log file and to where nice-plug sends them. None: nice-plug does as it
/// always does, since `NICE_LOG` says where to, or since there is no place for a file.
///
/// # Realtime
/// Not safe: opens a file.
pub fn set_up() -> Option<bool> {
    if env::var_os(LOG_VARIABLE).is_some_and(|target| !target.is_empty()) {
        return None;
    }
    let file = LogFile::open(&log_dir()?).ok()?;
    let writer = Mutex::new(Both { file, console: NiceLogWriter::from_environment() });
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_target(false)
        .with_ansi(false)
        .with_writer(writer)
        .finish();
    Some(tracing::subscriber::set_global_default(subscriber).is_ok())
}

struct Both {
    file: LogFile,
    console: NiceLogWriter,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Hosts without a console are common, and so are full disks: neither may keep the other from its message.
        let _ = self.console.write_all(bytes);
        let _ = self.file.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.console.flush();
        Ok(())
    }
}

/// A file that starts anew before it gets too long; the one before it is kept.
struct LogFile {
    dir: PathBuf,
    file: File,
    len: u64,
}

impl LogFile {
    fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let file = File::options().create(true).append(true).open(dir.join(FILE_NAME))?;
        let len = file.metadata()?.len();
        Ok(LogFile { dir: dir.to_owned(), file, len })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.len + bytes.len() as u64 > MAX_LEN && self.len > 0 {
            fs::rename(self.dir.join(FILE_NAME), self.dir.join(OLD_FILE_NAME))?;
            *self = LogFile::open(&self.dir.clone())?;
        }
        self.len += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_never_grows_beyond_its_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state/unbraid");
        let line = [b'x'; 1000];
        for _ in 0..5 {
            // As if the host were started again.
            let mut log = LogFile::open(&dir).unwrap();
            (0..700).for_each(|_| log.append(&line).unwrap());
        }
        let len = |name: &str| fs::metadata(dir.join(name)).unwrap().len();
        assert!((1_000..=MAX_LEN).contains(&len(FILE_NAME)));
        assert!((MAX_LEN - 1_000..=MAX_LEN).contains(&len(OLD_FILE_NAME)));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    }

    #[test]
    fn there_is_a_place_for_the_log() {
        // In the words of the documentation; XDG_STATE_HOME and a home elsewhere are the user's choice.
        let dir = log_dir().unwrap();
        assert!(dir.is_absolute() && dir.display().to_string().to_lowercase().contains("unbraid"), "{}", dir.display());
    }
}
