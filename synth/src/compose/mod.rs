//! Songs composed from nothing: a seed decides about style, key, tempo, form, patterns and sounds.

mod drums;
mod score;
mod tonal;

pub use score::{Score, Section};

use crate::kit::Kit;
use crate::measure::active_power;
use crate::midi::{self, Bank};
use crate::patch::{Note, Patch};
use crate::raw_song::RawSong;
use crate::recorded::{Band, Groove};
use crate::tone::{Noise, Stereo, add_sound, add_tone, silence};
use crate::voice::{NUM_VOWELS, Syllable, sing};
use crate::{Biquad, seed};
use anyhow::Result;
use rand::Rng;
use rand::seq::IndexedRandom;

/// Share of parts that a SoundFont plays where there is one.
const SOUND_FONT_SHARE: f64 = 0.6;

/// Plays a score: drums, bass and other; vocals are left silent, for [`sing_lead`] or for somebody's recordings.
///
/// With SoundFonts, most of the other parts are played on them.
///
/// # Errors
/// A recorded sound cannot be read, or a SoundFont not be played.
pub fn play(score: &Score, song_seed: u64, band: &Band<'_>, banks: &[Bank], rate: f64) -> Result<RawSong> {
    let mut rng = seed::rng(song_seed, "compose/play");
    let num_samples = (score.duration_s() * rate) as usize;
    let mut noise = Noise(rng.random());
    let kit = Kit::random(&mut rng, rate);
    let (drums, kicks_s) = drums::play(score, &kit, band, num_samples, rate, song_seed, &mut rng)?;
    let patch = Patch::bass(&mut rng);
    let kick_steps = band.groove.map(Groove::kick_steps).filter(|steps| !steps.is_empty() && rng.random_bool(0.6));
    let line = tonal::bass(score, kick_steps.as_deref(), &mut rng);
    let mut bass = silence(num_samples);
    match band.bass {
        Some(set) => bass = set.play(&line, num_samples, rate, &mut seed::rng(song_seed, "recorded/bass"))?,
        None => patch.play(&mut bass, rate, &line, 0.5, &mut noise),
    }
    let mut other = silence(num_samples);
    let mut part_rng = seed::rng(song_seed, "compose/soundfont");
    for part in tonal::parts(score, &mut rng) {
        let mut sound = silence(num_samples);
        part.patch.play(&mut sound, rate, &part.notes, part.level, &mut noise);
        if let Some(bank) = banks.choose(&mut part_rng).filter(|_| part_rng.random_bool(SOUND_FONT_SHARE)) {
            let program = *part.programs.choose(&mut part_rng).unwrap_or(&0);
            let has_room = part_rng.random_bool(0.5);
            let power = active_power(&sound);
            sound = midi::play_notes(bank, program, &part.notes, has_room, num_samples)?;
            // As loud as the synthesizer would have been.
            let gain = (power / active_power(&sound).max(1e-12)).sqrt() as f32;
            sound.iter_mut().flatten().for_each(|x| *x *= gain);
        }
        if part.echo > 0.0 {
            echo(&mut sound, score.beat_s() * 0.75, part.echo, rate);
        }
        add_sound(&mut other, &sound, 0, 1.0);
    }
    risers(score, &mut other, rate, &mut rng);
    if rng.random_bool(0.55) {
        let (depth, release_s) = (rng.random_range(0.3..0.95), rng.random_range(0.08..0.3));
        duck(&mut other, &kicks_s, depth, release_s, rate);
        if rng.random_bool(0.6) {
            duck(&mut bass, &kicks_s, depth, release_s, rate);
        }
    }
    Ok(RawSong { stems: [silence(num_samples), drums, bass, other] })
}

/// A synthetic voice on a melody of the song's key, where the form has singing.
pub fn sing_lead(score: &Score, song_seed: u64, rate: f64) -> Stereo {
    let mut rng = seed::rng(song_seed, "compose/sing");
    let mut out = silence((score.duration_s() * rate) as usize);
    let mut syllables = Vec::new();
    let centre = rng.random_range(52.0..70.0);
    for section in score.sections().iter().filter(|section| section.has_vocals) {
        let mut beat = section.first_beat();
        let mut degree = score.nearest_degree(centre);
        while beat < section.end_beat() - 1.0 {
            // A phrase of some notes, then a breath.
            for _ in 0..rng.random_range(4..10) {
                let num_beats = *[0.5, 0.5, 1.0, 1.0, 1.5, 2.0].choose(&mut rng).unwrap_or(&1.0);
                if beat + num_beats > section.end_beat() {
                    break;
                }
                degree += *[-2, -1, -1, 0, 1, 1, 2, 3].choose(&mut rng).unwrap_or(&0);
                let home = score.nearest_degree(centre);
                degree = degree.clamp(home - 4, home + 5);
                syllables.push(Syllable {
                    start_s: score.time_s(beat),
                    duration_s: 0.92 * num_beats * score.beat_s(),
                    note: score.scale_note(degree),
                    vowel: rng.random_range(0..NUM_VOWELS),
                });
                beat += num_beats;
            }
            beat = (beat + *[0.5, 1.0, 2.0, 4.0].choose(&mut rng).unwrap_or(&1.0)).ceil();
        }
    }
    sing(&mut out, rate, &syllables, rng.random());
    out
}

/// Noise that swells into a new section, through a band-pass that rises.
fn risers(score: &Score, out: &mut Stereo, rate: f64, rng: &mut impl Rng) {
    if !rng.random_bool(0.4) {
        return;
    }
    let (low_hz, octaves) = (rng.random_range(200.0..1500.0), rng.random_range(1.0..4.0));
    let mut noise = Noise(rng.random());
    for section in &score.sections()[1..] {
        let duration_s = 4.0 * score.beat_s();
        let start_s = score.time_s(section.first_beat()) - duration_s;
        let mut filter = Biquad::band_pass(low_hz, 1.5, rate);
        let mut n = 0usize;
        add_tone(out, rate, start_s.max(0.0), duration_s, rng.random_range(-0.3..0.3), |t| {
            if n.is_multiple_of(64) {
                filter.retune(Biquad::band_pass(low_hz * (octaves * t / duration_s).exp2(), 1.5, rate));
            }
            n += 1;
            0.25 * (t / duration_s).powi(2) * filter.filter(noise.next())
        });
    }
}

/// Repeats the sound after `delay_s`, softer each time.
fn echo(sound: &mut Stereo, delay_s: f64, level: f64, rate: f64) {
    let delay = (delay_s * rate) as usize;
    for channel in sound {
        for i in delay..channel.len() {
            channel[i] += (level as f32) * channel[i - delay];
        }
    }
}

/// Turns the sound down with every kick, by `depth`, and lets it come back within `release_s`.
fn duck(sound: &mut Stereo, kicks_s: &[f64], depth: f64, release_s: f64, rate: f64) {
    const ATTACK_S: f64 = 0.004;
    for (kick_idx, start_s) in kicks_s.iter().enumerate() {
        let next_s = kicks_s.get(kick_idx + 1).copied().unwrap_or(f64::MAX);
        let (start, end) = ((start_s * rate) as usize, (start_s + 4.0 * release_s).min(next_s) * rate);
        for i in start..(end as usize).min(sound[0].len()) {
            let t = (i - start) as f64 / rate;
            let shape = if t < ATTACK_S { t / ATTACK_S } else { (-((t - ATTACK_S) / release_s).powi(2)).exp() };
            let gain = (1.0 - depth * shape) as f32;
            sound.iter_mut().for_each(|channel| channel[i] *= gain);
        }
    }
}

/// A note at a beat of the score, a little off where people play.
fn note_at(score: &Score, beat: f64, num_beats: f64, key: f64, velocity: f64) -> Note {
    Note { start_s: score.time_s(beat), duration_s: num_beats * score.beat_s(), key, velocity }
}
