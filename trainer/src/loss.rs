//! Complex MSE over the combinations of stems, plus the mask-sum loss.
//!
//! Stem `k` is estimated as `m_k X` (mask times mixture). With residuals `r_k = m_k X - Y_k`, the squared errors of
//! the 14 sums of 1, 2 and 3 stems out of 4 add up to `sum_S |sum_{k in S} r_k|^2 = 4 sum_k |r_k|^2 + 3 |sum_k r_k|^2`
//! (a stem is in 7 of the 14 sums, a pair in 3). Where bass and other are only known together, the 6 sums of 1 and 2
//! out of 3 give `2 sum |r|^2 + |sum r|^2`. Where only vocals are known apart, the 2 sums are vocals and the rest.
//!
//! Masks are interpolated linearly between the cells of a grid, so every `sum w |m X - Y|^2` over the coefficients
//! is a quadratic form of the cells: `sum_c A_c g_c^2 + 2 B_c g_c g_{c+1} - 2 b_c g_c + sum w |Y|^2`
//! with `A`, `B` from the mix and `b` from `Re(X* Y)`. [`crate::grid::Grid`] computes these; nothing is approximated
//! (a test compares with the direct sums), and the loss costs next to nothing.

use tch::{Kind, Tensor};

/// Quadratic forms of a batch of `[B]` examples with `[S]` slices, on one device. See the module's head.
pub struct Forms {
    /// `[B][S][1][channel][bin][cell]`
    pub diagonal: Tensor,
    /// `[B][S][1][channel][bin][cell]`
    pub neighbour: Tensor,
    /// `[B][S][stem][channel][bin][cell]`
    pub linear: Tensor,
    /// `[B][stem]`
    pub energies: Tensor,
    /// `[B]`
    pub accompaniment_energy: Tensor,
    /// `[B][3]` 1 at what is known of the stems (in the order of [`crate::stems::Known`]), else 0.
    pub known: Tensor,
}

/// The parts of the loss.
pub struct Loss {
    /// Mean squared error over the combinations, in parts of the mix's energy; a scalar.
    pub mse: Tensor,
    /// Mean squared distance of the masks' sum from 1; a scalar.
    pub mask_sum: Tensor,
}

/// `masks`: `[B][S][stem][channel][bin][cell]`, 0..=1.
pub fn loss(masks: &Tensor, forms: &Forms) -> Loss {
    let sum = masks.sum_dim_intlist([2].as_slice(), true, Kind::Float);
    let accompaniment = masks.narrow(2, 2, 2).sum_dim_intlist([2].as_slice(), true, Kind::Float);
    let rest = masks.narrow(2, 1, 3).sum_dim_intlist([2].as_slice(), true, Kind::Float);
    // [B][quantity]: four stems, bass + other, all, all but vocals.
    let all = Tensor::cat(&[masks, &accompaniment, &sum, &rest], 2);
    let linear = Tensor::cat(
        &[
            &forms.linear,
            &forms.linear.narrow(2, 2, 2).sum_dim_intlist([2].as_slice(), true, Kind::Float),
            &forms.linear.sum_dim_intlist([2].as_slice(), true, Kind::Float),
            &forms.linear.narrow(2, 1, 3).sum_dim_intlist([2].as_slice(), true, Kind::Float),
        ],
        2,
    );
    let num_cells = masks.size()[5];
    let next = all.narrow(5, 1, num_cells - 1);
    let here = all.narrow(5, 0, num_cells - 1);
    let over = [1i64, 3, 4, 5];
    let quadratic = (&forms.diagonal * &all - linear * 2.0) * &all;
    let mixed = forms.neighbour.narrow(5, 0, num_cells - 1) * here * next;
    let errors = quadratic.sum_dim_intlist(over.as_slice(), false, Kind::Float)
        + mixed.sum_dim_intlist(over.as_slice(), false, Kind::Float) * 2.0;
    let mix_energy = forms.diagonal.sum_dim_intlist(over.as_slice(), false, Kind::Float)
        + forms.neighbour.sum_dim_intlist(over.as_slice(), false, Kind::Float) * 2.0;
    // Where the rest is asked for, drums and bass are silent: it is what stands in other.
    let rest_energy = forms.energies.narrow(1, 3, 1);
    let together_energy = forms.accompaniment_energy.unsqueeze(1);
    let constants = Tensor::cat(&[&forms.energies, &together_energy, &mix_energy, &rest_energy], 1);
    let errors = errors + constants;

    let stem = |i: i64| errors.select(1, i);
    let apart: Tensor = (stem(0) + stem(1) + stem(2) + stem(3)) * (4.0 / 14.0) + stem(5) * (3.0 / 14.0);
    let together: Tensor = (stem(0) + stem(1) + stem(4)) * (2.0 / 6.0) + stem(5) * (1.0 / 6.0);
    let vocals_only: Tensor = (stem(0) + stem(6)) * (1.0 / 2.0);
    let known = |i: i64| forms.known.select(1, i);
    let mse = known(0) * apart + known(1) * together + known(2) * vocals_only;
    Loss { mse: mse.mean(Kind::Float), mask_sum: (sum - 1.0).square().mean(Kind::Float) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Example, ExampleMaker};
    use crate::grid::{Grid, NUM_CELLS};
    use crate::loader::Batch;
    use crate::stems::Known;
    use num_complex::Complex;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use slicqt::{Design, Plan, forward_whole};

    const NUM_SLICES: usize = 3;

    /// Four stems of noise, `[stem][channel][sample]`.
    fn noise_stems(plan: &Plan<f32>, rng: &mut StdRng) -> Vec<[Vec<f32>; 2]> {
        let mut channel = || (0..NUM_SLICES * plan.hop_len()).map(|_| rng.random_range(-0.5f32..0.5)).collect();
        (0..4).map(|_| [channel(), channel()]).collect()
    }

    fn loss_of(example: Example, masks: &[f32], num_bins: usize) -> f64 {
        let batch = Batch::new(&[example], NUM_SLICES, num_bins);
        let shape = [1, NUM_SLICES as i64, 4, 2, num_bins as i64, NUM_CELLS as i64];
        loss(&Tensor::from_slice(masks).reshape(shape), &batch.forms).mse.double_value(&[])
    }

    /// Mean over the sums `[[stem]]` of the squared error of their estimates, from the coefficients themselves.
    fn direct(plan: &Plan<f32>, grid: &Grid, stems: &[[Vec<f32>; 2]], masks: &[f32], sums: &[&[usize]]) -> f64 {
        let num_coefs = plan.num_coefs();
        let (mut error, mut energy) = (0f64, 0f64);
        for channel in 0..2 {
            let y: Vec<Vec<Complex<f32>>> = stems.iter().map(|s| forward_whole(plan, &s[channel])).collect();
            for s in 0..NUM_SLICES {
                let expanded: Vec<Vec<f32>> = (0..4)
                    .map(|k| {
                        let at = ((s * 4 + k) * 2 + channel) * grid.len();
                        let mut masks_of_stem = vec![0.0; num_coefs];
                        grid.expand_into(&masks[at..at + grid.len()], &mut masks_of_stem);
                        masks_of_stem
                    })
                    .collect();
                for i in 0..num_coefs {
                    let weight = plan.coef_energy_weights()[i] as f64;
                    let y: Vec<Complex<f32>> = y.iter().map(|y| y[s * num_coefs + i]).collect();
                    let x: Complex<f32> = y.iter().sum();
                    energy += weight * x.norm_sqr() as f64;
                    for sum in sums {
                        let residual: Complex<f32> = sum.iter().map(|&k| x * expanded[k][i] - y[k]).sum();
                        error += weight * residual.norm_sqr() as f64 / sums.len() as f64;
                    }
                }
            }
        }
        error / energy
    }

    #[test]
    fn quadratic_form_is_the_sum_over_combinations() {
        let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
        let grid = Grid::new(&plan);
        let mut rng = StdRng::seed_from_u64(5);
        let stems = noise_stems(&plan, &mut rng);
        let masks: Vec<f32> = (0..NUM_SLICES * 8 * grid.len()).map(|_| rng.random()).collect();
        let mut maker = ExampleMaker::new(&plan, &grid);

        let all: Vec<Vec<usize>> = (1u32..15).map(|set| (0..4).filter(|k| set >> k & 1 == 1).collect()).collect();
        let apart: Vec<&[usize]> = all.iter().map(Vec::as_slice).collect();
        assert_eq!(apart.len(), 14);
        let expected = direct(&plan, &grid, &stems, &masks, &apart);
        let got = loss_of(maker.transform(&stems, None, NUM_SLICES, Known::All), &masks, grid.num_bins);
        assert!((got / expected - 1.0).abs() < 1e-4, "{got} against {expected}");

        let together: Vec<&[usize]> = vec![&[0], &[1], &[2, 3], &[0, 1], &[0, 2, 3], &[1, 2, 3]];
        let expected = direct(&plan, &grid, &stems, &masks, &together);
        let got = loss_of(maker.transform(&stems, None, NUM_SLICES, Known::BassInOther), &masks, grid.num_bins);
        assert!((got / expected - 1.0).abs() < 1e-4, "{got} against {expected}");

        let mut stems = stems;
        for silent in [1, 2] {
            stems[silent].iter_mut().for_each(|channel| channel.fill(0.0));
        }
        let expected = direct(&plan, &grid, &stems, &masks, &[&[0], &[1, 2, 3]]);
        let got = loss_of(maker.transform(&stems, None, NUM_SLICES, Known::VocalsOnly), &masks, grid.num_bins);
        assert!((got / expected - 1.0).abs() < 1e-4, "{got} against {expected}");
    }
}
