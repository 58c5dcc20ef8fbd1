//! The picture of a design: its windows, Q, resolution in time, slices, and how evenly it covers the spectrum.

use std::ops::Range;

use anyhow::Result;
use pictures::plotters::prelude::*;
use pictures::{Area, Canvas, Drawn, FONT, TITLE_FONT, frequency_label, frequency_ticks};
use slicqt::Design;

use super::profile::Profile;

const TEXT: i32 = 15;
/// Told apart by neighbours, also by those who see few colours.
const COLORS: [RGBColor; 4] =
    [RGBColor(68, 1, 84), RGBColor(214, 96, 77), RGBColor(33, 113, 181), RGBColor(230, 159, 0)];

/// Draws the picture.
pub fn draw(design: &Design, profile: &Profile, [width, height]: [usize; 2]) -> Result<Canvas> {
    let mut canvas = Canvas::new(width, height);
    canvas.draw(|root| {
        let (title, rest) = root.split_vertically(34);
        let plan = &profile.plan;
        let text = format!(
            "{design}: {} bins in {}, slices of {} samples ({:.1} ms)",
            plan.num_bins(),
            buckets(plan.buckets().len()),
            plan.slice_len(),
            1000.0 * plan.slice_len() as f64 / profile.sample_rate_hz
        );
        title.draw(&Text::new(text, (12, 10), (TITLE_FONT, 19).into_font()))?;
        let panels = rest.split_evenly((3, 1));
        draw_windows(&panels[0], profile)?;
        let (left, right) = panels[1].split_horizontally((width / 2) as i32);
        draw_dots(&left, profile, "Q: centre by width of the window", "Q", |bin_idx| profile.q(bin_idx))?;
        let step_ms = |bin_idx: usize| profile.step_ms(profile.plan.bins()[bin_idx].num_frames);
        draw_dots(&right, profile, "Resolution in time", "ms between frames", step_ms)?;
        let (left, right) = panels[2].split_horizontally((width / 2) as i32);
        draw_slices(&left, profile)?;
        draw_diagonal(&right, profile)
    })?;
    Ok(canvas)
}

/// 1 bucket, 2 buckets.
pub fn buckets(num_buckets: usize) -> String {
    if num_buckets == 1 { "1 bucket".to_string() } else { format!("{num_buckets} buckets") }
}

/// From the lower edge of what the lowest band's window reaches to half the rate.
fn frequencies(profile: &Profile) -> Range<f64> {
    let lowest = (profile.frequency_hz(1) / 2.0).max(profile.hz_per_step()).clamp(5.0, 500.0);
    lowest..profile.sample_rate_hz / 2.0
}

/// Every bin's window, over frequency.
fn draw_windows(area: &Area, profile: &Profile) -> Drawn<()> {
    let hz = frequencies(profile);
    let ticks = frequency_ticks(hz.start, hz.end);
    let mut chart = ChartBuilder::on(area)
        .caption("Windows of the bins", (FONT, TEXT + 1))
        .margin_left(14)
        .margin_right(18)
        .x_label_area_size(42)
        .y_label_area_size(66)
        .build_cartesian_2d(hz.clone().log_scale().with_key_points(ticks), 0.0..1.05)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(30)
        .y_labels(5)
        .x_label_formatter(&frequency_label)
        .x_desc("frequency in Hz")
        .y_desc("window")
        .label_style((FONT, TEXT - 2))
        .axis_desc_style((FONT, TEXT))
        .draw()?;
    for (bin_idx, window) in profile.windows.iter().enumerate() {
        let bin = &profile.plan.bins()[bin_idx];
        let color = COLORS[bin_idx % COLORS.len()];
        let at =
            |offset: usize| (bin.position as f64 + offset as f64 - (window.len() / 2) as f64) * profile.hz_per_step();
        if window.len() == 1 {
            // A bin of an STFT is one step of its FFT.
            let line = [(at(0).max(hz.start), 0.0), (at(0).max(hz.start), window[0])];
            chart.draw_series(LineSeries::new(line, color))?;
            continue;
        }
        let points = window.iter().enumerate().map(|(offset, g)| (at(offset), *g));
        // The window ends at 0 on both sides; what lies left of the axis is cut off.
        let points = points.chain([(at(window.len()), 0.0)]).filter(|(f, _)| *f >= hz.start && *f <= hz.end);
        chart.draw_series(LineSeries::new(points, color))?;
    }
    Ok(())
}

/// One dot for each band, over frequency, on a logarithmic axis.
fn draw_dots(area: &Area, profile: &Profile, caption: &str, unit: &str, value: impl Fn(usize) -> f64) -> Drawn<()> {
    let dots: Vec<(f64, f64)> =
        (1..profile.plan.num_bins() - 1).map(|bin_idx| (profile.frequency_hz(bin_idx), value(bin_idx))).collect();
    let low = dots.iter().map(|dot| dot.1).fold(f64::INFINITY, f64::min) / 2.0;
    let high = dots.iter().map(|dot| dot.1).fold(0.0, f64::max) * 2.0;
    let hz = frequencies(profile);
    let ticks = frequency_ticks(hz.start, hz.end);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, TEXT + 1))
        .margin_left(14)
        .margin_right(18)
        .x_label_area_size(42)
        .y_label_area_size(66)
        .build_cartesian_2d(
            hz.log_scale().with_key_points(ticks),
            (low..high).log_scale().with_key_points(value_ticks(low, high)),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(30)
        .y_labels(30)
        .x_label_formatter(&frequency_label)
        .y_label_formatter(&|value| format!("{value}"))
        .x_desc("frequency in Hz")
        .y_desc(unit)
        .label_style((FONT, TEXT - 2))
        .axis_desc_style((FONT, TEXT))
        .draw()?;
    chart.draw_series(dots.into_iter().map(|dot| Circle::new(dot, 2, COLORS[2].filled())))?;
    Ok(())
}

/// Three slices over time, and the sum of all.
fn draw_slices(area: &Area, profile: &Profile) -> Drawn<()> {
    let (slice_len, hop_len) = (profile.plan.slice_len(), profile.plan.hop_len());
    let ms = |sample: usize| 1000.0 * sample as f64 / profile.sample_rate_hz;
    // The slices before the first one drawn reach into the picture, and so do those after the last.
    let len = slice_len + 2 * hop_len;
    let sum = |sample: usize| -> f64 {
        let reach = (slice_len / hop_len) as isize;
        let starts = (-reach..3 + reach).map(|slice_idx| sample as isize - slice_idx * hop_len as isize);
        starts.filter_map(|at| profile.slicing.get(usize::try_from(at).ok()?)).sum()
    };
    let top = (0..len).map(sum).fold(1.0, f64::max) * 1.08;
    let mut chart = ChartBuilder::on(area)
        .caption("Slicing window: three slices, and the sum of all (grey)", (FONT, TEXT + 1))
        .margin_left(14)
        .margin_right(18)
        .x_label_area_size(42)
        .y_label_area_size(66)
        .build_cartesian_2d(0.0..ms(len), 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(8)
        .y_labels(5)
        .x_desc("time in ms")
        .y_desc("window")
        .label_style((FONT, TEXT - 2))
        .axis_desc_style((FONT, TEXT))
        .draw()?;
    let step = (len / 400).max(1);
    let grey = RGBColor(150, 150, 150);
    chart.draw_series(LineSeries::new((0..len).step_by(step).map(|i| (ms(i), sum(i))), grey.stroke_width(3)))?;
    for (slice_idx, color) in COLORS[..3].iter().enumerate() {
        let points = profile.slicing.iter().enumerate().step_by(step);
        let points = points.map(|(i, w)| (ms(slice_idx * hop_len + i), *w));
        chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
    }
    Ok(())
}

/// The frame's diagonal over frequency.
fn draw_diagonal(area: &Area, profile: &Profile) -> Drawn<()> {
    let db = |value: f64| 10.0 * value.log10();
    let low = db(profile.diagonal.iter().copied().fold(f64::INFINITY, f64::min)) - 3.0;
    let high = db(profile.diagonal.iter().copied().fold(0.0, f64::max)) + 3.0;
    let hz = frequencies(profile);
    let ticks = frequency_ticks(hz.start, hz.end);
    let caption = format!("Frame diagonal: max by min {:.3}", profile.conditioning());
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, TEXT + 1))
        .margin_left(14)
        .margin_right(18)
        .x_label_area_size(42)
        .y_label_area_size(66)
        .build_cartesian_2d(hz.clone().log_scale().with_key_points(ticks), low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(30)
        .y_labels(6)
        .x_label_formatter(&frequency_label)
        .y_label_formatter(&|db| format!("{db:.0}"))
        .x_desc("frequency in Hz")
        .y_desc("dB")
        .label_style((FONT, TEXT - 2))
        .axis_desc_style((FONT, TEXT))
        .draw()?;
    let points = profile.diagonal.iter().enumerate().map(|(q, d)| (q as f64 * profile.hz_per_step(), db(*d)));
    chart.draw_series(LineSeries::new(points.filter(|(f, _)| *f >= hz.start), COLORS[0]))?;
    Ok(())
}

/// 1, 2 and 5 times powers of ten within a range; at least its middle.
fn value_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (-4..6).map(|exponent| 10f64.powi(exponent));
    let ticks: Vec<f64> = decades
        .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit: f64| digit * decade))
        .filter(|value| (low..=high).contains(value))
        .collect();
    if ticks.is_empty() { vec![((low * high).sqrt() * 100.0).round() / 100.0] } else { ticks }
}
