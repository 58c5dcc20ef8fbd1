//! The audio thread's side of the host.

use super::handlers::Handlers;
use crate::signal::{Stereo, silence};
use clack_extensions::tail::{PluginTail, TailLength};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;
use std::time::{Duration, Instant};

/// A parameter change at a sample of the stream.
#[derive(Debug, Clone, Copy)]
pub struct Automation {
    /// Counted from the start of the stream.
    pub sample_idx: usize,
    /// Which parameter.
    pub param: ClapId,
    /// In the plugin's own range, as `Plugin::value_of` gives it.
    pub value: f64,
}

/// How the host hands over the outputs beside the main one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outputs {
    /// Each with memory.
    #[default]
    Connected,
    /// As many ports as there are, without memory.
    NoMemory,
    /// Only the main port.
    MainOnly,
}

/// An active plugin with the buffers of the host. `Send`, so that a test can have an audio thread.
pub struct Processor {
    plugin: StartedPluginAudioProcessor<Handlers>,
    tail: PluginTail,
    outputs: Outputs,
    ports: [AudioPorts; 2],
    /// `[input or output][port][channel][sample]`, of the largest block's length.
    buffers: [Vec<Vec<Vec<f32>>>; 2],
    steady_time: u64,
}

impl Processor {
    pub(super) fn new(
        plugin: StartedPluginAudioProcessor<Handlers>,
        tail: PluginTail,
        channels: &[Vec<usize>; 2],
        max_block_len: usize,
    ) -> Processor {
        let ports = channels.each_ref().map(|ports| AudioPorts::with_capacity(ports.iter().sum(), ports.len()));
        let port = |num_channels: &usize| vec![vec![0.0; max_block_len]; *num_channels];
        let buffers = channels.each_ref().map(|ports| ports.iter().map(port).collect());
        Processor { plugin, tail, outputs: Outputs::default(), ports, buffers, steady_time: 0 }
    }

    pub(super) fn stop(self) -> StoppedPluginAudioProcessor<Handlers> {
        self.plugin.stop_processing()
    }

    /// How the outputs of stems are handed over from now on.
    pub fn set_outputs(&mut self, outputs: Outputs) {
        self.outputs = outputs;
    }

    /// For how many samples something may come out after the input has ended; `None` for ever.
    pub fn tail(&mut self) -> Option<usize> {
        match self.tail.get(&self.plugin.plugin_handle()) {
            TailLength::Finite(samples) => Some(samples as usize),
            TailLength::Infinite => None,
        }
    }

    /// Clears the plugin's memory of the past.
    pub fn reset(&mut self) {
        self.plugin.reset();
        self.steady_time = 0;
    }

    /// One block, of the length of `input`'s channels (a mono port gets the left one); the events' times are counted from the start of the block. The
    /// outputs lie in `output` afterwards. `around` is called with what calls the plugin's `process()` and nothing
    /// else, so that a test can watch exactly that.
    ///
    /// # Panics
    /// When the plugin reports an error, or `around` does not call it.
    pub fn process_block_within(
        &mut self,
        input: [&[f32]; 2],
        events: &EventBuffer,
        around: impl FnOnce(&mut dyn FnMut()),
    ) {
        let block_len = input[0].len();
        let [inputs, outputs] = &mut self.buffers;
        let [input_ports, output_ports] = &mut self.ports;
        for (channel, input) in inputs[0].iter_mut().zip(input) {
            channel[..block_len].copy_from_slice(input);
        }
        let input_audio = input_ports.with_input_buffers(inputs.iter_mut().map(|port| AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(
                port.iter_mut().map(|channel| InputChannel::variable(&mut channel[..block_len])),
            ),
        }));
        let num_outputs = if self.outputs == Outputs::MainOnly { 1 } else { outputs.len() };
        let handed_over = outputs.iter_mut().take(num_outputs);
        let mut output_audio = output_ports.with_output_buffers(handed_over.map(|port| AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(port.iter_mut().map(|channel| &mut channel[..block_len])),
        }));
        if self.outputs == Outputs::NoMemory {
            for port in output_audio.as_raw_buffers().iter_mut().skip(1) {
                port.data32 = std::ptr::null_mut();
            }
        }
        let (input_events, mut output_events) = (events.as_input(), OutputEvents::void());
        let time = Some(self.steady_time);
        let plugin = &mut self.plugin;
        let mut status = None;
        around(&mut || {
            status =
                Some(plugin.process(&input_audio, &mut output_audio, &input_events, &mut output_events, time, None));
        });
        status.expect("process() is called").expect("the plugin processes the block");
        self.steady_time += block_len as u64;
    }

    /// One block, as `process_block_within`, with nothing around.
    pub fn process_block(&mut self, input: [&[f32]; 2], events: &EventBuffer) {
        self.process_block_within(input, events, |process| process());
    }

    /// What the last block left on output `port_idx`: `[channel][sample]`, valid up to the block's length.
    pub fn output(&self, port_idx: usize) -> &[Vec<f32>] {
        &self.buffers[1][port_idx]
    }

    /// Number of output ports.
    pub fn num_outputs(&self) -> usize {
        self.buffers[1].len()
    }

    /// Streams `input` through the plugin in blocks of the lengths that `block_lens` gives (the last one is cut short)
    /// and returns `[port][channel][sample]`, as long as the input. A mono port comes twice.
    pub fn render(
        &mut self,
        input: &Stereo,
        block_lens: impl IntoIterator<Item = usize>,
        automation: &[Automation],
    ) -> Vec<Stereo> {
        self.render_paced(input, block_lens.into_iter().map(|block_len| (block_len, Duration::ZERO)), automation)
    }

    /// As `render`; each block waits until so much time has passed since the first one.
    pub fn render_paced(
        &mut self,
        input: &Stereo,
        blocks: impl IntoIterator<Item = (usize, Duration)>,
        automation: &[Automation],
    ) -> Vec<Stereo> {
        let num_samples = input[0].len();
        let mut out = vec![silence(num_samples); self.num_outputs()];
        let mut events = EventBuffer::new();
        let mut start = 0;
        let begin = Instant::now();
        for (block_len, due) in blocks {
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
            let end = (start + block_len).min(num_samples);
            events.clear();
            for change in automation.iter().filter(|change| (start..end).contains(&change.sample_idx)) {
                let time = (change.sample_idx - start) as u32;
                events.push(&ParamValueEvent::new(time, change.param, Pckn::match_all(), change.value));
            }
            self.process_block([&input[0][start..end], &input[1][start..end]], &events);
            for (port_idx, port) in out.iter_mut().enumerate() {
                let last_channel = self.output(port_idx).len() - 1;
                for (channel_idx, channel) in port.iter_mut().enumerate() {
                    let block = &self.output(port_idx)[channel_idx.min(last_channel)];
                    channel[start..end].copy_from_slice(&block[..end - start]);
                }
            }
            start = end;
            if start == num_samples {
                break;
            }
        }
        assert_eq!(start, num_samples, "the blocks end before the input does");
        out
    }
}
