//! A picture of spectrograms: time to the right in s, frequency upwards in Hz (logarithmic), level as colour in dB.

use anyhow::Result;
use pictures::plotters::prelude::*;
use pictures::{Area, Canvas, Drawn, FONT, Rectangle, frequency_label, frequency_ticks, level_colour};
use realfft::RealFftPlanner;
use tests::signal::Stereo;

/// One spectrogram.
pub struct Panel<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The left and right channel are added.
    pub sound: &'a Stereo,
}

const WINDOW_LEN: usize = 4096;
/// Levels from here up to 0 dB (a sine of full scale) are told apart.
const MIN_DB: f64 = -90.0;
const FREQUENCIES_HZ: [f64; 2] = [40.0, 16_000.0];

const NUM_COLUMNS: usize = 2;
/// Size of a panel in pixels, axes and title included, and the room for the colour bar at the right.
const PANEL: [usize; 2] = [720, 300];
const BAR_WIDTH: usize = 110;
const TITLE: i32 = 22;
const TEXT: i32 = 16;

/// Draws the panels in two columns, with one colour bar for all.
pub fn draw(panels: &[Panel], sample_rate_hz: f64) -> Result<Canvas> {
    let num_rows = panels.len().div_ceil(NUM_COLUMNS);
    let mut canvas = Canvas::new(NUM_COLUMNS * PANEL[0] + BAR_WIDTH, num_rows * PANEL[1]);
    let plots: Vec<Rectangle> = canvas.draw(|root| {
        let (left, _) = root.split_horizontally((NUM_COLUMNS * PANEL[0]) as u32);
        let areas = left.split_evenly((num_rows, NUM_COLUMNS));
        panels.iter().zip(&areas).map(|(panel, area)| draw_axes(area, panel, sample_rate_hz)).collect()
    })?;
    for (panel, plot) in panels.iter().zip(&plots) {
        let levels = levels_db(panel.sound, sample_rate_hz, plot.width, plot.height);
        canvas.fill(plot, |row, column| level_colour(1.0 - levels[column][row] / MIN_DB));
    }
    let bar = canvas.draw(|root| draw_bar_axis(root, &plots))?;
    canvas.fill(&bar, |row, _| level_colour(1.0 - row as f64 / (bar.height - 1) as f64));
    Ok(canvas)
}

/// Title and axes; what lies between them is left to be filled.
fn draw_axes(area: &Area, panel: &Panel, sample_rate_hz: f64) -> Drawn<Rectangle> {
    let [low_hz, high_hz] = FREQUENCIES_HZ;
    let duration_s = panel.sound[0].len() as f64 / sample_rate_hz;
    let ticks = frequency_ticks(low_hz, high_hz);
    let mut chart = ChartBuilder::on(area)
        .margin_left(12)
        .margin_right(16)
        .caption(panel.title, (FONT, TITLE))
        .x_label_area_size(46)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..duration_s, (low_hz..high_hz).log_scale().with_key_points(ticks))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(7)
        .x_label_formatter(&|seconds| if duration_s < 5.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") })
        .y_labels(30)
        .y_label_formatter(&frequency_label)
        .x_desc("time in s")
        .y_desc("Hz")
        .label_style((FONT, TEXT))
        .axis_desc_style((FONT, TEXT))
        .draw()?;
    Ok(Rectangle::new(chart.plotting_area().get_pixel_range()))
}

fn draw_bar_axis(root: &Area, plots: &[Rectangle]) -> Drawn<Rectangle> {
    let (_, right) = root.split_horizontally((NUM_COLUMNS * PANEL[0]) as u32);
    let (first, last) = (&plots[0], &plots[plots.len() - 1]);
    let mut chart = ChartBuilder::on(&right)
        .margin_top(first.top as i32)
        .margin_bottom(right.dim_in_pixel().1 as i32 - (last.top + last.height) as i32)
        .margin_left(8)
        .margin_right(14)
        .right_y_label_area_size(62)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?
        .set_secondary_coord(0.0..1.0, MIN_DB..0.0);
    chart
        .configure_secondary_axes()
        .y_labels(12)
        .y_label_formatter(&|db| format!("{db:.0}"))
        .y_desc("dB, full-scale sine = 0")
        .label_style((FONT, TEXT))
        .axis_desc_style((FONT, TEXT))
        .draw()?;
    Ok(Rectangle::new(chart.plotting_area().get_pixel_range()))
}

/// `[column][row from the top]` of the plot, in dB re a sine of full scale, `MIN_DB..=0`.
fn levels_db(sound: &Stereo, sample_rate_hz: f64, width: usize, height: usize) -> Vec<Vec<f64>> {
    let fft = RealFftPlanner::<f64>::new().plan_fft_forward(WINDOW_LEN);
    let (mut samples, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
    let num_samples = sound[0].len();
    let hz_per_bin = sample_rate_hz / WINDOW_LEN as f64;
    let [low, high] = FREQUENCIES_HZ;
    let column = |x: usize| {
        let centre = num_samples * x / width;
        for (i, sample) in samples.iter_mut().enumerate() {
            let at = (centre + i).checked_sub(WINDOW_LEN / 2).filter(|at| *at < num_samples);
            let window = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / WINDOW_LEN as f64).cos();
            *sample = at.map_or(0.0, |at| window * f64::from(sound[0][at] + sound[1][at]) / 2.0);
        }
        fft.process(&mut samples, &mut spectrum).expect("buffers of the plan's own lengths");
        let row = |y: usize| {
            // The loudest bin within the row; where a row is narrower than a bin, the nearest one.
            let edge = |y: f64| high * (low / high).powf(y / (height - 1) as f64) / hz_per_bin;
            let (from, to) = (edge(y as f64 + 0.5), edge(y as f64 - 0.5));
            let first = (from.round() as usize).min(spectrum.len() - 1);
            let last = (to.round() as usize).clamp(first, spectrum.len() - 1);
            let power = spectrum[first..=last].iter().map(|c| c.norm_sqr()).fold(0.0, f64::max);
            // A sine of amplitude 1 has a peak of a quarter of the Hann window's length.
            (10.0 * power.log10() - 20.0 * (WINDOW_LEN as f64 / 4.0).log10()).clamp(MIN_DB, 0.0)
        };
        (0..height).map(row).collect()
    };
    (0..width).map(column).collect()
}
