//! Who plays what, when. Times in beats, pitches as MIDI notes.

/// Length of the song: twelve bars and a bit for the last chord to ring.
pub const DURATION_S: f64 = 30.0;
/// Bars of four beats.
pub const NUM_BARS: usize = 12;

const BEATS_PER_MINUTE: f64 = 100.0;

/// When a beat sounds.
pub fn beat_s(beat: f64) -> f64 {
    beat * 60.0 / BEATS_PER_MINUTE
}

/// The chords, one a bar, going round: A minor, F, C, G, with their root in the bass.
const CHORDS: [(f64, [f64; 4]); 4] = [
    (33.0, [57.0, 60.0, 64.0, 67.0]),
    (29.0, [57.0, 60.0, 65.0, 69.0]),
    (36.0, [55.0, 60.0, 64.0, 67.0]),
    (31.0, [55.0, 59.0, 62.0, 67.0]),
];

/// The root of a bar.
pub fn root(bar: usize) -> f64 {
    CHORDS[bar % CHORDS.len()].0
}

/// The notes above it.
pub fn chord(bar: usize) -> [f64; 4] {
    CHORDS[bar % CHORDS.len()].1
}

/// A syllable of the lead.
pub struct Syllable {
    /// In beats from the start of the song.
    pub beat: f64,
    pub num_beats: f64,
    /// MIDI note.
    pub note: f64,
    /// Index into the voice's table of vowels.
    pub vowel: usize,
}

/// The melody: two phrases of four bars, the second one ending on the tonic, after an opening of two bars.
pub fn melody() -> Vec<Syllable> {
    const A: usize = 0;
    const E: usize = 1;
    const I: usize = 2;
    const O: usize = 3;
    const U: usize = 4;
    // (beat within the phrase, length in beats, note, vowel)
    #[rustfmt::skip]
    let verse = [
        (0.0, 1.0, 64.0, U), (1.0, 0.5, 67.0, A), (1.5, 1.5, 69.0, A), (3.0, 1.0, 67.0, E),
        (4.0, 1.5, 67.0, O), (5.5, 0.5, 64.0, I), (6.0, 1.5, 65.0, A),
        (8.0, 1.0, 62.0, U), (9.0, 0.5, 64.0, E), (9.5, 1.5, 67.0, A), (11.0, 1.0, 69.0, O),
        (12.0, 2.0, 67.0, A), (14.0, 0.5, 65.0, I), (14.5, 1.0, 64.0, E),
    ];
    #[rustfmt::skip]
    let answer = [
        (0.0, 1.0, 69.0, A), (1.0, 0.5, 72.0, A), (1.5, 1.5, 71.0, O), (3.0, 1.0, 69.0, E),
        (4.0, 1.5, 67.0, A), (5.5, 0.5, 69.0, I), (6.0, 1.5, 64.0, O),
        (8.0, 1.0, 65.0, U), (9.0, 1.0, 64.0, E), (10.0, 1.0, 62.0, A), (11.0, 1.0, 60.0, O),
        (12.0, 1.0, 59.0, U), (13.0, 1.0, 60.0, E), (14.0, 3.0, 57.0, A),
    ];
    let at = |first_beat: f64| {
        move |&(beat, num_beats, note, vowel): &(f64, f64, f64, usize)| Syllable {
            beat: first_beat + beat,
            num_beats,
            note,
            vowel,
        }
    };
    verse.iter().map(at(8.0)).chain(answer.iter().map(at(24.0))).chain(answer[..1].iter().map(at(44.0))).collect()
}
