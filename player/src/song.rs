//! A song in memory, as far as it is decoded.

use anyhow::Result;
use audio::{AudioReader, ReadOptions};
use separator::Stereo;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

/// Samples of a block; what is decoded is seen when its block is full.
const BLOCK_LEN: usize = 8192;
/// 13 hours at 44.1 kHz.
const MAX_BLOCKS: usize = 1 << 18;
/// Samples of a peak.
pub const PEAK_LEN: usize = 1024;
/// While the length is not known.
const UNKNOWN: i64 = -1;

/// The mix of a song. Any thread reads what is there, without waiting; one thread decodes the rest.
pub struct LoadedSong {
    path: PathBuf,
    sample_rate_hz: u32,
    estimated_len: i64,
    /// `[block][channel][sample]`
    blocks: Vec<OnceLock<Box<[[f32; BLOCK_LEN]; 2]>>>,
    num_decoded: AtomicI64,
    /// Samples of the song, or [`UNKNOWN`].
    len: AtomicI64,
    peaks: Mutex<Vec<f32>>,
    error: Mutex<Option<String>>,
    stop: AtomicBool,
}

impl LoadedSong {
    /// Opens a file; a thread of its own decodes it.
    ///
    /// # Errors
    /// The file is none that can be read.
    pub fn open(path: &Path) -> Result<Arc<LoadedSong>> {
        let options = ReadOptions { skip_damaged: true, ..ReadOptions::default() };
        let reader = AudioReader::open_with(path, options)?;
        let song = Arc::new(LoadedSong {
            path: path.to_owned(),
            sample_rate_hz: reader.sample_rate_hz(),
            estimated_len: reader.estimated_num_samples().unwrap_or(0) as i64,
            blocks: (0..MAX_BLOCKS).map(|_| OnceLock::new()).collect(),
            num_decoded: AtomicI64::new(0),
            len: AtomicI64::new(UNKNOWN),
            peaks: Mutex::default(),
            error: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let decoding = song.clone();
        thread::Builder::new().name("unbraid-decoder".into()).spawn(move || decoding.decode(reader))?;
        Ok(song)
    }

    fn decode(&self, mut reader: AudioReader) {
        let (mut part, mut block) = (Stereo::default(), Box::new([[0.0; BLOCK_LEN]; 2]));
        let (mut num_blocks, mut filled) = (0, 0);
        while num_blocks < MAX_BLOCKS && !self.stop.load(Ordering::Relaxed) {
            let len = match reader.read_block(&mut part) {
                Ok(len) => len,
                Err(error) => {
                    *lock(&self.error) = Some(error.to_string());
                    0
                }
            };
            if len == 0 {
                break;
            }
            let mut taken = 0;
            while taken < len && num_blocks < MAX_BLOCKS {
                let num = (len - taken).min(BLOCK_LEN - filled);
                for channel in 0..2 {
                    block[channel][filled..filled + num].copy_from_slice(&part[channel][taken..taken + num]);
                }
                (taken, filled) = (taken + num, filled + num);
                if filled == BLOCK_LEN {
                    self.keep(num_blocks, std::mem::replace(&mut block, Box::new([[0.0; BLOCK_LEN]; 2])), BLOCK_LEN);
                    (num_blocks, filled) = (num_blocks + 1, 0);
                }
            }
        }
        if filled > 0 {
            self.keep(num_blocks, block, filled);
        }
        self.len.store(self.num_decoded.load(Ordering::Relaxed), Ordering::Release);
    }

    fn keep(&self, block_idx: usize, block: Box<[[f32; BLOCK_LEN]; 2]>, len: usize) {
        let peak = |range: std::ops::Range<usize>| {
            block.iter().flat_map(|channel| &channel[range.clone()]).fold(0.0_f32, |peak, x| peak.max(x.abs()))
        };
        let peaks = (0..len).step_by(PEAK_LEN).map(|start| peak(start..len.min(start + PEAK_LEN)));
        lock(&self.peaks).extend(peaks);
        let _ = self.blocks[block_idx].set(block);
        self.num_decoded.fetch_add(len as i64, Ordering::Release);
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Samples per second.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Samples that can be read already.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_decoded(&self) -> i64 {
        self.num_decoded.load(Ordering::Acquire)
    }

    /// Samples of the song, once all of it is decoded.
    ///
    /// # Realtime
    /// Safe.
    pub fn known_len(&self) -> Option<i64> {
        Some(self.len.load(Ordering::Acquire)).filter(|&len| len != UNKNOWN)
    }

    /// Samples of the song, as far as one can tell.
    ///
    /// # Realtime
    /// Safe.
    pub fn likely_len(&self) -> i64 {
        self.known_len().unwrap_or_else(|| self.num_decoded().max(self.estimated_len))
    }

    /// Why decoding has ended early.
    pub fn error(&self) -> Option<String> {
        lock(&self.error).clone()
    }

    /// The largest magnitude of every [`PEAK_LEN`] samples that are there; those from `from` on are added to `peaks`.
    pub fn peaks_into(&self, peaks: &mut Vec<f32>) {
        let known = lock(&self.peaks);
        peaks.extend_from_slice(known.get(peaks.len()..).unwrap_or_default());
    }

    /// The samples from `position` on, `[channel][sample]`; silence where there is nothing, or not yet.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock, no system call.
    pub fn read_into(&self, position: i64, out: [&mut [f32]; 2]) {
        let len = out[0].len();
        for (channel_idx, out) in out.into_iter().enumerate() {
            let mut done = 0;
            while done < len {
                let at = position + done as i64;
                let (block_idx, offset) = (at.div_euclid(BLOCK_LEN as i64), at.rem_euclid(BLOCK_LEN as i64) as usize);
                let num = (BLOCK_LEN - offset).min(len - done);
                let out = &mut out[done..done + num];
                let block = usize::try_from(block_idx).ok().and_then(|idx| self.blocks.get(idx)?.get());
                match block {
                    Some(block) => out.copy_from_slice(&block[channel_idx][offset..offset + num]),
                    None => out.fill(0.0),
                }
                done += num;
            }
        }
    }

    /// Ends the decoding.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
