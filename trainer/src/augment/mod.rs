//! Changes to drawn stems that leave them the same instruments: other rooms, other players, other keys.

mod equalizer;
mod shift;

use crate::augment::equalizer::Equalizer;
use crate::augment::shift::Shift;
use crate::data::Stem;
use crate::data::{BASS, DRUMS, SAMPLE_RATE_HZ};
use anyhow::Result;
use rand::{Rng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use synth::{Limiter, LimiterConfig, Room, add_room};

/// What is changed, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "Augmentation (0 turns a kind off; --no-augmentation all of them)")]
pub struct Augmentation {
    /// Share of examples whose stems come from different songs
    #[arg(long, default_value_t = 0.7, value_parser = share, value_name = "SHARE")]
    pub mix_songs: f64,
    /// Gains of single stems go from -DB to +DB
    #[arg(long, default_value_t = 7.0, value_parser = amount, value_name = "DB")]
    pub gain_db: f64,
    /// How often vocals, drums, bass and other are left out
    #[arg(long, default_value_t = PerStem([0.12, 0.25, 0.08, 0.08]), value_name = "SHARE,SHARE,SHARE,SHARE")]
    pub silence: PerStem,
    /// How often a stem is taken from where chance falls, silent there or not, instead of looking for a place where it sounds
    #[arg(long, default_value_t = 0.0, value_parser = share, value_name = "SHARE")]
    #[serde(default)]
    pub anywhere: f64,
    /// How often the channels of a stem are swapped
    #[arg(long, default_value_t = 0.5, value_parser = share, value_name = "SHARE")]
    pub swap: f64,
    /// How often a stem's polarity is turned
    #[arg(long, default_value_t = 0.5, value_parser = share, value_name = "SHARE")]
    pub polarity: f64,
    /// Pitch and tempo together go up and down by up to this many semitones, for two draws in three
    #[arg(long, default_value_t = 3.0, value_parser = amount, value_name = "SEMITONES")]
    pub speed: f64,
    /// Drums and bass go down as far as this: few songs reach the lowest octave, where a kick and a sub-bass are told
    /// apart by their course alone
    #[arg(long, default_value_t = 10.0, value_parser = amount, value_name = "SEMITONES")]
    pub speed_low: f64,
    /// How often pitch and tempo are moved apart from each other, by up to --speed semitones and a tenth of the tempo
    /// (a phase vocoder: much slower than all the rest; give it --workers)
    #[arg(long, default_value_t = 0.0, value_parser = share, value_name = "SHARE")]
    pub shift: f64,
    /// How often a stem is put elsewhere on the stage: wider, narrower, to one side
    #[arg(long, default_value_t = 0.6, value_parser = share, value_name = "SHARE")]
    pub stage: f64,
    /// How often a bass gets the course of plucked notes
    #[arg(long, default_value_t = 0.5, value_parser = share, value_name = "SHARE")]
    pub pluck: f64,
    /// How often a stem goes through a random equalizer
    #[arg(long, default_value_t = 0.9, value_parser = share, value_name = "SHARE")]
    pub equalizer: f64,
    /// How often that equalizer is a strong one: a shelf below 50 to 150 Hz, up to four peaks, a shelf above 6 to 12 kHz, each
    /// of up to 9 dB
    #[arg(long, default_value_t = 0.0, value_parser = share, value_name = "SHARE")]
    #[serde(default)]
    pub strong_equalizer: f64,
    /// How often a stem stands in a random room
    #[arg(long, default_value_t = 0.0, value_parser = share, value_name = "SHARE")]
    #[serde(default)]
    pub reverb: f64,
    /// How often the whole mix goes through an equalizer of up to 6 dB, and all stems with it
    #[arg(long, default_value_t = 0.0, value_parser = share, value_name = "SHARE")]
    #[serde(default)]
    pub mix_equalizer: f64,
    /// How often a mix is mastered: driven up to 9 dB into a limiter, whose gain all stems follow
    #[arg(long, default_value_t = 0.3, value_parser = share, value_name = "SHARE")]
    pub master: f64,
    /// No augmentation at all: stems of one song, as they are
    #[arg(long)]
    #[serde(default)]
    pub no_augmentation: bool,
}

/// A number for each of the four stems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerStem(pub [f64; 4]);

impl FromStr for PerStem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares = text.split(',').map(share).collect::<Result<Vec<f64>, _>>()?;
        let num = shares.len();
        shares.try_into().map(PerStem).map_err(|_| format!("expected four shares, one for each stem, got {num}"))
    }
}

impl fmt::Display for PerStem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [vocals, drums, bass, other] = self.0;
        write!(f, "{vocals},{drums},{bass},{other}")
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("expected a share from 0 to 1, got {text:?}"))
}

fn amount(text: &str) -> Result<f64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| (0.0..=48.0).contains(amount));
    amount.ok_or_else(|| format!("expected a number from 0 to 48, got {text:?}"))
}

impl Default for Augmentation {
    /// What the command line takes when nothing is said.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            augmentation: Augmentation,
        }
        <Alone as clap::Parser>::parse_from(["defaults"]).augmentation
    }
}

impl Augmentation {
    /// With `--no-augmentation` everything else is off.
    pub fn resolved(self) -> Self {
        if !self.no_augmentation {
            return self;
        }
        Augmentation {
            mix_songs: 0.0,
            gain_db: 0.0,
            silence: PerStem([0.0; 4]),
            anywhere: 0.0,
            swap: 0.0,
            polarity: 0.0,
            speed: 0.0,
            speed_low: 0.0,
            shift: 0.0,
            stage: 0.0,
            pluck: 0.0,
            equalizer: 0.0,
            strong_equalizer: 0.0,
            reverb: 0.0,
            mix_equalizer: 0.0,
            master: 0.0,
            no_augmentation: true,
        }
    }

    /// A speed for a stem: pitch and tempo together.
    pub fn draw_speed(&self, stem_idx: usize, rng: &mut StdRng) -> f64 {
        let lowest = if matches!(stem_idx, DRUMS | BASS) { self.speed_low.max(self.speed) } else { self.speed };
        let semitones = rng.random_range(-lowest..=self.speed);
        if rng.random_bool(0.35) { 1.0 } else { 2f64.powf(semitones / 12.0) }
    }

    /// How far pitch and tempo are moved apart, if they are.
    pub fn draw_shift(&self, rng: &mut StdRng) -> Option<Shift> {
        let shift = Shift { semitones: rng.random_range(-self.speed..=self.speed), tempo: rng.random_range(0.9..1.1) };
        rng.random_bool(self.shift).then_some(shift)
    }

    /// Masters a mix, `[stem][channel][sample]`: its stems still sum to it.
    pub fn master(&self, stems: &mut [[Vec<f32>; 2]], rng: &mut StdRng) {
        if happens(self.mix_equalizer, rng) {
            let equalizer = Equalizer::draw_strong(6.0, 3.0, rng);
            stems.iter_mut().for_each(|stem| equalizer.apply(stem));
        }
        const CEILING: f32 = 0.98;
        let drive_db: f32 = rng.random_range(0.0..9.0);
        if !rng.random_bool(self.master) {
            return;
        }
        let mix = |i: usize, channel: usize| stems.iter().map(|stem| stem[channel][i]).sum::<f32>();
        let peak = (0..stems[0][0].len()).fold(0f32, |peak, i| peak.max(mix(i, 0).abs()).max(mix(i, 1).abs()));
        if peak < 1e-3 {
            return; // silence stays silence
        }
        let gain = CEILING / peak * 10f32.powf(drive_db / 20.0);
        stems.iter_mut().flatten().flatten().for_each(|sample| *sample *= gain);
        let config = LimiterConfig { ceiling: CEILING, ..LimiterConfig::default() };
        Limiter::new(config, f64::from(SAMPLE_RATE_HZ)).limit(stems);
    }

    /// A gain for a stem; zero where it is left out, negative where its polarity is turned.
    pub fn draw_gain(&self, stem_idx: usize, rng: &mut StdRng) -> f32 {
        let gain_db = rng.random_range(-self.gain_db..=self.gain_db);
        let sign = if rng.random_bool(self.polarity) { -1.0 } else { 1.0 };
        let is_left_out = rng.random_bool(self.silence.0[stem_idx]);
        if is_left_out { 0.0 } else { (sign * 10f64.powf(gain_db / 20.0)) as f32 }
    }

    /// Changes that keep a stem's place in time.
    pub fn change(&self, stem_idx: usize, stem: &mut [Vec<f32>; 2], rng: &mut StdRng) {
        if rng.random_bool(self.swap) {
            stem.swap(0, 1);
        }
        if stem_idx == BASS && rng.random_bool(self.pluck) {
            pluck(stem, rng);
        }
        if rng.random_bool(self.stage) {
            let width = rng.random_range(0.0..1.6);
            let balance_db: f32 = rng.random_range(-2.0..2.0);
            restage(stem, width, 10f32.powf(balance_db / 20.0));
        }
        if rng.random_bool(self.equalizer) {
            let strong = happens(self.strong_equalizer, rng);
            let equalizer = if strong { Equalizer::draw_strong(9.0, 5.0, rng) } else { Equalizer::draw(rng) };
            equalizer.apply(stem);
        }
        if happens(self.reverb, rng) {
            put_into_room(stem, stem_idx, rng);
        }
    }
}

/// Whether something happens; what never does takes no random number, so that runs without it draw what they always drew.
pub fn happens(share: f64, rng: &mut StdRng) -> bool {
    share > 0.0 && rng.random_bool(share)
}

/// Adds the answer of a random room: a short and dark one to drums and bass, up to a hall to the others.
fn put_into_room(stem: &mut [Vec<f32>; 2], stem_idx: usize, rng: &mut StdRng) {
    let (largest, longest, loudest) = match stem_idx {
        BASS => (0.8, 0.6, 0.08),
        DRUMS => (1.2, 0.75, 0.25),
        _ => (2.0, 0.88, 0.5),
    };
    let room = Room {
        size: rng.random_range(0.3..largest),
        feedback: rng.random_range(0.4..longest),
        bright_hz: Some(rng.random_range(1500.0..9000.0)),
    };
    add_room(stem, f64::from(SAMPLE_RATE_HZ), rng.random_range(0.02..loudest), room);
}

/// Reads `out` from `position` on at `speed` times the original pitch and tempo (third-order Hermite interpolation),
/// times `gain`; zeros outside.
///
/// # Errors
/// If the stem cannot be read.
pub fn read_at_speed(stem: &Stem, position: usize, speed: f64, gain: f32, out: &mut [Vec<f32>; 2]) -> Result<()> {
    let num_samples = out[0].len();
    let mut near = vec![[0.0f32; 2]; (num_samples as f64 * speed).ceil() as usize + 4];
    stem.read(position as i64 - 1, &mut near)?;
    for n in 0..num_samples {
        let exact = n as f64 * speed;
        let (i, t) = (exact as usize, exact.fract() as f32);
        for (channel, out) in out.iter_mut().enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| near[i + k][channel]);
            let (c1, c2) = (0.5 * (c - a), a - 2.5 * b + 2.0 * c - 0.5 * d);
            let c3 = 0.5 * (d - a) + 1.5 * (b - c);
            out[n] = gain * (((c3 * t + c2) * t + c1) * t + b);
        }
    }
    Ok(())
}

/// Gives a stem the course of plucked notes: a bass that decays like a kick drum is a bass all the same.
fn pluck(stem: &mut [Vec<f32>; 2], rng: &mut StdRng) {
    let rate_hz = f64::from(SAMPLE_RATE_HZ);
    let period = (rate_hz * rng.random_range(0.2..0.8)) as usize;
    let decay_samples = rate_hz as f32 * rng.random_range(0.05..0.4);
    let floor = if rng.random_bool(0.5) { 0.0 } else { rng.random_range(0.0..0.4) };
    let offset = rng.random_range(0..period);
    const ATTACK_LEN: f32 = 130.0; // 3 ms
    for channel in stem {
        for (n, sample) in channel.iter_mut().enumerate() {
            let since = ((n + offset) % period) as f32;
            let envelope = (since / ATTACK_LEN).min(1.0) * (-since / decay_samples).exp();
            *sample *= floor + (1.0 - floor) * envelope;
        }
    }
}

/// Puts a stem elsewhere on the stage: side times `width`, left times and right over `balance`.
fn restage(stem: &mut [Vec<f32>; 2], width: f32, balance: f32) {
    let [left, right] = stem;
    for (l, r) in left.iter_mut().zip(right) {
        let (mid, side) = (0.5 * (*l + *r), 0.5 * width * (*l - *r));
        *l = balance * (mid + side);
        *r = (mid - side) / balance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_mastered_mix_stays_below_the_ceiling_and_its_stems_in_proportion() {
        let mut rng = StdRng::seed_from_u64(4);
        let stems: Vec<[Vec<f32>; 2]> =
            (0..4).map(|_| [0, 1].map(|_| (0..20_000).map(|_| rng.random_range(-0.5f32..0.5)).collect())).collect();
        let mut mastered = stems.clone();
        Augmentation { master: 1.0, ..Augmentation::default() }.master(&mut mastered, &mut rng);
        let mut gains = Vec::new();
        for i in 0..20_000 {
            let mix: f32 = mastered.iter().map(|stem| stem[0][i]).sum();
            assert!(mix.abs() < 0.981, "{i}: {mix}");
            let gain = mastered[0][0][i] / stems[0][0][i];
            for (mastered, stem) in mastered.iter().zip(&stems) {
                assert!((mastered[1][i] - gain * stem[1][i]).abs() < 1e-4, "{i}: one gain for all");
            }
            gains.push(gain);
        }
        let (low, high) = gains.iter().fold((f32::MAX, 0f32), |(low, high), gain| (low.min(*gain), high.max(*gain)));
        assert!(high > 1.02 * low, "the limiter works: gains from {low} to {high}");
    }

    fn noise(rng: &mut StdRng) -> [Vec<f32>; 2] {
        [0, 1].map(|_| (0..20_000).map(|_| rng.random_range(-0.2f32..0.2)).collect())
    }

    /// Everything off.
    fn nothing() -> Augmentation {
        Augmentation { no_augmentation: true, ..Augmentation::default() }.resolved()
    }

    #[test]
    fn a_stem_in_a_room_rings_on_after_its_end_and_is_the_same_until_the_first_echo() {
        let mut rng = StdRng::seed_from_u64(5);
        for stem_idx in [0, DRUMS, BASS, 3] {
            let mut stem = noise(&mut rng);
            stem.iter_mut().for_each(|channel| channel[10_000..].fill(0.0));
            let dry = stem.clone();
            nothing().change(stem_idx, &mut stem, &mut rng);
            assert_eq!(stem, dry, "what is off changes nothing");
            Augmentation { reverb: 1.0, ..nothing() }.change(stem_idx, &mut stem, &mut rng);
            // The shortest way is 30 ms in a room of size 0.3.
            assert!((0..350).all(|i| (stem[0][i] - dry[0][i]).abs() < 1e-6), "stem {stem_idx}");
            let tail: f32 = stem[0][10_000..12_000].iter().map(|x| x * x).sum();
            let body: f32 = dry[0][..10_000].iter().map(|x| x * x).sum();
            assert!(tail > 1e-7 * body && tail < body, "stem {stem_idx}: {tail} of {body}");
        }
    }

    #[test]
    fn an_equalized_mix_is_the_sum_of_equalized_stems() {
        let mut rng = StdRng::seed_from_u64(6);
        let stems: Vec<[Vec<f32>; 2]> = (0..4).map(|_| noise(&mut rng)).collect();
        let mix: [Vec<f32>; 2] =
            [0, 1].map(|channel| (0..20_000).map(|i| stems.iter().map(|stem| stem[channel][i]).sum()).collect());
        let on = Augmentation { mix_equalizer: 1.0, ..nothing() };
        let (mut equalized, mut whole) = (stems.clone(), vec![mix]);
        on.master(&mut equalized, &mut StdRng::seed_from_u64(7));
        on.master(&mut whole, &mut StdRng::seed_from_u64(7));
        let sum = |i: usize| equalized.iter().map(|stem| stem[1][i]).sum::<f32>();
        let peak = whole[0][1].iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        assert!((0..20_000).all(|i| (sum(i) - whole[0][1][i]).abs() < 1e-3 * peak), "up to what f32 filters round");
        let change = |i: usize| (equalized[0][0][i] - stems[0][0][i]).abs();
        assert!((0..20_000).map(change).fold(0.0, f32::max) > 1e-3, "it does something");
    }

    #[test]
    fn half_the_speed_is_an_octave_down() {
        let tone = |n: usize, hz: f64| (std::f64::consts::TAU * hz * n as f64 / 44_100.0).sin() as f32;
        let stem = Stem::from_samples(&(0..44_100).map(|n| [tone(n, 440.0); 2]).collect::<Vec<_>>());
        let mut out = [vec![0.0; 8_000], vec![0.0; 8_000]];
        read_at_speed(&stem, 0, 0.5, 2.0, &mut out).unwrap();
        for (n, sample) in out[0].iter().enumerate().skip(4) {
            assert!((sample - 2.0 * tone(n, 220.0)).abs() < 3e-3, "{n}: {sample}");
        }
        read_at_speed(&stem, 100, 1.0, 1.0, &mut out).unwrap();
        assert!(out[1].iter().enumerate().all(|(n, sample)| (sample - tone(n + 100, 440.0)).abs() < 1e-4));
    }
}
