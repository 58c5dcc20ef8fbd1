//! Which host samples make which hop: whole numbers only.
//!
//! Host sample `n` lies at host time `n`. Model sample `m` lies at host time `m P/Q - c`, where `P/Q` is the host's
//! rate over the model's, in lowest terms, and `c` a whole number: so both resamplers have no delay of their own,
//! only samples that they must wait for, and the total is a whole number of host samples at every rate.
//!
//! Job `k` carries the host samples that complete hop `k`, from `job_end(k - 1)` to `job_end(k)`, and returns with the same
//! number of samples of each stem, delayed by [`Schedule::delay`].
//! The pipeline's stems lag by a whole number of model samples: what its slices and the network's look-ahead wait for.

/// The time grid of one host rate and one model. At equal rates a job is a hop.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// P: host samples per `model` model samples.
    host: i64,
    /// Q.
    model: i64,
    hop_len: i64,
    /// Model samples by which the pipeline's stems lag behind its input.
    pipeline_delay: i64,
    /// Host samples on either side that a model sample is interpolated from; 0 at equal rates.
    half_width_in: i64,
    /// Model samples on either side that a host sample is interpolated from; 0 at equal rates.
    half_width_out: i64,
}

impl Schedule {
    /// Rates that are not whole numbers of Hz are rounded: a stream is counted in samples on both sides, so alignment
    /// stays exact, and the model's input is off by at most 0.5 Hz in its sample rate.
    pub fn new(host_rate_hz: f64, model_rate_hz: u32, hop_len: usize, pipeline_delay: usize) -> Self {
        let host = (host_rate_hz.round() as i64).clamp(1_000, 1_000_000);
        let model = i64::from(model_rate_hz).max(1);
        let divisor = greatest_common_divisor(host, model);
        let (host, model) = (host / divisor, model / divisor);
        let (half_width_in, half_width_out) = match host == model {
            true => (0, 0),
            false => (half_width(host, host.min(model)), half_width(model, host.min(model))),
        };
        let (hop_len, pipeline_delay) = (hop_len as i64, pipeline_delay as i64);
        Schedule { host, model, hop_len, pipeline_delay, half_width_in, half_width_out }
    }

    /// Whether host and model have one rate, so that nothing is resampled.
    pub fn is_direct(&self) -> bool {
        self.host == self.model
    }

    /// P and Q.
    pub fn ratio(&self) -> (i64, i64) {
        (self.host, self.model)
    }

    pub fn hop_len(&self) -> i64 {
        self.hop_len
    }

    pub fn pipeline_delay(&self) -> i64 {
        self.pipeline_delay
    }

    pub fn half_widths(&self) -> (i64, i64) {
        (self.half_width_in, self.half_width_out)
    }

    /// How many samples of a hop the host samples before its job add to, and how many samples of earlier hops a job's
    /// stems are made of, in model samples: twice the kernels, and what the grids' rounding may add. 0 at equal rates.
    pub fn reach(&self) -> (usize, usize) {
        if self.is_direct() {
            return (0, 0);
        }
        let to_model = |host: i64| (host * self.model + self.host - 1) / self.host;
        (to_model(2 * self.half_width_in + 1) as usize, (2 * self.half_width_out + 1 + to_model(1)) as usize)
    }

    /// c: how many host samples before host sample 0 model sample 0 lies.
    pub fn grid_offset(&self) -> i64 {
        self.half_width_in + (-self.host).div_euclid(self.model) + 1
    }

    /// Number of host samples that must be in before hop `job_idx` is complete: its last model sample lies at
    /// `((k + 1) H - 1) P/Q - c` and needs `half_width_in` samples after that. 0 for job -1.
    pub fn job_end(&self, job_idx: i64) -> i64 {
        let last = ((job_idx + 1) * self.hop_len - 1) * self.host;
        last.div_euclid(self.model) - (-self.host).div_euclid(self.model)
    }

    /// Host samples of the shortest job.
    pub fn min_job_len(&self) -> i64 {
        self.hop_len * self.host / self.model
    }

    /// Host samples of the longest job.
    pub fn max_job_len(&self) -> i64 {
        (self.hop_len * self.host + self.model - 1) / self.model
    }

    /// By how many host samples the stems that come back with a job lie before the mix that it brought. After job
    /// `k`, the stems are known below model sample `(k + 1) H - D`, D the pipeline's delay: `job_end(k)` less the first host sample that would need
    /// later ones is at most this, for every `k`.
    pub fn delay(&self) -> i64 {
        (self.pipeline_delay - 1 + self.half_width_out) * self.host / self.model + self.half_width_in + 1
    }

    /// End of the stems that job `job_idx` returns, in samples of the mix; they start where those of the previous job end.
    pub fn stems_end(&self, job_idx: i64) -> i64 {
        self.job_end(job_idx) - self.delay()
    }
}

/// Samples on either side that the resampling kernel needs at `rate`, for a stop band of 110 dB and a transition
/// of 4.1/44.1 of the lower of the two rates: Kaiser's formula, (110 - 8) / (2.285 * 2 pi * 4.1/44.1) / 2 = 38.2.
fn half_width(rate: i64, lower_rate: i64) -> i64 {
    (rate * 382 + lower_rate * 10 - 1) / (lower_rate * 10)
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [f64; 10] = [8e3, 22_050.0, 32e3, 44_100.0, 44_056.0, 48e3, 88_200.0, 96e3, 176_400.0, 192e3];

    #[test]
    fn equal_rates_need_no_more_than_the_hops() {
        let schedule = Schedule::new(44_100.0, 44_100, 9030, 9030);
        assert_eq!((schedule.delay(), schedule.max_job_len(), schedule.grid_offset()), (9030, 9030, 0));
        assert_eq!((-1..3).map(|k| schedule.job_end(k)).collect::<Vec<_>>(), [0, 9030, 18060, 27090]);
    }

    #[test]
    fn every_job_has_the_samples_that_it_needs() {
        for rate in RATES {
            for (hop_len, pipeline_delay) in [(1008, 1008), (1008, 3024), (9030, 9030), (1024, 3072)] {
                let s = Schedule::new(rate, 44_100, hop_len, pipeline_delay);
                let (p, q, c) = (s.host, s.model, s.grid_offset());
                let (mut shortest, mut tightest) = (i64::MAX, i64::MAX);
                assert_eq!(s.job_end(-1), 0);
                for k in (0..3000).chain(1_000_000..1_003_000) {
                    let len = s.job_end(k) - s.job_end(k - 1);
                    assert!((s.min_job_len()..=s.max_job_len()).contains(&len));
                    // In: the last host sample that the last model sample of the hop needs.
                    let last_model = (k + 1) * s.hop_len - 1;
                    let last_host = (last_model * p - c * q).div_euclid(q) + s.half_width_in;
                    assert!(last_host < s.job_end(k), "{rate} Hz, job {k}");
                    shortest = shortest.min(s.job_end(k) - 1 - last_host);
                    // Out: the last model sample that the last host sample of the stems needs.
                    let last_model = ((s.stems_end(k) - 1 + c) * q).div_euclid(p) + s.half_width_out;
                    let known = (k + 1) * s.hop_len - s.pipeline_delay;
                    assert!(last_model < known, "{rate} Hz, job {k}");
                    tightest = tightest.min(known - 1 - last_model);
                }
                assert_eq!(shortest, 0, "{rate} Hz: jobs wait longer than they must");
                assert!(tightest * p <= 2 * q.max(p), "{rate} Hz: the delay is longer than it must be");
            }
        }
    }
}
