//! A run: steps, validations, checkpoints.

mod adam;
mod average;
pub mod checkpoint;
mod divergence;
pub mod session;
#[cfg(test)]
mod tests;
mod train;
pub mod validate;

pub use adam::Adam;
pub use train::{Control, TrainConfig, score_checkpoint, train};
