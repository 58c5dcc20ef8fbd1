//! A kit for one song: instruments drawn from the folders, tuned, levelled against each other and set up on the stage.

use super::kit::Group;
use super::level::{drum_hz, loudest_rms, onset};
use super::resample::at_speed;
use super::{Drum, KitFolder, Source, Stroke};
use crate::reverb::{Room, add_room};
use crate::tone::{Stereo, pan_gains, silence};
use anyhow::{Context, Result};
use rand::Rng;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;
use std::f64::consts::SQRT_2;
use std::path::{Path, PathBuf};

/// How long an open hi-hat takes to fall silent once it is closed, in s.
const CHOKE_S: f64 = 0.03;
/// Share of drums that come from another kit than the rest.
const GUEST_SHARE: f64 = 0.15;

/// One drum: its layers from soft to hard, all at one level.
struct Instrument {
    /// `[layer]`, each with the level 1 where it is loudest.
    layers: Vec<Stereo>,
    /// Level of the hardest stroke.
    level: f64,
    /// Pitch of a drum in Hz, to sort toms by.
    hz: f64,
}

/// Drums of recordings, as one song has them.
pub struct SampleKit {
    /// Where its sounds come from; the kit that most of them are of first.
    pub sources: Vec<Source>,
    /// `[drum][instrument]`: one of each, several toms (from low to high) and percussions.
    drums: BTreeMap<Group, Vec<Instrument>>,
    room: Option<(f32, Room)>,
    /// Time by which strokes stray, in s.
    jitter_s: f64,
    /// Exponent from velocity to level.
    dynamics: f64,
}

/// Levels of the drums against each other in dB, of the loudest 30 ms, chosen so that songs have about the share of power
/// below 120 Hz that real drums have (`synth --measure`).
fn level_db(group: Group) -> f64 {
    match group {
        Group::One(Drum::Kick) => 0.0,
        Group::One(Drum::Snare) => -4.0,
        Group::One(Drum::Clap) => -7.0,
        Group::One(Drum::Stick) => -10.0,
        Group::One(Drum::Closed) => -17.0,
        Group::One(Drum::Pedal) => -19.0,
        Group::One(Drum::Open) => -14.0,
        Group::One(Drum::Crash) => -10.0,
        Group::One(Drum::Ride) => -15.0,
        Group::Toms => -5.0,
        _ => -12.0,
    }
}

/// Every drum that a song may ask for, with what stands in where no kit has it.
const DRUMS: [(Group, Group); 11] = [
    (Group::One(Drum::Kick), Group::One(Drum::Kick)),
    (Group::One(Drum::Snare), Group::One(Drum::Snare)),
    (Group::One(Drum::Stick), Group::One(Drum::Snare)),
    (Group::One(Drum::Clap), Group::One(Drum::Snare)),
    (Group::One(Drum::Closed), Group::One(Drum::Closed)),
    (Group::One(Drum::Pedal), Group::One(Drum::Closed)),
    (Group::One(Drum::Open), Group::One(Drum::Closed)),
    (Group::One(Drum::Crash), Group::One(Drum::Open)),
    (Group::One(Drum::Ride), Group::One(Drum::Closed)),
    (Group::Toms, Group::One(Drum::Kick)),
    (Group::Percs, Group::One(Drum::Closed)),
];

impl SampleKit {
    /// Draws a kit: most of it from one folder, what that lacks (and now and then what it has) from others.
    ///
    /// # Errors
    /// A hit cannot be read.
    pub fn random(folders: &[KitFolder], rng: &mut impl Rng, rate: f64) -> Result<SampleKit> {
        // Folders that could be a kit by themselves come first; small ones are guests.
        let is_whole = |folder: &&KitFolder| [Drum::Kick, Drum::Snare, Drum::Closed].iter().all(|d| folder.has(*d));
        let whole: Vec<&KitFolder> = folders.iter().filter(is_whole).collect();
        let any: Vec<&KitFolder> = folders.iter().collect();
        // By their number of hits: kits with velocity layers are worth many without.
        let heaviest = whole.choose_weighted(rng, |folder| folder.files().count() as f64).ok();
        let home = *heaviest.or(any.first()).context("expected a kit, found none")?;
        let mut sources = vec![home.source.clone()];
        let mut drums = BTreeMap::new();
        for (group, stand_in) in DRUMS {
            let is_guest = rng.random_bool(GUEST_SHARE);
            let having = |group: Group| -> Vec<&KitFolder> {
                any.iter().copied().filter(|folder| !folder.instruments(group).is_empty()).collect()
            };
            let own = (!is_guest && !home.instruments(group).is_empty()).then_some(home);
            let chosen = own.or(having(group).choose(rng).copied()).map(|folder| (folder, group));
            let chosen = chosen.or(having(stand_in).choose(rng).map(|folder| (*folder, stand_in)));
            let Some((folder, found)) = chosen else { continue };
            let num_wanted = if matches!(group, Group::Toms | Group::Percs) { 6 } else { 1 };
            let files: Vec<&Vec<PathBuf>> = folder.instruments(found).choose_multiple(rng, num_wanted).collect();
            let spread_db = rng.random_range(-3.0..3.0);
            let tuning = Tuning::random(group, rng);
            let mut instruments = Vec::new();
            for layers in files {
                let pan = place(group, instruments.len(), rng);
                let level = 10f64.powf((level_db(group) + spread_db + rng.random_range(-1.0..1.0)) / 20.0);
                instruments.extend(Instrument::open(layers, level, pan, &tuning, rate)?);
            }
            instruments.sort_by(|a, b| a.hz.total_cmp(&b.hz));
            if !instruments.is_empty() {
                if !sources.contains(&folder.source) {
                    sources.push(folder.source.clone());
                }
                drums.insert(group, instruments);
            }
        }
        let room = rng.random_bool(0.5).then(|| {
            let size = rng.random_range(0.4..1.3);
            let room = Room {
                size,
                feedback: rng.random_range(0.45..0.8),
                bright_hz: Some(rng.random_range(3000.0..10_000.0)),
            };
            (rng.random_range(0.03..0.2), room)
        });
        let jitter_s = if rng.random_bool(0.5) { rng.random_range(0.0..0.004) } else { 0.0 };
        Ok(SampleKit { sources, drums, room, jitter_s, dynamics: rng.random_range(0.8..1.8) })
    }

    /// Plays strokes, in order of time, into `num_samples` of silence.
    pub fn play(&self, strokes: &[Stroke], num_samples: usize, rate: f64, rng: &mut impl Rng) -> Stereo {
        let mut out = silence(num_samples);
        let hats = |stroke: &Stroke| matches!(stroke.drum, Drum::Closed | Drum::Pedal | Drum::Open);
        for (stroke_idx, stroke) in strokes.iter().enumerate() {
            let (late_s, loudness, pick) =
                (self.jitter_s * rng.random::<f64>(), rng.random_range(0.9..1.1), rng.random::<f64>());
            let Some(instrument) = self.instrument(stroke.drum) else { continue };
            let gain = loudness * instrument.level * stroke.velocity.clamp(0.0, 1.0).powf(self.dynamics);
            let start = (((stroke.time_s + late_s).max(0.0)) * rate) as usize;
            let choke = (stroke.drum == Drum::Open).then(|| strokes[stroke_idx + 1..].iter().find(|next| hats(next)));
            let len = choke.flatten().map(|next| ((next.time_s - stroke.time_s).max(0.0) * rate) as usize);
            add_choked(&mut out, instrument.layer(stroke.velocity, pick), start, gain as f32, len, rate);
        }
        if let Some((level, room)) = self.room {
            add_room(&mut out, rate, level, room);
        }
        out
    }

    fn instrument(&self, drum: Drum) -> Option<&Instrument> {
        let instruments = self.drums.get(&drum.into())?;
        let place = match drum {
            Drum::Tom(rank) => usize::from(rank) * instruments.len() / 6,
            Drum::Perc(key) => usize::from(key) % instruments.len(),
            _ => 0,
        };
        instruments.get(place.min(instruments.len() - 1))
    }
}

/// How the drums of a group are changed.
struct Tuning {
    speed: f64,
    /// Time constant in s with which they are made to fall off faster.
    decay_s: Option<f64>,
}

impl Tuning {
    fn random(group: Group, rng: &mut impl Rng) -> Tuning {
        let semitones = match group {
            Group::One(Drum::Kick) | Group::Toms => 3.0,
            Group::One(Drum::Crash | Drum::Ride) => 1.0,
            _ => 2.0,
        };
        let is_short = rng.random_bool(0.25);
        let decay_s = is_short.then(|| rng.random_range(0.06..0.4));
        Tuning { speed: (rng.random_range(-semitones..semitones) / 12.0f64).exp2(), decay_s }
    }
}

/// Where a drum stands, from -1 (left) to 1, and how wide its own stereo image stays.
fn place(group: Group, instrument_idx: usize, rng: &mut impl Rng) -> (f64, f64) {
    let side = if instrument_idx.is_multiple_of(2) { 1.0 } else { -1.0 };
    let pan = match group {
        Group::One(Drum::Kick) => rng.random_range(-0.05..0.05),
        Group::One(Drum::Snare | Drum::Stick | Drum::Clap) => rng.random_range(-0.15..0.15),
        Group::One(Drum::Closed | Drum::Pedal | Drum::Open) => rng.random_range(0.0..0.5),
        Group::One(Drum::Ride) => rng.random_range(-0.6..0.0),
        _ => side * rng.random_range(0.1..0.7),
    };
    (pan, rng.random_range(0.4..1.0))
}

impl Instrument {
    /// `None` where all files are silent.
    fn open(
        files: &[PathBuf],
        level: f64,
        (pan, width): (f64, f64),
        tuning: &Tuning,
        rate: f64,
    ) -> Result<Option<Instrument>> {
        let mut layers = Vec::new();
        for path in files {
            let (mut sound, file_rate) = read_hit(path)?;
            let loudness = loudest_rms(&sound, file_rate);
            if loudness < 1e-6 {
                continue;
            }
            let speed = tuning.speed * file_rate / rate;
            sound = sound.map(|channel| at_speed(&channel, speed));
            finish(&mut sound, tuning.decay_s, rate);
            // Centre: both gains are 1.
            let gains = pan_gains(pan).map(|gain| (SQRT_2 * gain / loudness) as f32);
            let [left, right] = &mut sound;
            for (l, r) in left.iter_mut().zip(right) {
                let (mid, side) = (0.5 * (*l + *r), 0.5 * width as f32 * (*l - *r));
                (*l, *r) = (gains[0] * (mid + side), gains[1] * (mid - side));
            }
            layers.push((loudness, sound));
        }
        layers.sort_by(|a, b| a.0.total_cmp(&b.0));
        let hz = layers.last().map_or(0.0, |(_, sound)| drum_hz(sound, rate));
        let layers: Vec<Stereo> = layers.into_iter().map(|(_, sound)| sound).collect();
        Ok((!layers.is_empty()).then_some(Instrument { layers, level, hz }))
    }

    /// The layer for a velocity, or one of its neighbours: `pick` in 0..1 decides.
    fn layer(&self, velocity: f64, pick: f64) -> &Stereo {
        let num_layers = self.layers.len();
        let place = velocity * num_layers as f64 + 1.6 * (pick - 0.5);
        &self.layers[(place.max(0.0) as usize).min(num_layers - 1)]
    }
}

fn read_hit(path: &Path) -> Result<(Stereo, f64)> {
    let audio = audio::read_all(path)?;
    let rate = f64::from(audio.sample_rate_hz);
    let start = onset(&audio.samples, 0.02, rate);
    Ok((audio.samples.map(|channel| channel[start..].to_vec()), rate))
}

/// Lets the sound fall off with `decay_s`, and end without a click.
fn finish(sound: &mut Stereo, decay_s: Option<f64>, rate: f64) {
    let fade_len = ((0.01 * rate) as usize).min(sound[0].len()).max(1);
    for channel in sound {
        if let Some(decay_s) = decay_s {
            let start = (0.02 * rate) as usize;
            let fall = |n: usize| (-(n as f64) / (decay_s * rate)).exp() as f32;
            channel.iter_mut().skip(start).enumerate().for_each(|(n, x)| *x *= fall(n));
        }
        channel.iter_mut().rev().take(fade_len).enumerate().for_each(|(n, x)| *x *= n as f32 / fade_len as f32);
    }
}

/// Adds a hit, silenced from `len` samples on.
fn add_choked(out: &mut Stereo, sound: &Stereo, start: usize, gain: f32, len: Option<usize>, rate: f64) {
    let fade_len = CHOKE_S * rate;
    for (out, sound) in out.iter_mut().zip(sound) {
        let start = start.min(out.len());
        for (n, (out, x)) in out[start..].iter_mut().zip(sound).enumerate() {
            let fade = len.map_or(1.0, |len| (1.0 - (n as f64 - len as f64) / fade_len).clamp(0.0, 1.0));
            if fade == 0.0 {
                break;
            }
            *out += gain * fade as f32 * x;
        }
    }
}
