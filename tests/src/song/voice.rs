//! The lead: the voice of `synth` sings the melody.

use super::score::{beat_s, melody};
use super::silence;
use synth::{add_reverb, voice};

pub fn sing(rate: f64) -> [Vec<f32>; 2] {
    let mut out = silence(rate);
    let syllables: Vec<_> = melody()
        .iter()
        .map(|syllable| voice::Syllable {
            start_s: beat_s(syllable.beat),
            duration_s: beat_s(syllable.num_beats),
            note: syllable.note,
            vowel: syllable.vowel,
        })
        .collect();
    voice::sing(&mut out, rate, &syllables, 2);
    add_reverb(&mut out, rate, 0.15);
    out
}
