//! Why a design is refused.

use thiserror::Error;

/// Why a design cannot be computed; the message says which rule is broken, with the numbers.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
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
    /// The highest band lies outside the spectrum, or not above the lowest.
    #[error(
        "highest frequency: expected above the lowest ({fmin_hz} Hz) and at most half the sample rate \
         ({nyquist_hz} Hz), got {fmax_hz} Hz"
    )]
    HighestFrequency {
        /// As given.
        fmax_hz: f64,
        /// The lowest.
        fmin_hz: f64,
        /// Half the sample rate.
        nyquist_hz: f64,
    },
    /// The offset of a variable-Q scale is negative or no number.
    #[error("gamma: expected a number of Hz from 0 up, got {gamma_hz}")]
    Gamma {
        /// As given.
        gamma_hz: f64,
    },
    /// Fewer bands than a frame needs.
    #[error("number of bands: expected at least 4, got {num_bands}")]
    TooFewBands {
        /// As given.
        num_bands: usize,
    },
    /// A size beyond what a plan may have: a slip of the pen would otherwise exhaust the memory.
    #[error("{what}: expected at most {max}, got {actual}")]
    TooLarge {
        /// Which size.
        what: &'static str,
        /// As it would be.
        actual: f64,
        /// Largest allowed.
        max: usize,
    },
    /// The slice is too short for the narrowest bin.
    #[error(
        "slice length: the bin at {frequency_hz:.1} Hz is {bandwidth_hz:.2} Hz wide (Q {q:.2}) and needs slices of at \
         least {needed} samples, got {slice_len}: take longer slices, fewer bands or a higher lowest frequency"
    )]
    QTooHigh {
        /// Centre of the bin.
        frequency_hz: f64,
        /// Width of the bin.
        bandwidth_hz: f64,
        /// Frequency by bandwidth.
        q: f64,
        /// Shortest legal slice.
        needed: usize,
        /// As given.
        slice_len: usize,
    },
    /// The slice length does not divide into quarters, or its FFT would be slow and inexact.
    #[error(
        "slice length: expected a multiple of 4, at least 16, without a prime factor above {max_prime}, got {slice_len} \
         (the next one is {next})"
    )]
    SliceLen {
        /// As given.
        slice_len: usize,
        /// Largest prime factor allowed.
        max_prime: usize,
        /// The next legal length.
        next: usize,
    },
    /// The slicing window cannot rise over this many samples.
    #[error(
        "transition length: expected an even number from 2 to half the slice ({} samples), got {transition_len}",
        slice_len / 2
    )]
    TransitionLen {
        /// As given.
        transition_len: usize,
        /// Samples of a slice.
        slice_len: usize,
    },
    /// A window in frequency is wider than the FFT of the slice.
    #[error(
        "the bin at {frequency_hz:.1} Hz needs a window of {window_len} FFT bins, and the slice has {slice_len}: take \
         more bands"
    )]
    WindowWiderThanSlice {
        /// Centre of the bin.
        frequency_hz: f64,
        /// Points of its window.
        window_len: usize,
        /// Samples of a slice.
        slice_len: usize,
    },
    /// The windows leave parts of the spectrum (nearly) uncovered, so the transform could not be inverted exactly.
    #[error(
        "the bins leave a gap at {frequency_hz:.1} Hz: the inverse would amplify rounding there by {gain_db:.0} dB, \
         {max_gain_db:.0} dB allowed; take more bands"
    )]
    Gap {
        /// Where.
        frequency_hz: f64,
        /// Gain of the inverse for an error in one coefficient.
        gain_db: f64,
        /// Largest allowed.
        max_gain_db: f64,
    },
    /// A multi-resolution design without bands.
    #[error("multi-resolution design: expected at least one band, got none")]
    TooFewResolutionBands,
    /// The bands of a multi-resolution design are not ascending, or do not reach half the sample rate.
    #[error("band {band_idx}: expected {expected}, got {actual}")]
    ResolutionBand {
        /// Which band, from 0.
        band_idx: usize,
        /// The rule, with its numbers.
        expected: String,
        /// As given.
        actual: f64,
    },
    /// A plain STFT's FFT length is odd, or too short.
    #[error("FFT length: expected an even number, at least 4, got {fft_len}")]
    FftLen {
        /// As given.
        fft_len: usize,
    },
    /// A plain STFT's hop leaves samples uncovered, or does not divide the FFT length.
    #[error(
        "hop: expected a divisor of the FFT length ({fft_len}) that is at most half of it ({}), got {hop_len}",
        fft_len / 2
    )]
    HopLen {
        /// As given.
        hop_len: usize,
        /// Samples of a slice.
        fft_len: usize,
    },
    /// The length of slice or transition was given for a plain STFT, which has no choice.
    #[error(
        "{what} length: a plain STFT's slices are its FFT length and its windows overlap as the hop says, got {len}"
    )]
    StftLens {
        /// `slice` or `transition`.
        what: &'static str,
        /// As given.
        len: usize,
    },
    /// The text of a design does not follow the grammar of [`Design`](crate::Design).
    #[error("design \"{text}\": expected {expected}, got \"{actual}\"")]
    Syntax {
        /// All of it.
        text: String,
        /// The rule.
        expected: &'static str,
        /// The part that breaks it.
        actual: String,
    },
}
