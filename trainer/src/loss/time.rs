//! Losses of samples: estimates against stems, over the stems (or what is known of them) or over their combinations.
//!
//! Everything that is a square of sums of stems is computed from the products of the four stems with each other
//! (Gram matrices `[B][4][4]`), so that SDRs over 14 combinations cost what they cost over 4 stems.
//!
//! These are the losses in tensors, for GPUs; [`kernels`](super::kernels) has them for the CPU.

use crate::inverse::StemSum;
use tch::{Device, Kind, Tensor};

/// A loss in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLoss {
    /// Minus the SDR in dB, `10 log10((|s - s^|^2 + e) / (|s|^2 + e))`.
    Sdr,
    /// Minus the scale-invariant SDR in dB (Le Roux et al. 2019), softened by e as the SDR is.
    SiSdr,
    /// Minus the weighted SDR of X-UMX (Sawata et al. 2021, after Choi et al. 2019): correlation coefficients of
    /// estimate and stem, and of what both leave of the mix, weighted by their energies; -1..=1.
    WeightedSdr,
    /// Mean absolute error, in parts of the mix's mean absolute value.
    L1,
    /// Multi-resolution STFT loss (Yamamoto et al. 2020): spectral convergence plus mean difference of log magnitudes.
    Stft,
}

/// Energies below this share of the mix's (-30 dB) do not count in ratios: a silent stem has no SDR.
const SOFTENING: f64 = 1e-3;
/// Window lengths of the STFT loss, samples; hops are a quarter.
pub const STFT_LENS: [i64; 3] = [2048, 1024, 512];
/// Magnitudes below this share of the mix's mean magnitude do not count in logarithms.
pub const LOG_FLOOR: f64 = 1e-2;
/// Added to squared magnitudes, in parts of that magnitude's square: keeps the square root off 0.
pub const MAGNITUDE_FLOOR: f64 = 1e-4;
/// Added to the squared error of the spectral convergence, in the same measure: keeps its root off 0.
pub const CONVERGENCE_FLOOR: f64 = 1e-4;

/// Sums of stems that a loss runs over.
pub struct Sums {
    /// `[B][sum][stem]` 1 where the stem is in the sum.
    members: Tensor,
    /// `[B][sum]` One over the number of an example's sums; 0 for sums that it lacks.
    weights: Tensor,
}

impl Sums {
    /// Those of a batch, by example.
    pub fn new(sums: &[StemSum], batch_size: usize, options: (Kind, Device)) -> Self {
        let of_example = |b: usize| sums.iter().filter(move |sum| sum.example == b);
        let num_sums = (0..batch_size).map(|b| of_example(b).count()).max().unwrap_or(0);
        let (mut members, mut weights) = (vec![0f64; batch_size * num_sums * 4], vec![0f64; batch_size * num_sums]);
        for b in 0..batch_size {
            for (i, sum) in of_example(b).enumerate() {
                weights[b * num_sums + i] = 1.0 / of_example(b).count() as f64;
                for stem in &sum.stems {
                    members[(b * num_sums + i) * 4 + stem] = 1.0;
                }
            }
        }
        let tensor = |values: &[f64]| Tensor::from_slice(values).to_kind(options.0).to_device(options.1);
        let (b, n) = (batch_size as i64, num_sums as i64);
        Sums { members: tensor(&members).reshape([b, n, 4]), weights: tensor(&weights).reshape([b, n]) }
    }

    /// Mean over sums and examples of `[B][sum]`.
    fn mean(&self, values: &Tensor) -> Tensor {
        (values * &self.weights).sum(values.kind()) / self.weights.size()[0] as f64
    }

    /// `[B][sum]` Inner products of sums, from those of stems `[B][stem][stem]`.
    fn products(&self, gram: &Tensor) -> Tensor {
        (self.members.bmm(gram) * &self.members).sum_dim_intlist([2].as_slice(), false, gram.kind())
    }

    /// `[B][sum][...]` Sums of `[B][stem][...]`.
    fn of(&self, stems: &Tensor) -> Tensor {
        let size = stems.size();
        self.members.bmm(&stems.flatten(2, -1)).reshape([&self.members.size()[..2], &size[2..]].concat())
    }
}

/// The loss of `estimates` against `targets`, both `[B][stem][channel][sample]`; a scalar. `stft_lens` are the windows
/// of the STFT loss.
pub fn time_loss(kind: TimeLoss, estimates: &Tensor, targets: &Tensor, sums: &Sums, stft_lens: &[i64]) -> Tensor {
    match kind {
        TimeLoss::Sdr | TimeLoss::SiSdr | TimeLoss::WeightedSdr => {
            ratio_loss(kind, &Products::new(estimates, targets), sums)
        }
        TimeLoss::L1 => {
            let scale = mean_magnitude(targets);
            let error = sums.of(&(estimates - targets)).abs().mean_dim([2i64, 3].as_slice(), false, targets.kind());
            sums.mean(&(error / scale))
        }
        TimeLoss::Stft => stft_loss(estimates, targets, sums, stft_lens),
    }
}

/// `[B][1]` Mean absolute value of the mix.
fn mean_magnitude(targets: &Tensor) -> Tensor {
    let mix = targets.sum_dim_intlist([1].as_slice(), false, targets.kind());
    mix.abs().mean_dim([1i64, 2].as_slice(), false, targets.kind()).unsqueeze(1) + 1e-6
}

/// Inner products of the stems of each example with each other, `[B][stem][stem]`.
pub struct Products {
    /// Of estimates.
    pub estimates: Tensor,
    /// Of estimates with targets.
    pub crossed: Tensor,
    /// Of targets.
    pub targets: Tensor,
    /// Of what estimates are more than targets.
    pub residuals: Tensor,
}

impl Products {
    fn new(estimates: &Tensor, targets: &Tensor) -> Self {
        let (e, t) = (estimates.flatten(2, -1), targets.flatten(2, -1));
        let residual = &e - &t;
        let gram = |a: &Tensor, b: &Tensor| a.bmm(&b.transpose(1, 2));
        Products {
            estimates: gram(&e, &e),
            crossed: gram(&e, &t),
            targets: gram(&t, &t),
            residuals: gram(&residual, &residual),
        }
    }
}

/// The losses that are ratios of energies.
pub fn ratio_loss(kind: TimeLoss, products: &Products, sums: &Sums) -> Tensor {
    let Products { estimates, crossed, targets, residuals } = products;
    // [B][1] Energy of the mix, the sum of all products.
    let mix_energy = targets.sum_dim_intlist([1i64, 2].as_slice(), false, targets.kind()).unsqueeze(1);
    let softening = &mix_energy * SOFTENING + 1e-9;
    let target_energy = sums.products(targets);
    let decibels = |noise: Tensor, signal: &Tensor| ((noise + &softening) / (signal + &softening)).log10() * 10.0;
    match kind {
        TimeLoss::Sdr => sums.mean(&decibels(sums.products(residuals), &target_energy)),
        TimeLoss::SiSdr => {
            // The part of the estimate along the stem, and what is left of the estimate.
            let along = sums.products(crossed).square() / (&target_energy + 1e-9);
            let rest = (sums.products(estimates) - &along).clamp_min(0.0);
            sums.mean(&decibels(rest, &along))
        }
        _ => {
            let (energy, product) = (sums.products(estimates), sums.products(crossed));
            // The mix is the sum of all stems.
            let with_mix = |gram: &Tensor| {
                let of_stems = gram.sum_dim_intlist([2i64].as_slice(), true, gram.kind());
                sums.members.bmm(&of_stems).squeeze_dim(2)
            };
            let (e_mix, t_mix) = (with_mix(crossed), with_mix(targets));
            let rest_target = &mix_energy - &t_mix * 2.0 + &target_energy;
            let rest_energy = &mix_energy - &e_mix * 2.0 + &energy;
            let rest_product = &mix_energy - &e_mix - &t_mix + &product;
            let correlation = |product: &Tensor, a: &Tensor, b: &Tensor| {
                product / ((a.clamp_min(0.0) + &softening) * (b.clamp_min(0.0) + &softening)).sqrt()
            };
            let share = (&target_energy + &softening) / (&target_energy + &rest_target + &softening * 2.0);
            let own = &share * correlation(&product, &energy, &target_energy);
            let others = (1.0 - &share) * correlation(&rest_product, &rest_energy, &rest_target);
            -sums.mean(&(own + others))
        }
    }
}

fn stft_loss(estimates: &Tensor, targets: &Tensor, sums: &Sums, stft_lens: &[i64]) -> Tensor {
    let (kind, device) = (targets.kind(), targets.device());
    let num_samples = targets.size()[3];
    let scale = mean_magnitude(targets);
    let mut total = Tensor::zeros([], (kind, device));
    let (estimates, targets) = (sums.of(estimates), sums.of(targets));
    for len in stft_lens {
        // What is shorter than a window is seen through a window of its own length.
        let len = (*len).min(num_samples);
        let window = Tensor::hann_window(len, (kind, device));
        // The mean magnitude of a frame's spectrum grows with the square root of its energy.
        let floor = (&scale * (LOG_FLOOR * (0.375 * len as f64).sqrt())).unsqueeze(2).unsqueeze(3).unsqueeze(4);
        let magnitudes = |x: &Tensor| {
            let spectrum = (x.unfold(-1, len, (len / 4).max(1)) * &window).fft_rfft(None, -1, "backward");
            let parts = spectrum.view_as_real();
            // Kept off 0, where the square root has no gradient.
            (parts.square().sum_dim_intlist([-1].as_slice(), false, kind) + floor.square() * MAGNITUDE_FLOOR).sqrt()
        };
        let (e, t) = (magnitudes(&estimates), magnitudes(&targets));
        let over = [2i64, 3, 4];
        let norm = |x: &Tensor| x.square().sum_dim_intlist(over.as_slice(), false, kind);
        let floors = floor.square().squeeze_dim(4).squeeze_dim(3).squeeze_dim(2)
            * (t.numel() / (t.size()[0] * t.size()[1]) as usize) as f64;
        let convergence = ((norm(&(&e - &t)) + &floors * CONVERGENCE_FLOOR) / (norm(&t) + &floors)).sqrt();
        let logs = ((&e + &floor).log() - (&t + &floor).log()).abs().mean_dim(over.as_slice(), false, kind);
        total += sums.mean(&(convergence + logs)) / stft_lens.len() as f64;
    }
    total
}
