//! Columns on their way from a worker to an editor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Rows of a column, from the bottom up: a semitone each.
pub const NUM_ROWS: usize = 112;
/// The lower end of the first row.
const MIN_HZ: f64 = 30.0;
/// What a row has levels of: the mix, then the stems in the order of [`STEMS`](crate::STEMS).
pub const NUM_LEVELS: usize = 5;
/// A level of 0, and everything below; a sine at full scale on both channels is 0 dB.
pub const MIN_LEVEL_DB: f32 = -96.0;
/// From one level to the next.
pub const LEVEL_STEP_DB: f32 = 0.4;
/// Columns that a reader can be behind. A power of two.
const NUM_SLOTS: usize = 256;

/// The lower end of a row; of [`NUM_ROWS`], the upper end of the last one.
pub fn row_frequency_hz(row_idx: usize) -> f64 {
    MIN_HZ * (row_idx as f64 / 12.0).exp2()
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectrumColumn {
    /// Where it begins, from the start of the stream.
    pub start_s: f64,
    /// How long it is.
    pub len_s: f64,
    /// `[row][mix, then stem]`, as steps of [`LEVEL_STEP_DB`] above [`MIN_LEVEL_DB`].
    pub levels: [[u8; NUM_LEVELS]; NUM_ROWS],
}

/// Shared between the worker, which writes columns, and an editor, which reads them. Both are wait-free, and while
/// nobody looks nothing is measured. A reader that falls behind misses columns.
pub struct SpectrumFeed {
    is_wanted: AtomicBool,
    /// The newest of the streams that write; older ones give way.
    writer: AtomicU64,
    is_being_written: AtomicBool,
    num_written: AtomicU64,
    slots: Box<[Slot]>,
}

/// A column as atomics: a reader that is overtaken reads nonsense and throws it away, which is no race.
struct Slot {
    start_s: AtomicU64,
    len_s: AtomicU64,
    /// `[row]`, the levels as bytes.
    rows: [AtomicU64; NUM_ROWS],
}

impl Default for SpectrumFeed {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        let slot = |_| Slot { start_s: zero(), len_s: zero(), rows: std::array::from_fn(|_| zero()) };
        SpectrumFeed {
            is_wanted: AtomicBool::new(false),
            writer: zero(),
            is_being_written: AtomicBool::new(false),
            num_written: zero(),
            slots: (0..NUM_SLOTS).map(slot).collect(),
        }
    }
}

impl SpectrumFeed {
    /// Tells whether somebody looks.
    ///
    /// # Realtime
    /// Safe.
    pub fn set_wanted(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
    }

    /// Whether somebody looks.
    ///
    /// # Realtime
    /// Safe.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// How many columns were written so far; a reader that begins now begins there.
    ///
    /// # Realtime
    /// Safe.
    pub fn num_written(&self) -> u64 {
        self.num_written.load(Ordering::Acquire)
    }

    /// Adds a column of the stream with this number. Streams that began later have larger numbers; while the newest
    /// writes, what others write is dropped.
    ///
    /// # Realtime
    /// Safe.
    pub fn write(&self, writer: u64, column: &SpectrumColumn) {
        let newest = self.writer.fetch_max(writer, Ordering::Relaxed).max(writer);
        if newest != writer || self.is_being_written.swap(true, Ordering::Acquire) {
            return;
        }
        let number = self.num_written.load(Ordering::Relaxed);
        let slot = &self.slots[number as usize % NUM_SLOTS];
        // Whoever sees a part of this column sees, too, that the one before is written, so that its own is gone.
        fence(Ordering::Release);
        slot.start_s.store(column.start_s.to_bits(), Ordering::Relaxed);
        slot.len_s.store(column.len_s.to_bits(), Ordering::Relaxed);
        for (row, levels) in slot.rows.iter().zip(&column.levels) {
            let mut bytes = [0; 8];
            bytes[..NUM_LEVELS].copy_from_slice(levels);
            row.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.num_written.store(number + 1, Ordering::Release);
        self.is_being_written.store(false, Ordering::Release);
    }

    /// Gives every column from number `from` on that is still there to `take`, in order. Returns the number to go on
    /// with.
    ///
    /// # Realtime
    /// Safe, if `take` is.
    pub fn read(&self, from: u64, take: &mut dyn FnMut(&SpectrumColumn)) -> u64 {
        let end = self.num_written.load(Ordering::Acquire);
        let first = from.min(end).max((end + 1).saturating_sub(NUM_SLOTS as u64));
        for number in first..end {
            let slot = &self.slots[number as usize % NUM_SLOTS];
            let column = SpectrumColumn {
                start_s: f64::from_bits(slot.start_s.load(Ordering::Relaxed)),
                len_s: f64::from_bits(slot.len_s.load(Ordering::Relaxed)),
                levels: std::array::from_fn(|row| {
                    let bytes = slot.rows[row].load(Ordering::Relaxed).to_le_bytes();
                    std::array::from_fn(|level| bytes[level])
                }),
            };
            fence(Ordering::Acquire);
            // The one that is being written now may take the place of the oldest.
            if number + NUM_SLOTS as u64 > self.num_written.load(Ordering::Relaxed) {
                take(&column);
            }
        }
        end
    }
}

/// The level of a power; that of a sine at full scale is 1/2.
pub(crate) fn level_of(power: f32) -> u8 {
    let db = 10.0 * (2.0 * power).log10();
    // A NaN becomes 0.
    ((db - MIN_LEVEL_DB) / LEVEL_STEP_DB).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    /// A column of which every part says which one it is.
    fn column(number: u64) -> SpectrumColumn {
        let level = (number % 251) as u8;
        SpectrumColumn { start_s: number as f64, len_s: -(number as f64), levels: [[level; NUM_LEVELS]; NUM_ROWS] }
    }

    fn read_all(feed: &SpectrumFeed, from: u64) -> (Vec<f64>, u64) {
        let mut starts = Vec::new();
        let next = feed.read(from, &mut |column| starts.push(column.start_s));
        (starts, next)
    }

    #[test]
    fn columns_come_once_and_in_order() {
        let feed = SpectrumFeed::default();
        (0..3).for_each(|number| feed.write(1, &column(number)));
        assert_eq!(read_all(&feed, 0), (vec![0.0, 1.0, 2.0], 3));
        assert_eq!(read_all(&feed, 3), (vec![], 3));
        feed.write(1, &column(3));
        assert_eq!(read_all(&feed, 3), (vec![3.0], 4));
    }

    #[test]
    fn who_reads_late_misses_the_oldest() {
        let feed = SpectrumFeed::default();
        (0..1000).for_each(|number| feed.write(1, &column(number)));
        let (starts, next) = read_all(&feed, 0);
        assert_eq!((next, starts.len()), (1000, NUM_SLOTS - 1));
        assert_eq!(starts[0], 1001.0 - NUM_SLOTS as f64);
    }

    #[test]
    fn the_newest_stream_writes() {
        let feed = SpectrumFeed::default();
        for (writer, number) in [(5, 0), (4, 1), (6, 2), (5, 3), (6, 4)] {
            feed.write(writer, &column(number));
        }
        assert_eq!(read_all(&feed, 0).0, [0.0, 2.0, 4.0]);
    }

    #[test]
    fn a_column_is_whole_or_missing() {
        let feed = Arc::new(SpectrumFeed::default());
        let writer = {
            let feed = feed.clone();
            thread::spawn(move || (0..200_000).for_each(|number| feed.write(1, &column(number))))
        };
        let (mut next, mut num_read) = (0, 0);
        while !writer.is_finished() {
            next = feed.read(next, &mut |read| {
                assert_eq!(*read, column(read.start_s as u64));
                num_read += 1;
            });
        }
        writer.join().unwrap();
        assert!(num_read > 0);
    }

    #[test]
    fn levels_are_decibels() {
        let level_db = |power| MIN_LEVEL_DB + f32::from(level_of(power)) * LEVEL_STEP_DB;
        assert_eq!(level_db(0.5), 0.0);
        assert!((level_db(0.5e-3) + 30.0).abs() <= LEVEL_STEP_DB / 2.0);
        assert_eq!([0.0, -1.0, f32::NAN, 1e-30].map(level_of), [0; 4]);
        assert_eq!(level_of(f32::INFINITY), 255);
    }
}
