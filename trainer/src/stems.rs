//! What a batch is drawn from and handed on as: four stems in step, and what is known of them.

/// What a song, or an example drawn from songs, tells about its four stems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Every stem is known by itself.
    All,
    /// Bass and other are known together only: bass is silent, their sum stands in other.
    BassInOther,
    /// Only vocals are known apart: drums and bass are silent, the sum of all that is not vocals stands in other.
    #[cfg_attr(not(test), expect(dead_code, reason = "the loader of such songs comes next"))]
    VocalsOnly,
}

/// The stems of one example, before they are mixed.
pub struct DrawnStems {
    /// `[stem][channel][sample]`, stems in the order of [`crate::songs::STEMS`]; what is not known apart stands where
    /// `known` says.
    pub samples: Vec<[Vec<f32>; 2]>,
    /// How far the stems are known apart.
    pub known: Known,
}
