//! Gain changes on their way through the delay: what the host sends with an input sample acts on that sample when it
//! comes out.

use std::collections::VecDeque;

/// Changes that fit in. Hosts send some hundred a second; a curve of one change per sample fills this in 0.1 s.
const CAPACITY: usize = 4096;
/// From here on changes that lie close together share an entry.
const CROWDED: usize = CAPACITY / 4 * 3;

/// A queue of gain changes, each due at a sample of the output. Never grows.
///
/// A flood of changes does not overflow it: once it is three quarters full, a change that is due less than
/// `delay / 1024` samples after the newest entry (18 samples for a delay of 415 ms at 44.1 kHz) replaces that entry's
/// gains instead of getting one of its own. Then the last quarter covers the whole delay, no change is lost for good,
/// and none acts early by more than that.
pub struct DelayedGains {
    /// Ordered by `due`.
    changes: VecDeque<Change>,
    min_spacing: u64,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    /// Output sample, counted since the last reset.
    due: u64,
    /// `[stem]`, linear.
    gains: [f32; 4],
}

impl DelayedGains {
    /// For changes that are due `delay` samples after they come.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(delay: usize) -> Self {
        // One entry stands at the edge of the window.
        let min_spacing = delay as u64 / (CAPACITY - CROWDED - 1) as u64 + 1;
        DelayedGains { changes: VecDeque::with_capacity(CAPACITY), min_spacing }
    }

    /// Adds a change; `due` is not before that of the one added last.
    ///
    /// # Realtime
    /// Safe.
    pub fn push(&mut self, due: u64, gains: [f32; 4]) {
        let (is_crowded, is_full) = (self.changes.len() >= CROWDED, self.changes.len() == CAPACITY);
        match self.changes.back_mut() {
            Some(last) if last.due == due || (is_crowded && due - last.due < self.min_spacing) => last.gains = gains,
            // The spacing keeps it from being full; if it were, the newest change still counts.
            Some(last) if is_full => *last = Change { due, gains },
            _ => self.changes.push_back(Change { due, gains }),
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
    pub fn take_due(&mut self, now: u64) -> Option<[f32; 4]> {
        let mut gains = None;
        while self.next_due().is_some_and(|due| due <= now) {
            gains = self.changes.pop_front().map(|change| change.gains);
        }
        gains
    }

    /// A stem got this gain at once: what is on its way for it no longer counts.
    ///
    /// # Realtime
    /// Safe: up to 4096 entries are touched.
    pub fn override_stem(&mut self, stem_idx: usize, gain: f32) {
        self.changes.iter_mut().for_each(|change| change.gains[stem_idx] = gain);
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

    #[test]
    fn changes_come_out_when_they_are_due() {
        let mut delayed = DelayedGains::new(100);
        delayed.push(110, [0.1; 4]);
        delayed.push(115, [0.2; 4]);
        assert_eq!(delayed.next_due(), Some(110));
        assert_eq!(delayed.take_due(109), None);
        assert_eq!(delayed.take_due(110), Some([0.1; 4]));
        assert_eq!(delayed.take_due(110), None);
        assert_eq!(delayed.take_due(1_000), Some([0.2; 4]));
        assert_eq!(delayed.next_due(), None);
    }

    #[test]
    fn of_changes_at_one_sample_the_last_counts() {
        let mut delayed = DelayedGains::new(100);
        delayed.push(110, [0.1; 4]);
        delayed.push(110, [0.2; 4]);
        assert_eq!(delayed.changes.len(), 1);
        assert_eq!(delayed.take_due(110), Some([0.2; 4]));
    }

    #[test]
    fn a_stem_that_was_set_at_once_forgets_what_was_on_its_way() {
        let mut delayed = DelayedGains::new(100);
        delayed.push(110, [0.1; 4]);
        delayed.override_stem(2, 3.0);
        assert_eq!(delayed.take_due(110), Some([0.1, 0.1, 3.0, 0.1]));
    }

    /// A change with every sample for three delays: the memory stays as it is, the last change arrives, and what acts is
    /// never more than the spacing away from what was asked for.
    #[test]
    fn a_flood_is_thinned_out_and_the_last_change_counts() {
        for delay in [0, 1, 5_000, 22_831, 2_000_000] {
            let mut delayed = DelayedGains::new(delay);
            let capacity = delayed.changes.capacity();
            let num_changes = 3 * delay as u64 + 10;
            let mut heard = -1.0_f32;
            for now in 0..num_changes + delay as u64 {
                if now < num_changes {
                    delayed.push(now + delay as u64, [now as f32; 4]);
                }
                if let Some([gain, ..]) = delayed.take_due(now) {
                    heard = gain;
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
