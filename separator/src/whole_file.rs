//! Whole files: stems as long as the file and aligned with it, in constant memory.

use crate::{Pipeline, SeparatorError, Stereo, schedule::Schedule, stream::Stream};

/// Separates a stream of known end: push all of it, then finish.
///
/// ```no_run
/// # fn main() -> Result<(), separator::SeparatorError> {
/// # let (pipeline, blocks): (separator::Pipeline, Vec<separator::Stereo>) = todo!();
/// let mut separator = separator::FileSeparator::new(pipeline, 48_000.0);
/// let mut write = |stems: &[separator::Stereo]| println!("{} samples of {} stems", stems[0][0].len(), stems.len());
/// for [left, right] in &blocks {
///     separator.push([left, right], &mut write)?;
/// }
/// separator.finish(&mut write)?;
/// # Ok(()) }
/// ```
pub struct FileSeparator {
    stream: Stream,
    job_idx: i64,
    /// `[channel][sample]`, the job being filled.
    mix: Stereo,
    /// `[stem][channel][sample]`
    stems: Vec<Stereo>,
    num_pushed: u64,
    num_given: u64,
    /// The first job that adds nothing to any slice of the song, once it is known.
    end_job_idx: Option<i64>,
    /// Slices after the one that ends with a hop that hold samples of that hop.
    num_later_slices: i64,
}

impl FileSeparator {
    /// A separator of files at `sample_rate_hz`, whatever the model's rate is.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(mut pipeline: Pipeline, sample_rate_hz: f64) -> Self {
        pipeline.reset();
        let schedule =
            Schedule::new(sample_rate_hz, pipeline.sample_rate_hz(), pipeline.hop_len(), pipeline.delay_samples());
        let stems = vec![Default::default(); pipeline.num_stems()];
        let num_later_slices = pipeline.num_later_slices();
        let stream = Stream::new(pipeline, schedule);
        FileSeparator {
            stream,
            job_idx: 0,
            mix: Default::default(),
            stems,
            num_pushed: 0,
            num_given: 0,
            end_job_idx: None,
            num_later_slices: num_later_slices as i64,
        }
    }

    /// Takes the next samples of the mix, `[channel][sample]`, any number (a mono file is pushed as two equal
    /// channels), and gives what stems are ready to `sink`: `[stem][channel][sample]`, stems in the manifest's order,
    /// all of the same length, each call continuing the one before.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime fails.
    ///
    /// # Panics
    /// If the channels differ in length.
    ///
    /// # Realtime
    /// Not safe: computes.
    pub fn push(&mut self, input: [&[f32]; 2], sink: &mut dyn FnMut(&[Stereo])) -> Result<(), SeparatorError> {
        assert_eq!(input[0].len(), input[1].len(), "channels must have one length");
        self.num_pushed += input[0].len() as u64;
        self.feed(input, sink)
    }

    /// Gives the rest of the stems: together they are as long as what was pushed.
    ///
    /// # Errors
    /// [`SeparatorError::Graph`] if ONNX Runtime fails.
    ///
    /// # Realtime
    /// Not safe: computes.
    pub fn finish(mut self, sink: &mut dyn FnMut(&[Stereo])) -> Result<(), SeparatorError> {
        let silence = vec![0.0; self.stream.schedule().max_job_len() as usize];
        // A slice spans several hops: those that end with the first jobs of silence still hold samples of the song.
        let is_begun = !self.mix[0].is_empty();
        self.end_job_idx = Some(self.job_idx + i64::from(is_begun) + self.num_later_slices);
        while self.num_given < self.num_pushed {
            self.feed([&silence, &silence], sink)?;
        }
        Ok(())
    }

    fn feed(&mut self, mut input: [&[f32]; 2], sink: &mut dyn FnMut(&[Stereo])) -> Result<(), SeparatorError> {
        while !input[0].is_empty() {
            let schedule = self.stream.schedule();
            let job_len = (schedule.job_end(self.job_idx) - schedule.job_end(self.job_idx - 1)) as usize;
            let num_taken = input[0].len().min(job_len - self.mix[0].len());
            for (mix, input) in self.mix.iter_mut().zip(&mut input) {
                mix.extend_from_slice(&input[..num_taken]);
                *input = &input[num_taken..];
            }
            if self.mix[0].len() == job_len {
                if self.end_job_idx == Some(self.job_idx) {
                    self.stream.end();
                }
                self.stream.process_job(&mut self.mix, &mut self.stems)?;
                self.give(sink);
                self.mix.iter_mut().for_each(Vec::clear);
                self.job_idx += 1;
            }
        }
        Ok(())
    }

    /// The part of the job's stems that lies inside the file.
    fn give(&mut self, sink: &mut dyn FnMut(&[Stereo])) {
        let schedule = self.stream.schedule();
        let (start, end) = (schedule.stems_end(self.job_idx - 1), schedule.stems_end(self.job_idx));
        let inside = (-start).clamp(0, end - start)..(self.num_pushed as i64 - start).clamp(0, end - start);
        if inside.is_empty() {
            return;
        }
        for samples in self.stems.iter_mut().flatten() {
            samples.truncate(inside.end as usize);
            samples.drain(..inside.start as usize);
        }
        self.num_given += (inside.end - inside.start) as u64;
        sink(&self.stems);
    }
}
