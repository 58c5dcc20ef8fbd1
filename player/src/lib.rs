//! Unbraid without a host: a song through the engine (`unbraid play`), and a sound card's input (`unbraid-standalone`).
//!
//! - [`song`]: a file in memory, as far as it is decoded; [`stem_store`]: its stems, as far as they are computed;
//!   [`separating`]: the thread that computes them, ahead of the place that is played;
//! - [`transport`]: that place, and what is asked for; [`playback`]: what the sound card is given; [`player`]: all of it;
//! - [`export`]: what is heard, as a file;
//! - [`device`]: sound cards, with [`resampling`] where they do not know the song's rate; [`live`]: a sound card's input through the engine;
//! - [`window`] with its [`timeline`]: the plugin's editor in a window of its own; [`installation`]: where models are.
#![warn(missing_docs)]
#![allow(clippy::needless_range_loop, reason = "`for channel in 0..2` says more than enumerate")]

pub mod device;
pub mod export;
pub mod installation;
pub mod live;
pub mod playback;
pub mod player;
pub mod resampling;
pub mod separating;
pub mod song;
pub mod stem_store;
pub mod timeline;
pub mod transport;
pub mod window;
