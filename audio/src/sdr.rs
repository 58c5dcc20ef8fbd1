//! The global signal-to-distortion ratio.

/// Accumulates the global SDR of an estimate against its reference, over both channels and any number of blocks:
/// `10 log10(sum ref^2 / sum (ref - est)^2)`, in f64.
#[derive(Debug, Clone, Copy, Default)]
pub struct SdrMeter {
    signal_energy: f64,
    error_energy: f64,
    num_samples: u64,
}

impl SdrMeter {
    /// A meter that has seen nothing.
    pub fn new() -> SdrMeter {
        SdrMeter::default()
    }

    /// Adds the next samples, `[channel_idx][sample_idx]`.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn add(&mut self, reference: [&[f32]; 2], estimate: [&[f32]; 2]) {
        let len = reference[0].len();
        assert!(
            reference[1].len() == len && estimate[0].len() == len && estimate[1].len() == len,
            "SdrMeter::add: channels differ in length"
        );
        for (reference, estimate) in reference.iter().zip(&estimate) {
            for (&r, &e) in reference.iter().zip(*estimate) {
                let (r, e) = (f64::from(r), f64::from(e));
                self.signal_energy += r * r;
                self.error_energy += (r - e) * (r - e);
            }
        }
        self.num_samples += len as u64;
    }

    /// The SDR in dB so far: infinite for an exact estimate, `None` where the reference is silent (there the ratio says
    /// nothing) or nothing was added.
    pub fn sdr_db(&self) -> Option<f64> {
        (self.signal_energy > 0.0).then(|| 10.0 * (self.signal_energy / self.error_energy).log10())
    }

    /// Samples per channel added so far.
    pub fn num_samples(&self) -> u64 {
        self.num_samples
    }
}

/// The global SDR in dB of whole signals, `[channel_idx][sample_idx]`; see [`SdrMeter::sdr_db`].
///
/// # Panics
/// If the slices differ in length.
pub fn global_sdr_db(reference: [&[f32]; 2], estimate: [&[f32]; 2]) -> Option<f64> {
    let mut meter = SdrMeter::new();
    meter.add(reference, estimate);
    meter.sdr_db()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ratios() {
        let reference: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.1).sin()).collect();
        let tenth_off: Vec<f32> = reference.iter().map(|x| x * 0.9).collect();
        let silence = vec![0.0; 1000];
        let r = [&reference[..], &reference[..]];
        let close = |x: Option<f64>, want: f64| assert!((x.unwrap() - want).abs() < 1e-4, "{x:?} instead of {want}");
        close(global_sdr_db(r, [&tenth_off, &tenth_off]), 20.0);
        close(global_sdr_db(r, [&silence, &silence]), 0.0);
        // One channel exact, one silent: half of the energy is error.
        close(global_sdr_db(r, [&reference, &silence]), 10.0 * 2f64.log10());
        assert_eq!(global_sdr_db(r, r), Some(f64::INFINITY));
        assert_eq!(global_sdr_db([&silence, &silence], r), None);
        assert_eq!(SdrMeter::new().sdr_db(), None);
    }

    #[test]
    fn blocks_add_up_to_the_whole() {
        let reference: Vec<f32> = (0..997).map(|i| (i as f32 * 0.3).sin()).collect();
        let estimate: Vec<f32> = (0..997).map(|i| (i as f32 * 0.31).sin()).collect();
        let mut meter = SdrMeter::new();
        for (r, e) in reference.chunks(64).zip(estimate.chunks(64)) {
            meter.add([r, e], [e, r]);
        }
        let whole = global_sdr_db([&reference, &estimate], [&estimate, &reference]).unwrap();
        assert!((meter.sdr_db().unwrap() - whole).abs() < 1e-9);
        assert_eq!(meter.num_samples(), 997);
    }
}
