//! Bass lines, and the parts above them.

use super::note_at;
use super::score::Score;
use crate::patch::{Note, Patch};
use rand::Rng;
use rand::seq::IndexedRandom;

/// (step of a bar in sixteenths, length in sixteenths, what: root, fifth, octave)
type BassLine = Vec<(usize, f64, BassTone)>;

#[derive(Clone, Copy)]
enum BassTone {
    Root,
    Fifth,
    Octave,
}

/// The lowest note of a bass: 35 Hz is MIDI note 25.2.
const LOWEST_BASS: f64 = 25.2;

/// The bass line of the song; with `kick_steps`, sixteenths of a bar, most of it follows the kick drum.
pub fn bass(score: &Score, kick_steps: Option<&[usize]>, rng: &mut impl Rng) -> Vec<Note> {
    let mut lines = [line(rng), line(rng)];
    if let Some(steps) = kick_steps {
        let ends = steps.iter().skip(1).copied().chain([16]);
        let length = rng.random_range(0.4..1.0);
        let turn = *[BassTone::Fifth, BassTone::Octave, BassTone::Root].choose(rng).unwrap_or(&BassTone::Root);
        let tone = |step: usize| if step >= 12 { turn } else { BassTone::Root };
        lines[0] =
            steps.iter().zip(ends).map(|(step, end)| (*step, (end - step) as f64 * length, tone(*step))).collect();
    }
    // Between 35 and 100 Hz (note 43.3): the roots of one octave, and the octave that they begin in.
    let lowest = LOWEST_BASS + rng.random_range(0.0..7.0);
    let mut notes = Vec::new();
    for (section_idx, section) in score.sections().iter().enumerate().filter(|(_, section)| section.has_bass) {
        let line = &lines[usize::from(section_idx % 3 == 2)];
        for bar in section.first_bar..section.first_bar + section.num_bars {
            let root = score.scale_note(score.root(bar));
            let root = lowest + (root - lowest).rem_euclid(12.0);
            let root = root.round();
            for (step, num_steps, tone) in line {
                let key = root
                    + match tone {
                        BassTone::Root => 0.0,
                        BassTone::Fifth => 7.0,
                        BassTone::Octave => 12.0,
                    };
                let velocity = rng.random_range(0.8..1.0);
                notes.push(note_at(score, 4.0 * bar as f64 + *step as f64 / 4.0, num_steps / 4.0, key, velocity));
            }
        }
    }
    notes
}

fn line(rng: &mut impl Rng) -> BassLine {
    use BassTone::{Fifth, Octave, Root};
    let every = |steps: &[usize], num_steps: f64| -> BassLine { steps.iter().map(|s| (*s, num_steps, Root)).collect() };
    let length = rng.random_range(0.5..1.0);
    match rng.random_range(0..11) {
        0 => every(&[0], 15.8),
        1 => every(&[0, 8], 7.8),
        2 => every(&[2, 6, 10, 14], 2.0 * length),
        3 => every(&[0, 2, 4, 6, 8, 10, 12, 14], 2.0 * length),
        4 => every(&[1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15], length),
        5 => every(&[0, 3, 6, 8, 11, 14], 2.5 * length),
        6 => {
            vec![(0, 2.0 * length, Root), (4, 1.5, Root), (6, 3.0 * length, Octave), (10, 2.0, Fifth), (14, 2.0, Root)]
        }
        7 => (0..8).map(|i| (2 * i, 2.0 * length, if i % 2 == 0 { Root } else { Octave })).collect(),
        8 => every(&[0, 10], 5.5 * length),
        9 => vec![(0, 10.0, Root), (10, 3.0, Root), (13, 3.0, Fifth)],
        _ => {
            let density = rng.random_range(0.2..0.6);
            let mut steps: Vec<usize> = (1..16).filter(|_| rng.random_bool(density)).collect();
            steps.insert(0, 0);
            let tones = [Root, Root, Root, Root, Fifth, Octave];
            let ends = steps.iter().skip(1).copied().chain([16]);
            let pairs: Vec<_> = steps.iter().copied().zip(ends).collect();
            pairs
                .into_iter()
                .map(|(step, end)| (step, (end - step) as f64 * length, *tones.choose(rng).unwrap_or(&Root)))
                .collect()
        }
    }
}

/// Organs, accordion, driven guitars, strings, choirs, pianos held down: what sounds on.
const PAD_PROGRAMS: &[u8] = &[0, 1, 4, 5, 16, 17, 18, 19, 21, 27, 29, 30, 30, 44, 48, 49, 50, 52, 61, 89, 91];
/// Pianos, harpsichord, mallets, guitars, harp: what is struck or plucked.
const PLUCK_PROGRAMS: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 24, 24, 25, 25, 26, 27, 28, 29, 30, 45, 46, 105];
/// Guitars, violin, brass, reeds, flutes, harmonica, synthesizers: what plays tunes.
const LEAD_PROGRAMS: &[u8] =
    &[0, 4, 11, 18, 22, 26, 27, 29, 30, 30, 40, 56, 59, 60, 64, 65, 66, 68, 71, 73, 75, 80, 81];

/// Notes that one patch plays.
pub struct Part {
    pub patch: Patch,
    /// Programs of General MIDI that may play it instead.
    pub programs: &'static [u8],
    pub notes: Vec<Note>,
    pub level: f64,
    /// Level of an echo after three sixteenths; 0: none.
    pub echo: f64,
}

/// Pads, broken chords, stabs and leads; the sections say which of them play.
pub fn parts(score: &Score, rng: &mut impl Rng) -> Vec<Part> {
    let num_tones = rng.random_range(3..5);
    let centre = rng.random_range(55.0..67.0);
    let mut parts = Vec::new();
    for part_idx in 0..3 {
        let mut notes = Vec::new();
        let kind = (part_idx, rng.random_range(0..3));
        let figure: Vec<usize> = (0..16).map(|_| rng.random_range(0..num_tones)).collect();
        let gaps = rng.random_range(0.0..0.5);
        let rhythm: Vec<bool> = (0..16).map(|step| step == 0 || !rng.random_bool(gaps)).collect();
        let lift = 12.0 * f64::from(rng.random_range(0..2));
        let mut degree = score.nearest_degree(centre + 12.0);
        for section in score.sections() {
            // A section in which none is asked for still has one.
            let parts = if section.parts == 0 { 1 << (section.first_bar / 4 % 3) } else { section.parts };
            if parts >> part_idx & 1 == 0 {
                continue;
            }
            for bar in section.first_bar..section.first_bar + section.num_bars {
                let beat = 4.0 * bar as f64;
                let chord = chord(score, score.root(bar), num_tones, centre);
                match kind {
                    // A pad, or stabs, or chords struck on eighths that the rhythm leaves in.
                    (0, 0 | 1) => notes.extend(chord.iter().map(|key| note_at(score, beat, 3.95, *key, 0.8))),
                    (0, _) => {
                        for step in (0..16).step_by(2).filter(|step| rhythm[*step]) {
                            let at = beat + step as f64 / 4.0;
                            notes.extend(chord.iter().map(|key| note_at(score, at, 0.3, *key, 0.8)));
                        }
                    }
                    // Broken chords, in eighths or sixteenths.
                    (1, speed) => {
                        for step in (0..16).step_by(if speed == 0 { 1 } else { 2 }).filter(|step| rhythm[*step]) {
                            let key = chord[figure[step] % chord.len()] + lift;
                            let velocity = rng.random_range(0.6..1.0);
                            notes.push(note_at(score, beat + step as f64 / 4.0, 0.3, key, velocity));
                        }
                    }
                    // A lead that walks along the scale.
                    _ => {
                        let mut step = 0;
                        while step < 16 {
                            let num_steps = *[2, 2, 3, 4, 4, 6, 8].choose(rng).unwrap_or(&4);
                            if rng.random_bool(0.75) {
                                degree += *[-2, -1, -1, 1, 1, 2].choose(rng).unwrap_or(&1);
                                let home = score.nearest_degree(centre + 12.0);
                                degree = degree.clamp(home - 5, home + 7);
                                let (at, length) = (beat + f64::from(step) / 4.0, 0.9 * f64::from(num_steps) / 4.0);
                                notes.push(note_at(score, at, length, score.scale_note(degree), 0.9));
                            }
                            step += num_steps;
                        }
                    }
                }
            }
        }
        let (patch, programs) = match kind {
            (0, 0 | 1) => (Patch::pad(rng), PAD_PROGRAMS),
            (0 | 1, _) => (Patch::pluck(rng), PLUCK_PROGRAMS),
            _ => (Patch::lead(rng), LEAD_PROGRAMS),
        };
        let level = rng.random_range(0.06..0.18) * if part_idx == 0 { 0.7 } else { 1.0 };
        let echo = if part_idx > 0 && rng.random_bool(0.4) { rng.random_range(0.1..0.35) } else { 0.0 };
        parts.push(Part { patch, programs, notes, level, echo });
    }
    parts
}

/// Every other note of the scale above the root, turned until they lie around `centre`.
fn chord(score: &Score, root: i32, num_tones: usize, centre: f64) -> Vec<f64> {
    let tones = (0..num_tones as i32).map(|tone_idx| score.scale_note(root + 2 * tone_idx));
    tones.map(|key| centre - 6.0 + (key - centre + 6.0).rem_euclid(12.0)).map(f64::round).collect()
}
