//! A picture in memory, its text font, and its way into a PNG file.

use std::path::Path;
use std::sync::Once;

use anyhow::{Result, anyhow};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::output;

/// The name under which plotters knows the font that is built in.
pub const FONT: &str = "sans-serif";
/// And the one for names of files, in which every letter has its place: plotters draws narrow letters too far left.
pub const TITLE_FONT: &str = "monospace";

/// RGB pixels.
pub struct Canvas {
    /// `[row][column][channel]`
    pixels: Vec<u8>,
    width: usize,
    height: usize,
}

impl Canvas {
    /// A white picture.
    pub fn new(width: usize, height: usize) -> Canvas {
        static FONTS: Once = Once::new();
        FONTS.call_once(|| {
            let _ = plotters::style::register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
            let _ = plotters::style::register_font(TITLE_FONT, FontStyle::Normal, dejavu::sans_mono::regular());
        });
        Canvas { pixels: vec![255; 3 * width * height], width, height }
    }

    /// Draws with plotters.
    pub fn draw<T>(&mut self, draw: impl FnOnce(&Area) -> Drawn<T>) -> Result<T> {
        let size = (self.width as u32, self.height as u32);
        let root = BitMapBackend::with_buffer(&mut self.pixels, size).into_drawing_area();
        let drawn = draw(&root).map_err(|error| anyhow!("could not draw: {error}"))?;
        root.present().map_err(|error| anyhow!("could not draw: {error}"))?;
        Ok(drawn)
    }

    /// Sets the pixels of a rectangle one by one.
    pub fn fill(&mut self, rectangle: &Rectangle, color: impl Fn(usize, usize) -> [u8; 3]) {
        for row in 0..rectangle.height {
            for column in 0..rectangle.width {
                let at = 3 * ((rectangle.top + row) * self.width + rectangle.left + column);
                self.pixels[at..at + 3].copy_from_slice(&color(row, column));
            }
        }
    }

    /// Writes the file, beside its name first.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(|error| anyhow!("{}: could not encode the picture: {error}", path.display()))?;
        output::write(path, &png)
    }
}

/// Where plotters draws.
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// What drawing comes to.
pub type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// Part of a canvas, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Rectangle {
    /// The inside of a chart's axes, from plotters' ranges.
    pub fn new((x, y): (std::ops::Range<i32>, std::ops::Range<i32>)) -> Rectangle {
        let len = |range: &std::ops::Range<i32>| (range.end - range.start).max(1) as usize;
        Rectangle { left: x.start as usize, top: y.start as usize, width: len(&x), height: len(&y) }
    }
}

/// Frequencies that get a label, within a range.
pub fn frequency_ticks(low_hz: f64, high_hz: f64) -> Vec<f64> {
    let decades = (0..5).map(|exponent| 10f64.powi(exponent));
    let ticks = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * decade));
    ticks.filter(|hz| *hz >= low_hz * 0.999 && *hz <= high_hz * 1.001).collect()
}

/// 50, 200, 1k, 20k.
pub fn frequency_label(hz: &f64) -> String {
    if *hz >= 1000.0 { format!("{}k", hz / 1000.0) } else { format!("{hz}") }
}
