//! How close separated stems come to the true ones: BSSEval v4, as museval 0.4.1 computes it.
//!
//! [`BssEval`] takes the true stems and one or more sets of estimates, block by block, and in the end gives SDR, ISR, SIR
//! and SAR ([`Ratios`]) of every stem in every window. [`median`] is how windows, and then songs, become one number.
//!
//! # What the four say
//! An estimate `e` of stem `s` is compared with two projections: `p`, what filters of 512 taps can make of the channels
//! of `s` to come closest to `e`, and `q`, what they can make of all true stems. The filters are those of the whole song
//! (that is what "v4" means); the energies are those of one window (1 s) of the song.
//!
//! | | ratio | low means |
//! |---|---|---|
//! | SDR | `s` / `e - s` | anything wrong at all |
//! | ISR | `s` / `p - s` | the stem itself is filtered or misplaced |
//! | SIR | `p` / `q - p` | other stems are heard |
//! | SAR | `q` / `e - q` | what no stem contains is heard |
//!
//! Sources: Vincent, Gribonval, Févotte 2006, *Performance measurement in blind audio source separation*; Stöter,
//! Liutkus, Ito 2018, *The 2018 Signal Separation Evaluation Campaign*, for version 4; museval's `metrics.py` for every
//! convention (zeros around windows, silence, the tail that fills no window).
//!
//! # How
//! museval keeps the signals, and filters each window of them. Here the signals are gone once they were added: all that
//! the ratios need of a window are its lag products ([`BssEval`] says what they weigh), since the energy of a
//! filtered window is a quadratic form of its correlations, and so are the equations of the filters.
#![warn(missing_docs)]

mod bss_eval;
mod energy;
mod filters;
mod lag_products;
mod ratios;
mod scores;

pub use bss_eval::{BssEval, Config};
pub use ratios::{Ratios, median};
pub use scores::{Scores, SourceScores};

/// A stretch of a stereo signal: `[channel][sample]`, both of one length.
pub type Signal = [Vec<f32>; 2];
