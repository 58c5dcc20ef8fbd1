//! What the tests measure: levels, differences, delays.

use crate::signal::Stereo;

/// Level of the power of `signal` over both channels, in dB re 1.
pub fn power_db(signal: &Stereo) -> f64 {
    let num_samples = signal.iter().map(Vec::len).sum::<usize>().max(1);
    10.0 * (signal.iter().flatten().map(|x| f64::from(*x).powi(2)).sum::<f64>() / num_samples as f64).log10()
}

/// How far below `reference` the difference between the two lies, in dB; minus infinity when they are the same.
pub fn difference_db(reference: &Stereo, actual: &Stereo) -> f64 {
    let difference = [0, 1].map(|c| {
        assert_eq!(reference[c].len(), actual[c].len(), "signals of different length");
        reference[c].iter().zip(&actual[c]).map(|(a, b)| a - b).collect()
    });
    power_db(&difference) - power_db(reference)
}

/// Whether the two are the same, bit for bit; the index of the first sample that differs otherwise.
pub fn first_difference(expected: &Stereo, actual: &Stereo) -> Option<usize> {
    assert_eq!(expected[0].len(), actual[0].len(), "signals of different length");
    let differs = |i: &usize| (0..2).any(|c| expected[c][*i].to_bits() != actual[c][*i].to_bits());
    (0..expected[0].len()).find(differs)
}

/// `signal` later by `delay` samples, as long as before.
pub fn delayed(signal: &Stereo, delay: usize) -> Stereo {
    signal.clone().map(|channel| {
        let len = channel.len();
        std::iter::repeat_n(0.0, delay).chain(channel).take(len).collect()
    })
}

/// The samples of `signal` in `range`.
pub fn excerpt(signal: &Stereo, range: std::ops::Range<usize>) -> Stereo {
    [0, 1].map(|c| signal[c][range.clone()].to_vec())
}

/// The delay in samples, near `expected` (plus or minus `reach`), at which `actual` fits `reference` best.
pub fn best_delay(reference: &Stereo, actual: &Stereo, expected: usize, reach: usize) -> usize {
    let correlation = |delay: usize| -> f64 {
        let pairs = actual[0][delay..].iter().zip(&reference[0]);
        pairs.map(|(a, r)| f64::from(*a) * f64::from(*r)).sum()
    };
    let delays = expected.saturating_sub(reach)..=expected + reach;
    delays.max_by(|a, b| correlation(*a).total_cmp(&correlation(*b))).unwrap_or(expected)
}
