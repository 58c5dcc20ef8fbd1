//! What happens in `process()`, without a host.

use crate::{delayed_gains::DelayedGains, stem_mixer::StemMixer};
use separator::{AudioSide, DenormalsAreZero};

/// What the host and the user want of one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controls {
    /// `[stem]`, linear: the gains that the host sends with the first input sample of the block. They are gone to when
    /// that sample comes out.
    pub gains: [f32; 4],
    /// `[stem]`: this stem's gain is gone to from the first output sample on instead.
    pub at_once: [bool; 4],
    /// The host renders offline: wait for the stems, however long they take.
    pub is_offline: bool,
}

/// The audio thread's part of an instance: the engine's audio side, and the mixer after it.
pub struct Processor {
    audio_side: AudioSide,
    mixer: StemMixer,
    /// Gains that are gone to later.
    delayed_gains: DelayedGains,
    /// `[stem]`, the gains that came last.
    newest_gains: [f32; 4],
    /// Samples since the last reset.
    position: u64,
    max_block_len: usize,
    /// `[channel][sample]`, one block.
    input: [Vec<f32>; 2],
    /// `[channel][sample]`, one block of the new mix.
    mix: [Vec<f32>; 2],
    /// `[stem][channel][sample]`, one block.
    stems: [[Vec<f32>; 2]; 4],
    /// Samples since the input was last heard.
    silent_len: usize,
}

impl Processor {
    /// Buffers for blocks of `max_block_len` samples (longer ones are cut), gains at `gains`.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(audio_side: AudioSide, sample_rate_hz: f64, max_block_len: usize, gains: [f32; 4]) -> Self {
        let max_block_len = max_block_len.max(1);
        let block = || [vec![0.0; max_block_len], vec![0.0; max_block_len]];
        Processor {
            delayed_gains: DelayedGains::new(audio_side.latency_samples()),
            audio_side,
            mixer: StemMixer::new(sample_rate_hz, gains),
            newest_gains: gains,
            position: 0,
            max_block_len,
            input: block(),
            mix: block(),
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

    /// Turns the mix into the new mix, in place (`[channel][sample]`, one channel or two), and fills the outputs of the
    /// stems (`[stem][channel][sample]`; the same lengths). A stem's output that has no channels or empty ones is not
    /// connected.
    ///
    /// The first `num_inputs` channels, 1 or 2, hold the input. A mono track is one whose channels are the same; its
    /// single output is the left one.
    ///
    /// Returns whether something may still be heard when nothing more comes in.
    ///
    /// # Panics
    /// If `main` has no channel, or its channels have different lengths.
    ///
    /// # Realtime
    /// Safe, unless it waits.
    pub fn process(
        &mut self,
        main: &mut [&mut [f32]],
        num_inputs: usize,
        mut stem_outputs: [&mut [&mut [f32]]; 4],
        controls: Controls,
    ) -> bool {
        // Hosts may leave denormals on; copies keep them, so unity stays bit for bit.
        let _denormals = DenormalsAreZero::new();
        self.take_gains(controls.gains, controls.at_once);
        let len = main[0].len();
        let num_inputs = num_inputs.clamp(1, main.len());
        for start in (0..len).step_by(self.max_block_len) {
            let range = start..len.min(start + self.max_block_len);
            for (channel_idx, input) in self.input.iter_mut().enumerate() {
                let main = &main[channel_idx.min(num_inputs - 1)];
                input[..range.len()].copy_from_slice(&main[range.clone()]);
            }
            self.process_block(range.len(), controls.is_offline);
            for (main, mix) in main.iter_mut().zip(&self.mix) {
                main[range.clone()].copy_from_slice(&mix[..range.len()]);
            }
            for (outputs, stem) in stem_outputs.iter_mut().zip(&self.stems) {
                for (output, stem) in outputs.iter_mut().zip(stem) {
                    if output.len() == len {
                        output[range.clone()].copy_from_slice(&stem[..range.len()]);
                    }
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
        self.delayed_gains.clear();
        self.newest_gains = gains;
        self.position = 0;
        self.silent_len = usize::MAX;
    }

    /// Gains that came with the input sample at `position`.
    fn take_gains(&mut self, gains: [f32; 4], at_once: [bool; 4]) {
        // What is due now is older than what comes now.
        self.go_to_due_gains();
        let mut is_delayed = false;
        let mut targets = self.mixer.targets();
        for stem_idx in 0..4 {
            if at_once[stem_idx] {
                targets[stem_idx] = gains[stem_idx];
                self.delayed_gains.override_stem(stem_idx, gains[stem_idx]);
            } else {
                is_delayed |= gains[stem_idx] != self.newest_gains[stem_idx];
            }
        }
        self.mixer.set_gains(targets);
        if is_delayed {
            self.delayed_gains.push(self.position + self.audio_side.latency_samples() as u64, gains);
            // Without latency it is due at once.
            self.go_to_due_gains();
        }
        self.newest_gains = gains;
    }

    fn go_to_due_gains(&mut self) {
        if let Some(gains) = self.delayed_gains.take_due(self.position) {
            self.mixer.set_gains(gains);
        }
    }

    /// Turns `input` into `mix` and `stems`.
    fn process_block(&mut self, len: usize, is_offline: bool) {
        let input = self.input.each_ref().map(|channel| &channel[..len]);
        let is_silent = input.iter().all(|channel| channel.iter().all(|&sample| sample == 0.0));
        self.silent_len = if is_silent { self.silent_len.saturating_add(len) } else { 0 };
        let mix = self.mix.each_mut().map(|channel| &mut channel[..len]);
        let mut stems = self.stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[..len]));
        self.audio_side.process_into(input, mix, &mut stems, is_offline);
        // From one change of gains to the next.
        let mut start = 0;
        while start < len {
            self.go_to_due_gains();
            let until_next = self.delayed_gains.next_due().map_or(u64::MAX, |due| due - self.position);
            let range = start..start + until_next.min((len - start) as u64) as usize;
            let mix = self.mix.each_mut().map(|channel| &mut channel[range.clone()]);
            let mut stems =
                self.stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[range.clone()]));
            self.mixer.mix(mix, &mut stems);
            self.position += range.len() as u64;
            start = range.end;
        }
    }
}
