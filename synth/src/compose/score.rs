//! Key, tempo, chords and form of a composed song. Times in beats, pitches as MIDI notes.

use crate::seed;
use rand::Rng;
use rand::seq::IndexedRandom;

const MAJOR: [i32; 7] = [0, 2, 4, 5, 7, 9, 11];
const MINOR: [i32; 7] = [0, 2, 3, 5, 7, 8, 10];

/// Roots of chords as degrees of the scale, one a bar, going round.
const MINOR_PROGRESSIONS: [&[i32]; 9] = [
    &[0, 5, 2, 6],
    &[0, 3, 5, 4],
    &[0, 6, 5, 6],
    &[0, 5, 3, 4],
    &[0, 0, 5, 6],
    &[0, 2, 6, 3],
    &[5, 6, 0, 0],
    &[0, 0, 0, 0],
    &[0, 3, 0, 4],
];
const MAJOR_PROGRESSIONS: [&[i32]; 8] = [
    &[0, 4, 5, 3],
    &[5, 3, 0, 4],
    &[0, 5, 3, 4],
    &[0, 3, 4, 3],
    &[1, 4, 0, 5],
    &[3, 4, 2, 5],
    &[0, 0, 3, 4],
    &[3, 0, 4, 5],
];

/// Bars of the same make.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Counted from the start of the song.
    pub first_bar: usize,
    /// Of four beats.
    pub num_bars: usize,
    /// 0: silent, 1: reduced, 2: everything.
    pub drums: u8,
    /// Whether the bass plays.
    pub has_bass: bool,
    /// Which of the other parts play, a bit each.
    pub parts: u32,
    /// Whether somebody sings.
    pub has_vocals: bool,
}

impl Section {
    /// The beat on which it begins.
    pub fn first_beat(&self) -> f64 {
        4.0 * self.first_bar as f64
    }

    /// The beat on which the next one begins.
    pub fn end_beat(&self) -> f64 {
        4.0 * (self.first_bar + self.num_bars) as f64
    }
}

/// The plan of a song.
#[derive(Clone, Debug)]
pub struct Score {
    beats_per_minute: f64,
    /// Delay of every second sixteenth, as a share of a sixteenth.
    swing: f64,
    /// Pitch class of the tonic, 0..12.
    tonic: i32,
    is_minor: bool,
    progression: Vec<i32>,
    sections: Vec<Section>,
}

/// Time after the last bar, in which the last sounds die away.
const TAIL_S: f64 = 2.0;

impl Score {
    /// Draws a score of half of `max_s` to about `max_s` seconds; cheap, so that the length of a song is known before it
    /// is rendered. With a drummer it has the drummer's tempo, and no swing but his.
    pub fn random(max_s: f64, song_seed: u64, drummers_tempo: Option<f64>) -> Score {
        let mut rng = seed::rng(song_seed, "compose/score");
        let is_minor = rng.random_bool(0.65);
        let progressions: &[&[i32]] = if is_minor { &MINOR_PROGRESSIONS } else { &MAJOR_PROGRESSIONS };
        let mut progression = progressions.choose(&mut rng).map_or(vec![0], |p| p.to_vec());
        if rng.random_bool(0.3) {
            progression = progression.iter().flat_map(|degree| [*degree, *degree]).collect();
        }
        let beats_per_minute = rng.random_range(80.0..150.0f64).round();
        let swing = if rng.random_bool(0.35) { rng.random_range(0.05..0.4) } else { 0.0 };
        let (beats_per_minute, swing) = match drummers_tempo {
            Some(tempo) => (tempo * seed::rng(song_seed, "compose/tempo").random_range(0.9..1.1), 0.0),
            None => (beats_per_minute, swing),
        };
        let target_s = max_s * rng.random_range(0.5..1.0);
        let mut sections = Vec::new();
        let mut first_bar = 0;
        while 4.0 * first_bar as f64 * 60.0 / beats_per_minute < target_s {
            let num_bars = *[4, 8, 8].choose(&mut rng).unwrap_or(&8);
            let drums = *[0, 1, 2, 2, 2, 2].choose(&mut rng).unwrap_or(&2);
            sections.push(Section {
                first_bar,
                num_bars,
                drums,
                has_bass: rng.random_bool(if drums == 0 { 0.4 } else { 0.88 }),
                parts: rng.random_range(0..8),
                has_vocals: rng.random_bool(0.65),
            });
            first_bar += num_bars;
        }
        Score { beats_per_minute, swing, tonic: rng.random_range(0..12), is_minor, progression, sections }
    }

    /// Beats per minute.
    pub fn beats_per_minute(&self) -> f64 {
        self.beats_per_minute
    }

    /// Length of a beat in s.
    pub fn beat_s(&self) -> f64 {
        60.0 / self.beats_per_minute
    }

    /// Length of the song in s.
    pub fn duration_s(&self) -> f64 {
        self.time_s(self.sections.last().map_or(0.0, Section::end_beat)) + TAIL_S
    }

    /// When a beat sounds, in s; swing included.
    pub fn time_s(&self, beat: f64) -> f64 {
        let sixteenth = (4.0 * beat).round();
        let is_late = (4.0 * beat - sixteenth).abs() < 1e-6 && (sixteenth as i64).rem_euclid(2) == 1;
        let delay = if is_late { 0.25 * self.swing } else { 0.0 };
        (beat + delay) * self.beat_s()
    }

    /// The form.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Pitch class of the tonic, 0..12 from C; of the relative major's where the song is in minor, so that songs with
    /// the same notes have the same number.
    pub fn major_tonic(&self) -> i32 {
        if self.is_minor { (self.tonic + 3) % 12 } else { self.tonic }
    }

    /// The MIDI note of a degree of the scale; degree 0 is the tonic in the octave from middle C on.
    pub fn scale_note(&self, degree: i32) -> f64 {
        let scale = if self.is_minor { &MINOR } else { &MAJOR };
        let (octave, step) = (degree.div_euclid(7), degree.rem_euclid(7));
        f64::from(60 + self.tonic + 12 * octave + scale[step as usize])
    }

    /// The degree whose note is nearest to `note`.
    pub fn nearest_degree(&self, note: f64) -> i32 {
        let distance = |degree: &i32| ((self.scale_note(*degree) - note).abs() * 100.0) as i64;
        (-35..35).min_by_key(distance).unwrap_or(0)
    }

    /// Degree of the root of a bar's chord.
    pub fn root(&self, bar: usize) -> i32 {
        self.progression[bar % self.progression.len()]
    }
}
