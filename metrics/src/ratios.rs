//! The four numbers, and how many become one.

/// SDR, ISR, SIR and SAR of one stem in one window, in dB. NaN where the window counts for nothing because a stem or an
/// estimate is silent in it; infinite where there is no error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratios {
    /// Source to distortion.
    pub sdr_db: f64,
    /// Image to spatial distortion.
    pub isr_db: f64,
    /// Source to interference.
    pub sir_db: f64,
    /// Sources to artifacts.
    pub sar_db: f64,
}

impl Ratios {
    /// Of a window that counts for nothing.
    pub const NAN: Ratios = Ratios { sdr_db: f64::NAN, isr_db: f64::NAN, sir_db: f64::NAN, sar_db: f64::NAN };

    /// Each number by itself, by [`median`]; NaN where nothing finite is left.
    pub fn median(all: &[Ratios]) -> Ratios {
        let of = |field: fn(&Ratios) -> f64| median(all.iter().map(field)).unwrap_or(f64::NAN);
        Ratios {
            sdr_db: of(|r| r.sdr_db),
            isr_db: of(|r| r.isr_db),
            sir_db: of(|r| r.sir_db),
            sar_db: of(|r| r.sar_db),
        }
    }
}

/// The median of the finite values (museval stores infinite ratios as NaN, and then takes `nanmedian`); of an even
/// number the mean of the middle two. `None` if there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// `10 log10(signal / error)`; infinite without error, as museval's `_safe_db`.
pub(crate) fn ratio_db(signal: f64, error: f64) -> f64 {
    if error == 0.0 { f64::INFINITY } else { 10.0 * (signal / error).log10() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_leave_out_what_is_not_finite() {
        assert_eq!(median([3.0, f64::NAN, 1.0, f64::INFINITY, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, f64::NEG_INFINITY, 3.0, 2.0]), Some(2.5));
        assert_eq!(median([f64::NAN, f64::INFINITY]), None);
        let all = [Ratios { sdr_db: 1.0, ..Ratios::NAN }, Ratios { sdr_db: 2.0, sir_db: 7.0, ..Ratios::NAN }];
        let median = Ratios::median(&all);
        assert_eq!((median.sdr_db, median.sir_db), (1.5, 7.0));
        assert!(median.sar_db.is_nan());
    }

    #[test]
    fn ratios_in_db() {
        assert_eq!(ratio_db(100.0, 1.0), 20.0);
        assert_eq!(ratio_db(1.0, 0.0), f64::INFINITY);
    }
}
