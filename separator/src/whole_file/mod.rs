//! Whole files: stems as long as the file and aligned with it, in constant memory.

mod batch;
mod order;
mod workers;

use crate::{Pipeline, SeparatorError, Stereo, schedule::Schedule, stream::Stream};
use workers::Workers;

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
    work: Work,
    schedule: Schedule,
    /// The job being filled.
    job_idx: i64,
    num_pushed: u64,
    /// The first job that adds nothing to any slice of the song, once it is known.
    end_job_idx: Option<i64>,
    /// Slices after the one that ends with a hop that hold samples of that hop.
    num_later_slices: i64,
    given: Given,
}

/// Who computes.
enum Work {
    /// Whoever calls. With the job being filled, `[channel][sample]`, and its stems, `[stem][channel][sample]`.
    Caller { stream: Box<Stream>, mix: Stereo, stems: Vec<Stereo> },
    /// Threads.
    Workers(Workers),
}

/// What has been given to the sink.
#[derive(Default)]
struct Given {
    num_jobs: i64,
}

impl FileSeparator {
    /// A separator of files at `sample_rate_hz`, whatever the model's rate is. It computes on the thread that calls it.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(pipeline: Pipeline, sample_rate_hz: f64) -> Self {
        let schedule =
            Schedule::new(sample_rate_hz, pipeline.sample_rate_hz(), pipeline.hop_len(), pipeline.delay_samples());
        let num_later_slices = pipeline.num_later_slices() as i64;
        let stems = vec![Default::default(); pipeline.num_stems()];
        let stream = Box::new(Stream::new(pipeline, schedule.clone()));
        let work = Work::Caller { stream, mix: Default::default(), stems };
        FileSeparator {
            work,
            schedule,
            job_idx: 0,
            num_pushed: 0,
            end_job_idx: None,
            num_later_slices,
            given: Given::default(),
        }
    }

    /// The same on `num_threads` threads of its own, with the same bits. Stems come later, by a few times 8192 samples for
    /// each thread. Models that are for files only ([`models::Offline`]) have other threads:
    /// [`Runtime::set_file_threads`](crate::Runtime::set_file_threads).
    ///
    /// # Errors
    /// [`SeparatorError`] as [`Graph::open`](crate::Graph::open): the graph is opened once more, in parts.
    pub fn with_threads(pipeline: Pipeline, sample_rate_hz: f64, num_threads: usize) -> Result<Self, SeparatorError> {
        let graph = pipeline.graph().clone();
        let mut separator = FileSeparator::new(pipeline, sample_rate_hz);
        if num_threads > 1
            && graph.model().manifest.offline.is_none()
            && let Some(workers) = Workers::start(&graph, &separator.schedule, num_threads)?
        {
            separator.work = Work::Workers(workers);
        }
        Ok(separator)
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
        let silence = vec![0.0; self.schedule.max_job_len() as usize];
        // A slice spans several hops: those that end with the first jobs of silence still hold samples of the song.
        let is_begun = self.schedule.job_end(self.job_idx - 1) < self.num_pushed as i64;
        self.end_job_idx = Some(self.job_idx + i64::from(is_begun) + self.num_later_slices);
        while self.schedule.stems_end(self.job_idx - 1) < self.num_pushed as i64 {
            self.feed([&silence, &silence], sink)?;
        }
        if let Work::Workers(workers) = &mut self.work {
            let (schedule, given, num_pushed) = (&self.schedule, &mut self.given, self.num_pushed);
            workers.finish(&mut |stems| given.give(schedule, num_pushed, stems, sink))?;
        }
        Ok(())
    }

    fn feed(&mut self, mut input: [&[f32]; 2], sink: &mut dyn FnMut(&[Stereo])) -> Result<(), SeparatorError> {
        let (schedule, given, num_pushed) = (&self.schedule, &mut self.given, self.num_pushed);
        let mut give = |stems: &mut [Stereo]| given.give(schedule, num_pushed, stems, sink);
        while !input[0].is_empty() {
            let job_len = (schedule.job_end(self.job_idx) - schedule.job_end(self.job_idx - 1)) as usize;
            let mix = match &mut self.work {
                Work::Caller { mix, .. } => mix,
                Work::Workers(workers) => workers.mix_mut(),
            };
            let num_taken = input[0].len().min(job_len - mix[0].len());
            for (mix, input) in mix.iter_mut().zip(&mut input) {
                mix.extend_from_slice(&input[..num_taken]);
                *input = &input[num_taken..];
            }
            if mix[0].len() < job_len {
                break;
            }
            let is_end = self.end_job_idx == Some(self.job_idx);
            self.job_idx += 1;
            match &mut self.work {
                Work::Caller { stream, mix, stems } => {
                    if is_end {
                        stream.end();
                    }
                    stream.process_job(mix, stems)?;
                    give(stems);
                    mix.iter_mut().for_each(Vec::clear);
                }
                Work::Workers(workers) => workers.push(is_end, &mut give)?,
            }
        }
        Ok(())
    }
}

impl Given {
    /// Gives the part of the next job's stems that lies inside the file.
    fn give(&mut self, schedule: &Schedule, num_pushed: u64, stems: &mut [Stereo], sink: &mut dyn FnMut(&[Stereo])) {
        let (start, end) = (schedule.stems_end(self.num_jobs - 1), schedule.stems_end(self.num_jobs));
        self.num_jobs += 1;
        let inside = (-start).clamp(0, end - start)..(num_pushed as i64 - start).clamp(0, end - start);
        if inside.is_empty() {
            return;
        }
        for samples in stems.iter_mut().flatten() {
            samples.truncate(inside.end as usize);
            samples.drain(..inside.start as usize);
        }
        sink(stems);
    }
}
