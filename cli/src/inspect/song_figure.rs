//! The picture of a song: one spectrogram, or two below each other, with axes and a colour bar.

use std::path::Path;

use anyhow::Result;
use audio::AudioReader;
use pictures::plotters::prelude::*;
use pictures::{Area, Canvas, Drawn, FONT, Rectangle, TITLE_FONT, frequency_label, frequency_ticks, level_colour};
use slicqt::{Design, Plan};

use super::axes::Axes;
use super::song::{Channel, num_samples, stretch_s};
use super::spectrogram::{Raster, Spectrogram};
use crate::progress::{Progress, ProgressKind};

/// Lowest frequency of the axis.
const LOWEST_HZ: f64 = 20.0;

/// What the user asks for.
pub struct Request<'a> {
    pub song: &'a Path,
    pub channel: Channel,
    pub start_s: f64,
    pub seconds: Option<f64>,
    /// One panel each, from the top.
    pub panels: Vec<(&'a Design, &'a Plan)>,
    /// Width and height of the picture.
    pub size: [usize; 2],
    /// From the highest colour to the lowest.
    pub range_db: f32,
}

/// Draws the picture.
pub fn draw(request: &Request) -> Result<Canvas> {
    let sample_rate_hz = f64::from(AudioReader::open(request.song)?.sample_rate_hz());
    let num_samples = num_samples(request.song)?;
    let time_s = stretch_s(request.song, num_samples as f64 / sample_rate_hz, request.start_s, request.seconds)?;
    let frequency_hz = [LOWEST_HZ, sample_rate_hz / 2.0];

    let [width, height] = request.size;
    let mut canvas = Canvas::new(width, height);
    let layout = canvas.draw(|root| FigureLayout::draw(root, request, time_s, frequency_hz))?;
    let rasters = rasters(request, &layout, time_s, frequency_hz, num_samples)?;

    let loudest = rasters.iter().map(Raster::max_db).fold(-60.0, f32::max);
    let top_db = (loudest / 5.0).ceil() * 5.0;
    let color = |db: f32| level_colour(f64::from(1.0 + (db - top_db) / request.range_db));
    for (raster, rectangle) in rasters.iter().zip(&layout.panels) {
        canvas.fill(rectangle, |row, column| color(raster.level_db(row, column)));
    }
    let bar = canvas.draw(|root| layout.draw_color_bar(root, f64::from(top_db), f64::from(request.range_db)))?;
    canvas.fill(&bar, |row, _| color(top_db - (row as f32 + 0.5) / bar.height as f32 * request.range_db));
    Ok(canvas)
}

/// Reads the song once and feeds every panel.
fn rasters(
    request: &Request,
    layout: &FigureLayout,
    time_s: [f64; 2],
    frequency_hz: [f64; 2],
    num_samples: u64,
) -> Result<Vec<Raster>> {
    let mut reader = AudioReader::open(request.song)?;
    let sample_rate_hz = f64::from(reader.sample_rate_hz());
    let mut panels: Vec<Spectrogram> = request
        .panels
        .iter()
        .zip(&layout.panels)
        .map(|((_, plan), Rectangle { width, height, .. })| {
            let axes = Axes { time_s, frequency_hz, width: *width, height: *height };
            Spectrogram::new(plan, sample_rate_hz, axes)
        })
        .collect();
    let longest = request.panels.iter().map(|(_, plan)| plan.slice_len()).max().unwrap_or(0);
    let end = num_samples.min((time_s[1] * sample_rate_hz) as u64 + 2 * longest as u64);
    let bar = Progress::new(ProgressKind::Auto)
        .song(&request.song.file_name().unwrap_or_default().to_string_lossy(), Some(end));
    let (mut block, mut channel, mut position) = ([Vec::new(), Vec::new()], Vec::new(), 0);
    while position < end {
        let len = reader.read_block(&mut block)?;
        if len == 0 {
            break;
        }
        request.channel.take_into(&block, &mut channel);
        panels.iter_mut().for_each(|panel| panel.push(&channel));
        position += len as u64;
        bar.set_position(position);
    }
    bar.finish_and_clear();
    Ok(panels.into_iter().map(Spectrogram::finish).collect())
}

/// Where things lie on the canvas.
struct FigureLayout {
    panels: Vec<Rectangle>,
    /// The strip on the right that the colour bar stands in.
    bar_left: i32,
}

const TEXT: i32 = 15;

impl FigureLayout {
    /// Draws titles and axes.
    fn draw(root: &Area, request: &Request, time_s: [f64; 2], [low_hz, high_hz]: [f64; 2]) -> Drawn<FigureLayout> {
        let (width, height) = root.dim_in_pixel();
        let bar_left = width as i32 - 105;
        let (left, _) = root.split_horizontally(bar_left);
        let (title, left) = left.split_vertically(34);
        let song = request.song.file_name().unwrap_or_default().to_string_lossy();
        let channel = format!("{:?}", request.channel).to_lowercase();
        title.draw(&Text::new(format!("{song}, {channel}"), (12, 10), (TITLE_FONT, 19).into_font()))?;

        let mut panels = Vec::new();
        for (area, (design, plan)) in left.split_evenly((request.panels.len(), 1)).iter().zip(&request.panels) {
            let ticks = frequency_ticks(low_hz, high_hz);
            let mut chart = ChartBuilder::on(area)
                .margin_left(14)
                .margin_right(8)
                .caption(format!("{design}: {}", summary(plan, design.sample_rate_hz())), (FONT, TEXT))
                .x_label_area_size(44)
                .y_label_area_size(66)
                .build_cartesian_2d(time_s[0]..time_s[1], (low_hz..high_hz).log_scale().with_key_points(ticks))?;
            let (digits, num_labels) = time_ticks(time_s[1] - time_s[0], width);
            chart
                .configure_mesh()
                .disable_mesh()
                .x_labels(num_labels)
                .x_label_formatter(&|t| format!("{t:.digits$}"))
                .y_labels(if height > 300 { 30 } else { 10 })
                .y_label_formatter(&frequency_label)
                .x_desc("time in s")
                .y_desc("frequency in Hz")
                .label_style((FONT, TEXT - 2))
                .axis_desc_style((FONT, TEXT))
                .draw()?;
            panels.push(Rectangle::new(chart.plotting_area().get_pixel_range()));
        }
        Ok(FigureLayout { panels, bar_left })
    }

    /// Draws the axis of the colour bar; its inside is left to be filled.
    fn draw_color_bar(&self, root: &Area, top_db: f64, range_db: f64) -> Drawn<Rectangle> {
        let (_, right) = root.split_horizontally(self.bar_left);
        let (first, last) = (&self.panels[0], &self.panels[self.panels.len() - 1]);
        let height = right.dim_in_pixel().1 as i32;
        let mut chart = ChartBuilder::on(&right)
            .margin_top(first.top as i32)
            .margin_bottom(height - (last.top + last.height) as i32)
            .margin_left(12)
            .margin_right(14)
            .right_y_label_area_size(54)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?
            .set_secondary_coord(0.0..1.0, top_db - range_db..top_db);
        chart
            .configure_secondary_axes()
            .y_labels(12)
            .y_label_formatter(&|db| format!("{db:.0}"))
            .y_desc("dB, full-scale sine = 0")
            .label_style((FONT, TEXT - 2))
            .axis_desc_style((FONT, TEXT))
            .draw()?;
        Ok(Rectangle::new(chart.plotting_area().get_pixel_range()))
    }
}

/// Bins and range of the resolution in time.
fn summary(plan: &Plan, sample_rate_hz: f64) -> String {
    let step_ms = |frames: usize| 1000.0 * plan.slice_len() as f64 / frames as f64 / sample_rate_hz;
    let frames = || plan.buckets().iter().map(|bucket| bucket.num_frames);
    let hop_ms = 1000.0 * plan.hop_len() as f64 / sample_rate_hz;
    match (frames().min(), frames().max()) {
        (Some(min), Some(max)) if max > 1 => format!(
            "{} bins, frames of {:.1} to {:.1} ms, slices of {:.1} ms",
            plan.num_bins(),
            step_ms(max),
            step_ms(min),
            2.0 * hop_ms
        ),
        _ => format!("{} bins, frames of {hop_ms:.1} ms, windows of {:.1} ms", plan.num_bins(), step_ms(1)),
    }
}

/// Digits after the point, and the number of labels, for an axis of so many seconds.
fn time_ticks(seconds: f64, width: u32) -> (usize, usize) {
    let num_labels = (width as usize / 110).max(2);
    // Labels stand at least so far apart, and at 1, 2 or 5 times a power of ten.
    let step = seconds / num_labels as f64;
    ((-step.log10()).ceil().clamp(0.0, 6.0) as usize, num_labels)
}
