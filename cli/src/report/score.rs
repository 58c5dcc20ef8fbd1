//! The scores of one stem, and what many of them come to.

use metrics::{Ratios, median};
use serde::Serialize;

/// Medians of BSSEval v4 over windows, and perhaps over songs; `None` where no window counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BssMedians {
    #[serde(rename = "SDR")]
    pub sdr_db: Option<f64>,
    #[serde(rename = "ISR")]
    pub isr_db: Option<f64>,
    #[serde(rename = "SIR")]
    pub sir_db: Option<f64>,
    #[serde(rename = "SAR")]
    pub sar_db: Option<f64>,
}

impl From<Ratios> for BssMedians {
    fn from(ratios: Ratios) -> BssMedians {
        let finite = |x: f64| x.is_finite().then_some(x);
        BssMedians {
            sdr_db: finite(ratios.sdr_db),
            isr_db: finite(ratios.isr_db),
            sir_db: finite(ratios.sir_db),
            sar_db: finite(ratios.sar_db),
        }
    }
}

/// What was measured of one estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Global SDR.
    pub sdr_db: f64,
    pub bss: Option<BssMedians>,
}

impl Measured {
    pub fn new(sdr_db: f64, bss: Option<Ratios>) -> Measured {
        Measured { sdr_db, bss: bss.map(BssMedians::from) }
    }
}

/// One stem of one song, or what many of them come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Global SDR of the separated stem.
    pub sdr_db: f64,
    /// Global SDR of the mix in its place.
    pub mix_sdr_db: f64,
    /// What separation gains over the mix.
    pub gain_db: f64,
    /// Global SDR of the oracle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oracle_sdr_db: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bss_eval: Option<BssMedians>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix_bss_eval: Option<BssMedians>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oracle_bss_eval: Option<BssMedians>,
}

impl Score {
    /// `None` unless the global SDRs of estimate and mix are finite: a stem that alone is the mix is no task.
    pub fn new(estimate: Measured, mix: Measured, oracle: Option<Measured>) -> Option<Score> {
        let is_finite = estimate.sdr_db.is_finite() && mix.sdr_db.is_finite();
        is_finite.then_some(Score {
            sdr_db: estimate.sdr_db,
            mix_sdr_db: mix.sdr_db,
            gain_db: estimate.sdr_db - mix.sdr_db,
            oracle_sdr_db: oracle.map(|oracle| oracle.sdr_db).filter(|x| x.is_finite()),
            bss_eval: estimate.bss,
            mix_bss_eval: mix.bss,
            oracle_bss_eval: oracle.and_then(|oracle| oracle.bss),
        })
    }

    /// Of one stem over songs: the mean of global SDRs, the median of the others.
    pub fn over_songs<'a>(scores: impl Iterator<Item = &'a Score>) -> Option<Score> {
        Score::over(scores, |values| median(values.iter().copied()))
    }

    /// Of several stems: the mean of everything.
    pub fn over_stems<'a>(scores: impl Iterator<Item = &'a Score>) -> Option<Score> {
        Score::over(scores, mean)
    }

    fn over<'a>(scores: impl Iterator<Item = &'a Score>, of_bss: impl Fn(&[f64]) -> Option<f64>) -> Option<Score> {
        let scores: Vec<&Score> = scores.collect();
        let global =
            |field: fn(&Score) -> Option<f64>| mean(&scores.iter().filter_map(|s| field(s)).collect::<Vec<_>>());
        let bss = |set: fn(&Score) -> Option<BssMedians>| {
            let all: Vec<BssMedians> = scores.iter().filter_map(|score| set(score)).collect();
            let of = |field: fn(&BssMedians) -> Option<f64>| of_bss(&all.iter().filter_map(field).collect::<Vec<_>>());
            (!all.is_empty()).then(|| BssMedians {
                sdr_db: of(|m| m.sdr_db),
                isr_db: of(|m| m.isr_db),
                sir_db: of(|m| m.sir_db),
                sar_db: of(|m| m.sar_db),
            })
        };
        let (sdr_db, mix_sdr_db) = (global(|s| Some(s.sdr_db))?, global(|s| Some(s.mix_sdr_db))?);
        Some(Score {
            sdr_db,
            mix_sdr_db,
            gain_db: sdr_db - mix_sdr_db,
            oracle_sdr_db: global(|s| s.oracle_sdr_db),
            bss_eval: bss(|s| s.bss_eval),
            mix_bss_eval: bss(|s| s.mix_bss_eval),
            oracle_bss_eval: bss(|s| s.oracle_bss_eval),
        })
    }
}

/// `None` of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
