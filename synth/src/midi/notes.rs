//! A MIDI file as a list of events in time.

use super::routing::{PERCUSSION, stem_of};
use crate::patch::Note;
use crate::raw_song::{DRUMS, SAMPLE_RATE_HZ};
use crate::vocals::{major_tonic_of, pitch_classes};
use anyhow::{Context, Result, bail, ensure};
use midly::{MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};
use std::path::{Path, PathBuf};

/// What happens on a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When, in s at the file's own tempo.
    pub time_s: f64,
    /// 0..16
    pub channel: u8,
    /// Command byte without channel, as in 0x90, and its data.
    pub message: [u8; 3],
}

/// A note with the program that plays it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelNote {
    /// 0..16
    pub channel: u8,
    /// 0..128
    pub program: u8,
    /// At the file's own tempo and key.
    pub note: Note,
}

/// A MIDI file that was read.
pub struct MidiSong {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// In order of time.
    pub events: Vec<Event>,
    /// In order of their starts.
    pub notes: Vec<ChannelNote>,
    /// Mean tempo.
    pub beats_per_minute: f64,
    /// The first one of the file: beats per bar, and the note that is a beat (4: a quarter).
    pub time_signature: Option<(u8, u32)>,
    /// End of the last note in s.
    pub duration_s: f64,
    /// Pitch class of the tonic, of the relative major's in minor, guessed from the notes.
    pub major_tonic: Option<i32>,
}

/// Longer files hold a broken tempo rather than music.
const MAX_DURATION_S: f64 = 3600.0;

impl MidiSong {
    /// Reads a Standard MIDI File.
    ///
    /// # Errors
    /// It cannot be read, is no MIDI file, has no notes, or does not end within an hour.
    pub fn open(path: &Path) -> Result<MidiSong> {
        let bytes = std::fs::read(path).with_context(|| format!("{}: could not read it", path.display()))?;
        let song = parse(&bytes, path).with_context(|| format!("{}: not a usable MIDI file", path.display()))?;
        Ok(song)
    }

    /// Whether notes of this stem are in the song.
    pub fn has_stem(&self, stem_idx: usize) -> bool {
        self.notes.iter().any(|note| note.stem() == stem_idx)
    }
}

impl ChannelNote {
    /// Index of the stem that it belongs to.
    pub fn stem(&self) -> usize {
        stem_of(self.channel, self.program, self.note.key as u8)
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<MidiSong> {
    let smf = Smf::parse(bytes)?;
    let mut ticks: Vec<(u64, TrackEventKind)> = Vec::new();
    for track in &smf.tracks {
        let mut at = 0u64;
        for event in track {
            at += u64::from(event.delta.as_int());
            ticks.push((at, event.kind));
        }
    }
    // Stable: events of one tick stay in the order of their tracks.
    ticks.sort_by_key(|(at, _)| *at);
    let mut clock = Clock::new(smf.header.timing)?;
    let mut events = Vec::new();
    let mut time_signature = None;
    let mut notes: Vec<ChannelNote> = Vec::new();
    let mut programs = [0u8; 16];
    // `[channel][key]` indices of notes that sound.
    let mut held = vec![[None::<usize>; 128]; 16];
    for (at, kind) in ticks {
        let time_s = clock.advance(at);
        ensure!(time_s < MAX_DURATION_S, "expected it to end within an hour, found an event after {time_s:.0} s");
        let (channel, message) = match kind {
            TrackEventKind::Midi { channel, message } => (channel.as_int(), message),
            TrackEventKind::Meta(MetaMessage::Tempo(us_per_beat)) => {
                clock.us_per_beat = f64::from(us_per_beat.as_int()).max(1.0);
                continue;
            }
            TrackEventKind::Meta(MetaMessage::TimeSignature(num_beats, power, ..)) => {
                time_signature = time_signature.or(Some((num_beats, 1 << power.min(6))));
                continue;
            }
            _ => continue,
        };
        let mut release = |key: u8, notes: &mut Vec<ChannelNote>| {
            if let Some(note_idx) = held[usize::from(channel)][usize::from(key)].take() {
                let note: &mut ChannelNote = &mut notes[note_idx];
                note.note.duration_s = time_s - note.note.start_s;
            }
        };
        let message = match message {
            MidiMessage::NoteOn { key, vel } if vel > 0 => {
                release(key.as_int(), &mut notes);
                held[usize::from(channel)][usize::from(key.as_int())] = Some(notes.len());
                let velocity = f64::from(vel.as_int()) / 127.0;
                let note = Note { start_s: time_s, duration_s: 0.1, key: f64::from(key.as_int()), velocity };
                notes.push(ChannelNote { channel, program: programs[usize::from(channel)], note });
                [0x90, key.as_int(), vel.as_int()]
            }
            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                release(key.as_int(), &mut notes);
                [0x80, key.as_int(), 0]
            }
            MidiMessage::Controller { controller, value } => [0xb0, controller.as_int(), value.as_int()],
            MidiMessage::ProgramChange { program } => {
                programs[usize::from(channel)] = program.as_int();
                [0xc0, program.as_int(), 0]
            }
            MidiMessage::PitchBend { bend } => {
                let bend = bend.0.as_int();
                [0xe0, (bend & 0x7f) as u8, (bend >> 7) as u8]
            }
            MidiMessage::Aftertouch { .. } | MidiMessage::ChannelAftertouch { .. } => continue,
        };
        events.push(Event { time_s, channel, message });
    }
    if notes.is_empty() {
        bail!("expected notes, found none");
    }
    let duration_s = notes.iter().map(|note| note.note.start_s + note.note.duration_s).fold(0.0, f64::max);
    let pitched = notes.iter().filter(|note| note.channel != PERCUSSION && note.stem() != DRUMS);
    let major_tonic = major_tonic_of(&pitch_classes(pitched.map(|note| &note.note)));
    let beats_per_minute = clock.mean_beats_per_minute();
    let sha256 = base::sha256_bytes(bytes);
    Ok(MidiSong { path: path.into(), sha256, events, notes, beats_per_minute, time_signature, duration_s, major_tonic })
}

/// From ticks to seconds.
struct Clock {
    timing: Timing,
    us_per_beat: f64,
    tick: u64,
    time_s: f64,
}

impl Clock {
    fn new(timing: Timing) -> Result<Clock> {
        if let Timing::Metrical(ticks) = timing {
            ensure!(ticks.as_int() > 0, "header, field \"division\": expected more than 0 ticks per beat, found 0");
        }
        Ok(Clock { timing, us_per_beat: 500_000.0, tick: 0, time_s: 0.0 })
    }

    fn advance(&mut self, tick: u64) -> f64 {
        let ticks = (tick - self.tick) as f64;
        self.time_s += match self.timing {
            Timing::Metrical(per_beat) => ticks * self.us_per_beat / 1e6 / f64::from(per_beat.as_int()),
            Timing::Timecode(fps, subframe) => ticks / f64::from(fps.as_f32()) / f64::from(subframe.max(1)),
        };
        self.tick = tick;
        self.time_s
    }

    /// Beats per minute over all; 120 where the file does not count in beats.
    fn mean_beats_per_minute(&self) -> f64 {
        match self.timing {
            Timing::Metrical(per_beat) if self.time_s > 0.0 => {
                60.0 * self.tick as f64 / f64::from(per_beat.as_int()) / self.time_s
            }
            _ => 120.0,
        }
    }
}

/// Everything is rendered at this rate.
pub const RATE: i32 = SAMPLE_RATE_HZ as i32;
