//! Bytes of a file at any place, without a seek for each.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are read at a time.
const READ_LEN: usize = 1 << 17;

/// A file of which a stretch is in memory.
pub(crate) struct Window {
    file: File,
    file_len: u64,
    /// Where `bytes` begins.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub fn open(path: &Path) -> io::Result<Window> {
        let mut file = File::open(path)?;
        let file_len = file.seek(SeekFrom::End(0))?;
        Ok(Window { file, file_len, start: 0, bytes: Vec::new() })
    }

    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The `len` bytes at `position`; fewer at the end of the file.
    pub fn at(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let end = self.file_len.min(position.saturating_add(len as u64));
        let inside = self.start..=self.start + self.bytes.len() as u64;
        if !inside.contains(&position) || !inside.contains(&end) {
            self.start = position.min(self.file_len);
            self.file.seek(SeekFrom::Start(self.start))?;
            let wanted = READ_LEN.max(len) as u64;
            self.bytes.clear();
            (&mut self.file).take(wanted).read_to_end(&mut self.bytes)?;
        }
        let from = ((position - self.start) as usize).min(self.bytes.len());
        Ok(&self.bytes[from..self.bytes.len().min(from + len)])
    }

    /// The `N` bytes at `position`, `None` beyond the end.
    pub fn array<const N: usize>(&mut self, position: u64) -> io::Result<Option<[u8; N]>> {
        Ok(self.at(position, N)?.try_into().ok())
    }
}
