//! Multi-resolution STFT: ranges of equally spaced, equally wide bins.

use crate::{
    Design, DesignError, ResolutionBand,
    layout::{Layout, LayoutBin, MAX_COEFS, MIN_FRAMES},
    lens::multiple_of_4,
    windows::Shape,
};

/// A Blackman-Harris window of `M` points in the FFT of `L` samples spreads its response in time with a standard
/// deviation (of energy) of 0.7870 L / M samples, a Hann window of W samples with 0.14138 W: both from
/// `sigma^2 = integral t^2 w^2 / integral w^2`, for Blackman-Harris by Plancherel on its derivative. They are alike when
/// M = 5.567 L / W (see the test).
const POINTS_PER_WINDOW: f64 = 5.567;

pub(crate) fn layout(design: &Design, bands: &[ResolutionBand]) -> Result<Layout, DesignError> {
    let nyquist_hz = design.sample_rate_hz / 2.0;
    check(bands, nyquist_hz)?;
    let (longest, needed) = bands.iter().fold((&bands[0], 0.0), |(longest, needed), band| {
        let n = MIN_FRAMES as f64 / POINTS_PER_WINDOW * band.window_len as f64;
        if n > needed { (band, n) } else { (longest, needed) }
    });
    let bandwidth_hz = POINTS_PER_WINDOW * design.sample_rate_hz / longest.window_len as f64;
    let longest_hz = longest.up_to_hz.min(nyquist_hz);
    let (slice_len, transition_len) = design.lens(needed.ceil(), longest_hz, longest_hz / bandwidth_hz)?;

    let hz_per_point = design.sample_rate_hz / slice_len as f64;
    let bin = |position: usize, num_frames: usize, shape: Shape| LayoutBin {
        frequency_hz: position as f64 * hz_per_point,
        position,
        num_frames,
        shape,
    };
    let mut bins: Vec<LayoutBin> = Vec::new();
    let mut start = 0;
    for (band_idx, band) in bands.iter().enumerate() {
        let width = design
            .fft_len(multiple_of_4(POINTS_PER_WINDOW * slice_len as f64 / band.window_len as f64).max(MIN_FRAMES));
        if width > slice_len / 2 {
            return Err(DesignError::ResolutionBand {
                band_idx,
                expected: format!("a window of at least {:.0} samples", (2.0 * POINTS_PER_WINDOW).ceil()),
                actual: band.window_len as f64,
            });
        }
        let spacing = width / 2;
        let is_last = band_idx == bands.len() - 1;
        let end = if is_last { slice_len / 2 } else { (band.up_to_hz / hz_per_point) as usize };
        // The last range ends on Nyquist, its last spacing is what is left; the others end on their own grid.
        let num_steps = match is_last {
            true => (end - start).div_ceil(spacing),
            false => (end.saturating_sub(start) as f64 / spacing as f64).round() as usize,
        };
        let border = start + num_steps * spacing;
        if num_steps == 0 || (!is_last && border + spacing > slice_len / 2) {
            let from_hz = start as f64 * hz_per_point;
            let step_hz = spacing as f64 * hz_per_point;
            return Err(DesignError::ResolutionBand {
                band_idx,
                expected: format!(
                    "room for one bin or more: windows of {} samples are {step_hz:.1} Hz apart, the range begins at \
                     {from_hz:.1} Hz and the spectrum ends at {nyquist_hz} Hz",
                    band.window_len
                ),
                actual: band.up_to_hz,
            });
        }
        if bins.len() + num_steps > MAX_COEFS / MIN_FRAMES {
            let actual = (bins.len() + num_steps) as f64;
            return Err(DesignError::TooLarge { what: "number of bins", actual, max: MAX_COEFS / MIN_FRAMES });
        }
        // The bin on the border has one slope of the range below and one of the range above.
        let lower = bins.last().map_or(width, |last| last.num_frames);
        let shape = match lower == width {
            true => Shape::BlackmanHarris,
            false => Shape::TwoSlopes { lower_len: lower, upper_len: width },
        };
        if let Some(below) = bins.pop() {
            // The border bin stood there as the last of the range below.
            debug_assert_eq!(below.position, start);
        }
        bins.push(bin(start, lower.max(width), shape));
        bins.extend((1..num_steps).map(|i| bin(start + i * spacing, width, Shape::BlackmanHarris)));
        start = border.min(slice_len / 2);
        bins.push(bin(start, width, Shape::BlackmanHarris));
    }
    Ok(Layout { slice_len, transition_len, bins })
}

fn check(bands: &[ResolutionBand], nyquist_hz: f64) -> Result<(), DesignError> {
    let refuse = |band_idx, expected: String, actual| Err(DesignError::ResolutionBand { band_idx, expected, actual });
    if bands.is_empty() {
        return Err(DesignError::TooFewResolutionBands);
    }
    let mut from_hz = 0.0;
    for (band_idx, band) in bands.iter().enumerate() {
        if !(band.up_to_hz > from_hz && band.up_to_hz.is_finite()) {
            return refuse(band_idx, format!("an upper end above {from_hz} Hz"), band.up_to_hz);
        }
        if band_idx < bands.len() - 1 && band.up_to_hz >= nyquist_hz {
            let expected = format!("an upper end below half the sample rate ({nyquist_hz} Hz) before the last range");
            return refuse(band_idx, expected, band.up_to_hz);
        }
        if band.window_len < 8 {
            return refuse(band_idx, "a window of at least 8 samples".to_owned(), band.window_len as f64);
        }
        from_hz = band.up_to_hz;
    }
    match from_hz < nyquist_hz {
        true => {
            refuse(bands.len() - 1, format!("the last range to reach half the sample rate ({nyquist_hz} Hz)"), from_hz)
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    /// Standard deviation of the energy of `window` around its middle, by the sum.
    fn spread(window: &[f64]) -> f64 {
        let mid = window.len() as f64 / 2.0;
        let energy: f64 = window.iter().map(|w| w * w).sum();
        (window.iter().enumerate().map(|(n, w)| (n as f64 - mid).powi(2) * w * w).sum::<f64>() / energy).sqrt()
    }

    #[test]
    fn bins_resolve_time_as_the_hann_window_does() {
        let hann: Vec<f64> = (0..1000).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / 1000.0).cos()).collect();
        // The response in time of a Blackman-Harris window of M points in a slice of L, summed directly.
        let (len, m) = (4000usize, 32i64);
        let response: Vec<f64> = (0..len)
            .map(|n| {
                let t = n as f64 - len as f64 / 2.0;
                (-m / 2..m / 2)
                    .map(|k| {
                        let a = 2.0 * PI * k as f64 / m as f64;
                        let g = 0.35872 + 0.48832 * a.cos() + 0.14128 * (2.0 * a).cos() + 0.01168 * (3.0 * a).cos();
                        g * (2.0 * PI * k as f64 * t / len as f64).cos()
                    })
                    .sum()
            })
            .collect();
        let points = (spread(&response) * m as f64 / len as f64) / (spread(&hann) / hann.len() as f64);
        assert!((points / super::POINTS_PER_WINDOW - 1.0).abs() < 1e-3, "{points}");
    }
}
