//! Blocks through `process()`.

use super::{Mode, Plugin};
use crate::signal::{Stereo, silence};
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use vst3::ComPtr;
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, BusDirections_, IAudioProcessorTrait, IComponent, IComponentTrait,
    MediaTypes_, ParamID, ProcessData, ProcessModes_, SymbolicSampleSizes_,
};
use vst3::Steinberg::kResultOk;

/// A parameter change at a sample of the stream.
#[derive(Debug, Clone, Copy)]
pub struct Automation {
    /// Counted from the start of the stream.
    pub sample_idx: usize,
    /// Which parameter.
    pub param: ParamID,
    /// Normalized.
    pub value: f64,
}

/// How the host hands over the outputs beside the main one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// Each with memory.
    Connected,
    /// As many buses as there are, without an array of channels and with 0 channels (JUCE, for inactive buses).
    NoChannels,
    /// As many buses as there are, with their numbers of channels, but without an array of them.
    NoArray,
    /// As many buses as there are, each channel a null pointer.
    NullChannels,
    /// Only the main bus.
    MainOnly,
}

/// The host's audio memory.
pub(super) struct Buffers {
    /// `[input or output][bus][channel][sample]`
    channels: [Vec<Vec<Vec<f32>>>; 2],
    /// `[input or output][bus][channel]`, pointers into the above, or null.
    pointers: [Vec<Vec<*mut f32>>; 2],
    /// `[input or output][bus]`
    buses: [Vec<AudioBusBuffers>; 2],
}

impl Buffers {
    pub(super) fn new(component: &ComPtr<IComponent>) -> Buffers {
        let channels = [BusDirections_::kInput, BusDirections_::kOutput].map(|direction| {
            // SAFETY: `info` is plain data that the component fills in.
            let count = unsafe { component.getBusCount(MediaTypes_::kAudio as i32, direction as i32) };
            let bus = |index| unsafe {
                let mut info = std::mem::zeroed();
                component.getBusInfo(MediaTypes_::kAudio as i32, direction as i32, index, &mut info);
                vec![Vec::new(); info.channelCount as usize]
            };
            (0..count).map(bus).collect::<Vec<_>>()
        });
        let pointers = channels.each_ref().map(|buses| buses.iter().map(|bus| vec![null_mut(); bus.len()]).collect());
        let no_memory = AudioBusBuffers__type0 { channelBuffers32: null_mut() };
        let bus = AudioBusBuffers { numChannels: 0, silenceFlags: 0, __field0: no_memory };
        let buses = channels.each_ref().map(|channels| vec![bus; channels.len()]);
        Buffers { channels, pointers, buses }
    }

    pub(super) fn resize(&mut self, max_block_len: usize) {
        for channel in self.channels.iter_mut().flatten().flatten() {
            *channel = vec![0.0; max_block_len];
        }
    }

    /// Points everything at the memory of now. `outputs`: how the buses after the first are handed over.
    fn connect(&mut self, outputs: Outputs) {
        for direction in 0..2 {
            for bus_idx in 0..self.channels[direction].len() {
                let how = if direction == 1 && bus_idx > 0 { outputs } else { Outputs::Connected };
                let (channels, pointers) =
                    (&mut self.channels[direction][bus_idx], &mut self.pointers[direction][bus_idx]);
                for (pointer, channel) in pointers.iter_mut().zip(channels) {
                    *pointer = if how == Outputs::Connected { channel.as_mut_ptr() } else { null_mut() };
                }
                let has_array = matches!(how, Outputs::Connected | Outputs::NullChannels);
                let bus = &mut self.buses[direction][bus_idx];
                bus.numChannels = if how == Outputs::NoChannels { 0 } else { pointers.len() as i32 };
                bus.__field0.channelBuffers32 = if has_array { pointers.as_mut_ptr() } else { null_mut() };
            }
        }
    }
}

impl Plugin {
    /// One block, of the length of `input`'s channels (a mono bus gets the left one), with changes at samples of the
    /// block. The outputs lie in `output` afterwards. `around` is called with what calls the plugin's `process()` and
    /// nothing else, so that a test can watch exactly that.
    ///
    /// # Panics
    /// When the plugin reports an error, or `around` does not call it.
    pub fn process_block_within(
        &mut self,
        input: [&[f32]; 2],
        changes: &[Automation],
        outputs: Outputs,
        around: impl FnOnce(&mut dyn FnMut()),
    ) {
        let block_len = input[0].len();
        for (channel, input) in self.buffers.channels[0][0].iter_mut().zip(input) {
            channel[..block_len].copy_from_slice(input);
        }
        self.buffers.connect(outputs);
        self.changes.set(changes.iter().map(|change| (change.param, change.sample_idx, change.value)));
        let [input_buses, output_buses] = &mut self.buffers.buses;
        let num_outputs = if outputs == Outputs::MainOnly { 1 } else { output_buses.len() };
        let process_mode = match self.mode {
            Mode::Realtime => ProcessModes_::kRealtime,
            Mode::Prefetch => ProcessModes_::kPrefetch,
            Mode::Offline => ProcessModes_::kOffline,
        };
        let mut data = ProcessData {
            processMode: process_mode as i32,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            numSamples: block_len as i32,
            numInputs: input_buses.len() as i32,
            numOutputs: num_outputs as i32,
            inputs: input_buses.as_mut_ptr(),
            outputs: output_buses.as_mut_ptr(),
            inputParameterChanges: self.changes_pointer.as_ptr(),
            outputParameterChanges: null_mut(),
            inputEvents: null_mut(),
            outputEvents: null_mut(),
            processContext: null_mut(),
        };
        let mut result = None;
        let processor = &self.processor;
        // SAFETY: all pointers are to memory of this host that outlives the call and is as large as is said.
        around(&mut || result = Some(unsafe { processor.process(&mut data) }));
        assert_eq!(result, Some(kResultOk), "the plugin processes the block");
    }

    /// What the last block left on output bus `bus_idx`: `[channel][sample]`, valid up to the block's length.
    pub fn output(&self, bus_idx: usize) -> &[Vec<f32>] {
        &self.buffers.channels[1][bus_idx]
    }

    /// Streams `input` through in blocks of the lengths that `block_lens` gives (the last one is cut short) as fast as
    /// the plugin takes them; `[bus][channel][sample]`, as long as the input. A mono bus comes twice.
    ///
    /// # Panics
    /// When the blocks end before the input does.
    pub fn render(
        &mut self,
        input: &Stereo,
        block_lens: impl IntoIterator<Item = usize>,
        automation: &[Automation],
        outputs: Outputs,
    ) -> Vec<Stereo> {
        let blocks = block_lens.into_iter().map(|block_len| (block_len, Duration::ZERO));
        self.render_paced(input, blocks, automation, outputs)
    }

    /// As `render`; each block waits until so much time has passed since the first one.
    pub fn render_paced(
        &mut self,
        input: &Stereo,
        blocks: impl IntoIterator<Item = (usize, Duration)>,
        automation: &[Automation],
        outputs: Outputs,
    ) -> Vec<Stereo> {
        let num_samples = input[0].len();
        let mut rendered = vec![silence(num_samples); self.buffers.channels[1].len()];
        let (mut start, begin) = (0, Instant::now());
        for (block_len, due) in blocks {
            std::thread::sleep(due.saturating_sub(begin.elapsed()));
            let end = (start + block_len).min(num_samples);
            let changes: Vec<_> = automation
                .iter()
                .filter(|change| (start..end).contains(&change.sample_idx))
                .map(|change| Automation { sample_idx: change.sample_idx - start, ..*change })
                .collect();
            let block = [&input[0][start..end], &input[1][start..end]];
            self.process_block_within(block, &changes, outputs, |process| process());
            for (bus_idx, bus) in rendered.iter_mut().enumerate() {
                let last_channel = self.output(bus_idx).len() - 1;
                for (channel_idx, channel) in bus.iter_mut().enumerate() {
                    let output = &self.output(bus_idx)[channel_idx.min(last_channel)];
                    channel[start..end].copy_from_slice(&output[..end - start]);
                }
            }
            start = end;
            if start == num_samples {
                return rendered;
            }
        }
        panic!("the blocks end before the input does");
    }
}
