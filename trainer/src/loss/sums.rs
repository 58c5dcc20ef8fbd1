//! Which sums of stems a loss in time runs over.

use super::Over;
use crate::batch::combinations::{combinations, parts};
use crate::data::Known;
use crate::inverse::StemSum;
use rand::{SeedableRng, rngs::StdRng, seq::index};

/// All of them, by example: the combinations of what is known, or the parts alone.
pub fn all_sums(known: &[Known], over: Over) -> Vec<StemSum> {
    let of_example = |(example, known): (usize, &Known)| {
        let sums: Vec<Vec<usize>> = match over {
            Over::Combinations => combinations(*known),
            Over::Stems => parts(*known).iter().map(|stems| stems.to_vec()).collect(),
        };
        sums.into_iter().map(move |stems| StemSum { example, stems })
    };
    known.iter().enumerate().flat_map(of_example).collect()
}

/// `num_drawn` of every example's sums (all, where there are no more), each as likely as the others: the mean over those
/// that are drawn is in the long run the mean over all, and so is its gradient.
pub fn draw_sums(all: &[StemSum], num_drawn: usize, seed: u64) -> Vec<StemSum> {
    let mut rng = StdRng::seed_from_u64(seed);
    let by_example = all.chunk_by(|a, b| a.example == b.example);
    by_example
        .flat_map(|sums| {
            let mut drawn = index::sample(&mut rng, sums.len(), num_drawn.min(sums.len())).into_vec();
            drawn.sort_unstable();
            drawn.into_iter().map(|i| sums[i].clone())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_drawn_as_often_as_the_others() {
        const NUM_DRAWS: usize = 2000;
        let all = all_sums(&[Known::All, Known::VocalsOnly, Known::BassInOther], Over::Combinations);
        assert_eq!(all.len(), 14 + 2 + 6);
        let mut counts = vec![0; all.len()];
        for seed in 0..NUM_DRAWS as u64 {
            let drawn = draw_sums(&all, 3, seed);
            assert_eq!(drawn, draw_sums(&all, 3, seed), "the seed decides");
            let of = |example: usize| drawn.iter().filter(|sum| sum.example == example).count();
            assert_eq!([of(0), of(1), of(2)], [3, 2, 3]);
            for sum in &drawn {
                counts[all.iter().position(|s| s == sum).expect("one of all")] += 1;
            }
        }
        for (sum, count) in all.iter().zip(&counts) {
            let share = [3.0 / 14.0, 1.0, 3.0 / 6.0][sum.example];
            let deviation = (NUM_DRAWS as f64 * share * (1.0 - share)).sqrt();
            let error = *count as f64 - NUM_DRAWS as f64 * share;
            assert!(error.abs() <= 4.0 * deviation, "{sum:?}: {count} times, deviation {deviation}");
        }
    }
}
