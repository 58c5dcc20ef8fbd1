//! Random designs.

use rand::Rng;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use slicqt::{Design, Plan, ResolutionBand, Scale};

use crate::inspect::latency::live_latency_samples;

/// Draws that may fall outside a latency class before it is given up.
const MAX_DRAWS: usize = 2000;

/// A design whose latency lies above `from_ms` and at most at `to_ms`. Which one, `seed` and `number` alone decide, so
/// a search can be resumed and does not depend on the number of threads. `None` if no draw falls into the class.
pub fn draw(seed: u64, number: u64, [from_ms, to_ms]: [f64; 2], sample_rate_hz: f64) -> Option<Design> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number + 1);
    let kind = *Kind::ALL.choose(&mut rng)?;
    (0..MAX_DRAWS).find_map(|_| {
        let design = kind.draw(&mut rng, sample_rate_hz)?;
        let plan = Plan::<f32>::new(&design).ok()?;
        let latency_ms = 1000.0 * live_latency_samples(&plan) as f64 / sample_rate_hz;
        (latency_ms > from_ms && latency_ms <= to_ms).then_some(design)
    })
}

/// What is drawn with equal chances.
#[derive(Clone, Copy)]
enum Kind {
    Bark,
    Mel,
    ConstantQ,
    VariableQ,
    Linear,
    MultiResolution,
    Stft,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::Bark, Kind::Mel, Kind::ConstantQ, Kind::VariableQ, Kind::Linear, Kind::MultiResolution, Kind::Stft];

    /// One draw, legal or not.
    fn draw(self, rng: &mut ChaCha8Rng, sample_rate_hz: f64) -> Option<Design> {
        match self {
            Kind::Bark => scale(Scale::Bark, rng, sample_rate_hz),
            Kind::Mel => scale(Scale::Mel, rng, sample_rate_hz),
            Kind::ConstantQ => scale(Scale::ConstantQ, rng, sample_rate_hz),
            Kind::VariableQ => {
                let gamma_hz = log_uniform(rng, 5.0, 1000.0).round();
                scale(Scale::VariableQ { gamma_hz }, rng, sample_rate_hz)
            }
            Kind::Linear => scale(Scale::Linear, rng, sample_rate_hz),
            Kind::MultiResolution => Some(multi_resolution(rng, sample_rate_hz)),
            Kind::Stft => {
                let overlap = *[2, 4, 8].choose(rng)?;
                let fft_len = 16 * (log_uniform(rng, 256.0, 24_000.0) / 16.0).round() as usize;
                Some(Design::stft(fft_len, fft_len / overlap, sample_rate_hz))
            }
        }
    }
}

/// 8 to 500 bands from 15 to 300 Hz up. In a quarter of the draws the slices are longer than they need be, in another
/// the slicing window rises over half the slice instead of a quarter.
fn scale(scale: Scale, rng: &mut ChaCha8Rng, sample_rate_hz: f64) -> Option<Design> {
    let num_bands = log_uniform(rng, 8.0, 500.0).round() as usize;
    let fmin_hz = (log_uniform(rng, 15.0, 300.0) * 10.0).round() / 10.0;
    let design = Design::new(scale, num_bands, fmin_hz, sample_rate_hz);
    let (longer, variant) = (log_uniform(rng, 1.0, 2.0), rng.random_range(0..4));
    if variant > 1 {
        return Some(design);
    }
    let slice_len = Plan::<f32>::new(&design).ok()?.slice_len();
    Some(match variant {
        0 => design.with_slice_len(Design::next_slice_len((slice_len as f64 * longer) as usize)),
        _ => design.with_transition_len(slice_len / 4 * 2),
    })
}

/// Two to four ranges, each with windows half to a fifth as long as those of the range below.
fn multi_resolution(rng: &mut ChaCha8Rng, sample_rate_hz: f64) -> Design {
    let num_ranges = rng.random_range(2..=4);
    let mut edges: Vec<f64> = (1..num_ranges).map(|_| log_uniform(rng, 100.0, 10_000.0).round()).collect();
    edges.sort_by(f64::total_cmp);
    edges.push(sample_rate_hz / 2.0);
    let mut window_len = log_uniform(rng, 256.0, 12_000.0);
    let bands: Vec<ResolutionBand> = edges
        .into_iter()
        .map(|up_to_hz| {
            let band = ResolutionBand { up_to_hz, window_len: 4 * (window_len / 4.0).round() as usize };
            window_len /= log_uniform(rng, 1.5, 5.0);
            band
        })
        .collect();
    Design::multi_resolution(&bands, sample_rate_hz)
}

fn log_uniform(rng: &mut ChaCha8Rng, from: f64, to: f64) -> f64 {
    rng.random_range(from.ln()..to.ln()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_number_alone_decide_and_every_class_is_met() {
        let mut texts = std::collections::HashSet::new();
        for (number, class) in [[10.0, 25.0], [25.0, 50.0], [50.0, 100.0], [100.0, 250.0]].into_iter().enumerate() {
            for number in (0..3).map(|k| 4 * k + number as u64) {
                let Some(design) = draw(7, number, class, 44_100.0) else { continue };
                assert_eq!(Some(&design), draw(7, number, class, 44_100.0).as_ref());
                let plan = Plan::<f32>::new(&design).unwrap();
                let latency_ms = live_latency_samples(&plan) as f64 / 44.1;
                assert!(latency_ms > class[0] && latency_ms <= class[1], "{design}: {latency_ms} ms");
                assert_eq!(design.to_string().parse(), Ok(design.clone()), "{design}");
                texts.insert(design.to_string());
            }
        }
        assert!(texts.len() >= 10, "{texts:?}");
        assert_ne!(draw(7, 0, [10.0, 25.0], 44_100.0), draw(8, 0, [10.0, 25.0], 44_100.0));
    }
}
