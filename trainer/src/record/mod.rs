//! What a run is and what it has been through: the part of a checkpoint that people can read.

pub mod history;
pub mod parts;
pub mod recipe;
mod state;
pub mod top;

pub use state::RunState;
