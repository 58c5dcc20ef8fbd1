//! From a design to bins on the FFT grid of a slice, and the rules that it must keep.

use crate::{Design, DesignError, Scale, design::Bands, lens::multiple_of_4, multi_resolution, windows::Shape};

/// Largest slice, in samples (95 s at 44.1 kHz).
pub(crate) const MAX_SLICE_LEN: usize = 1 << 22;
/// Most coefficients of a slice: 225 times those of bark-262.
pub(crate) const MAX_COEFS: usize = 1 << 22;
/// Fewest frames of a bin, and points of its window.
pub(crate) const MIN_FRAMES: usize = 16;

/// A design rounded to the FFT grid of one slice.
pub(crate) struct Layout {
    pub slice_len: usize,
    pub transition_len: usize,
    /// DC, the bands, Nyquist.
    pub bins: Vec<LayoutBin>,
}

pub(crate) struct LayoutBin {
    pub frequency_hz: f64,
    /// FFT bin of the centre; even.
    pub position: usize,
    /// Frames per slice, and the width of the window in FFT bins (the painless condition: no window is wider than the
    /// number of frames, so the frame operator is diagonal); a multiple of 4.
    pub num_frames: usize,
    pub shape: Shape,
}

impl Design {
    /// The bins of any design but a plain STFT.
    pub(crate) fn layout(&self) -> Result<Layout, DesignError> {
        let sample_rate_hz = self.sample_rate_hz;
        if !(sample_rate_hz.is_finite() && sample_rate_hz > 0.0) {
            return Err(DesignError::SampleRate { sample_rate_hz });
        }
        let layout = match &self.bands {
            Bands::Scale { scale, num_bands, fmin_hz, fmax_hz } => {
                let fmax_hz = fmax_hz.unwrap_or(sample_rate_hz / 2.0);
                check_scale(*scale, *num_bands, *fmin_hz, fmax_hz, sample_rate_hz / 2.0)?;
                self.scale_layout(*scale, *num_bands, *fmin_hz, fmax_hz)?
            }
            Bands::MultiResolution(bands) => multi_resolution::layout(self, bands)?,
            Bands::Stft { .. } => unreachable!("a plain STFT has no layout of bins"),
        };
        check_sizes(&layout)?;
        Ok(layout)
    }

    fn scale_layout(&self, scale: Scale, num_bands: usize, fmin_hz: f64, fmax_hz: f64) -> Result<Layout, DesignError> {
        let sample_rate = self.sample_rate_hz;
        let nyquist = sample_rate / 2.0;
        let bands = bands(scale, num_bands, fmin_hz, fmax_hz);
        // L = max 8 sr Q / f, raised to a legal length.
        let narrowest = bands.iter().max_by(|a, b| (a.q / a.frequency_hz).total_cmp(&(b.q / b.frequency_hz)));
        let narrowest = narrowest.expect("num_bands was checked");
        let needed = (8.0 * sample_rate * narrowest.q / narrowest.frequency_hz).ceil();
        let (slice_len, transition_len) = self.lens(needed, narrowest.frequency_hz, narrowest.q)?;
        let bands: Vec<Band> =
            bands.into_iter().filter(|b| b.frequency_hz > 0.0 && b.frequency_hz < nyquist * (1.0 - 1e-12)).collect();

        // Positions in units of FFT bins, in f32 as the published models have it.
        let per_hz = slice_len as f64 / sample_rate;
        let n = bands.len();
        let mut pos: Vec<f32> = vec![0.0];
        pos.extend(bands.iter().map(|b| (per_hz * b.frequency_hz) as f32));
        pos.push((per_hz * nyquist) as f32);
        pos.push((per_hz * (sample_rate - bands[n - 1].frequency_hz)) as f32);
        let frames = |j: usize| -> usize {
            let width = if j == 0 {
                2.0 * pos[1] as f64
            } else if j == 1 || j == n {
                pos[j] as f64 / bands[j - 1].q
            } else {
                (pos[j + 1] - pos[j - 1]) as f64
            };
            self.fft_len(multiple_of_4(width).max(MIN_FRAMES))
        };
        let num_frames: Vec<usize> = (0..=n + 1).map(frames).collect();
        // DC and Nyquist get a plateau when they are wider than their neighbour.
        let edge = |j: usize, neighbour: usize| match num_frames[j] > num_frames[neighbour] {
            true => Shape::Plateau { slope_len: num_frames[neighbour] },
            false => Shape::BlackmanHarris,
        };
        let bins = (0..=n + 1)
            .map(|j| LayoutBin {
                frequency_hz: match j {
                    0 => 0.0,
                    j if j == n + 1 => nyquist,
                    j => bands[j - 1].frequency_hz,
                },
                position: 2 * ((pos[j] / 2.0).round_ties_even() as usize),
                num_frames: num_frames[j],
                shape: match j {
                    0 => edge(0, 1),
                    j if j == n + 1 => edge(j, n),
                    _ => Shape::BlackmanHarris,
                },
            })
            .collect();
        Ok(Layout { slice_len, transition_len, bins })
    }
}

fn check_scale(scale: Scale, num_bands: usize, fmin_hz: f64, fmax_hz: f64, nyquist_hz: f64) -> Result<(), DesignError> {
    if !(fmin_hz > 0.0 && fmin_hz < nyquist_hz) {
        return Err(DesignError::LowestFrequency { fmin_hz, nyquist_hz });
    }
    if !(fmax_hz > fmin_hz && fmax_hz <= nyquist_hz) {
        return Err(DesignError::HighestFrequency { fmax_hz, fmin_hz, nyquist_hz });
    }
    if let Scale::VariableQ { gamma_hz } = scale
        && !(gamma_hz >= 0.0 && gamma_hz.is_finite())
    {
        return Err(DesignError::Gamma { gamma_hz });
    }
    if num_bands < 4 {
        return Err(DesignError::TooFewBands { num_bands });
    }
    let max = MAX_COEFS / MIN_FRAMES;
    if num_bands > max {
        return Err(DesignError::TooLarge { what: "number of bands", actual: num_bands as f64, max });
    }
    Ok(())
}

fn check_sizes(layout: &Layout) -> Result<(), DesignError> {
    let slice_len = layout.slice_len;
    if let Some(bin) = layout.bins.iter().find(|b| b.num_frames > slice_len) {
        let (frequency_hz, window_len) = (bin.frequency_hz, bin.num_frames);
        return Err(DesignError::WindowWiderThanSlice { frequency_hz, window_len, slice_len });
    }
    // No overflow: at most MAX_COEFS / MIN_FRAMES bins of at most MAX_SLICE_LEN frames.
    let num_coefs: usize = layout.bins.iter().map(|b| b.num_frames).sum();
    match num_coefs > MAX_COEFS {
        true => {
            Err(DesignError::TooLarge { what: "coefficients of a slice", actual: num_coefs as f64, max: MAX_COEFS })
        }
        false => Ok(()),
    }
}

/// One band before rounding to the FFT grid.
struct Band {
    frequency_hz: f64,
    q: f64,
}

/// Bands equally spaced on the scale from `fmin_hz` to `fmax_hz`; `Q_b = f_b / (2 f'_b)`, f' the derivative by b.
fn bands(scale: Scale, num_bands: usize, fmin_hz: f64, fmax_hz: f64) -> Vec<Band> {
    let (z_min, z_max) = (scale.units_at(fmin_hz), scale.units_at(fmax_hz));
    let step = (z_max - z_min) / (num_bands - 1) as f64;
    (0..num_bands)
        .map(|b| {
            let frequency_hz = scale.hz_at(z_min + b as f64 * step);
            let q = frequency_hz / (2.0 * scale.hz_per_unit(frequency_hz) * step);
            Band { frequency_hz, q }
        })
        .collect()
}
