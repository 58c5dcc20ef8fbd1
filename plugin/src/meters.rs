//! Levels for the editor: the audio thread measures what comes out while somebody looks, the editor reads it.

use atomic_float::AtomicF32;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Time constant of the mean square, in s.
const RMS_TIME_S: f64 = 0.3;
/// Measuring ends when nobody has read for so long, in s: the editor is closed.
const WATCH_TIME_S: f64 = 1.0;

/// What is measured: the four stems after their gains, and the new mix.
pub const NUM_METERS: usize = 5;
/// The index of the new mix among the meters; before it come the stems.
pub const MIX_METER: usize = 4;

/// Level of two channels: linear, full scale is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// `[channel]`, the largest magnitude since the level was last read.
    pub peak: [f32; 2],
    /// `[channel]`, over the last 300 ms or so.
    pub rms: [f32; 2],
}

/// Shared between the audio thread, which writes, and the editor, which reads. Both are wait-free: every access is one
/// load or store.
#[derive(Debug, Default)]
pub struct Meters {
    /// How often the editor has read. The audio thread begins a new maximum when it changes.
    num_reads: AtomicU32,
    /// `[meter][channel]`
    peaks: [[AtomicF32; 2]; NUM_METERS],
    /// `[meter][channel]`
    rms: [[AtomicF32; 2]; NUM_METERS],
}

impl Meters {
    /// The levels now, `[meter]`; and keeps the audio thread measuring.
    ///
    /// # Realtime
    /// Safe.
    pub fn read(&self) -> [Level; NUM_METERS] {
        let levels = std::array::from_fn(|idx| Level {
            peak: self.peaks[idx].each_ref().map(|peak| peak.load(Ordering::Relaxed)),
            rms: self.rms[idx].each_ref().map(|rms| rms.load(Ordering::Relaxed)),
        });
        self.num_reads.fetch_add(1, Ordering::Relaxed);
        levels
    }
}

/// The audio thread's side of [`Meters`].
pub struct MeterWriter {
    meters: Arc<Meters>,
    sample_rate_hz: f64,
    seen_reads: u32,
    /// Samples for which measuring goes on without another read.
    watched_len: usize,
    /// `[meter][channel]`, since the last read.
    peaks: [[f32; 2]; NUM_METERS],
    /// `[meter][channel]`
    mean_squares: [[f64; 2]; NUM_METERS],
}

impl MeterWriter {
    /// Writes to `meters`.
    ///
    /// # Realtime
    /// Safe.
    pub fn new(meters: Arc<Meters>, sample_rate_hz: f64) -> Self {
        MeterWriter {
            seen_reads: meters.num_reads.load(Ordering::Relaxed),
            meters,
            sample_rate_hz,
            watched_len: 0,
            peaks: [[0.0; 2]; NUM_METERS],
            mean_squares: [[0.0; 2]; NUM_METERS],
        }
    }

    /// Measures a block: `signals: [meter][channel][sample]`. Without a reader it only looks whether there is one.
    ///
    /// # Realtime
    /// Safe: one load while nobody reads; else loads and stores, no lock, no allocation.
    pub fn write(&mut self, signals: [[&[f32]; 2]; NUM_METERS]) {
        let len = signals[0][0].len();
        let num_reads = self.meters.num_reads.load(Ordering::Relaxed);
        if num_reads != self.seen_reads {
            self.seen_reads = num_reads;
            self.watched_len = (self.sample_rate_hz * WATCH_TIME_S) as usize;
            self.peaks = [[0.0; 2]; NUM_METERS];
        } else if self.watched_len == 0 {
            return;
        }
        self.watched_len = self.watched_len.saturating_sub(len);
        let keep = (-(len as f64) / (self.sample_rate_hz * RMS_TIME_S)).exp();
        for (meter_idx, channels) in signals.into_iter().enumerate() {
            for (channel_idx, samples) in channels.into_iter().enumerate() {
                let peak = &mut self.peaks[meter_idx][channel_idx];
                let mut sum = 0.0;
                for &sample in samples {
                    // `max` leaves a NaN out; the sum would keep it for ever.
                    *peak = peak.max(sample.abs());
                    sum += if sample.is_finite() { f64::from(sample) * f64::from(sample) } else { 0.0 };
                }
                let mean_square = &mut self.mean_squares[meter_idx][channel_idx];
                *mean_square = keep * *mean_square + (1.0 - keep) * sum / len.max(1) as f64;
                self.meters.peaks[meter_idx][channel_idx].store(*peak, Ordering::Relaxed);
                self.meters.rms[meter_idx][channel_idx].store(mean_square.sqrt() as f32, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: f64 = 1000.0;

    fn write(writer: &mut MeterWriter, left: &[f32]) {
        let right = vec![0.5; left.len()];
        writer.write([[left, &right[..]]; NUM_METERS]);
    }

    #[test]
    fn a_peak_between_two_reads_is_seen_once() {
        let meters = Arc::new(Meters::default());
        let mut writer = MeterWriter::new(meters.clone(), RATE_HZ);
        meters.read();
        for block in [[0.1, -0.9, f32::NAN], [0.2, 0.1, 0.3]] {
            write(&mut writer, &block);
        }
        let levels = meters.read();
        assert_eq!(levels[MIX_METER].peak, [0.9, 0.5]);
        write(&mut writer, &[0.2, 0.1, 0.3]);
        assert_eq!(meters.read()[0].peak, [0.3, 0.5]);
    }

    #[test]
    fn the_mean_square_settles_at_that_of_the_signal() {
        let meters = Arc::new(Meters::default());
        let mut writer = MeterWriter::new(meters.clone(), RATE_HZ);
        for _ in 0..300 {
            meters.read();
            write(&mut writer, &[1.0, -1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, f32::INFINITY, 0.0]);
        }
        let rms = meters.read()[1].rms;
        assert!((rms[0] - 0.4_f32.sqrt()).abs() < 1e-3 && (rms[1] - 0.5).abs() < 1e-3, "{rms:?}");
    }

    #[test]
    fn nothing_is_measured_while_nobody_reads() {
        let meters = Arc::new(Meters::default());
        let mut writer = MeterWriter::new(meters.clone(), RATE_HZ);
        write(&mut writer, &[1.0]);
        assert_eq!(meters.read()[0], Level::default());
        write(&mut writer, &[1.0]);
        assert_ne!(meters.read()[0], Level::default());
        write(&mut writer, &[0.25; 1000]);
        assert_eq!(meters.read()[0].peak[0], 0.25);
        // That read keeps it going for a second more, then it stops.
        write(&mut writer, &[0.0; 1000]);
        write(&mut writer, &[0.75; 10]);
        assert_eq!(meters.peaks[0][0].load(Ordering::Relaxed), 0.0);
    }
}
