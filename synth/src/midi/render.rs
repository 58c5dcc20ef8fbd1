//! Playing a MIDI song: one synthesizer per stem, all of them hear every controller, each only its own notes.

use super::notes::{MidiSong, RATE};
use super::routing::{PERCUSSION, may_be_exchanged, stem_of};
use super::soundfont::Bank;
use crate::kit::{Kit, Piece};
use crate::patch::{Note, Patch};
use crate::raw_song::{BASS, DRUMS, OTHER, RawSong};
use crate::recorded::{Band, Drum, Stroke};
use crate::seed;
use crate::tone::{Noise, Stereo, add_sound, silence};
use anyhow::{Context, Result};
use rand::Rng;
use rand::seq::IndexedRandom;
use rustysynth::{Synthesizer, SynthesizerSettings};
use std::ops::Range;

/// How a MIDI song is changed; drawn cheaply, so that its length is known before it is rendered.
#[derive(Clone, Debug)]
pub struct Arrangement {
    /// Factor on the tempo.
    pub tempo: f64,
    /// Semitones by which all but drums are moved.
    pub transposition: i32,
    /// The part of the song that is played, in s at its own tempo.
    pub excerpt_s: Range<f64>,
    /// `[family]` added to the place of a program within its family of eight.
    programs: [u8; 16],
    /// Which of the SoundFonts, by stem.
    banks: [u64; 4],
    /// Which of the SoundFont's drum kits.
    kit: u64,
    /// The kick drum comes from a drum machine.
    has_electronic_kick: bool,
    /// The bass comes from a synthesizer.
    has_electronic_bass: bool,
    has_room: [bool; 4],
}

/// Time after the last note in which sounds die away, in s.
const TAIL_S: f64 = 2.0;
/// Keys of bass drums in General MIDI.
const KICK_KEYS: Range<u8> = 35..37;

impl Arrangement {
    /// Draws one; at most `max_s` seconds of the song are played.
    pub fn random(song: &MidiSong, max_s: f64, song_seed: u64) -> Arrangement {
        let mut rng = seed::rng(song_seed, "midi/arrangement");
        let tempo = 0.8 * (1.25f64 / 0.8).powf(rng.random());
        let excerpt_len_s = (max_s - TAIL_S).max(1.0) * tempo;
        let latest_start_s = song.duration_s - excerpt_len_s;
        let start_s = if latest_start_s > 0.0 { rng.random_range(0.0..latest_start_s) } else { 0.0 };
        Arrangement {
            tempo,
            transposition: rng.random_range(-5..=5),
            excerpt_s: start_s..(start_s + excerpt_len_s).min(song.duration_s),
            programs: std::array::from_fn(|_| if rng.random_bool(0.6) { rng.random_range(0..8) } else { 0 }),
            banks: std::array::from_fn(|_| rng.random()),
            kit: rng.random(),
            has_electronic_kick: rng.random_bool(0.45),
            has_electronic_bass: rng.random_bool(0.4),
            has_room: [true, rng.random_bool(0.5), false, rng.random_bool(0.7)],
        }
    }

    /// Length of the rendered song in s.
    pub fn duration_s(&self) -> f64 {
        (self.excerpt_s.end - self.excerpt_s.start) / self.tempo + TAIL_S
    }

    fn program(&self, program: u8) -> u8 {
        let family = program / 8;
        let other = 8 * family + (program + self.programs[usize::from(family)]) % 8;
        if may_be_exchanged(program) && may_be_exchanged(other) { other } else { program }
    }

    /// From the file's time to that of the rendered song, in s.
    fn time_s(&self, time_s: f64) -> f64 {
        (time_s - self.excerpt_s.start) / self.tempo
    }

    /// For `song.json`: which of `banks` play the stems.
    pub fn banks_used<'a>(&self, banks: &'a [Bank]) -> Vec<&'a Bank> {
        let mut used: Vec<usize> =
            [DRUMS, BASS, OTHER].iter().map(|stem_idx| self.bank_idx(*stem_idx, banks.len())).collect();
        used.sort_unstable();
        used.dedup();
        used.into_iter().map(|bank_idx| &banks[bank_idx]).collect()
    }

    fn bank_idx(&self, stem_idx: usize, num_banks: usize) -> usize {
        (self.banks[stem_idx] % num_banks as u64) as usize
    }
}

/// Plays the song: drums, bass and other; vocals are left silent. What `band` has is played on that.
///
/// # Errors
/// The SoundFont cannot be played, or a recorded sound not be read.
///
/// # Panics
/// If there is no SoundFont.
pub fn play(
    song: &MidiSong,
    arrangement: &Arrangement,
    banks: &[Bank],
    band: &Band<'_>,
    song_seed: u64,
) -> Result<RawSong> {
    let mut rng = seed::rng(song_seed, "midi/play");
    let rate = f64::from(RATE);
    let num_samples = (arrangement.duration_s() * rate) as usize;
    let mut stems = [const { [Vec::new(), Vec::new()] }; 4];
    stems.iter_mut().for_each(|stem| *stem = silence(num_samples));
    for stem_idx in [DRUMS, BASS, OTHER] {
        let is_played_elsewhere = match stem_idx {
            DRUMS => band.kit.is_some(),
            BASS => band.bass.is_some() || arrangement.has_electronic_bass,
            _ => false,
        };
        if !song.has_stem(stem_idx) || is_played_elsewhere {
            continue;
        }
        let bank = &banks[arrangement.bank_idx(stem_idx, banks.len())];
        play_stem(song, arrangement, bank, stem_idx, &mut stems[stem_idx])
            .with_context(|| format!("SoundFont {}", bank.path.display()))?;
    }
    let notes = |stem_idx: usize, keep: &dyn Fn(u8) -> bool| -> Vec<Note> {
        let own = song.notes.iter().filter(|note| note.stem() == stem_idx && keep(note.note.key as u8));
        let in_excerpt = own.filter(|note| arrangement.excerpt_s.contains(&note.note.start_s));
        let moved = |note: &Note| Note {
            start_s: arrangement.time_s(note.start_s),
            duration_s: note.duration_s / arrangement.tempo,
            key: note.key + f64::from(arrangement.transposition),
            velocity: note.velocity,
        };
        in_excerpt.map(|note| moved(&note.note)).collect()
    };
    // Drawn in any case, so that what follows does not depend on it.
    let (kit, patch) = (Kit::random(&mut rng, rate), Patch::bass(&mut rng));
    let mut noise = Noise(rng.random());
    let kick_level = rng.random_range(0.15..0.4);
    if let Some(kit) = &band.kit {
        let own = song.notes.iter().filter(|note| note.stem() == DRUMS);
        let in_excerpt = own.filter(|note| arrangement.excerpt_s.contains(&note.note.start_s));
        let strokes = in_excerpt.map(|note| Stroke {
            time_s: arrangement.time_s(note.note.start_s),
            drum: Drum::of_note(note.channel, note.note.key as u8),
            velocity: note.note.velocity,
        });
        let strokes: Vec<Stroke> = strokes.collect();
        stems[DRUMS] = kit.play(&strokes, num_samples, rate, &mut seed::rng(song_seed, "recorded/drums"));
    } else if arrangement.has_electronic_kick {
        for (take, note) in notes(DRUMS, &|key| KICK_KEYS.contains(&key)).iter().enumerate() {
            let gain = kick_level * note.velocity as f32;
            add_sound(&mut stems[DRUMS], kit.sound(Piece::Kick, take), (note.start_s * rate) as usize, gain);
        }
    }
    if let Some(bass) = band.bass {
        let line = notes(BASS, &|_| true);
        stems[BASS] = bass.play(&line, num_samples, rate, &mut seed::rng(song_seed, "recorded/bass"))?;
    } else if arrangement.has_electronic_bass {
        let mut line = notes(BASS, &|_| true);
        lower(&mut line);
        patch.play(&mut stems[BASS], rate, &line, 0.3, &mut noise);
    }
    Ok(RawSong { stems })
}

/// Moves a bass line down by octaves as long as its middle note stays above 40 Hz: sub-basses are what few SoundFonts
/// have.
fn lower(line: &mut [Note]) {
    const LOWEST: f64 = 27.5;
    let mut keys: Vec<f64> = line.iter().map(|note| note.key).collect();
    keys.sort_by(f64::total_cmp);
    let Some(middle) = keys.get(keys.len() / 2) else { return };
    let octaves = ((middle - LOWEST) / 12.0).floor().max(0.0);
    line.iter_mut().for_each(|note| note.key -= 12.0 * octaves);
}

fn play_stem(song: &MidiSong, arrangement: &Arrangement, bank: &Bank, stem_idx: usize, out: &mut Stereo) -> Result<()> {
    let mut settings = SynthesizerSettings::new(RATE);
    settings.enable_reverb_and_chorus = arrangement.has_room[stem_idx];
    settings.maximum_polyphony = 96;
    let mut synthesizer = Synthesizer::new(&bank.sounds, &settings)?;
    let kit = bank.kits().choose(&mut seed::rng(arrangement.kit, "kit")).copied();
    if let Some(kit) = kit {
        synthesizer.process_midi_message(i32::from(PERCUSSION), 0xc0, i32::from(kit), 0);
    }
    let mut programs = [0u8; 16];
    (0..16).for_each(|channel| {
        if channel != PERCUSSION {
            synthesizer.process_midi_message(i32::from(channel), 0xc0, i32::from(arrangement.program(0)), 0);
        }
    });
    let num_samples = out[0].len();
    let mut at = 0;
    for event in &song.events {
        let channel = i32::from(event.channel);
        let [command, data1, data2] = event.message;
        let is_within = arrangement.excerpt_s.contains(&event.time_s);
        if event.time_s >= arrangement.excerpt_s.end && command != 0x80 {
            continue;
        }
        let due = (arrangement.time_s(event.time_s).max(0.0) * f64::from(RATE)) as usize;
        let due = due.min(num_samples);
        if due > at {
            let [left, right] = out;
            synthesizer.render(&mut left[at..due], &mut right[at..due]);
            at = due;
        }
        let is_pitched =
            event.channel != PERCUSSION && stem_of(event.channel, programs[usize::from(event.channel)], data1) != DRUMS;
        let transposed = || {
            let key = i32::from(data1) + if is_pitched { arrangement.transposition } else { 0 };
            key.clamp(0, 127)
        };
        match command {
            0x90 => {
                let is_own = stem_of(event.channel, programs[usize::from(event.channel)], data1) == stem_idx;
                let is_replaced = arrangement.has_electronic_kick && stem_idx == DRUMS && KICK_KEYS.contains(&data1);
                if is_within && is_own && !is_replaced {
                    synthesizer.process_midi_message(channel, 0x90, transposed(), i32::from(data2));
                }
            }
            0x80 => synthesizer.process_midi_message(channel, 0x80, transposed(), 0),
            0xc0 => {
                programs[usize::from(event.channel)] = data1;
                if event.channel != PERCUSSION {
                    synthesizer.process_midi_message(channel, 0xc0, i32::from(arrangement.program(data1)), 0);
                }
            }
            // Bank select: what was meant for another synthesizer names nothing, or anything, here.
            0xb0 if data1 == 0 || data1 == 32 => {}
            _ => synthesizer.process_midi_message(channel, i32::from(command), i32::from(data1), i32::from(data2)),
        }
    }
    synthesizer.note_off_all(false);
    let [left, right] = out;
    synthesizer.render(&mut left[at..], &mut right[at..]);
    fade_out(out);
    Ok(())
}

/// The end of an excerpt is no end of the music.
fn fade_out(out: &mut Stereo) {
    let len = (RATE as usize).min(out[0].len());
    for channel in out {
        let start = channel.len() - len;
        channel[start..].iter_mut().enumerate().for_each(|(n, x)| *x *= 1.0 - n as f32 / len as f32);
    }
}
