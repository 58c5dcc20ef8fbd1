//! The editor without a window: its pictures, and what the host hears of mouse and keyboard.

mod bench;
#[cfg(unix)]
mod cost;
mod input;
mod messages;
mod pictures;
mod rasterizer;
mod song;
