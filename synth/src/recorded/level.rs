//! How loud a recorded note or hit is, and where it begins.

use crate::tone::Stereo;

/// Length of the loudest stretch that counts as a hit's level, in s.
const WINDOW_S: f64 = 0.03;

/// The highest root mean square of 30 ms, both channels together.
pub fn loudest_rms(sound: &Stereo, rate: f64) -> f64 {
    let len = ((WINDOW_S * rate) as usize).max(1);
    let hop = len.div_ceil(3);
    let num_samples = sound[0].len();
    let power = |range: std::ops::Range<usize>| -> f64 {
        sound.iter().flat_map(|channel| &channel[range.clone()]).map(|x| f64::from(x * x)).sum()
    };
    let starts = (0..num_samples).step_by(hop);
    let loudest = starts.map(|start| power(start..(start + len).min(num_samples))).fold(0.0, f64::max);
    (loudest / (2 * len) as f64).sqrt()
}

/// The sample at which the sound begins: 2 ms before it first passes `share` of its peak.
pub fn onset(sound: &Stereo, share: f32, rate: f64) -> usize {
    let peak = sound.iter().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
    let first = sound.iter().filter_map(|channel| channel.iter().position(|x| x.abs() > share * peak)).min();
    first.unwrap_or(0).saturating_sub((0.002 * rate) as usize)
}

/// Rate at which the sound crosses zero upwards in its first third of a second once what lies above 400 Hz is gone: a measure of
/// the pitch of drums, in Hz.
pub fn drum_hz(sound: &Stereo, rate: f64) -> f64 {
    let mut filters = [0.54, 1.31].map(|q| crate::Biquad::low_pass(400.0, q, rate));
    let len = ((0.33 * rate) as usize).min(sound[0].len());
    let mut crossings = 0;
    let mut last = 0.0;
    for (l, r) in sound[0][..len].iter().zip(&sound[1]) {
        let x = filters.iter_mut().fold(f64::from(l + r), |x, filter| filter.filter(x));
        crossings += usize::from(last < 0.0 && x >= 0.0);
        last = x;
    }
    crossings as f64 * rate / len.max(1) as f64
}
