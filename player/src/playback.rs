//! What the sound card is given: the song at the transport's place, with the stems' gains.

use crate::{
    song::LoadedSong,
    stem_store::{CHUNK_LEN, StemStore},
    transport::Transport,
};
use std::sync::Arc;
use unbraid_plugin::{
    meters::{MeterWriter, Meters},
    mix_controls::MixControls,
    params::UnbraidParams,
    stem_mixer::StemMixer,
};

/// Samples that are made at a time.
const MAX_BLOCK_LEN: usize = 1024;
/// Length of fades: to and from stems, at seeks, at pauses.
const FADE_LEN: usize = 256;

/// The audio thread's part of a player.
///
/// Where stems are not there yet, each is a quarter of the mix, as in the plugin: so a seek gives sound at once, and
/// fades to the stems when they come.
pub struct Playback {
    song: Arc<LoadedSong>,
    store: Arc<StemStore>,
    transport: Arc<Transport>,
    params: Arc<UnbraidParams>,
    mixer: StemMixer,
    meters: MeterWriter,
    controls: MixControls,
    /// The next sample.
    position: i64,
    /// How much of the stems is heard, 0..=1; the rest are quarters of the mix.
    presence: f32,
    /// 0 at a pause, 1 while it plays.
    level: f32,
    block: Block,
    /// What would have come without a seek.
    left: Block,
    /// Samples of it that are still to be faded out.
    num_left: usize,
}

/// `[channel][sample]` of the mix, `[stem][channel][sample]` of the stems.
struct Block {
    mix: [Vec<f32>; 2],
    stems: [[Vec<f32>; 2]; 4],
}

impl Block {
    fn new(len: usize) -> Self {
        let silence = || [vec![0.0; len], vec![0.0; len]];
        Block { mix: silence(), stems: std::array::from_fn(|_| silence()) }
    }
}

impl Playback {
    /// A playback that begins where the transport is.
    pub fn new(
        song: Arc<LoadedSong>,
        store: Arc<StemStore>,
        transport: Arc<Transport>,
        params: Arc<UnbraidParams>,
        meters: Arc<Meters>,
    ) -> Self {
        let (rate_hz, controls) = (f64::from(song.sample_rate_hz()), params.mix_controls());
        Playback {
            mixer: StemMixer::new(rate_hz, controls.gains(false)),
            meters: MeterWriter::new(meters, rate_hz),
            controls,
            position: transport.position(),
            presence: 0.0,
            level: 0.0,
            block: Block::new(MAX_BLOCK_LEN),
            left: Block::new(FADE_LEN),
            num_left: 0,
            song,
            store,
            transport,
            params,
        }
    }

    /// The next samples, `[channel][sample]`.
    ///
    /// # Realtime
    /// Safe: no allocation, no lock, no system call.
    pub fn render(&mut self, out: [&mut [f32]; 2]) {
        let [left, right] = out;
        for (left, right) in left.chunks_mut(MAX_BLOCK_LEN).zip(right.chunks_mut(MAX_BLOCK_LEN)) {
            self.render_block([left, right]);
        }
    }

    fn render_block(&mut self, out: [&mut [f32]; 2]) {
        let len = out[0].len();
        if let Some(position) = self.transport.take_seek() {
            self.jump(position);
        }
        let is_playing = self.transport.is_playing();
        if !is_playing && self.level == 0.0 {
            self.num_left = 0;
            out.into_iter().for_each(|channel| channel.fill(0.0));
            self.transport.set_position(self.position);
            return;
        }
        self.fill(len, true);
        self.fade_out_left(len);
        let controls = self.params.mix_controls();
        if controls != self.controls {
            self.controls = controls;
            self.mixer.set_gains(controls.gains(false));
        }
        let mix = self.block.mix.each_mut().map(|channel| &mut channel[..len]);
        let mut stems = self.block.stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..len]));
        self.mixer.mix(mix, &mut stems);
        let goal = if is_playing { 1.0 } else { 0.0 };
        let mut level = self.level;
        for (channel, out) in out.into_iter().enumerate() {
            level = self.level;
            for (out, x) in out.iter_mut().zip(&self.block.mix[channel][..len]) {
                level = towards(level, goal);
                *out = if level == 1.0 { *x } else { level * x };
            }
        }
        self.level = level;
        let [vocals, drums, bass, other] = &self.block.stems;
        let signals = [vocals, drums, bass, other, &self.block.mix];
        self.meters.write(signals.map(|channels| channels.each_ref().map(|channel| &channel[..len])));
        self.transport.set_position(self.position);
    }

    /// Goes elsewhere, and keeps what would have come for a short fade.
    fn jump(&mut self, position: i64) {
        if self.level > 0.0 {
            self.fill(FADE_LEN, false);
            self.num_left = FADE_LEN;
            for (to, from) in self.left.mix.iter_mut().zip(&self.block.mix) {
                to.copy_from_slice(&from[..FADE_LEN]);
            }
            for (to, from) in self.left.stems.iter_mut().flatten().zip(self.block.stems.iter().flatten()) {
                to.copy_from_slice(&from[..FADE_LEN]);
            }
        }
        self.position = position;
        // What is heard now fades anyway.
        self.presence = if self.store.has(position.div_euclid(CHUNK_LEN as i64)) { 1.0 } else { 0.0 };
        self.transport.count_seek();
    }

    fn fade_out_left(&mut self, len: usize) {
        let num = self.num_left.min(len);
        let first = FADE_LEN - self.num_left;
        let stems = self.block.stems.iter_mut().flatten().zip(self.left.stems.iter().flatten());
        for (new, old) in self.block.mix.iter_mut().zip(&self.left.mix).chain(stems) {
            for idx in 0..num {
                let share = (first + idx + 1) as f32 / FADE_LEN as f32;
                new[idx] = old[first + idx] + share * (new[idx] - old[first + idx]);
            }
        }
        self.num_left -= num;
    }

    /// Fills `block` with the next `len` samples, around the loop if there is one, and moves on. At the end of the song
    /// playing stops, if it may.
    fn fill(&mut self, len: usize, may_stop: bool) {
        let mut done = 0;
        while done < len {
            let active_loop = self.transport.active_loop().filter(|range| self.position < range.end);
            let end = match (&active_loop, self.song.known_len()) {
                (Some(range), _) => range.end,
                (None, Some(song_len)) => song_len,
                (None, None) => i64::MAX,
            };
            let known_end = self.song.known_len().unwrap_or_else(|| self.song.num_decoded()).min(end);
            if self.position >= known_end {
                // The end of the song; or what comes next is not decoded yet, and is waited for.
                if may_stop && self.song.known_len().is_some() {
                    self.transport.set_playing(false);
                }
                self.silence(done..len);
                return;
            }
            let chunk_idx = self.position.div_euclid(CHUNK_LEN as i64);
            let offset = self.position.rem_euclid(CHUNK_LEN as i64) as usize;
            // The end of a chunk is where stems may run out.
            let segment_end = if offset < CHUNK_LEN - FADE_LEN { CHUNK_LEN - FADE_LEN } else { CHUNK_LEN };
            let num = (segment_end - offset).min(len - done).min((known_end - self.position) as usize);
            let goes_on = segment_end < CHUNK_LEN || self.store.has(chunk_idx + 1) || self.is_last(chunk_idx);
            self.fill_segment(done..done + num, chunk_idx, offset, goes_on);
            done += num;
            self.position += num as i64;
            if let Some(range) = active_loop
                && self.position == range.end
            {
                self.position = range.start;
                if !self.store.has(range.start.div_euclid(CHUNK_LEN as i64)) {
                    self.presence = 0.0;
                }
            }
        }
    }

    fn is_last(&self, chunk_idx: i64) -> bool {
        let next_start = (chunk_idx + 1) * CHUNK_LEN as i64;
        self.song.known_len().is_some_and(|len| next_start >= len)
            || self.transport.active_loop().is_some_and(|range| next_start >= range.end)
    }

    fn silence(&mut self, range: std::ops::Range<usize>) {
        let stems = self.block.stems.iter_mut().flatten();
        self.block.mix.iter_mut().chain(stems).for_each(|channel| channel[range.clone()].fill(0.0));
    }

    /// A part of `block` from within one chunk. `goes_on`: the next chunk is there too.
    fn fill_segment(&mut self, range: std::ops::Range<usize>, chunk_idx: i64, offset: usize, goes_on: bool) {
        let Block { mix, stems } = &mut self.block;
        let mix = mix.each_mut().map(|channel| &mut channel[range.clone()]);
        let mut stems = stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[range.clone()]));
        let [left, right] = mix;
        self.song.read_into(self.position, [&mut *left, &mut *right]);
        let is_there = self.store.read_into(chunk_idx, offset, &mut stems);
        if !is_there {
            self.presence = 0.0;
        }
        let goal = if is_there && goes_on { 1.0 } else { 0.0 };
        if self.presence == 1.0 && goal == 1.0 {
            return;
        }
        if self.presence == 1.0 {
            self.transport.count_late();
        }
        let mut presence = self.presence;
        for stem in &mut stems {
            for (samples, mix) in stem.iter_mut().zip([&*left, &*right]) {
                presence = self.presence;
                for (sample, mix) in samples.iter_mut().zip(mix) {
                    presence = towards(presence, goal);
                    let quarter = 0.25 * mix;
                    *sample = if presence == 0.0 { quarter } else { quarter + presence * (*sample - quarter) };
                }
            }
        }
        self.presence = presence;
    }
}

/// A step of a fade.
fn towards(value: f32, goal: f32) -> f32 {
    const STEP: f32 = 1.0 / FADE_LEN as f32;
    if value < goal { (value + STEP).min(goal) } else { (value - STEP).max(goal) }
}
