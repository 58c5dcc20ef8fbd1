//! What happens in `process()`, without a host.

use crate::stem_mixer::StemMixer;
use separator::{AudioSide, DenormalsAreZero};

/// The audio thread's part of an instance: the engine's audio side, and the mixer after it.
pub struct Processor {
    audio_side: AudioSide,
    mixer: StemMixer,
    /// Offline render: wait for the stems.
    wait: bool,
    max_block_len: usize,
    /// `[channel][sample]`, one block.
    input: [Vec<f32>; 2],
    /// `[stem][channel][sample]`, one block.
    stems: [[Vec<f32>; 2]; 4],
    /// Samples since the input was last heard.
    silent_len: usize,
}

impl Processor {
    /// Buffers for blocks of `max_block_len` samples (longer ones are cut), gains at `gains`. `wait` is for offline
    /// renders only.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(audio_side: AudioSide, sample_rate_hz: f64, max_block_len: usize, gains: [f32; 4], wait: bool) -> Self {
        let max_block_len = max_block_len.max(1);
        let block = || [vec![0.0; max_block_len], vec![0.0; max_block_len]];
        Processor {
            audio_side,
            mixer: StemMixer::new(sample_rate_hz, gains),
            wait,
            max_block_len,
            input: block(),
            stems: [(); 4].map(|()| block()),
            silent_len: usize::MAX,
        }
    }

    /// By how many samples the output lags behind the input.
    ///
    /// # Realtime
    /// Safe.
    pub fn latency_samples(&self) -> usize {
        self.audio_side.latency_samples()
    }

    /// The engine's audio side, for another processor. Frees the buffers.
    ///
    /// # Realtime
    /// Not safe: frees memory.
    pub fn into_audio_side(self) -> AudioSide {
        self.audio_side
    }

    /// Turns the mix into the new mix, in place (`[channel][sample]`), and fills the outputs of the stems, if there are
    /// any (`[stem][channel][sample]`; the same lengths). `gains` are gone to from the first sample on.
    ///
    /// Returns whether something may still be heard when nothing more comes in.
    ///
    /// # Panics
    /// If the lengths differ.
    ///
    /// # Realtime
    /// Safe, unless it waits.
    pub fn process(
        &mut self,
        mut main: [&mut [f32]; 2],
        mut stem_outputs: Option<[[&mut [f32]; 2]; 4]>,
        gains: [f32; 4],
    ) -> bool {
        // Hosts may leave denormals on; copies keep them, so unity stays bit for bit.
        let _denormals = DenormalsAreZero::new();
        self.mixer.set_gains(gains);
        let len = main[0].len();
        for start in (0..len).step_by(self.max_block_len) {
            let range = start..len.min(start + self.max_block_len);
            let main = main.each_mut().map(|channel| &mut channel[range.clone()]);
            let block_len = range.len();
            self.process_block(main);
            for (outputs, stem) in stem_outputs.iter_mut().flatten().zip(&self.stems) {
                for (output, stem) in outputs.iter_mut().zip(stem) {
                    output[range.clone()].copy_from_slice(&stem[..block_len]);
                }
            }
        }
        self.silent_len < self.tail_len()
    }

    /// For so many samples something may be heard after the input has ended: the delay, and as much again, since the
    /// network's masks may move within a slice.
    ///
    /// # Realtime
    /// Safe.
    pub fn tail_len(&self) -> usize {
        2 * self.audio_side.latency_samples()
    }

    /// Forgets everything that was heard; gains jump to `gains`.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self, gains: [f32; 4]) {
        self.audio_side.reset();
        self.mixer.reset(gains);
        self.silent_len = usize::MAX;
    }

    fn process_block(&mut self, mut main: [&mut [f32]; 2]) {
        let len = main[0].len();
        for (input, main) in self.input.iter_mut().zip(&main) {
            input[..len].copy_from_slice(main);
        }
        let input = self.input.each_ref().map(|channel| &channel[..len]);
        let is_silent = input.iter().all(|channel| channel.iter().all(|&sample| sample == 0.0));
        self.silent_len = if is_silent { self.silent_len.saturating_add(len) } else { 0 };
        let mut stems = self.stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..len]));
        self.audio_side.process_into(input, main.each_mut().map(|channel| &mut **channel), &mut stems, self.wait);
        self.mixer.mix(main, &mut stems);
    }
}
