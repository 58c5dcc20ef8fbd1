//! A picture in memory, its text font, and its way into a PNG file.

use std::path::Path;
use std::sync::Once;

use anyhow::{Result, anyhow};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use plotters::coord::Shift;
use plotters::prelude::*;

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
    ///
    /// # Errors
    /// As plotters has them.
    pub fn draw<T>(&mut self, draw: impl FnOnce(&Area) -> Drawn<T>) -> Result<T> {
        let size = (self.width as u32, self.height as u32);
        let root = BitMapBackend::with_buffer(&mut self.pixels, size).into_drawing_area();
        let drawn = draw(&root).map_err(|error| anyhow!("could not draw: {error}"))?;
        root.present().map_err(|error| anyhow!("could not draw: {error}"))?;
        Ok(drawn)
    }

    /// Sets the pixels of a rectangle one by one: `colour(row, column)`.
    ///
    /// # Panics
    /// If it does not lie within the picture.
    pub fn fill(&mut self, rectangle: &Rectangle, colour: impl Fn(usize, usize) -> [u8; 3]) {
        for row in 0..rectangle.height {
            for column in 0..rectangle.width {
                let at = 3 * ((rectangle.top + row) * self.width + rectangle.left + column);
                self.pixels[at..at + 3].copy_from_slice(&colour(row, column));
            }
        }
    }

    /// Writes the file, which is replaced in one step.
    ///
    /// # Errors
    /// As the file system has them, with the path.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(|error| anyhow!("{}: could not encode the picture: {error}", path.display()))?;
        base::write_whole(path, png).map_err(|error| anyhow!("{}: could not write: {error}", path.display()))
    }
}

/// Where plotters draws.
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// What drawing comes to.
pub type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// Part of a canvas, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// Its first column.
    pub left: usize,
    /// Its first row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Rectangle {
    /// The inside of a chart's axes, from plotters' ranges.
    pub fn new((x, y): (std::ops::Range<i32>, std::ops::Range<i32>)) -> Rectangle {
        let len = |range: &std::ops::Range<i32>| (range.end - range.start).max(1) as usize;
        Rectangle { left: x.start as usize, top: y.start as usize, width: len(&x), height: len(&y) }
    }
}
