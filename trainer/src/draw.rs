//! Drawing the stems of one example from songs.

use crate::augment::{pluck, random_speed, restage};
use crate::songs::{BASS, DRUMS, OTHER, SILENCE, Song, power, read_chunk};
use crate::stems::{DrawnStems, Known, Shares};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// How often a stem is left out, `[stem]`. Without drums in sight, what sounds below 60 Hz is a bass: the network
/// has to hear that often.
const SILENT_SHARE: [f64; 4] = [0.12, 0.25, 0.08, 0.08];

/// Draws four stems: from one place of one song, or each from anywhere. `shares` say how often the song that other is
/// from is one whose stems are all known, lacks a bass of its own (its other is then taken to hold it), or has vocals
/// apart only; the example says what is known of it. Vocals and drums come from any song that has them.
///
/// # Panics
/// If no song has an other; [`crate::songs::load`] sees to that.
pub fn draw_stems(songs: &[Song], shares: &Shares, num_samples: usize, rng: &mut StdRng) -> DrawnStems {
    let together = rng.random_bool(0.3);
    let with = |stem_idx: usize| (0..songs.len()).filter(|i| songs[*i].stems[stem_idx].is_some()).collect();
    let songs_with: [Vec<usize>; 4] = std::array::from_fn(with);
    let has_bass = &songs_with[BASS];
    let pick = |from: &[usize], rng: &mut StdRng| {
        *from.choose_weighted(rng, |i| songs[*i].weight).expect("weights are above zero")
    };
    let accompaniments =
        Known::EACH.map(|known| songs_with[OTHER].iter().copied().filter(|i| songs[*i].known == known).collect());
    let kind = draw_kind(&accompaniments, shares, rng);
    let vocals_only = Known::EACH[kind] == Known::VocalsOnly;
    let accompaniment = pick(&accompaniments[kind], rng);
    let common_position = random_position(&songs[accompaniment], num_samples, rng);
    let speed = random_speed(OTHER, rng);
    let mut all_known = true;
    let mut samples = Vec::new();
    for (stem_idx, songs_with_stem) in songs_with.iter().enumerate() {
        let song_idx = match stem_idx {
            _ if together => accompaniment,
            OTHER => accompaniment,
            BASS if Known::EACH[kind] == Known::All => pick(has_bass, rng),
            DRUMS | BASS if vocals_only => accompaniment, // which has none: they are in its other
            BASS => accompaniment,
            _ if songs_with_stem.is_empty() => accompaniment,
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
    let known = match () {
        () if vocals_only => Known::VocalsOnly,
        () if all_known => Known::All,
        () => Known::BassInOther,
    };
    DrawnStems { samples, known }
}

/// Index into [`Known::EACH`] of a kind that there are songs of.
fn draw_kind(accompaniments: &[Vec<usize>; 3], shares: &Shares, rng: &mut StdRng) -> usize {
    let share = |kind: &usize| if accompaniments[*kind].is_empty() { 0.0 } else { shares.0[*kind] };
    // All shares may be zero for what is there; then whatever is there.
    let any = || (0..3).find(|kind| !accompaniments[*kind].is_empty()).expect("some song has an other");
    [0usize, 1, 2].choose_weighted(rng, share).copied().unwrap_or_else(|_| any())
}

fn random_position(song: &Song, num_samples: usize, rng: &mut StdRng) -> usize {
    rng.random_range(0..song.num_samples.saturating_sub(num_samples).max(1))
}
