//! Which parameters are being moved in our own editor: they act at once, since the user listens to what comes out now.

use crate::mix_controls::{Control, ControlSet};
use std::sync::atomic::{AtomicU32, Ordering};

/// How long after a gesture a change still belongs to it, in ms: hosts send what the editor did back with a later block.
const SETTLING_MS: f64 = 100.0;

/// Shared between the editor, which tells what it does, and the audio thread.
#[derive(Debug, Default)]
pub struct Gestures {
    /// One bit per control.
    held: AtomicU32,
    /// Those that were let go of, so that a click between two blocks is seen too.
    released: AtomicU32,
}

impl Gestures {
    /// The user takes hold of a control.
    ///
    /// # Realtime
    /// Safe.
    pub fn begin(&self, control: Control) {
        self.held.fetch_or(bit(control), Ordering::AcqRel);
    }

    /// The user lets go of it, after the last value was set.
    ///
    /// # Realtime
    /// Safe.
    pub fn end(&self, control: Control) {
        self.released.fetch_or(bit(control), Ordering::AcqRel);
        self.held.fetch_and(!bit(control), Ordering::AcqRel);
    }
}

fn bit(control: Control) -> u32 {
    1 << control.index()
}

/// The audio thread's view of [`Gestures`].
#[derive(Debug, Default)]
pub struct GestureWatch {
    settling_len: usize,
    /// `[control]`, samples for which changes still belong to a gesture.
    samples_left: [usize; Control::COUNT],
}

impl GestureWatch {
    /// Nothing is touched.
    ///
    /// # Realtime
    /// Safe.
    pub fn new(sample_rate_hz: f64) -> Self {
        let settling_len = (sample_rate_hz * SETTLING_MS / 1000.0) as usize;
        GestureWatch { settling_len, samples_left: [0; Control::COUNT] }
    }

    /// For the next block, of `len` samples: the controls that act at once.
    ///
    /// # Realtime
    /// Safe.
    pub fn controls_at_once(&mut self, gestures: &Gestures, len: usize) -> ControlSet {
        // In this order: `end` marks a control as released before it stops being held.
        let held = gestures.held.load(Ordering::Acquire);
        let touched = held | gestures.released.swap(0, Ordering::AcqRel);
        let mut at_once = 0;
        for (idx, samples_left) in self.samples_left.iter_mut().enumerate() {
            if touched & 1 << idx != 0 {
                *samples_left = self.settling_len + len;
            }
            at_once |= u32::from(*samples_left > 0) << idx;
            *samples_left = samples_left.saturating_sub(len);
        }
        ControlSet::from_bits(at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_acts_at_once_while_it_is_held_and_shortly_after() {
        for control in Control::all() {
            let (gestures, mut watch) = (Gestures::default(), GestureWatch::new(48_000.0));
            assert_eq!(watch.controls_at_once(&gestures, 480), ControlSet::NONE);
            gestures.begin(control);
            for _ in 0..100 {
                assert_eq!(watch.controls_at_once(&gestures, 480), ControlSet::NONE.with(control));
            }
            gestures.end(control);
            let num_blocks =
                (0..1_000).take_while(|_| watch.controls_at_once(&gestures, 480).contains(control)).count();
            assert!((10..=12).contains(&num_blocks), "{num_blocks} blocks of 10 ms");
        }
    }

    #[test]
    fn a_click_between_two_blocks_is_seen() {
        let (gestures, mut watch) = (Gestures::default(), GestureWatch::new(48_000.0));
        gestures.begin(Control::Bypass);
        gestures.end(Control::Bypass);
        assert_eq!(watch.controls_at_once(&gestures, 64), ControlSet::NONE.with(Control::Bypass));
    }
}
