//! Squared errors of masked coefficients over the combinations of stems, as quadratic forms of the masks.
//!
//! Stem `k` is estimated as `m_k X` (mask times mixture). With residuals `r_k = m_k X - Y_k`, the squared errors of
//! the 14 sums of 1, 2 and 3 stems out of 4 add up to `sum_S |sum_{k in S} r_k|^2 = 4 sum_k |r_k|^2 + 3 |sum_k r_k|^2`
//! (a stem is in 7 of the 14 sums, a pair in 3); where stems are known only together, parts take the place of stems
//! ([`combinations`](super::combinations)). Written out, every squared error over the coefficients is
//! `sum w |X|^2 m^2 - 2 sum w Re(X* Y) m + sum w |Y|^2`, so the loader needs to keep `w |X|^2` and one collected linear
//! term per mask, and never the stems. The **magnitude** MSE compares `|sum_{k in S} m_k X|` with `|Y_S|`: masks are not
//! negative, so it is the same form with `w |X| |Y_S|` in the linear term.
//!
//! Complex masks have `|m|^2` and `Re(m* X* Y)` there: two real masks, the second with the imaginary part of `X* Y`.
//!
//! On the grid, masks are interpolated linearly between cells, so the squares also couple a cell with the next:
//! `sum_c A_c g_c^2 + 2 B_c g_c g_{c+1} - 2 b_c g_c + sum w |Y|^2`. Nothing is approximated (a test compares with the
//! direct sums), and the loss costs next to nothing.

use super::combinations::{form_weights, parts};
use crate::data::Known;
use tch::{Device, Kind, Tensor};

/// Quadratic forms of a batch of `[B]` examples with `[S]` slices, on one device. See the module's head.
pub struct Forms {
    /// `[B][S][1][channel][position]`
    pub diagonal: Tensor,
    /// `[B][S][1][channel][position]` Between a position and the next; none where masks are not interpolated.
    pub neighbour: Option<Tensor>,
    /// `[B][S][stem][plane][position]`, with the planes of the masks.
    pub linear: Tensor,
    /// `[B][S][stem][channel][position]` That of the magnitude MSE, if it was asked for.
    pub magnitude_linear: Option<Tensor>,
    /// `[B][S]` Mean energy of the combinations.
    pub constant: Tensor,
    /// `[B]`
    pub known: Vec<Known>,
}

impl Forms {
    /// The forms on another device.
    pub fn to_device(&self, device: Device) -> Forms {
        self.map(|t| t.to_kind(Kind::Float).to_device(device))
    }

    /// The forms of the first `num_slices` slices.
    pub fn narrow(&self, num_slices: i64) -> Forms {
        self.map(|t| t.narrow(1, 0, num_slices))
    }

    fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Forms {
        Forms {
            diagonal: change(&self.diagonal),
            neighbour: self.neighbour.as_ref().map(&change),
            linear: change(&self.linear),
            magnitude_linear: self.magnitude_linear.as_ref().map(&change),
            constant: change(&self.constant),
            known: self.known.clone(),
        }
    }

    /// The two mean squared errors of `masks` `[B][S][stem][plane][position]`, in parts of the mix's energy, averaged
    /// over examples: of complex coefficients, and of magnitudes if the forms hold it.
    pub fn errors(&self, masks: &Tensor) -> (Tensor, Option<Tensor>) {
        let squares = self.squares(masks) + self.constant.sum_dim_intlist([1].as_slice(), false, Kind::Float);
        let over = [1i64, 2, 3, 4];
        let with = |linear: &Tensor| {
            let linear = (linear * masks).sum_dim_intlist(over.as_slice(), false, Kind::Float);
            (&squares - linear * 2.0).mean(Kind::Float)
        };
        (with(&self.linear), self.magnitude_linear.as_ref().map(with))
    }

    /// `[B]` The quadratic term, collected over the combinations.
    fn squares(&self, masks: &Tensor) -> Tensor {
        let sum = |first: i64, len: i64| masks.narrow(2, first, len).sum_dim_intlist([2].as_slice(), true, Kind::Float);
        // Sums of stems that some example needs, with their weights by example.
        let (mut sums, mut weights) = (vec![masks.shallow_clone(), sum(0, 4)], Vec::new());
        let each = |stems: &[usize]| -> Vec<f32> {
            let weight = |known: &Known| if parts(*known).contains(&stems) { form_weights(*known).0 } else { 0.0 };
            self.known.iter().map(weight).collect()
        };
        weights.extend((0..4).map(|stem| each(&[stem])));
        weights.push(self.known.iter().map(|known| form_weights(*known).1).collect());
        for stems in [[2, 3].as_slice(), &[1, 2, 3]] {
            let weight = each(stems);
            if weight.iter().any(|w| *w != 0.0) {
                sums.push(sum(stems[0] as i64, stems.len() as i64));
                weights.push(weight);
            }
        }
        let all = Tensor::cat(&sums, 2);
        // Real and imaginary parts of a complex mask count alike.
        let parts_of_channel = masks.size()[3] / 2;
        let diagonal = match parts_of_channel {
            1 => self.diagonal.shallow_clone(),
            num => self.diagonal.repeat_interleave_self_int(num, 3, None),
        };
        let num_positions = masks.size()[4];
        let over = [1i64, 3, 4];
        let mut squares = (diagonal * &all * &all).sum_dim_intlist(over.as_slice(), false, Kind::Float);
        if let Some(neighbour) = &self.neighbour {
            let (here, next) = (all.narrow(4, 0, num_positions - 1), all.narrow(4, 1, num_positions - 1));
            let mixed = neighbour.narrow(4, 0, num_positions - 1) * here * next;
            squares += mixed.sum_dim_intlist(over.as_slice(), false, Kind::Float) * 2.0;
        }
        let weights: Vec<Tensor> = weights.iter().map(|w| Tensor::from_slice(w)).collect();
        let weights = Tensor::stack(&weights, 1).to_device(masks.device());
        (squares * weights).sum_dim_intlist([1].as_slice(), false, Kind::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::batch::combinations::combinations;
    use crate::batch::example::{Contents, ExampleMaker};
    use crate::network::{Channel, InputKind, Layout, OutputKind};
    use crate::transform::Transform;
    use num_complex::Complex;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use slicqt::{Plan, forward_whole};

    const NUM_SLICES: usize = 3;

    /// Four stems of noise, `[stem][channel][sample]`.
    fn noise_stems(plan: &Plan<f32>, rng: &mut StdRng) -> Vec<[Vec<f32>; 2]> {
        let mut channel = || (0..NUM_SLICES * plan.hop_len()).map(|_| rng.random_range(-0.5f32..0.5)).collect();
        (0..4).map(|_| [channel(), channel()]).collect()
    }

    /// Means over the combinations of the squared error of their estimates, from the coefficients themselves: complex,
    /// and of magnitudes.
    fn direct(
        transform: &Transform,
        layout: Layout,
        stems: &[[Vec<f32>; 2]],
        masks: &[f32],
        sums: &[Vec<usize>],
    ) -> (f64, f64) {
        let (plan, grid) = (&transform.plan, &transform.grid);
        let (num_coefs, positions) = (plan.num_coefs(), layout.num_positions(transform));
        let (mut error, mut magnitude_error, mut energy) = (0f64, 0f64, 0f64);
        for channel in 0..2 {
            let y: Vec<Vec<Complex<f32>>> = stems.iter().map(|s| forward_whole(plan, &s[channel])).collect();
            for s in 0..NUM_SLICES {
                let expanded: Vec<Vec<f32>> = (0..4)
                    .map(|k| {
                        let at = ((s * 4 + k) * 2 + channel) * positions;
                        let masks = &masks[at..at + positions];
                        let mut masks_of_stem = vec![0.0; num_coefs];
                        match layout {
                            Layout::Grid => grid.expand_into(masks, &mut masks_of_stem),
                            Layout::Coefs => masks_of_stem.copy_from_slice(masks),
                        }
                        masks_of_stem
                    })
                    .collect();
                for i in 0..num_coefs {
                    let weight = plan.coef_energy_weights()[i] as f64;
                    let y: Vec<Complex<f32>> = y.iter().map(|y| y[s * num_coefs + i]).collect();
                    let x: Complex<f32> = y.iter().sum();
                    energy += weight * x.norm_sqr() as f64;
                    for sum in sums {
                        let estimate: Complex<f32> = sum.iter().map(|&k| x * expanded[k][i]).sum();
                        let truth: Complex<f32> = sum.iter().map(|&k| y[k]).sum();
                        error += weight * (estimate - truth).norm_sqr() as f64 / sums.len() as f64;
                        let difference = (estimate.norm() - truth.norm()) as f64;
                        magnitude_error += weight * difference * difference / sums.len() as f64;
                    }
                }
            }
        }
        (error / energy, magnitude_error / energy)
    }

    #[test]
    fn the_form_is_the_sum_over_the_combinations_of_what_is_known() {
        let transform = Transform::new("mel-32").unwrap();
        let mut rng = StdRng::seed_from_u64(5);
        let mut stems = noise_stems(&transform.plan, &mut rng);
        for (known, num_sums) in [(Known::All, 14), (Known::BassInOther, 6), (Known::VocalsOnly, 2)] {
            for layout in [Layout::Grid, Layout::Coefs] {
                let channels = vec![Channel::Left, Channel::Right];
                let contents = Contents {
                    layout,
                    channels,
                    magnitude_forms: true,
                    input_kind: InputKind::Magnitude,
                    output_kind: OutputKind::Mask,
                    waveforms: false,
                    coefs: false,
                };
                let positions = layout.num_positions(&transform);
                let masks: Vec<f32> = (0..NUM_SLICES * 8 * positions).map(|_| rng.random()).collect();
                let example = ExampleMaker::new(&transform, contents).transform(stems.clone(), NUM_SLICES, known);
                let batch = Batch::new(vec![example], NUM_SLICES);
                let shape = [1, NUM_SLICES as i64, 4, 2, positions as i64];
                let (got, magnitude) = batch.forms.errors(&Tensor::from_slice(&masks).reshape(shape));
                let (got, magnitude) = (got.double_value(&[]), magnitude.unwrap().double_value(&[]));
                let sums = combinations(known);
                assert_eq!(sums.len(), num_sums);
                let (expected, expected_magnitude) = direct(&transform, layout, &stems, &masks, &sums);
                let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-4;
                assert!(near(got, expected), "{known:?} {layout:?}: {got} against {expected}");
                assert!(near(magnitude, expected_magnitude), "{known:?}: {magnitude} against {expected_magnitude}");
            }
            stems[2].iter_mut().for_each(|channel| channel.fill(0.0)); // as what is not known apart comes
        }
    }

    #[test]
    fn complex_masks_have_a_form_too() {
        let transform = Transform::new("stft:256:64").unwrap();
        let (plan, num_coefs) = (&transform.plan, transform.plan.num_coefs());
        let mut rng = StdRng::seed_from_u64(6);
        let stems = noise_stems(plan, &mut rng);
        let contents = Contents {
            layout: Layout::Coefs,
            channels: vec![Channel::Left, Channel::Right],
            input_kind: InputKind::Complex,
            output_kind: OutputKind::ComplexMask,
            magnitude_forms: false,
            waveforms: false,
            coefs: false,
        };
        let example = ExampleMaker::new(&transform, contents).transform(stems.clone(), NUM_SLICES, Known::BassInOther);
        let batch = Batch::new(vec![example], NUM_SLICES);
        assert_eq!(batch.inputs.size(), [1, NUM_SLICES as i64, 4, num_coefs as i64]);
        // [slice][stem][channel][part][coef]
        let masks: Vec<f32> = (0..NUM_SLICES * 16 * num_coefs).map(|_| rng.random_range(-1.0..1.0)).collect();
        let shape = [1, NUM_SLICES as i64, 4, 4, num_coefs as i64];
        let got = batch.forms.errors(&Tensor::from_slice(&masks).reshape(shape)).0.double_value(&[]);
        let (mut error, mut energy) = (0f64, 0f64);
        let sums = combinations(Known::BassInOther);
        for channel in 0..2 {
            let y: Vec<Vec<Complex<f32>>> = stems.iter().map(|s| forward_whole(plan, &s[channel])).collect();
            for (s, i) in (0..NUM_SLICES).flat_map(|s| (0..num_coefs).map(move |i| (s, i))) {
                let weight = plan.coef_energy_weights()[i] as f64;
                let mask = |stem: usize| {
                    let part = |part: usize| masks[((((s * 4 + stem) * 2 + channel) * 2) + part) * num_coefs + i];
                    Complex::new(part(0), part(1))
                };
                let y: Vec<Complex<f32>> = y.iter().map(|y| y[s * num_coefs + i]).collect();
                let x: Complex<f32> = y.iter().sum();
                energy += weight * x.norm_sqr() as f64;
                for sum in &sums {
                    let residual: Complex<f32> = sum.iter().map(|&k| mask(k) * x - y[k]).sum();
                    error += weight * residual.norm_sqr() as f64 / sums.len() as f64;
                }
            }
        }
        assert!((got / (error / energy) - 1.0).abs() < 1e-4, "{got} against {}", error / energy);
    }
}
