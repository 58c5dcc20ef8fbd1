//! What the user chooses (scale, number of bands, lowest frequency) and what follows from it: the bins.

use thiserror::Error;

/// Frequency scale on which the bands are equally spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Bark: `z = 6 asinh(f / 600)`.
    Bark,
    /// Mel: `z = 2595 log10(f / 700 + 1)`.
    Mel,
}

impl Scale {
    fn units_at(self, f_hz: f64) -> f64 {
        match self {
            Scale::Bark => 6.0 * (f_hz / 600.0).asinh(),
            Scale::Mel => 2595.0 * (f_hz / 700.0 + 1.0).log10(),
        }
    }

    fn hz_at(self, z: f64) -> f64 {
        match self {
            Scale::Bark => 600.0 * (z / 6.0).sinh(),
            Scale::Mel => 700.0 * (10f64.powf(z / 2595.0) - 1.0),
        }
    }

    /// Derivative of frequency by `z`, in Hz per unit of the scale.
    fn hz_per_unit(self, f_hz: f64) -> f64 {
        match self {
            Scale::Bark => f_hz.hypot(600.0) / 6.0,
            Scale::Mel => (f_hz + 700.0) * std::f64::consts::LN_10 / 2595.0,
        }
    }
}

/// A transform as its user describes it. [`Plan::new`](crate::Plan::new) turns it into tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// The scale on which the bands are spaced.
    pub scale: Scale,
    /// Number of bands from `fmin_hz` to half the sample rate, both ends counted (the last one falls on the Nyquist
    /// frequency and is dropped; DC and Nyquist bins are added).
    pub num_bands: usize,
    /// Frequency of the lowest band.
    pub fmin_hz: f64,
    /// Sample rate that the frequencies refer to.
    pub sample_rate_hz: f64,
}

impl Design {
    /// bark-262 of xumx-sliCQ-V2: 263 bins, slices of 18060 samples (410 ms).
    pub fn bark_262() -> Self {
        Design { scale: Scale::Bark, num_bands: 262, fmin_hz: 32.9, sample_rate_hz: 44_100.0 }
    }

    /// mel-32 of xumx-sliCQ-V2's tiny model: 33 bins, slices of 2016 samples (46 ms).
    pub fn mel_32() -> Self {
        Design { scale: Scale::Mel, num_bands: 32, fmin_hz: 115.5, sample_rate_hz: 44_100.0 }
    }

    pub(crate) fn layout(&self) -> Result<Layout, DesignError> {
        self.check()?;
        let bands = self.bands();
        let sample_rate = self.sample_rate_hz;
        // L = max 8 sr Q / f, raised to a multiple of 4.
        let min_slice = bands.iter().map(|b| 8.0 * sample_rate * b.q / b.frequency_hz).fold(0.0, f64::max);
        let slice_len = (min_slice.ceil() as usize).next_multiple_of(4);
        let transition_len = (slice_len / 4).next_multiple_of(2);
        let nyquist = sample_rate / 2.0;
        let bands: Vec<Band> =
            bands.into_iter().filter(|b| b.frequency_hz > 0.0 && b.frequency_hz < nyquist * (1.0 - 1e-12)).collect();
        if bands.len() < 3 {
            return Err(DesignError::TooFewBands { num_bands: self.num_bands });
        }

        // Positions in units of FFT bins, in f32 as the published models have it.
        let per_hz = slice_len as f64 / sample_rate;
        let n = bands.len();
        let mut pos: Vec<f32> = vec![0.0];
        pos.extend(bands.iter().map(|b| (per_hz * b.frequency_hz) as f32));
        pos.push((per_hz * nyquist) as f32);
        pos.push((per_hz * (sample_rate - bands[n - 1].frequency_hz)) as f32);
        let frames = |j: usize| -> f64 {
            let width = if j == 0 {
                2.0 * pos[1] as f64
            } else if j == 1 || j == n {
                pos[j] as f64 / bands[j - 1].q
            } else {
                (pos[j + 1] - pos[j - 1]) as f64
            };
            (4.0 * (width / 4.0).round_ties_even()).max(16.0)
        };
        let bins = (0..=n + 1)
            .map(|j| LayoutBin {
                frequency_hz: match j {
                    0 => 0.0,
                    j if j == n + 1 => nyquist,
                    j => bands[j - 1].frequency_hz,
                },
                position: 2 * ((pos[j] / 2.0).round_ties_even() as usize),
                num_frames: frames(j) as usize,
            })
            .collect();
        Ok(Layout { slice_len, transition_len, bins })
    }

    fn check(&self) -> Result<(), DesignError> {
        let nyquist_hz = self.sample_rate_hz / 2.0;
        if !(self.sample_rate_hz.is_finite() && self.sample_rate_hz > 0.0) {
            return Err(DesignError::SampleRate { sample_rate_hz: self.sample_rate_hz });
        }
        if !(self.fmin_hz > 0.0 && self.fmin_hz < nyquist_hz) {
            return Err(DesignError::LowestFrequency { fmin_hz: self.fmin_hz, nyquist_hz });
        }
        if self.num_bands < 4 {
            return Err(DesignError::TooFewBands { num_bands: self.num_bands });
        }
        Ok(())
    }

    fn bands(&self) -> Vec<Band> {
        let (z_min, z_max) = (self.scale.units_at(self.fmin_hz), self.scale.units_at(self.sample_rate_hz / 2.0));
        let step = (z_max - z_min) / (self.num_bands - 1) as f64;
        (0..self.num_bands)
            .map(|b| {
                let frequency_hz = self.scale.hz_at(z_min + b as f64 * step);
                let q = frequency_hz / (2.0 * self.scale.hz_per_unit(frequency_hz) * step);
                Band { frequency_hz, q }
            })
            .collect()
    }
}

/// Why a design cannot be computed; the message says which rule is broken, with the numbers.
#[derive(Debug, Error, PartialEq)]
pub enum DesignError {
    /// The sample rate is not a positive number.
    #[error("sample rate: expected a positive number of Hz, got {sample_rate_hz}")]
    SampleRate {
        /// As given.
        sample_rate_hz: f64,
    },
    /// The lowest band lies outside the spectrum.
    #[error("lowest frequency: expected above 0 and below half the sample rate ({nyquist_hz} Hz), got {fmin_hz} Hz")]
    LowestFrequency {
        /// As given.
        fmin_hz: f64,
        /// Half the sample rate.
        nyquist_hz: f64,
    },
    /// Fewer bands than a frame needs.
    #[error("number of bands: expected at least 4, got {num_bands}")]
    TooFewBands {
        /// As given.
        num_bands: usize,
    },
    /// The windows leave parts of the spectrum uncovered, so the transform could not be inverted.
    #[error(
        "the bins leave a gap at {frequency_hz:.1} Hz (frame diagonal {diagonal:.2e}, at least 1e-6 needed): \
         take more bands or a higher lowest frequency"
    )]
    Gap {
        /// Where.
        frequency_hz: f64,
        /// The frame diagonal there, relative to its maximum.
        diagonal: f64,
    },
}

/// One band before rounding to the FFT grid.
struct Band {
    frequency_hz: f64,
    q: f64,
}

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
    /// Frames per slice, and the width of the window in FFT bins; a multiple of 4.
    pub num_frames: usize,
}
