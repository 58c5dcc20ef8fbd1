//! Drawing the stems of one example from songs.

use crate::augment::{Augmentation, happens, read_at_speed};
use crate::data::{BASS, DRUMS, OTHER, SILENCE, Song};
use crate::data::{DrawnStems, Known, Shares};
use anyhow::Result;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// How examples are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// How often examples of each kind are drawn.
    pub shares: Shares,
    /// What is changed about their stems.
    pub augmentation: Augmentation,
}

/// Draws four stems: from one place of one song, or each from anywhere. `shares` say how often the song that other is
/// from is one whose stems are all known, lacks a bass of its own (its other is then taken to hold it), or has vocals
/// apart only; the example says what is known of it. Vocals and drums come from any song that has them.
///
/// # Errors
/// If a stem cannot be read.
///
/// # Panics
/// If no song has an other; a run sees to that.
pub fn draw_stems(songs: &[Song], drawing: &Drawing, num_samples: usize, rng: &mut StdRng) -> Result<DrawnStems> {
    let augmentation = &drawing.augmentation;
    let together = !rng.random_bool(augmentation.mix_songs);
    let with = |stem_idx: usize| (0..songs.len()).filter(|i| songs[*i].stems[stem_idx].is_some()).collect();
    let songs_with: [Vec<usize>; 4] = std::array::from_fn(with);
    let pick = |from: &[usize], rng: &mut StdRng| {
        *from.choose_weighted(rng, |i| songs[*i].weight).expect("weights are above zero")
    };
    let accompaniments =
        Known::EACH.map(|known| songs_with[OTHER].iter().copied().filter(|i| songs[*i].known == known).collect());
    let kind = Known::EACH[draw_kind(&accompaniments, &drawing.shares, rng)];
    let accompaniment = pick(&accompaniments[kind as usize], rng);
    let common_position = random_position(&songs[accompaniment], num_samples, rng);
    let common_speed = augmentation.draw_speed(OTHER, rng);
    let common_shift = augmentation.draw_shift(rng);
    let mut known = kind;
    let mut samples = Vec::new();
    for (stem_idx, songs_with_stem) in songs_with.iter().enumerate() {
        let song_idx = match stem_idx {
            _ if together || songs_with_stem.is_empty() => accompaniment,
            OTHER => accompaniment,
            BASS if kind != Known::All => accompaniment, // which has none: it is in its other
            DRUMS if kind == Known::VocalsOnly => accompaniment,
            _ => pick(songs_with_stem, rng),
        };
        let song = &songs[song_idx];
        let mut position = if together { common_position } else { random_position(song, num_samples, rng) };
        let speed = if together { common_speed } else { augmentation.draw_speed(stem_idx, rng) };
        let shift = if together { common_shift } else { augmentation.draw_shift(rng) };
        let gain = augmentation.draw_gain(stem_idx, rng);
        let mut out = [vec![0.0; num_samples], vec![0.0; num_samples]];
        if let Some(stem) = &song.stems[stem_idx] {
            if !together && !happens(augmentation.anywhere, rng) {
                // Look for sound a few times.
                for _ in 0..4 {
                    if stem.power(position, num_samples)? > SILENCE {
                        break;
                    }
                    position = random_position(song, num_samples, rng);
                }
            }
            if gain != 0.0 {
                match shift {
                    Some(shift) => shift.read(stem, position, gain, &mut out)?,
                    None => read_at_speed(stem, position, speed, gain, &mut out)?,
                }
                augmentation.change(stem_idx, &mut out, rng);
            }
        }
        // Is the bass line inside other? It is if the bass stem rests nearly always, and here.
        if let (OTHER, Known::All, Some(bass)) = (stem_idx, kind, &song.stems[BASS])
            && song.bass_activity <= 0.3
            && bass.power(position, num_samples)? <= SILENCE
        {
            known = Known::BassInOther;
        }
        samples.push(out);
    }
    if known == Known::BassInOther {
        // Its bass is inside other already; a second one on top would only blur it.
        samples[BASS].iter_mut().for_each(|c| c.fill(0.0));
    }
    augmentation.master(&mut samples, rng);
    Ok(DrawnStems { samples, known })
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
