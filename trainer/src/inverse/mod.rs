//! From masks to samples and back to gradients: the inverse transform as a step of training.
//!
//! A loss in time needs the samples of every stem, `inverse(mask * mix)`, and the gradient of the loss with respect to
//! the masks. The inverse is linear, so its gradient is its adjoint: with `X` the mix's coefficients and `v` the
//! gradient of the loss by the samples, that by the masks is `Re(X* adjoint(v))`. There are two ways to it, which tests
//! hold against each other and against finite differences:
//!
//! - [`Kernels`]: `slicqt`'s own transform on worker threads, slice by slice in the cache, and its adjoint
//!   (`slicqt::Plan::adjoint_into`).
//! - [`TensorInverse`]: FFTs, window products and sums over the whole batch in libtorch, for GPUs; gradients are
//!   torch's own.

mod kernels;
mod tables;
mod tensors;

#[cfg(test)]
mod tests;

pub use kernels::{Kernels, StemSum};
pub use tensors::TensorInverse;
