//! What oracle masks reach on one design.

use std::sync::Arc;

use anyhow::Result;
use audio::SdrMeter;
use serde::{Deserialize, Serialize};
use slicqt::{Design, Plan};

use super::excerpts::Excerpt;
use crate::inspect::latency::live_latency_samples;
use crate::oracle::{MaskedMix, OracleMask, StemSpectra, delay_samples};

/// One design and its scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of the draw; none for designs that the user named.
    pub number: Option<u64>,
    /// As in `--transform`.
    pub design: String,
    /// Latency of the live path.
    pub latency_ms: f64,
    /// Samples of a slice.
    pub slice_len: usize,
    /// Bins, DC and Nyquist counted.
    pub num_bins: usize,
    /// Complex coefficients per second of one channel.
    pub coefs_per_s: f64,
    /// SDR in dB, mean over the stems of a song, median over the songs.
    pub sdr_db: Scores,
    /// `sdr_db` of every song, in the order of the excerpts.
    pub song_sdr_db: Vec<Scores>,
}

/// One number for each kind of mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Ideal ratio mask of magnitudes.
    pub irm1: f64,
    /// Ideal ratio mask of powers.
    pub irm2: f64,
    /// True magnitude, phase of the mix.
    pub mix_phase: f64,
    /// Truncated phase-sensitive mask.
    pub phase_sensitive: f64,
}

impl Scores {
    /// In the order of [`OracleMask::ALL`].
    fn new([irm1, irm2, mix_phase, phase_sensitive]: [f64; 4]) -> Scores {
        Scores { irm1, irm2, mix_phase, phase_sensitive }
    }

    fn of(&self, mask: OracleMask) -> f64 {
        match mask {
            OracleMask::IdealRatio1 => self.irm1,
            OracleMask::IdealRatio2 => self.irm2,
            OracleMask::MixPhase => self.mix_phase,
            OracleMask::PhaseSensitive => self.phase_sensitive,
        }
    }
}

impl Trial {
    /// Runs every kind of mask over every excerpt.
    ///
    /// # Errors
    /// The design breaks a rule.
    pub fn run(number: Option<u64>, design: &Design, excerpts: &[Excerpt]) -> Result<Trial> {
        let plan = Arc::new(Plan::new(design)?);
        let song_sdr_db: Vec<Scores> = excerpts.iter().filter_map(|excerpt| scores(&plan, excerpt)).collect();
        let over_songs = |mask: OracleMask| median(song_sdr_db.iter().map(|song| song.of(mask)).collect());
        let sample_rate_hz = design.sample_rate_hz();
        Ok(Trial {
            number,
            design: design.to_string(),
            latency_ms: 1000.0 * live_latency_samples(&plan) as f64 / sample_rate_hz,
            slice_len: plan.slice_len(),
            num_bins: plan.num_bins(),
            coefs_per_s: plan.num_coefs() as f64 * sample_rate_hz / plan.hop_len() as f64,
            sdr_db: Scores::new(OracleMask::ALL.map(over_songs)),
            song_sdr_db,
        })
    }
}

/// Mean SDR over the stems of one song; `None` if no stem sounds.
fn scores(plan: &Arc<Plan>, excerpt: &Excerpt) -> Option<Scores> {
    let (num_stems, num_samples) = (excerpt.stems.len(), excerpt.stems[0][0].len());
    let mut spectra = StemSpectra::new(Arc::clone(plan), num_stems);
    let mut masked = OracleMask::ALL.map(|mask| MaskedMix::new(Arc::clone(plan), num_stems, mask));
    let mut meters = OracleMask::ALL.map(|_| vec![SdrMeter::new(); num_stems]);
    let (hop_len, delay) = (plan.hop_len(), delay_samples(plan));
    let mut hop: Vec<[Vec<f32>; 2]> = vec![[vec![0.0; hop_len], vec![0.0; hop_len]]; num_stems];
    for start in (0..num_samples + delay).step_by(hop_len) {
        for (hop, stem) in hop.iter_mut().flatten().zip(excerpt.stems.iter().flatten()) {
            let known = stem.get(start..).unwrap_or(&[]);
            let len = known.len().min(hop_len);
            hop[..len].copy_from_slice(&known[..len]);
            hop[len..].fill(0.0);
        }
        spectra.process_hop(&hop);
        // The estimate begins `delay` before the hop; the part of it that lies within the excerpt is scored.
        let from = delay.saturating_sub(start).min(hop_len);
        let to = (num_samples + delay - start).min(hop_len);
        for (masked, meters) in masked.iter_mut().zip(&mut meters) {
            let estimates = masked.process_slice(&spectra);
            if from >= to {
                continue;
            }
            let at = start + from - delay;
            for ((meter, stem), estimate) in meters.iter_mut().zip(&excerpt.stems).zip(estimates) {
                let reference = stem.each_ref().map(|channel| &channel[at..at + to - from]);
                meter.add(reference, estimate.each_ref().map(|channel| &channel[from..to]));
            }
        }
    }
    let means = meters.map(|meters| {
        let sdrs: Vec<f64> = meters.iter().filter_map(SdrMeter::sdr_db).collect();
        sdrs.iter().sum::<f64>() / sdrs.len() as f64
    });
    means.iter().all(|mean| mean.is_finite()).then(|| Scores::new(means))
}

/// The middle of the sorted values, of an even number the mean of both in the middle; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => (values[(n - 1) / 2] + values[n / 2]) / 2.0,
    }
}
