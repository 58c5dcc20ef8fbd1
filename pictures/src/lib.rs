//! Pictures as PNG files: a canvas that `plotters` draws on, with one font that is built in, so that they look alike on
//! every machine; and what all spectrograms share, which is their colours and the labels of their frequencies.
//!
//! ```
//! use pictures::{Canvas, FONT, plotters::prelude::*};
//! let mut canvas = Canvas::new(200, 50);
//! canvas.draw(|area| Ok(area.draw(&Text::new("0 dB", (10, 10), (FONT, 20)))?)).unwrap();
//! canvas.fill(&pictures::Rectangle { left: 150, top: 0, width: 50, height: 50 }, |row, _| pictures::level_colour(row as f64 / 50.0));
//! # let dir = tempfile::tempdir().unwrap();
//! canvas.write_png(&dir.path().join("picture.png")).unwrap();
//! ```
#![warn(missing_docs)]

mod canvas;
mod spectrum;

pub use canvas::{Area, Canvas, Drawn, FONT, Rectangle, TITLE_FONT};
pub use plotters;
pub use spectrum::{frequency_label, frequency_ticks, level_colour};
