//! Songs with true stems for training: rendered from MIDI files with SoundFonts, or composed and synthesized from
//! nothing, with recorded singing laid over them.
//!
//! - [`run`] is the whole program `synth`: it plans songs, renders them on several threads, and writes song folders.
//! - [`compose`] makes a song of a seed; [`midi`] makes one of a MIDI file and a SoundFont.
//! - [`vocals`] cuts phrases out of recordings of singing and fits them to key and beat of a song.
//! - `recorded` plays drums on folders of hits, by drummers' performances too, and bass lines on recorded notes.
//! - [`mastering`] turns raw stems into a mix, with [`Limiter`], which is for everybody: the stems that it limits
//!   still sum to the mix.
//! - [`measure`] tells how songs sound without anybody listening.
//!
//! Nothing here is for the audio thread but [`Limiter::next_gain`].

#![warn(missing_docs)]

pub mod compose;
mod filters;
mod folder;
mod kit;
mod limiter;
pub mod mastering;
pub mod measure;
pub mod midi;
mod patch;
mod plan;
mod raw_song;
mod recorded;
mod reverb;
mod run;
mod seed;
pub mod tone;
pub mod vocals;
pub mod voice;

pub use filters::Biquad;
pub use limiter::{Limiter, LimiterConfig};
pub use patch::{Note, Patch};
pub use raw_song::RawSong;
pub use reverb::{Room, add_reverb, add_room};
pub use run::{Options, Summary, run};
