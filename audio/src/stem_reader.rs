//! The stems of a song, read in step.

use crate::{AudioError, AudioReader, StemFolder};

/// Streams the stems of a [`StemFolder`] in blocks of equal length.
pub struct StemReader {
    /// In the order of [`crate::STEM_NAMES`]; `None` is declared missing.
    stems: [Option<Stem>; 4],
    sample_rate_hz: u32,
    num_samples: Option<u64>,
}

struct Stem {
    reader: AudioReader,
    /// The last packet, `[channel_idx][sample_idx]`, used up to `used`.
    packet: [Vec<f32>; 2],
    used: usize,
}

impl StemReader {
    /// Opens the files of all stems that the song has.
    ///
    /// # Errors
    /// A file cannot be opened; sample rates differ; or lengths differ, as far as the files announce them.
    pub fn open(folder: &StemFolder) -> Result<StemReader, AudioError> {
        let mut stems = [const { None }; 4];
        for (stem_idx, stem) in stems.iter_mut().enumerate() {
            if let Some(path) = folder.file(stem_idx) {
                let reader = AudioReader::open(path)?;
                *stem = Some(Stem { reader, packet: [Vec::new(), Vec::new()], used: 0 });
            }
        }
        let mut readers = stems.iter().flatten().map(|stem| &stem.reader);
        let first = readers.next().expect("StemFolder holds at least one stem");
        let (sample_rate_hz, num_samples) = (first.sample_rate_hz(), first.num_samples());
        for reader in readers {
            if reader.sample_rate_hz() != sample_rate_hz {
                return Err(mismatch(
                    reader,
                    format!("{sample_rate_hz} Hz"),
                    format!("{} Hz", reader.sample_rate_hz()),
                ));
            }
            if let (Some(expected), Some(found)) = (num_samples, reader.num_samples())
                && expected != found
            {
                return Err(mismatch(reader, format!("{expected} samples"), format!("{found} samples")));
            }
        }
        Ok(StemReader { stems, sample_rate_hz, num_samples })
    }

    /// Samples per second of every stem.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Number of samples of every stem, where the files say it.
    pub fn num_samples(&self) -> Option<u64> {
        self.num_samples
    }

    /// Replaces the contents of `block`, `[stem_idx][channel_idx][sample_idx]` in the order of [`crate::STEM_NAMES`], by
    /// the next `max_len` samples, fewer only at the end, of every stem; missing stems are silent. Returns the number; 0
    /// is the end.
    ///
    /// # Errors
    /// As [`AudioReader::read_block`]; or a stem ends before the others.
    pub fn read_block(&mut self, max_len: usize, block: &mut [[Vec<f32>; 2]; 4]) -> Result<usize, AudioError> {
        let mut first_len = None;
        for (stem, samples) in self.stems.iter_mut().zip(block.iter_mut()) {
            samples.iter_mut().for_each(Vec::clear);
            let Some(stem) = stem else { continue };
            stem.fill(max_len, samples)?;
            let (len, expected) = (samples[0].len(), *first_len.get_or_insert(samples[0].len()));
            if len != expected {
                let ends = |at_end: bool| if at_end { "an earlier end" } else { "a later end" }.to_string();
                return Err(mismatch(&stem.reader, "the same length".into(), ends(len < expected)));
            }
        }
        let len = first_len.unwrap_or(0);
        block.iter_mut().flatten().for_each(|channel| channel.resize(len, 0.0));
        Ok(len)
    }
}

impl Stem {
    fn fill(&mut self, max_len: usize, samples: &mut [Vec<f32>; 2]) -> Result<(), AudioError> {
        while samples[0].len() < max_len {
            if self.used == self.packet[0].len() {
                self.used = 0;
                if self.reader.read_block(&mut self.packet)? == 0 {
                    break;
                }
            }
            let end = self.packet[0].len().min(self.used + max_len - samples[0].len());
            for (out, packet) in samples.iter_mut().zip(&self.packet) {
                out.extend_from_slice(&packet[self.used..end]);
            }
            self.used = end;
        }
        Ok(())
    }
}

fn mismatch(reader: &AudioReader, expected: String, found: String) -> AudioError {
    AudioError::StemMismatch { path: reader.path().to_path_buf(), expected, found }
}
