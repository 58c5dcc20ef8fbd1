//! Designs as text, for command lines and files: see [`Design`].

use crate::{Design, DesignError, ResolutionBand, Scale, design::Bands};
use std::{
    fmt,
    str::{FromStr, Split},
};

const DEFAULT_RATE_HZ: f64 = 44_100.0;

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (published, name) in [(Design::bark_262(), "bark-262"), (Design::mel_32(), "mel-32")] {
            if *self == published {
                return f.write_str(name);
            }
        }
        match &self.bands {
            Bands::Scale { scale, num_bands, fmin_hz, fmax_hz } => {
                write!(f, "{scale}:{num_bands}:{fmin_hz}")?;
                if let Some(fmax_hz) = fmax_hz {
                    write!(f, "-{fmax_hz}")?;
                }
            }
            Bands::MultiResolution(bands) => {
                for (i, band) in bands.iter().enumerate() {
                    write!(f, "{}{}={}", if i == 0 { "mr:" } else { "," }, band.up_to_hz, band.window_len)?;
                }
            }
            Bands::Stft { fft_len, hop_len } => write!(f, "stft:{fft_len}:{hop_len}")?,
        }
        if let Some(n) = self.slice_len {
            write!(f, ":slice={n}")?;
        }
        if let Some(n) = self.transition_len {
            write!(f, ":transition={n}")?;
        }
        if self.has_published_lens {
            f.write_str(":lens=published")?;
        }
        if self.sample_rate_hz != DEFAULT_RATE_HZ {
            write!(f, ":rate={}", self.sample_rate_hz)?;
        }
        Ok(())
    }
}

impl FromStr for Design {
    type Err = DesignError;

    /// Reads the grammar; whether the design can be computed says [`Plan::new`](crate::Plan::new).
    fn from_str(text: &str) -> Result<Self, DesignError> {
        let refused = |(expected, actual): Refused| DesignError::Syntax {
            text: text.to_owned(),
            expected,
            actual: actual.to_owned(),
        };
        match text {
            "bark-262" => Ok(Design::bark_262()),
            "mel-32" => Ok(Design::mel_32()),
            _ => parse(text).map_err(refused),
        }
    }
}

/// What was expected, and what was there.
type Refused<'a> = (&'static str, &'a str);

fn parse(text: &str) -> Result<Design, Refused<'_>> {
    let mut parts = text.split(':');
    let kind = parts.next().unwrap_or("");
    let bands = match kind {
        "stft" => Bands::Stft {
            fft_len: count(part(&mut parts, "stft:FFT:HOP")?)?,
            hop_len: count(part(&mut parts, "stft:FFT:HOP")?)?,
        },
        "mr" => {
            let bands = part(&mut parts, "mr:HZ=WINDOW,HZ=WINDOW,...")?.split(',').map(|band| {
                let (up_to_hz, window_len) = band.split_once('=').ok_or(("HZ=WINDOW", band))?;
                Ok::<_, Refused>(ResolutionBand { up_to_hz: hz(up_to_hz)?, window_len: count(window_len)? })
            });
            Bands::MultiResolution(bands.collect::<Result<_, _>>()?)
        }
        _ => {
            let scale = scale(kind)?;
            let num_bands = count(part(&mut parts, "SCALE:BANDS:FMIN")?)?;
            let range = part(&mut parts, "SCALE:BANDS:FMIN")?;
            let (fmin_hz, fmax_hz) = match range.split_once('-') {
                Some((fmin, fmax)) => (hz(fmin)?, Some(hz(fmax)?)),
                None => (hz(range)?, None),
            };
            Bands::Scale { scale, num_bands, fmin_hz, fmax_hz }
        }
    };
    let mut design = Design::of(bands, DEFAULT_RATE_HZ);
    let mut has_published_lens = false;
    for option in parts {
        match option.split_once('=') {
            Some(("slice", n)) => design.slice_len = Some(count(n)?),
            Some(("transition", n)) => design.transition_len = Some(count(n)?),
            Some(("rate", rate)) => design.sample_rate_hz = hz(rate)?,
            Some(("lens", "published")) => has_published_lens = true,
            _ => return Err(("slice=N, transition=N, lens=published or rate=HZ", option)),
        }
    }
    // Half the rate is the same design, said or not.
    let fmax_hz = match design.bands {
        Bands::Scale { fmax_hz, .. } => fmax_hz,
        _ => None,
    };
    if let Some(fmax_hz) = fmax_hz {
        design = design.with_fmax_hz(fmax_hz);
    }
    Ok(if has_published_lens { design.with_published_lens() } else { design })
}

fn scale(text: &str) -> Result<Scale, Refused<'_>> {
    match text {
        "bark" => Ok(Scale::Bark),
        "mel" => Ok(Scale::Mel),
        "cq" => Ok(Scale::ConstantQ),
        "linear" => Ok(Scale::Linear),
        _ => match text.strip_prefix("vq(").and_then(|rest| rest.strip_suffix(')')) {
            Some(gamma) => Ok(Scale::VariableQ { gamma_hz: hz(gamma)? }),
            None => Err((
                "bark-262, mel-32, bark:..., mel:..., cq:..., vq(GAMMA):..., linear:..., mr:... or stft:...",
                text,
            )),
        },
    }
}

fn part<'a>(parts: &mut Split<'a, char>, expected: &'static str) -> Result<&'a str, Refused<'a>> {
    parts.next().ok_or((expected, "the end"))
}

fn count(text: &str) -> Result<usize, Refused<'_>> {
    text.parse().map_err(|_| ("a whole number", text))
}

fn hz(text: &str) -> Result<f64, Refused<'_>> {
    text.parse().map_err(|_| ("a frequency in Hz", text))
}
