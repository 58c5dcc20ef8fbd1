//! From raw stems to a finished song: equalizer, saturation, room, stage, levels, limiter. All of it drawn at random.

use crate::measure::active_power;
use crate::raw_song::{BASS, DRUMS, OTHER, RawSong, VOCALS};
use crate::reverb::{Room, add_room};
use crate::tone::Stereo;
use crate::{Biquad, Limiter, LimiterConfig, seed};
use rand::Rng;
use serde::Serialize;

/// Levels of the stems against each other while they sound, in dB, before the dice are thrown.
const LEVELS_DB: [f64; 4] = [0.0, -2.5, -1.5, -1.0];
/// Levels differ by up to this from song to song.
const SPREAD_DB: f64 = 4.5;

/// Highest sample of a single stem; full scale is 1.
const HIGHEST: f32 = 0.99;

/// What was done to the mix, for `song.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Mastering {
    /// Gain of every stem before the limiter, in dB re the level at which it was rendered; absent where it is silent.
    pub gains_db: [Option<f64>; 4],
    /// How far the mix was above the ceiling where it was loudest, in dB.
    pub limited_db: f64,
    /// Highest sample of the mix.
    pub ceiling: f32,
}

/// Mixes and limits a song: the stems that come out sum to the limited mix.
pub fn master(song: &mut RawSong, song_seed: u64, rate: f64) -> Mastering {
    let mut rng = seed::rng(song_seed, "mastering");
    let mut gains_db = [None; 4];
    for (stem_idx, stem) in song.stems.iter_mut().enumerate() {
        // Numbers are drawn for silent stems too: one stem's presence says nothing about the others.
        let treatment = Treatment::random(stem_idx, &mut rng);
        let level_db = LEVELS_DB[stem_idx] + rng.random_range(-SPREAD_DB..SPREAD_DB) - 20.0;
        if active_power(stem) == 0.0 {
            continue;
        }
        treatment.apply(stem, rate);
        let gain_db = level_db - 10.0 * active_power(stem).log10();
        scale(stem, gain_db);
        gains_db[stem_idx] = Some(gain_db);
    }
    let limiter = LimiterConfig {
        ceiling: rng.random_range(0.85..0.99),
        look_ahead_ms: rng.random_range(1.0..6.0),
        release_ms: rng.random_range(30.0..250.0),
    };
    let over_db = if rng.random_bool(0.7) { rng.random_range(0.0..7.0) } else { rng.random_range(-6.0..0.0) };
    let peak = mix_peak(&song.stems);
    if peak > 0.0 {
        let gain_db = over_db + 20.0 * f64::from(limiter.ceiling / peak).log10();
        song.stems.iter_mut().for_each(|stem| scale(stem, gain_db));
        gains_db.iter_mut().flatten().for_each(|gain| *gain += gain_db);
        Limiter::new(limiter, rate).limit(&mut song.stems);
        // Where stems cancel each other, the mix stays below the ceiling and a stem does not; files would clip it.
        let stem_peak = song.stems.iter().flatten().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
        if stem_peak > HIGHEST {
            let gain_db = 20.0 * f64::from(HIGHEST / stem_peak).log10();
            song.stems.iter_mut().for_each(|stem| scale(stem, gain_db));
            gains_db.iter_mut().flatten().for_each(|gain| *gain += gain_db);
        }
    }
    Mastering { gains_db, limited_db: over_db.max(0.0), ceiling: limiter.ceiling }
}

/// What happens to one stem.
struct Treatment {
    low_cut_hz: Option<f64>,
    low_shelf: (f64, f64),
    bell: (f64, f64, f64),
    high_shelf: (f64, f64),
    drive_db: Option<f64>,
    compression: f64,
    width: f64,
    balance_db: f64,
    room: Option<(f32, Room)>,
}

impl Treatment {
    fn random(stem_idx: usize, rng: &mut impl Rng) -> Treatment {
        let maybe = |share: f64, rng: &mut dyn rand::RngCore| rng.random_bool(share);
        let (cut_share, cut_hz) = match stem_idx {
            VOCALS => (0.9, 70.0..160.0),
            OTHER => (0.5, 50.0..200.0),
            _ => (0.3, 18.0..32.0),
        };
        let low_cut_hz = maybe(cut_share, rng).then(|| rng.random_range(cut_hz));
        let shelf_db = if matches!(stem_idx, DRUMS | BASS) { -3.0..5.0 } else { -4.0..3.0 };
        let (room_share, room_level) = match stem_idx {
            VOCALS => (0.85, 0.05..0.35),
            DRUMS => (0.35, 0.03..0.2),
            BASS => (0.05, 0.02..0.06),
            _ => (0.65, 0.05..0.5),
        };
        let room = maybe(room_share, rng).then(|| {
            let place = Room {
                size: rng.random_range(0.4..1.8),
                feedback: rng.random_range(0.5..0.88),
                bright_hz: Some(rng.random_range(1500.0..9000.0)),
            };
            (rng.random_range(room_level), place)
        });
        let widest = if stem_idx == BASS { 1.0 } else { 1.6 };
        Treatment {
            low_cut_hz,
            low_shelf: (rng.random_range(60.0..200.0), rng.random_range(shelf_db)),
            bell: (200.0 * 30f64.powf(rng.random()), rng.random_range(0.4..1.2), rng.random_range(-4.0..4.0)),
            high_shelf: (rng.random_range(3000.0..9000.0), rng.random_range(-4.0..4.0)),
            drive_db: maybe(0.35, rng).then(|| rng.random_range(-6.0..8.0)),
            compression: if maybe(0.5, rng) { rng.random_range(0.2..0.7) } else { 0.0 },
            width: if maybe(0.6, rng) { rng.random_range(0.2..widest) } else { 1.0 },
            balance_db: if maybe(0.5, rng) { rng.random_range(-1.5..1.5) } else { 0.0 },
            room,
        }
    }

    fn apply(&self, stem: &mut Stereo, rate: f64) {
        for channel in stem.iter_mut() {
            let mut filters = vec![
                Biquad::low_shelf(self.low_shelf.0, self.low_shelf.1, rate),
                Biquad::bell(self.bell.0, self.bell.1, self.bell.2, rate),
                Biquad::high_shelf(self.high_shelf.0, self.high_shelf.1, rate),
            ];
            filters.extend(self.low_cut_hz.map(|hz| Biquad::high_pass(hz, 0.7, rate)));
            for x in channel.iter_mut() {
                *x = filters.iter_mut().fold(f64::from(*x), |x, filter| filter.filter(x)) as f32;
            }
        }
        if self.compression > 0.0 {
            compress(stem, self.compression, rate);
        }
        if let Some(drive_db) = self.drive_db {
            // 0 dB of drive: where the stem sounds, its level is at half of what tanh can give.
            let gain = (0.5 / active_power(stem).sqrt().max(1e-9) * 10f64.powf(drive_db / 20.0)) as f32;
            stem.iter_mut().flatten().for_each(|x| *x = (gain * *x).tanh());
        }
        if self.width != 1.0 || self.balance_db != 0.0 {
            let balance = 10f64.powf(self.balance_db / 20.0) as f32;
            let width = self.width as f32;
            let [left, right] = stem;
            for (l, r) in left.iter_mut().zip(right) {
                let (mid, side) = (0.5 * (*l + *r), 0.5 * width * (*l - *r));
                *l = balance * (mid + side);
                *r = (mid - side) / balance;
            }
        }
        if let Some((level, room)) = self.room {
            add_room(stem, rate, level, room);
        }
    }
}

/// Brings loud stretches down: the gain is (level / active level)^-`amount` above the active level. Attack 5 ms,
/// release 120 ms.
pub fn compress(stem: &mut Stereo, amount: f64, rate: f64) {
    let threshold = active_power(stem);
    let [attack, release] = [0.005, 0.12].map(|time_s: f64| 1.0 - (-1.0 / (time_s * rate)).exp());
    let mut power = 0.0;
    let [left, right] = stem;
    let mut gain = 1.0;
    for (n, (l, r)) in left.iter_mut().zip(right).enumerate() {
        let now = 0.5 * f64::from(*l * *l + *r * *r);
        power += (now - power) * if now > power { attack } else { release };
        if n % 8 == 0 {
            gain = if power > threshold { (power / threshold).powf(-0.5 * amount) as f32 } else { 1.0 };
        }
        *l *= gain;
        *r *= gain;
    }
}

fn scale(stem: &mut Stereo, gain_db: f64) {
    let gain = 10f64.powf(gain_db / 20.0) as f32;
    stem.iter_mut().flatten().for_each(|x| *x *= gain);
}

fn mix_peak(stems: &[Stereo; 4]) -> f32 {
    let num_samples = stems[0][0].len();
    let mix = |channel: usize, i: usize| stems.iter().map(|stem| stem[channel][i]).sum::<f32>().abs();
    (0..num_samples).fold(0.0, |peak, i| peak.max(mix(0, i)).max(mix(1, i)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::silence;

    #[test]
    fn stems_that_cancel_each_other_are_not_clipped() {
        for song_seed in 0..20 {
            let tone = |gain: f32| -> Stereo {
                std::array::from_fn(|_| (0..44_100).map(|i| gain * (i as f32 * 0.05).sin()).collect())
            };
            let mut song = RawSong { stems: [silence(44_100), tone(0.9), silence(44_100), tone(-0.8)] };
            let mastering = master(&mut song, song_seed, 44_100.0);
            let peak = song.stems.iter().flatten().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
            assert!(peak <= HIGHEST + 1e-6, "seed {song_seed}: {peak}");
            assert!(mix_peak(&song.stems) <= mastering.ceiling + 1e-4);
        }
    }
}
