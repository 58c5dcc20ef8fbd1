//! Bass lines on recorded notes: the nearest one, at the speed that makes it the note asked for.

use super::amp::Amp;
use super::level::onset;
use super::resample::value_at;
use super::{Source, sounds};
use crate::Biquad;
use crate::patch::Note;
use crate::tone::{Stereo, silence};
use anyhow::Result;
use rand::Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Semitones beyond the lowest and highest recorded note that are still played; further out, notes change the octave.
const REACH: f64 = 3.0;
/// Time in which a note that ends fades, in s.
const RELEASE_S: f64 = 0.05;

/// A folder of notes `<MIDI note>_<velocity>`.
pub struct BassSet {
    /// Where it comes from.
    pub source: Source,
    /// `[key][velocity]`
    notes: BTreeMap<i32, BTreeMap<i32, PathBuf>>,
}

/// A recorded note in memory, mono, from its onset on, at the level 1.
struct Recorded {
    sound: Vec<f32>,
    rate: f64,
}

/// How somebody plays.
struct Manner {
    /// Share of notes into which the finger slides from the one before.
    slides: f64,
    /// Share of notes that are damped to a thud.
    mutes: f64,
    /// Time constant in s with which the palm of the hand damps everything.
    palm_s: Option<f64>,
    jitter_s: f64,
    dynamics: f64,
    /// Octaves by which the line is moved.
    transposition: f64,
}

impl Manner {
    fn random(rng: &mut impl Rng) -> Manner {
        let (has_slides, has_mutes, has_palm) = (rng.random_bool(0.5), rng.random_bool(0.35), rng.random_bool(0.12));
        Manner {
            slides: if has_slides { rng.random_range(0.02..0.2) } else { 0.0 },
            mutes: if has_mutes { rng.random_range(0.02..0.2) } else { 0.0 },
            palm_s: has_palm.then(|| rng.random_range(0.08..0.3)),
            jitter_s: rng.random_range(0.0..0.012),
            dynamics: rng.random_range(0.6..1.6),
            transposition: 0.0,
        }
    }
}

impl BassSet {
    /// Reads the names in `dir`; `None` where there are no notes.
    pub fn open(dir: &Path) -> Option<BassSet> {
        let mut notes: BTreeMap<i32, BTreeMap<i32, PathBuf>> = BTreeMap::new();
        for path in sounds(dir) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let Some((key, velocity)) = name.split_once('_') else { continue };
            let (Ok(key @ 0..=127), Ok(velocity @ 1..=127)) = (key.parse(), velocity.parse()) else { continue };
            notes.entry(key).or_default().insert(velocity, path);
        }
        (!notes.is_empty()).then(|| BassSet { source: Source::of(dir), notes })
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.notes.values().flat_map(BTreeMap::values).map(PathBuf::as_path)
    }

    /// Plays a line, in order of its notes' starts, through a rig that is drawn for it.
    ///
    /// # Errors
    /// A recorded note cannot be read.
    pub fn play(&self, line: &[Note], num_samples: usize, rate: f64, rng: &mut impl Rng) -> Result<Stereo> {
        let mut manner = Manner::random(rng);
        let amp = Amp::random(rng);
        manner.transposition = self.transposition(line);
        let mut cache: BTreeMap<(i32, i32), Recorded> = BTreeMap::new();
        let mut out = silence(num_samples);
        let mut last: Option<Note> = None;
        for (note_idx, note) in line.iter().enumerate() {
            let dice: [f64; 5] = std::array::from_fn(|_| rng.random());
            let key = self.within_reach(note.key + manner.transposition);
            let (recorded_key, layers) = self.nearest(key);
            // Velocities in the files' names run from 1 to 127; neighbours are taken now and then.
            let wanted = 127.0 * note.velocity + 30.0 * (dice[0] - 0.5);
            let Some((velocity, path)) = layers.iter().min_by_key(|(v, _)| (f64::from(**v) - wanted).abs() as i64)
            else {
                continue;
            };
            let recorded = match cache.entry((recorded_key, *velocity)) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Recorded::open(path)?),
            };
            let late_s = manner.jitter_s * (dice[1] - 0.3);
            let follows = last.filter(|last| (last.start_s + last.duration_s - note.start_s).abs() < 0.12);
            let slide = follows.map_or(0.0, |last| last.key - note.key);
            let slides = dice[2] < manner.slides && slide.abs() > 0.5 && slide.abs() < 7.5;
            let is_muted = !slides && dice[3] < manner.mutes;
            // A string sounds one note at a time: the next one ends this.
            let next_s = line.get(note_idx + 1).map_or(f64::MAX, |next| next.start_s - note.start_s);
            let is_chord = next_s < 0.02;
            let held_s = if is_chord { note.duration_s } else { note.duration_s.min(next_s) };
            let voice = Voice {
                start: ((note.start_s + late_s).max(0.0) * rate) as usize,
                held_s: if is_muted { 0.05 + 0.04 * dice[4] } else { held_s },
                speed: ((key - f64::from(recorded_key) + 0.08 * (dice[4] - 0.5)) / 12.0).exp2(),
                slide: if slides { slide } else { 0.0 },
                gain: note.velocity.clamp(0.05, 1.0).powf(manner.dynamics) * if is_muted { 0.6 } else { 1.0 },
                decay_s: if is_muted { Some(0.04) } else { manner.palm_s },
            };
            voice.add(&mut out, recorded, rate);
            last = Some(*note);
        }
        amp.apply(&mut out, rate);
        Ok(out)
    }

    /// Semitones, whole octaves, that bring the line's middle note into what was recorded.
    fn transposition(&self, line: &[Note]) -> f64 {
        let mut keys: Vec<f64> = line.iter().map(|note| note.key).collect();
        keys.sort_by(f64::total_cmp);
        let Some(middle) = keys.get(keys.len() / 2) else { return 0.0 };
        // Basses of MIDI files are written an octave too high now and then: G3 is where a bass hardly ever lies.
        let octaves = ((middle - 55.0) / 12.0).ceil().max(0.0) - ((26.0 - middle) / 12.0).ceil().max(0.0);
        -12.0 * octaves
    }

    /// Moves a key by octaves until a recorded note is near.
    fn within_reach(&self, mut key: f64) -> f64 {
        let keys = self.notes.keys().next().zip(self.notes.keys().next_back());
        let (lowest, highest) = keys.map_or((0.0, 127.0), |(low, high)| (f64::from(*low), f64::from(*high)));
        while key > highest + REACH {
            key -= 12.0;
        }
        while key < lowest - REACH {
            key += 12.0;
        }
        key
    }

    /// The recorded key nearest to `key`.
    fn nearest(&self, key: f64) -> (i32, &BTreeMap<i32, PathBuf>) {
        let distance = |recorded: &i32| ((f64::from(*recorded) - key).abs() * 1000.0) as i64;
        let nearest = self.notes.iter().min_by_key(|(recorded, _)| distance(recorded));
        nearest.map(|(key, layers)| (*key, layers)).expect("a set has notes, or it is none")
    }
}

impl Recorded {
    fn open(path: &Path) -> Result<Recorded> {
        let audio = audio::read_all(path)?;
        let rate = f64::from(audio.sample_rate_hz);
        let start = onset(&audio.samples, 0.03, rate);
        let [left, right] = &audio.samples;
        let mut sound: Vec<f32> = left[start..].iter().zip(&right[start..]).map(|(l, r)| 0.5 * (l + r)).collect();
        let body = &sound[..((0.5 * rate) as usize).min(sound.len())];
        let level = (body.iter().map(|x| f64::from(x * x)).sum::<f64>() / body.len().max(1) as f64).sqrt();
        sound.iter_mut().for_each(|x| *x *= (1.0 / level.max(1e-6)) as f32);
        // Recordings were cut.
        let fade_len = ((0.08 * rate) as usize).min(sound.len()).max(1);
        sound.iter_mut().rev().take(fade_len).enumerate().for_each(|(n, x)| *x *= n as f32 / fade_len as f32);
        Ok(Recorded { sound, rate })
    }
}

/// One note as it is played.
struct Voice {
    start: usize,
    held_s: f64,
    /// Factor on the recording's speed once the note is reached.
    speed: f64,
    /// Semitones from which it slides there.
    slide: f64,
    gain: f64,
    /// Time constant of damping, in s.
    decay_s: Option<f64>,
}

impl Voice {
    fn add(&self, out: &mut Stereo, recorded: &Recorded, rate: f64) {
        const SLIDE_S: f64 = 0.09;
        let mut muffle = self.decay_s.map(|_| Biquad::low_pass(700.0, 0.7, rate));
        let base = self.speed * recorded.rate / rate;
        let mut place = 0.0;
        let len = ((self.held_s + 5.0 * RELEASE_S) * rate) as usize;
        let end = (self.start + len).min(out[0].len());
        for i in self.start.min(end)..end {
            let t = (i - self.start) as f64 / rate;
            if place >= recorded.sound.len() as f64 {
                break;
            }
            let mut x = f64::from(value_at(&recorded.sound, place));
            if let Some(filter) = &mut muffle {
                x = filter.filter(x);
            }
            let damped = self.decay_s.map_or(1.0, |decay_s| (-t / decay_s).exp());
            let released = if t > self.held_s { (-(t - self.held_s) / RELEASE_S * 2.0).exp() } else { 1.0 };
            let onset = (t / 0.002).min(1.0);
            let x = (self.gain * onset * damped * released * x) as f32;
            out.iter_mut().for_each(|channel| channel[i] += x);
            place += base * if self.slide == 0.0 { 1.0 } else { slid(self.slide, t / SLIDE_S) };
        }
    }
}

/// Factor on the speed, `way` into a slide.
fn slid(semitones: f64, way: f64) -> f64 {
    let way = way.clamp(0.0, 1.0);
    (semitones * (1.0 - way * way * (3.0 - 2.0 * way)) / 12.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const RATE: f64 = 44_100.0;

    fn tone(key: f64) -> Recorded {
        let hz = crate::tone::note_hz(key);
        Recorded { sound: (0..88_200).map(|i| (TAU * hz * i as f64 / RATE).sin() as f32).collect(), rate: RATE }
    }

    /// Crossings of zero upwards between two times, per second.
    fn hz(sound: &[f32], from_s: f64, to_s: f64) -> f64 {
        let stretch = &sound[(from_s * RATE) as usize..(to_s * RATE) as usize];
        stretch.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count() as f64 / (to_s - from_s)
    }

    fn voice(speed: f64) -> Voice {
        Voice { start: 0, held_s: 1.0, speed, slide: 0.0, gain: 1.0, decay_s: None }
    }

    #[test]
    fn a_note_is_played_at_its_pitch_slides_into_it_and_ends() {
        let recorded = tone(57.0);
        let mut out = silence(88_200);
        voice((2.0f64 / 12.0).exp2()).add(&mut out, &recorded, RATE);
        let wanted = crate::tone::note_hz(59.0);
        assert!((hz(&out[0], 0.1, 0.9) / wanted - 1.0).abs() < 0.01, "{}", hz(&out[0], 0.1, 0.9));
        let after = out[0][(1.3 * RATE) as usize..].iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        assert!(after < 1e-3, "{after}");
        // From five semitones below: lower at first, the same pitch from 0.1 s on.
        let mut slid = silence(88_200);
        Voice { slide: -5.0, ..voice((2.0f64 / 12.0).exp2()) }.add(&mut slid, &recorded, RATE);
        assert!(hz(&slid[0], 0.0, 0.05) < 0.9 * wanted, "{}", hz(&slid[0], 0.0, 0.05));
        assert!((hz(&slid[0], 0.1, 0.9) / wanted - 1.0).abs() < 0.01);
    }

    #[test]
    fn notes_out_of_reach_change_the_octave_and_no_other_note_does() {
        let notes = [28, 31, 34, 40].map(|key| (key, BTreeMap::from([(90, PathBuf::from("x"))])));
        let source = Source { name: "x".into(), licence: "x".into() };
        let set = BassSet { source, notes: BTreeMap::from(notes) };
        for (key, expected) in [(28.0, 28.0), (25.0, 25.0), (24.0, 36.0), (43.0, 43.0), (50.0, 38.0), (67.0, 43.0)] {
            assert_eq!(set.within_reach(key), expected, "{key}");
        }
        assert_eq!(set.nearest(33.0).0, 34);
    }
}
