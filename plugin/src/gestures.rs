//! Which parameters are being moved in our own editor: they act at once, since the user listens to what comes out now.

use std::sync::atomic::{AtomicU8, Ordering};

/// How long after a gesture a change still belongs to it, in ms: hosts send what the editor did back with a later block.
const SETTLING_MS: f64 = 100.0;

/// A parameter that gestures are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The gain of the stem with this index.
    Gain(usize),
    /// Bypass.
    Bypass,
}

/// Shared between the editor, which tells what it does, and the audio thread.
#[derive(Debug, Default)]
pub struct Gestures {
    /// One bit per parameter.
    held: AtomicU8,
    /// Those that were let go of, so that a click between two blocks is seen too.
    released: AtomicU8,
}

impl Gestures {
    /// The user takes hold of a control.
    ///
    /// # Realtime
    /// Safe.
    pub fn begin(&self, touched: Touched) {
        self.held.fetch_or(bit(touched), Ordering::AcqRel);
    }

    /// The user lets go of it, after the last value was set.
    ///
    /// # Realtime
    /// Safe.
    pub fn end(&self, touched: Touched) {
        self.released.fetch_or(bit(touched), Ordering::AcqRel);
        self.held.fetch_and(!bit(touched), Ordering::AcqRel);
    }
}

fn bit(touched: Touched) -> u8 {
    match touched {
        Touched::Gain(stem_idx) => 1 << stem_idx,
        Touched::Bypass => 1 << 4,
    }
}

/// The audio thread's view of [`Gestures`].
#[derive(Debug, Default)]
pub struct GestureWatch {
    settling_len: usize,
    /// `[parameter]`, samples for which changes still belong to a gesture.
    samples_left: [usize; 5],
}

impl GestureWatch {
    /// Nothing is touched.
    ///
    /// # Realtime
    /// Safe.
    pub fn new(sample_rate_hz: f64) -> Self {
        GestureWatch { settling_len: (sample_rate_hz * SETTLING_MS / 1000.0) as usize, samples_left: [0; 5] }
    }

    /// For the next block, of `len` samples: the stems whose gains act at once. Bypass concerns them all.
    ///
    /// # Realtime
    /// Safe.
    pub fn stems_at_once(&mut self, gestures: &Gestures, len: usize) -> [bool; 4] {
        // In this order: `end` marks a control as released before it stops being held.
        let held = gestures.held.load(Ordering::Acquire);
        let touched = held | gestures.released.swap(0, Ordering::AcqRel);
        let mut is_touched = [false; 5];
        for (idx, samples_left) in self.samples_left.iter_mut().enumerate() {
            if touched & 1 << idx != 0 {
                *samples_left = self.settling_len + len;
            }
            is_touched[idx] = *samples_left > 0;
            *samples_left = samples_left.saturating_sub(len);
        }
        let [vocals, drums, bass, other, bypass] = is_touched;
        [vocals, drums, bass, other].map(|stem| stem || bypass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_acts_at_once_while_it_is_held_and_shortly_after() {
        let (gestures, mut watch) = (Gestures::default(), GestureWatch::new(48_000.0));
        assert_eq!(watch.stems_at_once(&gestures, 480), [false; 4]);
        gestures.begin(Touched::Gain(1));
        for _ in 0..100 {
            assert_eq!(watch.stems_at_once(&gestures, 480), [false, true, false, false]);
        }
        gestures.end(Touched::Gain(1));
        let num_blocks = (0..1_000).take_while(|_| watch.stems_at_once(&gestures, 480)[1]).count();
        assert!((10..=12).contains(&num_blocks), "{num_blocks} blocks of 10 ms");
    }

    #[test]
    fn a_click_between_two_blocks_is_seen() {
        let (gestures, mut watch) = (Gestures::default(), GestureWatch::new(48_000.0));
        gestures.begin(Touched::Bypass);
        gestures.end(Touched::Bypass);
        assert_eq!(watch.stems_at_once(&gestures, 64), [true; 4]);
    }
}
