//! Changes of controls on their way through the delay: what the host sends with an input sample acts on that sample when
//! it comes out.

use crate::mix_controls::{ControlSet, MixControls};
use std::collections::VecDeque;

/// Changes that fit in. Hosts send some hundred a second; a curve of one change per sample fills this in 0.1 s.
const CAPACITY: usize = 4096;
/// From here on changes that lie close together share an entry.
const CROWDED: usize = CAPACITY / 4 * 3;

/// A queue of changes, each due at a sample of the output. Never grows.
///
/// A flood of changes does not overflow it: once it is three quarters full, a change that is due less than
/// `delay / 1024` samples after the newest entry (18 samples for a delay of 415 ms at 44.1 kHz) replaces that entry's
/// controls instead of getting one of its own. Then the last quarter covers the whole delay, no change is lost for good,
/// and none acts early by more than that.
pub struct DelayedControls {
    /// Ordered by `due`.
    changes: VecDeque<Change>,
    min_spacing: u64,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    /// Output sample, counted since the last reset.
    due: u64,
    controls: MixControls,
}

impl DelayedControls {
    /// For changes that are due `delay` samples after they come.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(delay: usize) -> Self {
        // One entry stands at the edge of the window.
        let min_spacing = delay as u64 / (CAPACITY - CROWDED - 1) as u64 + 1;
        DelayedControls { changes: VecDeque::with_capacity(CAPACITY), min_spacing }
    }

    /// Adds a change; `due` is not before that of the one added last.
    ///
    /// # Realtime
    /// Safe.
    pub fn push(&mut self, due: u64, controls: MixControls) {
        let (is_crowded, is_full) = (self.changes.len() >= CROWDED, self.changes.len() == CAPACITY);
        match self.changes.back_mut() {
            Some(last) if last.due == due || (is_crowded && due - last.due < self.min_spacing) => {
                last.controls = controls
            }
            // The spacing keeps it from being full; if it were, the newest change still counts.
            Some(last) if is_full => *last = Change { due, controls },
            _ => self.changes.push_back(Change { due, controls }),
        }
    }

    /// The sample at which the next change is due.
    ///
    /// # Realtime
    /// Safe.
    pub fn next_due(&self) -> Option<u64> {
        self.changes.front().map(|change| change.due)
    }

    /// Takes out what is due at `now` or before, and returns the last of it.
    ///
    /// # Realtime
    /// Safe.
    pub fn take_due(&mut self, now: u64) -> Option<MixControls> {
        let mut controls = None;
        while self.next_due().is_some_and(|due| due <= now) {
            controls = self.changes.pop_front().map(|change| change.controls);
        }
        controls
    }

    /// The controls in `set` acted at once: what is on its way for them no longer counts.
    ///
    /// # Realtime
    /// Safe: up to 4096 entries are touched.
    pub fn override_controls(&mut self, controls: &MixControls, set: ControlSet) {
        if set != ControlSet::NONE {
            self.changes.iter_mut().for_each(|change| change.controls.take(controls, set));
        }
    }

    /// Forgets all changes.
    ///
    /// # Realtime
    /// Safe.
    pub fn clear(&mut self) {
        self.changes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix_controls::Control;

    fn gain(gain: f32) -> MixControls {
        MixControls::with_gains([gain; 4])
    }

    #[test]
    fn changes_come_out_when_they_are_due() {
        let mut delayed = DelayedControls::new(100);
        delayed.push(110, gain(0.1));
        delayed.push(115, gain(0.2));
        assert_eq!(delayed.next_due(), Some(110));
        assert_eq!(delayed.take_due(109), None);
        assert_eq!(delayed.take_due(110), Some(gain(0.1)));
        assert_eq!(delayed.take_due(110), None);
        assert_eq!(delayed.take_due(1_000), Some(gain(0.2)));
        assert_eq!(delayed.next_due(), None);
    }

    #[test]
    fn of_changes_at_one_sample_the_last_counts() {
        let mut delayed = DelayedControls::new(100);
        delayed.push(110, gain(0.1));
        delayed.push(110, gain(0.2));
        assert_eq!(delayed.changes.len(), 1);
        assert_eq!(delayed.take_due(110), Some(gain(0.2)));
    }

    #[test]
    fn a_control_that_acted_at_once_forgets_what_was_on_its_way() {
        let mut delayed = DelayedControls::new(100);
        delayed.push(110, gain(0.1));
        delayed.override_controls(&gain(3.0), ControlSet::NONE.with(Control::Gain(2)));
        assert_eq!(delayed.take_due(110), Some(MixControls::with_gains([0.1, 0.1, 3.0, 0.1])));
    }

    /// A change with every sample for three delays: the memory stays as it is, the last change arrives, and what acts is
    /// never more than the spacing away from what was asked for.
    #[test]
    fn a_flood_is_thinned_out_and_the_last_change_counts() {
        for delay in [0, 1, 5_000, 22_831, 2_000_000] {
            let mut delayed = DelayedControls::new(delay);
            let capacity = delayed.changes.capacity();
            let num_changes = 3 * delay as u64 + 10;
            let mut heard = -1.0_f32;
            for now in 0..num_changes + delay as u64 {
                if now < num_changes {
                    delayed.push(now + delay as u64, gain(now as f32));
                }
                if let Some(controls) = delayed.take_due(now) {
                    heard = controls.stems[0].gain;
                }
                if let Some(wanted) = now.checked_sub(delay as u64) {
                    let error = heard - wanted as f32;
                    assert!((0.0..=delayed.min_spacing as f32).contains(&error), "{delay}: {heard} for {wanted}");
                }
            }
            assert_eq!(heard, (num_changes - 1) as f32);
            assert_eq!(delayed.changes.capacity(), capacity);
            assert!(delayed.min_spacing <= 1 + delay as u64 / 1_000);
        }
    }
}
