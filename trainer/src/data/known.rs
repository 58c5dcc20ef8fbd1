//! What a batch is drawn from and handed on as: four stems in step, and what is known of them.

use std::fmt;
use std::str::FromStr;

/// What a song, or an example drawn from songs, tells about its four stems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Every stem is known by itself.
    All,
    /// Bass and other are known together only: bass is silent, their sum stands in other.
    BassInOther,
    /// Only vocals are known apart: drums and bass are silent, the sum of all that is not vocals stands in other.
    VocalsOnly,
}

impl Known {
    /// Every case, in the order in which tables are laid out.
    pub const EACH: [Known; 3] = [Known::All, Known::BassInOther, Known::VocalsOnly];

    /// The name that options use.
    pub fn name(self) -> &'static str {
        match self {
            Known::All => "all",
            Known::BassInOther => "bass-in-other",
            Known::VocalsOnly => "vocals-only",
        }
    }
}

/// How often examples are drawn whose accompaniment is known in each way: `[Known]`, relative to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares(pub [f64; 3]);

impl Default for Shares {
    fn default() -> Self {
        Shares([0.8, 0.2, 0.2])
    }
}

impl FromStr for Shares {
    type Err = String;

    /// `all=0.8,bass-in-other=0.2,vocals-only=0.2`; what is not named keeps its default.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = Shares::default();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or_else(|| format!("expected NAME=SHARE, got {part:?}"))?;
            let Some(i) = Known::EACH.iter().position(|known| known.name() == name) else {
                return Err(format!("expected all, bass-in-other or vocals-only, got {name:?}"));
            };
            match share.parse::<f64>() {
                Ok(share) if share.is_finite() && share >= 0.0 => shares.0[i] = share,
                _ => return Err(format!("{name}: expected a share of at least 0, got {share:?}")),
            }
        }
        Ok(shares)
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = Known::EACH.iter().zip(self.0).map(|(k, s)| format!("{}={s}", k.name())).collect();
        f.write_str(&parts.join(","))
    }
}

/// The stems of one example, before they are mixed.
pub struct DrawnStems {
    /// `[stem][channel][sample]`, stems in the order of [`crate::data::songs::STEMS`]; what is not known apart stands where
    /// `known` says.
    pub samples: Vec<[Vec<f32>; 2]>,
    /// How far the stems are known apart.
    pub known: Known,
}
