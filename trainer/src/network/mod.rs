//! What a network is to the trainer, and the list of those that it knows.
//!
//! A network turns magnitudes of a mix into masks, slice by slice, from an explicit state: [`Network`]. The trainer
//! makes its batches, asks for its losses, keeps its weights, validates it as a stream, writes its graph and compares
//! graph and network; all of that is the same for every architecture, and so are the tests in `tests.rs`, which every
//! entry of [`ARCHITECTURES`] has to pass.
//!
//! # Adding an architecture
//!
//! One new file in this folder, its `mod` line below, and its line in [`ARCHITECTURES`]. This is `example.rs`, a complete
//! one that the tests know as `gain`:
//!
//! ```ignore
#![doc = include_str!("example.rs")]
//! ```
//!
//! What the tests then check of it, with random weights: that masks of a slice do not move when a slice further ahead
//! than [`Network::look_ahead`] changes, and do change when that slice changes (so the latency reported to hosts is the
//! true one); that slices in two calls with the state handed on give what one call gives; that the state matters if
//! there is one; that the written graph, slice by slice through the engine that ships, gives the masks of `forward`
//! within 1e-4; that every trained weight gets a gradient.

mod architectures;
mod band_gru;
mod cdae;
#[cfg(test)]
mod example;
mod first;
mod interface;
mod lstm;
mod streamed;
mod umx;
mod unet;
mod weights;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub use architectures::ARCHITECTURES;
pub use architectures::{Architecture, NetworkConfig, Settings, list, num_parameters, parse, settings};
pub use interface::{GraphOutput, LookAhead, NUM_MASKS, Network};
pub use models::onnx::GraphBuilder;
pub use models::{Channel, InputKind, OutputKind};
pub use weights::Weights;

pub use crate::layers::{Mode, State};
pub use crate::transform::Layout;
