//! Reading: samples of the song alone, block by block.

use super::native::{NativeError, Step};
use super::{AudioReader, downmix, to_audio_error};
use crate::AudioError;

/// Longer silence comes in parts.
const MAX_BLOCK_LEN: u64 = 1 << 16;

impl AudioReader {
    /// The next packet; what could not be decoded is counted, or an error.
    pub(super) fn step(&mut self) -> Result<Step, AudioError> {
        let (path, position) = (&self.path, self.position);
        let rate_hz = self.native.sample_rate_hz;
        let step = self.native.step().map_err(|error| match (&self.notes.ffmpeg, error) {
            (Some(ffmpeg), NativeError::Io(error)) => {
                AudioError::Ffmpeg { path: path.clone(), ffmpeg: ffmpeg.clone(), message: error.to_string() }
            }
            (_, error) => to_audio_error(error, path, path, position, rate_hz),
        })?;
        if let Step::Lost(len) = step {
            if !self.options.skip_damaged {
                let reason = "a packet could not be decoded".to_string();
                return Err(AudioError::Damaged { path: path.clone(), position, reason });
            }
            self.notes.num_damaged += 1;
            self.notes.num_silent += len;
        }
        Ok(step)
    }

    /// Replaces the contents of `block`, `[channel_idx][sample_idx]`, by the next samples: as many as the file's next
    /// packet holds, some hundreds to some thousands. Returns their number; 0 is the end.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is shorter than it says.
    pub fn read_block(&mut self, block: &mut [Vec<f32>; 2]) -> Result<usize, AudioError> {
        block.iter_mut().for_each(Vec::clear);
        loop {
            if self.is_finished || self.num_samples.is_some_and(|expected| self.position >= expected) {
                return Ok(0);
            }
            let step = match self.pending.take() {
                Some(step) => step,
                None => self.step()?,
            };
            let step_len = match step {
                Step::Samples => self.native.planes[0].len() as u64,
                Step::Lost(len) => len,
                Step::End => return self.end(),
            };
            let start = self.skip.min(step_len);
            self.skip -= start;
            let rest = self.num_samples.map_or(u64::MAX, |expected| expected - self.position);
            let len = (step_len - start).min(rest).min(MAX_BLOCK_LEN);
            if len == 0 {
                continue;
            }
            match step {
                Step::Samples => self.copy_into(block, start as usize, len as usize),
                _ => {
                    block.iter_mut().for_each(|channel| channel.resize(len as usize, 0.0));
                    if step_len - start > len {
                        self.pending = Some(Step::Lost(step_len - start - len));
                    }
                }
            }
            self.position += len;
            return Ok(len as usize);
        }
    }

    fn copy_into(&mut self, block: &mut [Vec<f32>; 2], start: usize, len: usize) {
        let planes = &self.native.planes;
        if planes.len() <= 2 {
            let right = planes.len() - 1;
            block[0].extend_from_slice(&planes[0][start..start + len]);
            block[1].extend_from_slice(&planes[right][start..start + len]);
        } else {
            if self.factors[0].len() != planes.len() {
                self.factors = downmix::factors(&self.native.channels, planes.len());
            }
            for (out, factors) in block.iter_mut().zip(&self.factors) {
                out.resize(len, 0.0);
                for (plane, factor) in planes.iter().zip(factors).filter(|(_, factor)| **factor != 0.0) {
                    out.iter_mut().zip(&plane[start..start + len]).for_each(|(out, x)| *out += x * factor);
                }
            }
        }
        let num_not_finite = block.iter().flatten().filter(|x| !x.is_finite()).count();
        self.notes.num_not_finite += num_not_finite as u64;
    }

    fn end(&mut self) -> Result<usize, AudioError> {
        self.is_finished = true;
        if self.position == 0 {
            return Err(AudioError::Empty { path: self.path.clone() });
        }
        match self.num_samples {
            Some(expected) if self.position < expected && !self.options.keep_going => Err(AudioError::Truncated {
                path: self.path.clone(),
                expected: Some(expected),
                found: Some(self.position),
            }),
            Some(expected) => {
                self.notes.is_cut |= self.position < expected;
                Ok(0)
            }
            None => Ok(0),
        }
    }
}
