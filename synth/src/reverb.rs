//! A small room: parallel comb filters, then all-passes in series (M. R. Schroeder, 1962).

use crate::Biquad;

/// Delays in ms, without common factors; the right channel's are a little longer, which makes the room wide.
const COMBS_MS: [f64; 4] = [29.7, 37.1, 41.1, 43.7];
const ALL_PASSES_MS: [f64; 2] = [5.0, 1.7];
const SPREAD_MS: f64 = 0.9;

/// A room: how large it is against the usual one, and how long it rings.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Factor on all delays; 1 is a small room, 2 a hall.
    pub size: f64,
    /// Share of an echo that comes back, 0..1: 0.78 rings for about a second.
    pub feedback: f32,
    /// Cut-off of the low-pass on the answer in Hz; `None`: as bright as the sound.
    pub bright_hz: Option<f64>,
}

/// The room of the demo.
pub const SMALL_ROOM: Room = Room { size: 1.0, feedback: 0.78, bright_hz: None };

/// Adds the answer of the demo's room to the sound `[channel][sample]`, `level` times.
pub fn add_reverb(sound: &mut [Vec<f32>; 2], rate: f64, level: f32) {
    add_room(sound, rate, level, SMALL_ROOM);
}

/// Adds the answer of `place` to the sound `[channel][sample]`, `level` times.
pub fn add_room(sound: &mut [Vec<f32>; 2], rate: f64, level: f32, place: Room) {
    for (channel_idx, channel) in sound.iter_mut().enumerate() {
        let delay = |ms: f64| (place.size * (ms + SPREAD_MS * channel_idx as f64) * rate / 1000.0).round() as usize;
        let mut room = vec![0.0; channel.len()];
        for ms in COMBS_MS {
            let echo = comb(channel, delay(ms), place.feedback);
            room.iter_mut().zip(echo).for_each(|(sum, x)| *sum += 0.25 * x);
        }
        for ms in ALL_PASSES_MS {
            room = all_pass(&room, delay(ms), 0.7);
        }
        if let Some(hz) = place.bright_hz {
            let mut filter = Biquad::low_pass(hz, 0.7, rate);
            room.iter_mut().for_each(|x| *x = filter.filter(f64::from(*x)) as f32);
        }
        channel.iter_mut().zip(room).for_each(|(x, echo)| *x += level * echo);
    }
}

fn comb(x: &[f32], delay: usize, feedback: f32) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    for i in delay..x.len() {
        y[i] = x[i - delay] + feedback * y[i - delay];
    }
    y
}

fn all_pass(x: &[f32], delay: usize, gain: f32) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    for i in 0..x.len() {
        let (past_x, past_y) = if i < delay { (0.0, 0.0) } else { (x[i - delay], y[i - delay]) };
        y[i] = -gain * x[i] + past_x + gain * past_y;
    }
    y
}
