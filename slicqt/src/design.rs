//! What the user chooses: a scale, its bands, and the lengths that follow from them or are given.

use crate::Scale;

/// One range of a multi-resolution design ([`Design::multi_resolution`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResolutionBand {
    /// Upper end of the range; its lower end is the upper end of the range before, or 0 Hz.
    pub up_to_hz: f64,
    /// Samples of the Hann window whose resolution in time (as standard deviation of its energy) the bins have.
    pub window_len: usize,
}

/// A transform as its user describes it. [`Plan::new`](crate::Plan::new) checks it and turns it into tables.
///
/// ```
/// use slicqt::{Design, Plan, Scale};
/// # fn main() -> Result<(), slicqt::DesignError> {
/// // Two octaves of quarter tones above 440 Hz; DC and Nyquist bins take the rest of the spectrum.
/// let design = Design::new(Scale::ConstantQ, 49, 440.0, 48_000.0).with_fmax_hz(1760.0);
/// let plan = Plan::<f32>::new(&design)?;
/// assert_eq!(plan.num_bins(), 51);
/// assert_eq!(design, "cq:49:440-1760:rate=48000".parse()?);
/// # Ok(()) }
/// ```
///
/// # As text
/// [`FromStr`](std::str::FromStr) and [`Display`](std::fmt::Display) use one grammar (numbers in Hz and samples; 44,100
/// Hz unless a rate is named; what is in brackets may be left out):
///
/// | text | design |
/// |---|---|
/// | `bark-262`, `mel-32` | the published ones |
/// | `SCALE:BANDS:FMIN[-FMAX][:slice=N][:transition=N][:rate=HZ]` | SCALE is `bark`, `mel`, `cq`, `vq(GAMMA)` or `linear` |
/// | `mr:HZ=WINDOW,HZ=WINDOW,...[:slice=N][:transition=N][:rate=HZ]` | multi-resolution: up to HZ, windows of WINDOW samples |
/// | either with `:lens=published` | [lengths as xumx-sliCQ-V2 has them](Design::with_published_lens) |
/// | `stft:FFT:HOP[:rate=HZ]` | a plain STFT |
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    pub(crate) bands: Bands,
    pub(crate) sample_rate_hz: f64,
    pub(crate) slice_len: Option<usize>,
    pub(crate) transition_len: Option<usize>,
    /// Every multiple of 4 is a legal length.
    pub(crate) has_published_lens: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bands {
    /// `fmax_hz`: half the sample rate unless given.
    Scale {
        scale: Scale,
        num_bands: usize,
        fmin_hz: f64,
        fmax_hz: Option<f64>,
    },
    MultiResolution(Vec<ResolutionBand>),
    Stft {
        fft_len: usize,
        hop_len: usize,
    },
}

impl Design {
    /// `num_bands` bands from `fmin_hz` to half the sample rate, both ends counted, equally spaced on `scale`. (A band
    /// on the Nyquist frequency is dropped; DC and Nyquist bins are added.)
    ///
    /// # Realtime
    /// Safe.
    pub fn new(scale: Scale, num_bands: usize, fmin_hz: f64, sample_rate_hz: f64) -> Self {
        Design::of(Bands::Scale { scale, num_bands, fmin_hz, fmax_hz: None }, sample_rate_hz)
    }

    /// A multi-resolution STFT: within each range the bins are equally spaced and equally wide, so that their windows in
    /// time are like Hann windows of this many samples. Each range is one bucket; the bin between two ranges belongs to
    /// the one with the wider bins. The last range must reach half the sample rate.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn multi_resolution(bands: &[ResolutionBand], sample_rate_hz: f64) -> Self {
        Design::of(Bands::MultiResolution(bands.to_vec()), sample_rate_hz)
    }

    /// A plain STFT: slices of `fft_len` samples every `hop_len` samples, periodic Hann window, one bucket of
    /// `fft_len / 2 + 1` bins with one frame each. Its inverse windows with the canonical dual of Hann.
    ///
    /// # Realtime
    /// Safe.
    pub fn stft(fft_len: usize, hop_len: usize, sample_rate_hz: f64) -> Self {
        Design::of(Bands::Stft { fft_len, hop_len }, sample_rate_hz)
    }

    /// bark-262 of xumx-sliCQ-V2: 263 bins, slices of 18060 samples (410 ms at 44.1 kHz).
    pub fn bark_262() -> Self {
        Design::new(Scale::Bark, 262, 32.9, 44_100.0)
    }

    /// mel-32 of xumx-sliCQ-V2's tiny model: 33 bins, slices of 2016 samples (46 ms at 44.1 kHz).
    pub fn mel_32() -> Self {
        Design::new(Scale::Mel, 32, 115.5, 44_100.0)
    }

    pub(crate) fn of(bands: Bands, sample_rate_hz: f64) -> Self {
        Design { bands, sample_rate_hz, slice_len: None, transition_len: None, has_published_lens: false }
    }

    /// The same with its highest band at `fmax_hz`; what lies above goes into the Nyquist bin. No effect on
    /// multi-resolution designs and plain STFTs, which have no such choice.
    pub fn with_fmax_hz(mut self, highest_hz: f64) -> Self {
        if let Bands::Scale { fmax_hz, .. } = &mut self.bands {
            *fmax_hz = (highest_hz != self.sample_rate_hz / 2.0).then_some(highest_hz);
        }
        self
    }

    /// The same with slices of this many samples: a legal length ([`Design::next_slice_len`]), and long enough for the
    /// narrowest bin.
    pub fn with_slice_len(mut self, slice_len: usize) -> Self {
        self.slice_len = Some(slice_len);
        self
    }

    /// The same with a slicing window that rises, and falls, over this many samples: even, at most half a slice.
    pub fn with_transition_len(mut self, transition_len: usize) -> Self {
        self.transition_len = Some(transition_len);
        self
    }

    /// The same with slices and bins of the lengths that xumx-sliCQ-V2 would give them: every multiple of 4, whatever its
    /// prime factors. For weights that were trained with that program; a design of your own is faster and more exact
    /// without. The two published designs have these lengths anyway, and plain STFTs have no such choice.
    ///
    /// # Realtime
    /// Safe.
    pub fn with_published_lens(mut self) -> Self {
        self.has_published_lens = !matches!(self.bands, Bands::Stft { .. }) && !self.is_published();
        self
    }

    /// Whether slices and bins have the lengths that xumx-sliCQ-V2 would give them.
    pub fn has_published_lens(&self) -> bool {
        self.has_published_lens || self.is_published()
    }

    /// Sample rate that the frequencies refer to.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// The scale, unless this is a multi-resolution design or a plain STFT.
    pub fn scale(&self) -> Option<Scale> {
        match self.bands {
            Bands::Scale { scale, .. } => Some(scale),
            _ => None,
        }
    }

    /// Number of bands on the scale as given (not of bins: [`Plan::num_bins`](crate::Plan::num_bins)), if there is one.
    pub fn num_bands(&self) -> Option<usize> {
        match self.bands {
            Bands::Scale { num_bands, .. } => Some(num_bands),
            _ => None,
        }
    }

    /// Frequency of the lowest band, if there is a scale.
    pub fn fmin_hz(&self) -> Option<f64> {
        match self.bands {
            Bands::Scale { fmin_hz, .. } => Some(fmin_hz),
            _ => None,
        }
    }

    /// Frequency of the highest band, if there is a scale.
    pub fn fmax_hz(&self) -> Option<f64> {
        match self.bands {
            Bands::Scale { fmax_hz, .. } => Some(fmax_hz.unwrap_or(self.sample_rate_hz / 2.0)),
            _ => None,
        }
    }

    /// The ranges of a multi-resolution design.
    pub fn resolution_bands(&self) -> Option<&[ResolutionBand]> {
        match &self.bands {
            Bands::MultiResolution(bands) => Some(bands),
            _ => None,
        }
    }

    /// FFT length and hop of a plain STFT.
    pub fn stft_lens(&self) -> Option<(usize, usize)> {
        match self.bands {
            Bands::Stft { fft_len, hop_len } => Some((fft_len, hop_len)),
            _ => None,
        }
    }

    /// Slice length, if it was given; [`Plan::slice_len`](crate::Plan::slice_len) always has it.
    pub fn slice_len(&self) -> Option<usize> {
        self.slice_len
    }

    /// Transition length, if it was given; [`Plan::transition_len`](crate::Plan::transition_len) always has it.
    pub fn transition_len(&self) -> Option<usize> {
        self.transition_len
    }
}
