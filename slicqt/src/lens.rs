//! Lengths of slices, transitions and bins.

use crate::{
    Design, DesignError,
    layout::{MAX_SLICE_LEN, MIN_FRAMES},
};

/// Largest prime factor of the lengths of slices and bins. An FFT sums over a prime factor directly, or by a
/// convolution, and rounding errors grow with it: of 1,000 random designs the worst reconstructs to 123 dB in f32 with
/// factors up to 23 or 127, and to 128 dB with factors up to 13. Such FFTs are faster, too.
const MAX_PRIME: usize = 13;

/// The published designs keep the lengths that they were published with; the tests hold their exactness.
const PUBLISHED_SLICE_LENS: [usize; 2] = [18_060, 2016];

impl Design {
    /// The shortest legal slice of at least this many samples: a multiple of 4 without a prime factor above 13, at least
    /// 16; above the longest legal slice, 4,194,304 samples, one that is too long. (Whether it suits the narrowest bin is
    /// another question, which [`Plan::new`](crate::Plan::new) answers.)
    ///
    /// # Realtime
    /// Safe.
    pub fn next_slice_len(min: usize) -> usize {
        let has_small_factors = |len: usize| {
            let mut rest = len;
            for factor in 2..=MAX_PRIME {
                while rest.is_multiple_of(factor) {
                    rest /= factor;
                }
            }
            rest == 1
        };
        let mut len = min.clamp(MIN_FRAMES, MAX_SLICE_LEN + 1).next_multiple_of(4);
        while !has_small_factors(len) {
            len += 4;
        }
        len
    }

    /// The same for this design: one with published lengths takes every multiple of 4.
    pub(crate) fn fft_len(&self, min: usize) -> usize {
        if self.has_published_lens() { min.next_multiple_of(4) } else { Design::next_slice_len(min) }
    }

    pub(crate) fn is_published(&self) -> bool {
        [Design::bark_262(), Design::mel_32()].iter().zip(PUBLISHED_SLICE_LENS).any(|(design, len)| {
            self.bands == design.bands
                && self.sample_rate_hz == design.sample_rate_hz
                && self.slice_len.is_none_or(|given| given == len)
        })
    }

    /// Lengths of slice and transition: as given, if legal, or else the shortest slice, raised to a multiple of 4, and
    /// a quarter of it, raised to an even number. `needed` is the shortest slice for the narrowest bin, at `frequency_hz`.
    pub(crate) fn lens(&self, needed: f64, frequency_hz: f64, q: f64) -> Result<(usize, usize), DesignError> {
        let too_long = |actual| DesignError::TooLarge { what: "slice length", actual, max: MAX_SLICE_LEN };
        if needed.is_nan() || needed > MAX_SLICE_LEN as f64 {
            return Err(too_long(needed));
        }
        let needed = (needed as usize).max(MIN_FRAMES);
        let slice_len = self.slice_len.unwrap_or(self.fft_len(needed));
        if slice_len > MAX_SLICE_LEN {
            return Err(too_long(slice_len as f64));
        }
        if slice_len != self.fft_len(slice_len) || slice_len < MIN_FRAMES {
            let next = self.fft_len(slice_len.max(MIN_FRAMES));
            return Err(DesignError::SliceLen { slice_len, max_prime: MAX_PRIME, next });
        }
        if slice_len < needed {
            let bandwidth_hz = frequency_hz / q;
            return Err(DesignError::QTooHigh { frequency_hz, bandwidth_hz, q, needed, slice_len });
        }
        let transition_len = self.transition_len.unwrap_or((slice_len / 4).next_multiple_of(2));
        if !transition_len.is_multiple_of(2) || !(2..=slice_len / 2).contains(&transition_len) {
            return Err(DesignError::TransitionLen { transition_len, slice_len });
        }
        Ok((slice_len, transition_len))
    }
}

pub(crate) fn multiple_of_4(width: f64) -> usize {
    (4.0 * (width / 4.0).round_ties_even()) as usize
}
