//! The pieces of a drum kit, and strokes on them.

use crate::kit::Piece;
use crate::midi::PERCUSSION;

/// A piece of a recorded kit and the way it is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Drum {
    /// Bass drum.
    Kick,
    /// Snare drum, on the head.
    Snare,
    /// Snare drum, on the rim.
    Stick,
    /// Hand clap.
    Clap,
    /// Hi-hat, closed.
    Closed,
    /// Hi-hat, by the pedal.
    Pedal,
    /// Hi-hat, open.
    Open,
    /// Crash, splash and china cymbal.
    Crash,
    /// Ride cymbal.
    Ride,
    /// Tom, 0 the lowest to 5 the highest.
    Tom(u8),
    /// Any other percussion, told apart by its General MIDI key.
    Perc(u8),
}

/// A stroke on a drum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// When, in s.
    pub time_s: f64,
    /// What is struck.
    pub drum: Drum,
    /// How hard, 0..=1.
    pub velocity: f64,
}

impl Drum {
    /// The drum of a percussion note of General MIDI, with the keys that electronic kits send beside these (22 and 26
    /// are the edge of the hi-hat, 58 the rim of the floor tom). Notes of other channels, by percussive programs, are
    /// toms by their pitch.
    pub fn of_note(channel: u8, key: u8) -> Drum {
        if channel != PERCUSSION {
            return Drum::Tom((key.clamp(30, 77) - 30) / 8);
        }
        match key {
            35 | 36 => Drum::Kick,
            37 => Drum::Stick,
            38 | 40 => Drum::Snare,
            39 => Drum::Clap,
            22 | 42 => Drum::Closed,
            44 => Drum::Pedal,
            26 | 46 => Drum::Open,
            49 | 52 | 55 | 57 => Drum::Crash,
            51 | 53 | 59 => Drum::Ride,
            41 => Drum::Tom(0),
            43 | 58 => Drum::Tom(1),
            45 => Drum::Tom(2),
            47 => Drum::Tom(3),
            48 => Drum::Tom(4),
            50 => Drum::Tom(5),
            _ => Drum::Perc(key),
        }
    }

    /// Whether it belongs to what keeps time above kick and snare.
    pub fn is_top(self) -> bool {
        matches!(self, Drum::Closed | Drum::Pedal | Drum::Open | Drum::Ride | Drum::Perc(_))
    }

    /// What a synthesized kit has for it.
    pub fn synthesized(self) -> Piece {
        match self {
            Drum::Kick => Piece::Kick,
            Drum::Snare | Drum::Stick => Piece::Snare,
            Drum::Clap => Piece::Clap,
            Drum::Closed | Drum::Pedal => Piece::Closed,
            Drum::Open => Piece::Open,
            Drum::Crash => Piece::Crash,
            // Rides of drum machines are small closed hats.
            Drum::Ride => Piece::Closed,
            Drum::Tom(_) => Piece::Tom,
            Drum::Perc(_) => Piece::Shaker,
        }
    }
}

impl From<Piece> for Drum {
    fn from(piece: Piece) -> Drum {
        match piece {
            Piece::Kick => Drum::Kick,
            Piece::Snare => Drum::Snare,
            Piece::Clap => Drum::Clap,
            Piece::Closed => Drum::Closed,
            Piece::Open => Drum::Open,
            Piece::Crash => Drum::Crash,
            Piece::Tom => Drum::Tom(2),
            Piece::Shaker => Drum::Perc(70),
        }
    }
}
