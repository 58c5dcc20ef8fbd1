//! The editor without a window: its pictures, and what the host hears of mouse and keyboard.

mod bench;
mod input;
mod pictures;
mod rasterizer;
mod song;
