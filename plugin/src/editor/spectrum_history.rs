//! What is known of the spectra: columns of equal length, numbered through time.

use separator::{NUM_LEVELS, NUM_ROWS, SpectrumColumn};

/// Length of a column.
pub const COLUMN_S: f64 = 0.01;

/// `[row][mix, then stem]`, as in [`SpectrumColumn`].
pub type Levels = [[u8; NUM_LEVELS]; NUM_ROWS];

/// Columns of [`COLUMN_S`]; new ones take the places of those that are `num_columns` older.
pub struct SpectrumHistory {
    /// `[column % num_columns]`, and the number of the column that is there.
    columns: Vec<Option<(i64, Box<Levels>)>>,
    /// Numbers of columns that have come since they were last asked for.
    new: Vec<i64>,
}

impl SpectrumHistory {
    /// An empty history.
    pub fn new(num_columns: usize) -> Self {
        SpectrumHistory { columns: (0..num_columns.max(1)).map(|_| None).collect(), new: Vec::new() }
    }

    /// Adds what was measured, as of `start_s`: all columns whose middle it holds.
    pub fn add(&mut self, column: &SpectrumColumn, start_s: f64) {
        let number_at = |time_s: f64| (time_s / COLUMN_S - 0.5).ceil();
        // Rounding must leave no gap between a column and the next.
        let (first, end) = (number_at(start_s - 1e-9), number_at(start_s + column.len_s));
        let num_columns = self.columns.len();
        if !(0.0..=num_columns as f64).contains(&(end - first)) {
            return;
        }
        for number in first as i64..end as i64 {
            let place = &mut self.columns[number.rem_euclid(num_columns as i64) as usize];
            match place {
                Some((there, levels)) => (*there, **levels) = (number, column.levels),
                None => *place = Some((number, Box::new(column.levels))),
            }
            self.new.push(number);
        }
    }

    /// A column, if it is known.
    pub fn column(&self, number: i64) -> Option<&Levels> {
        let place = &self.columns[number.rem_euclid(self.columns.len() as i64) as usize];
        place.as_ref().filter(|(there, _)| *there == number).map(|(_, levels)| &**levels)
    }

    /// The numbers of all columns that were added since the last call.
    pub fn take_new(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.new)
    }
}

/// What to show when a stream comes in bursts, a hop at a time: time goes on evenly, and stops where nothing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SteadyClock {
    /// Where the stream ends so far, from its start.
    pub stream_end_s: f64,
    /// Up to where it is shown.
    pub shown_end_s: f64,
}

impl SteadyClock {
    /// Longer behind, it jumps: a render is faster than time.
    const MAX_LAG_S: f64 = 1.0;

    /// `passed_s` have passed.
    pub fn advance(&mut self, passed_s: f64) {
        self.shown_end_s = (self.shown_end_s + passed_s).min(self.stream_end_s);
        if self.shown_end_s < self.stream_end_s - Self::MAX_LAG_S {
            self.shown_end_s = self.stream_end_s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(len_s: f64, level: u8) -> SpectrumColumn {
        SpectrumColumn { start_s: 0.0, len_s, levels: [[level; NUM_LEVELS]; NUM_ROWS] }
    }

    fn level(history: &SpectrumHistory, number: i64) -> Option<u8> {
        history.column(number).map(|levels| levels[0][0])
    }

    #[test]
    fn columns_of_any_length_fill_time_without_gaps() {
        for len_s in [0.0029, 0.0116, 0.0174, 0.033] {
            let mut history = SpectrumHistory::new(100);
            let num_columns = (1.0 / len_s) as usize;
            (0..num_columns).for_each(|idx| history.add(&column(len_s, idx as u8), idx as f64 * len_s));
            let known = (num_columns as f64 * len_s / COLUMN_S - 0.5).ceil() as i64;
            assert!((0..known).all(|number| history.column(number).is_some()), "{len_s}");
            assert_eq!(history.column(known), None);
            let expected = ((50.5 * COLUMN_S) / len_s) as u8;
            assert_eq!(level(&history, 50), Some(expected), "{len_s}");
            let new = history.take_new();
            assert!(
                (0..known).all(|number| new.contains(&number)) && new.len() as i64 <= known + 2,
                "{len_s}: {new:?}"
            );
            assert!(history.take_new().is_empty());
        }
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut history = SpectrumHistory::new(10);
        (0..25).for_each(|idx| history.add(&column(COLUMN_S, idx), f64::from(idx) * COLUMN_S));
        assert_eq!([14, 15, 24, 25].map(|number| level(&history, number)), [None, Some(15), Some(24), None]);
        history.add(&column(COLUMN_S, 7), -3.0 * COLUMN_S);
        assert_eq!(level(&history, -3), Some(7));
        // Nonsense changes nothing.
        history.add(&column(f64::NAN, 1), 0.0);
        history.add(&column(1e9, 1), 0.0);
        assert_eq!(level(&history, 24), Some(24));
    }

    #[test]
    fn bursts_are_shown_evenly() {
        let mut clock = SteadyClock::default();
        let mut shown = Vec::new();
        for frame in 0..60 {
            if frame % 6 == 0 {
                clock.stream_end_s += 0.2;
            }
            clock.advance(1.0 / 30.0);
            shown.push(clock.shown_end_s);
        }
        for pair in shown[6..].windows(2) {
            assert!((pair[1] - pair[0] - 1.0 / 30.0).abs() < 1e-9, "{pair:?}");
        }
        clock.advance(10.0);
        assert_eq!(clock.shown_end_s, clock.stream_end_s);
        clock.stream_end_s += 5.0;
        clock.advance(0.03);
        assert_eq!(clock.shown_end_s, clock.stream_end_s);
    }
}
