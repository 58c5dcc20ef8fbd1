//! The energy of filtered windows, from their lag products.

use crate::scores::SourceLayout;

/// What turns the lag products of any window into the energy of `y = sum_a h_a * x_a`, where `h` are filters and `x` the
/// channels of the window with silence around it:
///
/// `sum_n y[n]^2 = sum_ab sum_k q_ab[k] r_ab[k]`, with `q_ab[k] = sum_m h_a[m + k] h_b[m]` and the lag products
/// `r_ab[k] = sum_n x_a[n] x_b[n + k]`, for `k` of both signs. As `r_ab[-k] = r_ba[k]` and `q_ab[-k] = q_ba[k]`, lags
/// from 0 on suffice.
pub struct EnergyKernel {
    /// Channels that are filtered.
    channels: Vec<usize>,
    /// `[a][b][lag]`, `a` and `b` from `channels`.
    weights: Vec<f64>,
}

impl EnergyKernel {
    /// For `filters`, `[out][a][tap]`, one after another; energies of all `out` are summed.
    pub fn new(channels: &[usize], filters: &[Vec<f64>], num_taps: usize) -> EnergyKernel {
        let mut weights = Vec::with_capacity(channels.len() * channels.len() * num_taps);
        for a in 0..channels.len() {
            for b in 0..channels.len() {
                for lag in 0..num_taps {
                    let product: f64 = filters
                        .iter()
                        .map(|filter| {
                            let (h_a, h_b) = (&filter[a * num_taps..][..num_taps], &filter[b * num_taps..][..num_taps]);
                            dot(&h_a[lag..], &h_b[..num_taps - lag])
                        })
                        .sum();
                    weights.push(if lag == 0 { product } else { 2.0 * product });
                }
            }
        }
        EnergyKernel { channels: channels.to_vec(), weights }
    }

    /// The energy in a window of these lag products. Rounding does not make it negative.
    pub fn energy(&self, layout: &SourceLayout, products: &[f64]) -> f64 {
        let num_lags = layout.filter_len;
        let mut weights = self.weights.chunks_exact(num_lags);
        let mut energy = 0.0;
        for &a in &self.channels {
            for &b in &self.channels {
                let weights = weights.next().expect("as many as pairs of channels");
                energy += dot(weights, layout.lags(products, a, b));
            }
        }
        energy.max(0.0)
    }
}

/// The inner product; several partial sums let the compiler use vectors.
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (x_chunks, y_chunks) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = x_chunks.remainder().iter().zip(y_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x_chunks.zip(y_chunks) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    rest + sums.iter().sum::<f64>()
}
