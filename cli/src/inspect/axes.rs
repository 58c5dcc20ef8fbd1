//! From time and frequency to pixels.

use std::ops::Range;

/// A rectangle of pixels with time from left to right and the logarithm of frequency from bottom to top.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    /// Left and right edge.
    pub time_s: [f64; 2],
    /// Bottom and top edge.
    pub frequency_hz: [f64; 2],
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
}

impl Axes {
    /// The columns of what lasts from `from_s` to `to_s`: those whose middle it covers, or else the one that its middle
    /// lies in, so that nothing is too short to be seen. Empty beside the picture.
    pub fn columns(&self, from_s: f64, to_s: f64) -> Range<usize> {
        let [start, end] = self.time_s;
        let x = |t: f64| (t - start) / (end - start) * self.width as f64;
        covered(x(from_s), x(to_s), self.width)
    }

    /// The rows, counted from the top, of what reaches from `low_hz` to `high_hz`; by the same rule.
    pub fn rows(&self, low_hz: f64, high_hz: f64) -> Range<usize> {
        let [bottom, top] = self.frequency_hz.map(f64::ln);
        let y = |hz: f64| (top - hz.max(1e-9).ln()) / (top - bottom) * self.height as f64;
        covered(y(high_hz), y(low_hz), self.height)
    }
}

fn covered(from: f64, to: f64, len: usize) -> Range<usize> {
    let clip = |x: f64| x.clamp(0.0, len as f64) as usize;
    let (first, end) = ((from - 0.5).ceil(), (to - 0.5).ceil());
    let middle = ((from + to) / 2.0).floor();
    if first < end { clip(first)..clip(end) } else { clip(middle)..clip(middle + 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_by_hand() {
        let axes = Axes { time_s: [10.0, 20.0], frequency_hz: [10.0, 1000.0], width: 100, height: 20 };
        assert_eq!(axes.columns(10.0, 20.0), 0..100);
        assert_eq!(axes.columns(11.0, 12.0), 10..20);
        assert_eq!(axes.columns(11.04, 12.06), 10..21);
        assert_eq!(axes.columns(11.06, 12.04), 11..20);
        // Too short for the middle of a column.
        assert_eq!(axes.columns(11.01, 11.02), 10..11);
        assert_eq!(axes.columns(8.0, 9.0), 0..0);
        assert_eq!(axes.columns(21.0, 22.0), 100..100);
        assert_eq!(axes.columns(9.0, 10.1), 0..1);
        // Two decades over 20 rows: 100 Hz is the middle.
        assert_eq!(axes.rows(10.0, 100.0), 10..20);
        assert_eq!(axes.rows(100.0, 1000.0), 0..10);
        assert_eq!(axes.rows(0.0, 11.0), 20..20.max(axes.rows(10.0, 11.0).end));
    }

    #[test]
    fn neighbours_share_no_pixel_and_leave_none() {
        let axes = Axes { time_s: [0.0, 1.0], frequency_hz: [20.0, 20_000.0], width: 333, height: 217 };
        let mut end = 0;
        for i in 0..50 {
            let columns = axes.columns(f64::from(i) / 50.0, f64::from(i + 1) / 50.0);
            assert_eq!(columns.start, end);
            end = columns.end;
        }
        assert_eq!(end, 333);
    }
}
