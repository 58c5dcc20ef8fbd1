//! A random equalizer: what another microphone, room or mixing desk does to a stem.

use crate::data::SAMPLE_RATE_HZ;
use biquad::{Biquad, Coefficients, DirectForm2Transposed, ToHertz, Type};
use rand::{Rng, rngs::StdRng};

/// A chain of second-order filters, the same for both channels.
pub struct Equalizer {
    filters: Vec<Coefficients<f32>>,
}

impl Equalizer {
    /// Shelves of up to 3 dB on both sides, a broad bell of up to 4 dB, and for half of the draws a shelf of -5 to 9 dB
    /// below 50 to 150 Hz.
    pub fn draw(rng: &mut StdRng) -> Self {
        let mut equalizer = Equalizer { filters: Vec::new() };
        equalizer.add(Type::LowShelf(rng.random_range(-3.0..3.0)), 2f32.powf(rng.random_range(6.6..8.6)), 0.5);
        equalizer.add(Type::HighShelf(rng.random_range(-3.0..3.0)), 2f32.powf(rng.random_range(10.6..12.6)), 0.5);
        let bell_db = rng.random_range(-4.0..4.0);
        equalizer.add(Type::PeakingEQ(bell_db), 2f32.powf(rng.random_range(6.0..13.0)), rng.random_range(0.5..1.4));
        if rng.random_bool(0.5) {
            equalizer.add(Type::LowShelf(rng.random_range(-5.0..9.0)), 2f32.powf(rng.random_range(5.6..7.2)), 0.7);
        }
        equalizer
    }

    /// The recipe of the ablations: a shelf below 50 to 150 Hz, none to four peaks, a shelf above 6 to 12 kHz, each of up to
    /// `most_db` up or down and peaks of a Q of up to `sharpest`.
    pub fn draw_strong(most_db: f32, sharpest: f32, rng: &mut StdRng) -> Self {
        let mut equalizer = Equalizer { filters: Vec::new() };
        let octaves = |low_hz: f32, high_hz: f32, rng: &mut StdRng| low_hz * (high_hz / low_hz).powf(rng.random());
        let gain_db = |rng: &mut StdRng| rng.random_range(-most_db..=most_db);
        equalizer.add(Type::LowShelf(gain_db(rng)), octaves(50.0, 150.0, rng), 0.7);
        for _ in 0..rng.random_range(0..=4) {
            let q = octaves(0.5, sharpest, rng);
            equalizer.add(Type::PeakingEQ(gain_db(rng)), octaves(80.0, 10_000.0, rng), q);
        }
        equalizer.add(Type::HighShelf(gain_db(rng)), octaves(6_000.0, 12_000.0, rng), 0.7);
        equalizer
    }

    fn add(&mut self, filter: Type<f32>, frequency_hz: f32, q: f32) {
        let coefficients = Coefficients::from_params(filter, (SAMPLE_RATE_HZ as f32).hz(), frequency_hz.hz(), q);
        self.filters.push(coefficients.expect("frequencies below half the rate and positive Qs"));
    }

    /// Filters a stem in place.
    pub fn apply(&self, stem: &mut [Vec<f32>; 2]) {
        for channel in stem {
            for coefficients in &self.filters {
                let mut filter = DirectForm2Transposed::<f32>::new(*coefficients);
                channel.iter_mut().for_each(|sample| *sample = filter.run(*sample));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strong_equaliser_has_two_to_six_filters_and_stays_within_its_gain() {
        use rand::SeedableRng;
        let mut rng = StdRng::seed_from_u64(1);
        let mut lens = [0; 7];
        let mut extremes = [0.0f32; 2];
        for _ in 0..300 {
            let equalizer = Equalizer::draw_strong(9.0, 5.0, &mut rng);
            lens[equalizer.filters.len()] += 1;
            // At DC the shelf is alone: its gain is the sum of all coefficients against that of the feedback.
            let shelf = &equalizer.filters[0];
            let gain = (shelf.b0 + shelf.b1 + shelf.b2) / (1.0 + shelf.a1 + shelf.a2);
            let gain_db = 20.0 * gain.log10();
            extremes = [extremes[0].min(gain_db), extremes[1].max(gain_db)];
        }
        assert!(lens[..2] == [0, 0] && lens[2..].iter().all(|n| *n > 30), "{lens:?}");
        assert!((-9.2..-7.0).contains(&extremes[0]) && (7.0..9.2).contains(&extremes[1]), "{extremes:?}");
    }

    #[test]
    fn a_shelf_lifts_what_is_below_it_and_leaves_the_rest() {
        let mut equalizer = Equalizer { filters: Vec::new() };
        equalizer.add(Type::LowShelf(6.0), 200.0, 0.7);
        let level = |hz: f32| {
            let tone = |n: usize| (std::f32::consts::TAU * hz * n as f32 / 44_100.0).sin();
            let mut stem = [0, 1].map(|_| (0..44_100).map(tone).collect::<Vec<f32>>());
            equalizer.apply(&mut stem);
            let last = &stem[1][22_050..];
            20.0 * (last.iter().map(|x| x * x).sum::<f32>() * 2.0 / last.len() as f32).sqrt().log10()
        };
        assert!((level(30.0) - 6.0).abs() < 0.3, "{}", level(30.0));
        assert!(level(5_000.0).abs() < 0.1, "{}", level(5_000.0));
    }
}
