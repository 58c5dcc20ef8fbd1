//! The distortion filters: least squares, as museval solves them.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::{factor, solve};
use faer::linalg::solvers::Solve;
use faer::{Mat, Par, Side};

use crate::scores::SourceLayout;

/// Beyond this, coefficients of an exactly solved system are rounding errors that cancel each other.
const MAX_COEF: f64 = 1e5;

/// For every target the filters on `channels` whose sum comes closest to it: `[target][channel][tap]`.
///
/// `total` are the lag products of the whole song, `[channel][signal][lag]`; a target is given by its lag products with
/// the channels, `[channel][lag]`.
pub fn closest(layout: &SourceLayout, total: &[f64], channels: &[usize], targets: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let num_taps = layout.filter_len;
    let dim = channels.len() * num_taps;
    let filters = solve_lu(gram(layout, total, channels), targets);
    let is_sound = |filter: &Vec<f64>| filter.iter().all(|x| x.abs() < MAX_COEF);
    if dim == 0 || filters.iter().all(is_sound) {
        return filters;
    }
    solve_minimum_norm(&gram(layout, total, channels), targets)
}

/// `G[(a, l), (b, m)] = sum_n x_a[n - l] x_b[n - m]`, plus museval's epsilon on the diagonal.
fn gram(layout: &SourceLayout, total: &[f64], channels: &[usize]) -> Mat<f64> {
    let num_taps = layout.filter_len;
    Mat::from_fn(channels.len() * num_taps, channels.len() * num_taps, |row, col| {
        let (a, l, b, m) = (channels[row / num_taps], row % num_taps, channels[col / num_taps], col % num_taps);
        // x_a[n - l] x_b[n - m] is a product at the lag l - m of b behind a.
        let product = if l >= m { layout.lags(total, a, b)[l - m] } else { layout.lags(total, b, a)[m - l] };
        if row == col { product + f64::EPSILON } else { product }
    })
}

/// As `np.linalg.solve`: LU with partial pivoting, in place, on this thread only (songs run in parallel).
fn solve_lu(mut gram: Mat<f64>, targets: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dim = gram.nrows();
    let (mut order, mut inverse_order) = (vec![0_usize; dim], vec![0_usize; dim]);
    let mut buffer = MemBuffer::new(factor::lu_in_place_scratch::<usize, f64>(dim, dim, Par::Seq, Default::default()));
    let (_, order) = factor::lu_in_place(
        gram.as_mut(),
        &mut order,
        &mut inverse_order,
        Par::Seq,
        MemStack::new(&mut buffer),
        Default::default(),
    );
    let mut solutions = columns(targets, dim);
    let mut buffer = MemBuffer::new(solve::solve_in_place_scratch::<usize, f64>(dim, targets.len(), Par::Seq));
    // Both triangles lie in one matrix; each solver reads its own.
    solve::solve_in_place(
        gram.as_ref(),
        gram.as_ref(),
        order,
        solutions.as_mut(),
        Par::Seq,
        MemStack::new(&mut buffer),
    );
    rows(&solutions)
}

/// As `np.linalg.lstsq`, museval's way out of a singular matrix: the shortest of all solutions. Eigenvalues below
/// `dim * epsilon` of the largest are zero.
fn solve_minimum_norm(gram: &Mat<f64>, targets: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dim = gram.nrows();
    let Ok(eigen) = gram.self_adjoint_eigen(Side::Lower) else {
        return rows(&gram.col_piv_qr().solve(columns(targets, dim)));
    };
    let values: Vec<f64> = (0..dim).map(|i| eigen.S()[i]).collect();
    let min_value = values.iter().fold(0.0_f64, |max, x| max.max(*x)) * f64::EPSILON * dim as f64;
    let mut coefs = eigen.U().transpose() * columns(targets, dim);
    for target_idx in 0..targets.len() {
        for (row, value) in values.iter().enumerate() {
            let coef = &mut coefs[(row, target_idx)];
            *coef = if *value > min_value { *coef / value } else { 0.0 };
        }
    }
    rows(&(eigen.U() * coefs))
}

fn columns(targets: &[Vec<f64>], dim: usize) -> Mat<f64> {
    Mat::from_fn(dim, targets.len(), |row, col| targets[col][row])
}

fn rows(solutions: &Mat<f64>) -> Vec<Vec<f64>> {
    (0..solutions.ncols()).map(|col| solutions.col(col).iter().copied().collect()).collect()
}
