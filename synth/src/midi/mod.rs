//! Songs of MIDI files: who plays what ([`Stem`] by channel and program), on random instruments, in another key and at
//! another tempo.

mod notes;
mod render;
mod routing;
mod soundfont;

pub use notes::MidiSong;
pub use render::{Arrangement, play};
pub use routing::{PERCUSSION, stem_of};
pub use soundfont::{Bank, PACKAGES, find_installed, play_notes};
