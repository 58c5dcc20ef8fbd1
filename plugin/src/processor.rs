//! What happens in `process()`, without a host.

use crate::{
    delayed_controls::DelayedControls,
    meters::MeterWriter,
    mix_controls::{ControlSet, MixControls},
    stem_mixer::StemMixer,
};
use separator::{AudioSide, DenormalsAreZero};

/// What the host and the user want of one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controls {
    /// The controls as the host sends them with the first input sample of the block. They act when that sample comes out.
    pub mix: MixControls,
    /// These act from the first output sample on instead.
    pub at_once: ControlSet,
    /// The host renders offline: wait for the stems, however long they take.
    pub is_offline: bool,
}

/// The audio thread's part of an instance: the engine's audio side, and the mixer after it.
pub struct Processor {
    audio_side: AudioSide,
    mixer: StemMixer,
    /// Controls that act later.
    delayed_controls: DelayedControls,
    /// The controls that act now.
    acting: MixControls,
    /// The controls that came last.
    newest: MixControls,
    /// Whether the outputs have one channel.
    is_mono: bool,
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
    /// None in tests that measure nothing.
    meter_writer: Option<MeterWriter>,
}

impl Processor {
    /// Buffers for blocks of `max_block_len` samples (longer ones are cut); `controls` act from the first one on.
    ///
    /// # Realtime
    /// Not safe: allocates.
    pub fn new(audio_side: AudioSide, sample_rate_hz: f64, max_block_len: usize, controls: MixControls) -> Self {
        let max_block_len = max_block_len.max(1);
        let block = || [vec![0.0; max_block_len], vec![0.0; max_block_len]];
        Processor {
            delayed_controls: DelayedControls::new(audio_side.latency_samples()),
            audio_side,
            mixer: StemMixer::new(sample_rate_hz, controls.gains(false)),
            acting: controls,
            newest: controls,
            is_mono: false,
            position: 0,
            max_block_len,
            input: block(),
            mix: block(),
            stems: [(); 4].map(|()| block()),
            silent_len: usize::MAX,
            meter_writer: None,
        }
    }

    /// Levels of what comes out go to `meter_writer`.
    ///
    /// # Realtime
    /// Safe, unless there was another one.
    pub fn set_meter_writer(&mut self, meter_writer: MeterWriter) {
        self.meter_writer = Some(meter_writer);
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
        self.take_layout(main.len() == 1);
        self.take_controls(&controls.mix, controls.at_once);
        // With the input that they came with: masks are made of it, and come out when it does.
        self.audio_side.set_sensitivities(controls.mix.stems.map(|stem| stem.sensitivity));
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

    /// No block comes until the next [`reset`](Self::reset).
    ///
    /// # Realtime
    /// Safe.
    pub fn stop(&mut self) {
        self.audio_side.stop();
    }

    /// Forgets everything that was heard; `controls` act.
    ///
    /// # Realtime
    /// Safe.
    pub fn reset(&mut self, controls: MixControls) {
        self.audio_side.reset();
        self.start_with(controls);
        self.position = 0;
        self.silent_len = usize::MAX;
    }

    /// These controls act, without a fade.
    fn start_with(&mut self, controls: MixControls) {
        self.mixer.reset(controls.gains(self.is_mono));
        self.delayed_controls.clear();
        self.acting = controls;
        self.newest = controls;
    }

    /// A host fixes the layout before it plays.
    fn take_layout(&mut self, is_mono: bool) {
        if is_mono != self.is_mono {
            self.is_mono = is_mono;
            self.mixer.reset(self.acting.gains(is_mono));
        }
    }

    /// Controls that came with the input sample at `position`.
    fn take_controls(&mut self, controls: &MixControls, at_once: ControlSet) {
        // Nothing was heard yet that a fade could lead from: what is muted from the start is never heard.
        if self.position == 0 {
            self.start_with(*controls);
            return;
        }
        // What is due now is older than what comes now.
        self.act_on_due_controls();
        if at_once != ControlSet::NONE {
            self.delayed_controls.override_controls(controls, at_once);
            self.newest.take(controls, at_once);
            let mut acting = self.acting;
            acting.take(controls, at_once);
            self.act(acting);
        }
        if *controls != self.newest {
            self.delayed_controls.push(self.position + self.audio_side.latency_samples() as u64, *controls);
            self.newest = *controls;
            // Without latency it is due at once.
            self.act_on_due_controls();
        }
    }

    fn act_on_due_controls(&mut self) {
        if let Some(controls) = self.delayed_controls.take_due(self.position) {
            self.act(controls);
        }
    }

    fn act(&mut self, controls: MixControls) {
        if controls != self.acting {
            self.acting = controls;
            self.mixer.set_gains(controls.gains(self.is_mono));
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
        // From one change of the controls to the next.
        let mut start = 0;
        while start < len {
            self.act_on_due_controls();
            let until_next = self.delayed_controls.next_due().map_or(u64::MAX, |due| due - self.position);
            let range = start..start + until_next.min((len - start) as u64) as usize;
            let mix = self.mix.each_mut().map(|channel| &mut channel[range.clone()]);
            let mut stems =
                self.stems.each_mut().map(|stem| stem.each_mut().map(|channel| &mut channel[range.clone()]));
            self.mixer.mix(mix, &mut stems);
            self.position += range.len() as u64;
            start = range.end;
        }
        if let Some(meter_writer) = &mut self.meter_writer {
            let [vocals, drums, bass, other] = &self.stems;
            let signals = [vocals, drums, bass, other, &self.mix];
            meter_writer.write(signals.map(|channels| channels.each_ref().map(|channel| &channel[..len])));
        }
    }
}
