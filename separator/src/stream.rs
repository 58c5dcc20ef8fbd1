//! A pipeline at the host's sample rate, one job at a time.

use crate::{
    DenormalsAreZero, Pipeline, SeparatorError, SpectrumFeed, Stereo,
    pipeline::sanitize,
    resampling::{Kernel, Resampler},
    schedule::Schedule,
};
use std::sync::Arc;

/// Resamples the mix to the model's rate and the stems back, and makes the stems sum to the mix at the host's rate too.
pub(crate) struct Stream {
    pipeline: Pipeline,
    schedule: Schedule,
    /// None at equal rates.
    resampling: Option<Resampling>,
}

struct Resampling {
    inward: ResamplingIn,
    outward: ResamplingOut,
    /// `[stem][channel][sample]`, at the model's rate.
    hop_stems: Vec<Stereo>,
}

/// From the host's rate to the model's.
pub(crate) struct ResamplingIn {
    /// `[channel]`
    to_model: [Resampler; 2],
    /// `[channel][sample]`, at the model's rate.
    hop: Stereo,
}

/// From the model's rate to the host's.
pub(crate) struct ResamplingOut {
    /// `[stem][channel]`
    from_model: Vec<[Resampler; 2]>,
    /// `[channel][sample]`, the mix of the last [`Schedule::delay`] host samples, then of the job at hand.
    mix: Stereo,
}

impl Stream {
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(pipeline: Pipeline, schedule: Schedule) -> Self {
        debug_assert_eq!(schedule.pipeline_delay(), pipeline.delay_samples() as i64);
        let resampling = (!schedule.is_direct()).then(|| {
            let (inward, outward) = resamplers(&schedule, pipeline.num_stems());
            let silence = || vec![0.0; pipeline.hop_len()];
            let hop_stems = (0..pipeline.num_stems()).map(|_| [silence(), silence()]).collect();
            Resampling { inward, outward, hop_stems }
        });
        let mut stream = Stream { pipeline, schedule, resampling };
        stream.restart(0);
        stream
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Spectra go to `feed` from the job with this index on, timed from the start of the stream.
    pub fn publish_spectra(&mut self, feed: Arc<SpectrumFeed>, job_idx: i64) {
        self.pipeline.publish_spectra(feed, 0.0);
        self.pipeline.set_hop_idx(job_idx);
    }

    /// Nothing but silence follows: all slices of the song are in.
    pub fn end(&mut self) {
        self.pipeline.end();
    }

    /// Whether earlier input has decayed completely: as long as the input is silent, so is the output, at no cost.
    pub fn is_settled(&self) -> bool {
        let is_silent = |resampling: &Resampling| resampling.outward.is_silent();
        self.pipeline.is_settled() && self.resampling.as_ref().is_none_or(is_silent)
    }

    /// Of the model's stems, from the next job on: [`Pipeline::set_sensitivities`].
    pub fn set_sensitivities(&mut self, sensitivities: &[f32]) {
        self.pipeline.set_sensitivities(sensitivities);
    }

    /// Makes job `job_idx` the next one; everything before it was silence. At 0: as if new.
    pub fn restart(&mut self, job_idx: i64) {
        self.pipeline.reset();
        self.pipeline.set_hop_idx(job_idx);
        if let Some(resampling) = &mut self.resampling {
            resampling.inward.restart(&self.schedule, job_idx);
            resampling.outward.restart(&self.schedule, job_idx);
        }
    }

    /// The mix of the next job, `[channel][sample]`, as long as the schedule says, in; as many samples of every stem,
    /// `[stem][channel][sample]`, out, which end at [`Schedule::stems_end`] of that job.
    ///
    /// # Realtime
    /// Worker only.
    pub fn process_job(&mut self, mix: &mut Stereo, stems: &mut [Stereo]) -> Result<(), SeparatorError> {
        // Resampling and mixing included: music fades out through denormals.
        let _denormals = DenormalsAreZero::new();
        let len = mix[0].len();
        stems.iter_mut().flatten().for_each(|samples| samples.resize(len, 0.0));
        match &mut self.resampling {
            None => self.pipeline.process_hop([&mix[0], &mix[1]], stems),
            Some(Resampling { inward, outward, hop_stems }) => {
                let hop = inward.push(mix);
                self.pipeline.process_hop([&hop[0], &hop[1]], hop_stems)?;
                outward.push(mix, hop_stems, stems);
                Ok(())
            }
        }
    }
}

/// Both directions of a schedule that is not direct. They begin with a restart.
pub(crate) fn resamplers(schedule: &Schedule, num_stems: usize) -> (ResamplingIn, ResamplingOut) {
    let (host, model) = schedule.ratio();
    let (half_width_in, half_width_out) = schedule.half_widths();
    let (hop_len, job_len) = (schedule.hop_len() as usize, schedule.max_job_len() as usize);
    // Half of the lower rate, in cycles per sample of each side.
    let low = host.min(model) as f64 / 2.0;
    let kernel_in = Kernel::shared(half_width_in as usize, model as usize, low / host as f64);
    let kernel_out = Kernel::shared(half_width_out as usize, host as usize, low / model as f64);
    // Model sample m lies at host sample (m P - c Q) / Q, host sample n at model sample (n Q + c Q) / P.
    let offset = schedule.grid_offset() * model;
    let to_model = || Resampler::new(kernel_in.clone(), host, model, -offset, job_len);
    let from_model = || Resampler::new(kernel_out.clone(), model, host, offset, hop_len);
    let silence = |len| [vec![0.0; len], vec![0.0; len]];
    let inward = ResamplingIn { to_model: [to_model(), to_model()], hop: silence(hop_len) };
    let outward = ResamplingOut {
        from_model: (0..num_stems).map(|_| [from_model(), from_model()]).collect(),
        mix: silence(schedule.delay() as usize + job_len),
    };
    (inward, outward)
}

impl ResamplingIn {
    pub fn restart(&mut self, schedule: &Schedule, job_idx: i64) {
        for resampler in &mut self.to_model {
            resampler.restart(schedule.job_end(job_idx - 1), job_idx * schedule.hop_len());
        }
    }

    /// Takes the mix of a job, which is cleaned, and gives a hop at the model's rate.
    pub fn push(&mut self, mix: &mut Stereo) -> &Stereo {
        for channel in 0..2 {
            sanitize(&mut mix[channel]);
            self.to_model[channel].push(&mix[channel]);
            self.to_model[channel].pull_into(&mut self.hop[channel]);
        }
        &self.hop
    }
}

impl ResamplingOut {
    pub fn restart(&mut self, schedule: &Schedule, job_idx: i64) {
        for resampler in self.from_model.iter_mut().flatten() {
            // The pipeline's stems lag behind what it takes.
            let start = job_idx * schedule.hop_len() - schedule.pipeline_delay();
            resampler.restart(start, schedule.stems_end(job_idx - 1));
        }
        for mix in &mut self.mix {
            mix.clear();
            mix.resize(schedule.delay() as usize, 0.0);
        }
    }

    /// Whether nothing is left in it but silence.
    fn is_silent(&self) -> bool {
        self.from_model.iter().flatten().all(Resampler::is_silent)
    }

    /// Takes the cleaned mix of a job and its hop of every stem at the model's rate, and gives those at the host's.
    pub fn push(&mut self, mix: &Stereo, hop_stems: &[Stereo], stems: &mut [Stereo]) {
        self.mix.iter_mut().zip(mix).for_each(|(line, mix)| line.extend_from_slice(mix));
        let resamplers = self.from_model.iter_mut().flatten();
        let hops = hop_stems.iter().flatten();
        for ((resampler, hop), stem) in resamplers.zip(hops).zip(stems.iter_mut().flatten()) {
            resampler.push(hop);
            resampler.pull_into(stem);
        }
        self.share_remainder(stems);
    }

    /// Splits what the resamplers removed from the mix (most of it above 20 kHz) equally between the stems.
    fn share_remainder(&mut self, stems: &mut [Stereo]) {
        let share = 1.0 / stems.len() as f32;
        for channel in 0..2 {
            let len = stems[0][channel].len();
            let remainder = &mut self.mix[channel][..len];
            for stem in &*stems {
                remainder.iter_mut().zip(&stem[channel]).for_each(|(rest, sample)| *rest -= sample);
            }
            for stem in &mut *stems {
                stem[channel].iter_mut().zip(&*remainder).for_each(|(sample, rest)| *sample += rest * share);
            }
            self.mix[channel].drain(..len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latency::{preroll_jobs, schedule_of},
        testing::{TestModel, runtime},
    };
    use slicqt::{Design, Timing};

    fn noise(len: usize) -> Vec<f32> {
        let mut x = 1u32;
        let sample = |_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(sample).collect()
    }

    /// After a gap, as many jobs as the manifest says differ from those of a stream without one.
    #[test]
    fn preroll_is_what_a_gap_spoils() {
        let stft = |fft_len, hop_len| (Design::stft(fft_len, hop_len, 44_100.0), Timing::Whole);
        let trimmed = (Design::mel_32(), Timing::Trimmed);
        let whole = (Design::mel_32(), Timing::Whole);
        for (design, timing) in [whole, trimmed, stft(4096, 1024), stft(3072, 768), stft(1024, 256), stft(512, 128)] {
            for look_ahead_slices in [0, 2] {
                for rate in [44_100.0, 8e3, 48e3, 96e3, 192e3] {
                    let test_model = TestModel {
                        design: design.clone(),
                        timing,
                        listens: true,
                        look_ahead_slices,
                        ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2])
                    };
                    let dir = tempfile::tempdir().unwrap();
                    let model = test_model.write(dir.path()).unwrap();
                    let schedule = schedule_of(&model.manifest, rate);
                    let (gap, num_jobs) = (7, 40);
                    let mix = noise(schedule.job_end(num_jobs) as usize);
                    let mut stream = Stream::new(Pipeline::new(&runtime(), &model).unwrap(), schedule.clone());
                    let mut run = |first: i64| -> Vec<Vec<Stereo>> {
                        stream.restart(first);
                        let job = |idx| {
                            let part = &mix[schedule.job_end(idx - 1) as usize..schedule.job_end(idx) as usize];
                            let mut stems = vec![Stereo::default(); 4];
                            stream.process_job(&mut [part.to_vec(), part.to_vec()], &mut stems).unwrap();
                            stems
                        };
                        (first..num_jobs).map(job).collect()
                    };
                    let (whole, after) = (run(0), run(gap));
                    let spoilt = whole[gap as usize..].iter().zip(&after).rposition(|(a, b)| a != b);
                    let spoilt = spoilt.map_or(0, |idx| idx + 1);
                    let preroll = preroll_jobs(&model.manifest, &schedule) as usize;
                    let what = format!(
                        "{design}, {timing:?}, {look_ahead_slices} ahead, {rate} Hz: {spoilt} spoilt, {preroll} said"
                    );
                    // Through resamplers it is a bound: each rounds up to hops.
                    let slack = if schedule.is_direct() { 0 } else { 2 };
                    assert!((spoilt..=spoilt + slack).contains(&preroll), "{what}");
                }
            }
        }
    }

    /// At both rates, a while after the last sound: at most a second.
    #[test]
    fn streams_settle_in_silence_and_wake_with_sound() {
        let dir = tempfile::tempdir().unwrap();
        let model = TestModel::with_masks([0.1, 0.5, 0.05, 0.2]).write(dir.path()).unwrap();
        for rate in [44_100.0, 48e3] {
            let schedule = schedule_of(&model.manifest, rate);
            let mut stream = Stream::new(Pipeline::new(&runtime(), &model).unwrap(), schedule.clone());
            let mut stems = vec![Stereo::default(); 4];
            let mut is_settled_after = |idx: i64| {
                let len = (schedule.job_end(idx) - schedule.job_end(idx - 1)) as usize;
                // A second of sound, two of silence, and one of sound.
                let level = if (44..132).contains(&idx) { 0.0 } else { 1.0 };
                let part: Vec<f32> = noise(len).iter().map(|x| x * level).collect();
                stream.process_job(&mut [part.clone(), part], &mut stems).unwrap();
                stream.is_settled()
            };
            let settled: Vec<bool> = (0..176).map(&mut is_settled_after).collect();
            assert!(!settled[..46].contains(&true) && !settled[132..].contains(&true), "{rate} Hz: sound");
            assert!(!settled[88..132].contains(&false), "{rate} Hz: silence");
        }
    }
}
