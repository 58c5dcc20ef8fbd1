//! Drawing the stems of one example from songs.

use crate::augment::{pluck, random_speed, restage};
use crate::songs::{BASS, OTHER, SILENCE, Song, power, read_chunk};
use crate::stems::{DrawnStems, Known};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// How often a stem is left out, `[stem]`. Without drums in sight, what sounds below 60 Hz is a bass: the network
/// has to hear that often.
const SILENT_SHARE: [f64; 4] = [0.12, 0.25, 0.08, 0.08];

/// Draws four stems: from one place of one song, or each from anywhere. Where a song has no bass of its own, its
/// other is taken to hold it, and the example says so.
pub fn draw_stems(songs: &[Song], num_samples: usize, rng: &mut StdRng) -> DrawnStems {
    let together = rng.random_bool(0.3);
    let with = |stem_idx: usize| (0..songs.len()).filter(|i| songs[*i].stems[stem_idx].is_some()).collect();
    let songs_with: [Vec<usize>; 4] = std::array::from_fn(with);
    let has_bass = &songs_with[BASS];
    let want_bass = !has_bass.is_empty() && rng.random_bool(0.7);
    let pick = |from: &[usize], rng: &mut StdRng| {
        *from.choose_weighted(rng, |i| songs[*i].weight).expect("every stem is in some song")
    };
    let accompaniment = pick(if want_bass { has_bass } else { &songs_with[OTHER] }, rng);
    let common_position = random_position(&songs[accompaniment], num_samples, rng);
    let speed = random_speed(OTHER, rng);
    let mut all_known = true;
    let mut samples = Vec::new();
    for (stem_idx, songs_with_stem) in songs_with.iter().enumerate() {
        let song_idx = match stem_idx {
            _ if together => accompaniment,
            OTHER => accompaniment,
            BASS if want_bass => pick(has_bass, rng),
            BASS => accompaniment,
            _ => pick(songs_with_stem, rng),
        };
        let song = &songs[song_idx];
        let mut position = if together { common_position } else { random_position(song, num_samples, rng) };
        let speed = if together { speed } else { random_speed(stem_idx, rng) };
        let mut gain = 10f32.powf(rng.random_range(-8.0..6.0) / 20.0);
        if rng.random_bool(SILENT_SHARE[stem_idx]) {
            gain = 0.0;
        }
        let swap = rng.random_bool(0.5);
        let mut out = [vec![0.0; num_samples], vec![0.0; num_samples]];
        if let Some(stem) = &song.stems[stem_idx] {
            if !together {
                // Silence teaches little: look for sound a few times.
                for _ in 0..4 {
                    if power(stem, position, num_samples) > SILENCE {
                        break;
                    }
                    position = random_position(song, num_samples, rng);
                }
            }
            read_chunk(stem, position as f64, speed, gain, swap, &mut out);
            if stem_idx == BASS && rng.random_bool(0.5) {
                pluck(&mut out, rng);
            }
            if rng.random_bool(0.6) {
                let width = rng.random_range(0.0..1.6);
                let balance_db: f32 = rng.random_range(-2.0..2.0);
                restage(&mut out, width, 10f32.powf(balance_db / 20.0));
            }
        }
        if stem_idx == OTHER {
            // Is the bass line inside? It is if the song has no bass stem, or one that rests nearly always and here.
            all_known = match &song.stems[BASS] {
                None => false,
                Some(bass) => song.bass_activity > 0.3 || power(bass, position, num_samples) > SILENCE,
            };
        }
        samples.push(out);
    }
    if !all_known {
        // Its bass is inside other already; a second one on top would only blur it.
        samples[BASS].iter_mut().for_each(|c| c.fill(0.0));
    }
    DrawnStems { samples, known: if all_known { Known::All } else { Known::BassInOther } }
}

fn random_position(song: &Song, num_samples: usize, rng: &mut StdRng) -> usize {
    rng.random_range(0..song.num_samples.saturating_sub(num_samples).max(1))
}
