//! Line plots as PNG.

use anyhow::Result;
use pictures::plotters::prelude::*;
use pictures::{Area, Canvas, Drawn, FONT};
use std::path::Path;

const WIDTH: u32 = 900;
const HEIGHT: u32 = 480;
/// Colour-blind safe (Okabe and Ito 2008), darkest last.
const COLOURS: [RGBColor; 7] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// A named line.
pub struct Curve {
    /// For the legend.
    pub name: String,
    /// `(x, y)`
    pub points: Vec<(f64, f64)>,
}

/// A picture with lines, or with points where a line would mean nothing.
pub struct Plot<'a> {
    /// Above.
    pub title: &'a str,
    /// Below.
    pub x: &'a str,
    /// Beside.
    pub y: &'a str,
    /// Logarithmic height, where all values are above zero.
    pub log_y: bool,
    /// The lines.
    pub curves: Vec<Curve>,
}

impl Plot<'_> {
    /// Draws it into a PNG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut canvas = Canvas::new(WIDTH as usize, HEIGHT as usize);
        canvas.draw(|area| self.draw(area))?;
        canvas.write_png(path)
    }

    fn draw(&self, root: &Area) -> Drawn<()> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|(x, y)| (x + y).is_finite());
        let is_log = self.log_y && points().all(|(_, y)| *y > 0.0);
        let height = |y: f64| if is_log { y.log10() } else { y };
        let (mut x_range, y_range) = (range(points().map(|p| p.0)), range(points().map(|p| height(p.1))));
        x_range.end += 0.22 * (x_range.end - x_range.start); // room for the legend
        let mut chart = ChartBuilder::on(root)
            .caption(self.title, (FONT, 22))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x_range, y_range)?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .label_style((FONT, 15))
            .axis_desc_style((FONT, 16))
            .light_line_style(WHITE)
            .y_label_formatter(&|y| label(if is_log { 10f64.powf(*y) } else { *y }))
            .x_label_formatter(&|x| label(*x))
            .draw()?;
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let points: Vec<(f64, f64)> = curve.points.iter().map(|(x, y)| (*x, height(*y))).collect();
            let legend = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3));
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(curve.name.clone())
                .legend(legend);
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font((FONT, 16))
            .position(SeriesLabelPosition::UpperRight)
            .draw()?;
        Ok(())
    }
}

/// From the least to the greatest value, with some room.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), value| (l.min(value), h.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let room = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1e-6) };
    low - room..high + room
}

fn label(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1e-3 => format!("{value:.1e}"),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 100.0 && value.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_of_anything_are_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plot.png");
        let curve = |points: &[(f64, f64)]| Curve { name: "a".into(), points: points.to_vec() };
        for points in [&[][..], &[(1.0, 2.0)], &[(0.0, 1.0), (5.0, 100.0)], &[(0.0, -1.0), (5.0, 0.0)]] {
            let plot = Plot { title: "t", x: "x", y: "y", log_y: true, curves: vec![curve(points), curve(&[])] };
            plot.write(&path).unwrap();
            let picture = image::open(&path).unwrap().into_rgb8();
            let black = picture.pixels().filter(|pixel| pixel.0.iter().all(|value| *value < 80)).count();
            assert_eq!(picture.dimensions(), (WIDTH, HEIGHT));
            assert!(black > 500, "axes and text are there: {black} dark pixels");
        }
    }
}
