//! Complex MSE over the combinations of stems, plus the mask-sum loss.
//!
//! Stem `k` is estimated as `m_k X` (mask times mixture). With residuals `r_k = m_k X - Y_k`, the squared errors of
//! the 14 sums of 1, 2 and 3 stems out of 4 add up to `sum_S |sum_{k in S} r_k|^2 = 4 sum_k |r_k|^2 + 3 |sum_k r_k|^2`
//! (a stem is in 7 of the 14 sums, a pair in 3). Where bass and other are only known together, the 6 sums of 1 and 2
//! out of 3 give `2 sum |r|^2 + |sum r|^2`.
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
    /// `[B]` 1 where bass and other are known apart, else 0.
    pub all_known: Tensor,
}

/// The parts of the loss.
pub struct Loss {
    /// Mean squared error over the combinations, in parts of the mix's energy; a scalar.
    pub mse: Tensor,
    /// Mean squared distance of the masks' sum from 1; a scalar.
    pub mask_sum: Tensor,
    /// `[B][stem]` Squared error of each stem, in parts of the mix's energy.
    pub stem_errors: Tensor,
}

/// `masks`: `[B][S][stem][channel][bin][cell]`, 0..=1.
pub fn loss(masks: &Tensor, forms: &Forms) -> Loss {
    let sum = masks.sum_dim_intlist([2].as_slice(), true, Kind::Float);
    let accompaniment = masks.narrow(2, 2, 2).sum_dim_intlist([2].as_slice(), true, Kind::Float);
    // [B][quantity]: four stems, bass + other, all.
    let all = Tensor::cat(&[masks, &accompaniment, &sum], 2);
    let linear = Tensor::cat(
        &[
            &forms.linear,
            &forms.linear.narrow(2, 2, 2).sum_dim_intlist([2].as_slice(), true, Kind::Float),
            &forms.linear.sum_dim_intlist([2].as_slice(), true, Kind::Float),
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
    let constants = Tensor::cat(&[&forms.energies, &forms.accompaniment_energy.unsqueeze(1), &mix_energy], 1);
    let errors = errors + constants;

    let stem = |i: i64| errors.select(1, i);
    let apart: Tensor = (stem(0) + stem(1) + stem(2) + stem(3)) * (4.0 / 14.0) + stem(5) * (3.0 / 14.0);
    let together: Tensor = (stem(0) + stem(1) + stem(4)) * (2.0 / 6.0) + stem(5) * (1.0 / 6.0);
    let unknown: Tensor = 1.0 - &forms.all_known;
    let mse = &forms.all_known * apart + unknown * together;
    Loss {
        mse: mse.mean(Kind::Float),
        mask_sum: (sum - 1.0).square().mean(Kind::Float),
        stem_errors: errors.narrow(1, 0, 4).detach(),
    }
}
