//! The song once more, at the pace of a sound card: does the worker keep up?

use crate::BLOCK_LEN;
use crate::input::Input;
use std::thread;
use std::time::{Duration, Instant};
use tests::host::{Library, Plugin, Processor, UNBRAID_MULTI_OUT};
use tests::signal::{Stereo, silence};

/// Longest part of a song that is played.
const MAX_S: f64 = 30.0;
/// Time given to the plugin to load its model before the music starts, as anybody does who opens a project.
const LOADING_S: f64 = 2.0;

/// What was seen.
pub struct Live {
    pub duration_s: f64,
    /// Stretches in which a stem is not what the offline render gave.
    pub num_dropouts: usize,
    pub longest_ms: f64,
    /// Time that one block lasts.
    pub block_ms: f64,
}

/// Plays the song and compares its stems with those of the offline render.
pub fn play(library: &Library, input: &Input, stems: &[Stereo; 4], latency: usize) -> Live {
    let rate = f64::from(input.sample_rate_hz);
    let num_samples = input.mix[0].len().min((MAX_S * rate) as usize);
    let mut plugin = Plugin::new(library, UNBRAID_MULTI_OUT);
    plugin.set_offline(false);
    let mut processor = plugin.activate(rate, BLOCK_LEN);
    pace(&mut processor, &silence((LOADING_S * rate) as usize), rate);
    processor.reset();
    let (outputs, longest) = pace(
        &mut processor,
        &input.padded(latency).map(|mut channel| {
            channel.truncate(num_samples + latency);
            channel
        }),
        rate,
    );
    plugin.deactivate(processor);
    Live {
        duration_s: num_samples as f64 / rate,
        num_dropouts: count_dropouts(stems, &outputs[1..], latency),
        longest_ms: longest.as_secs_f64() * 1000.0,
        block_ms: BLOCK_LEN as f64 / rate * 1000.0,
    }
}

/// Streams `input` block by block, each at its time. Returns the outputs and the longest time that a block took.
fn pace(processor: &mut Processor, input: &Stereo, rate: f64) -> (Vec<Stereo>, Duration) {
    let num_samples = input[0].len();
    let mut outputs = vec![silence(0); processor.num_outputs()];
    let mut longest = Duration::ZERO;
    let start = Instant::now();
    for block_start in (0..num_samples).step_by(BLOCK_LEN) {
        let due = start + Duration::from_secs_f64(block_start as f64 / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let block = block_start..(block_start + BLOCK_LEN).min(num_samples);
        let begin = Instant::now();
        processor.process_block([&input[0][block.clone()], &input[1][block.clone()]], &Default::default());
        longest = longest.max(begin.elapsed());
        for (port_idx, port) in outputs.iter_mut().enumerate() {
            for (channel, samples) in port.iter_mut().zip(processor.output(port_idx)) {
                channel.extend_from_slice(&samples[..block.len()]);
            }
        }
    }
    (outputs, longest)
}

/// Counts stretches of differing samples; samples less than a tenth of a second apart belong to one stretch.
fn count_dropouts(expected: &[Stereo; 4], actual: &[Stereo], latency: usize) -> usize {
    let differs = |sample_idx: usize| {
        let pairs = expected.iter().flatten().zip(actual.iter().flatten());
        pairs.into_iter().any(|(expected, actual)| expected[sample_idx] != actual[sample_idx + latency])
    };
    let gap = 4410;
    let (mut num_dropouts, mut last) = (0, None);
    for sample_idx in (0..actual[0][0].len() - latency).filter(|i| differs(*i)) {
        if last.is_none_or(|last| sample_idx > last + gap) {
            num_dropouts += 1;
        }
        last = Some(sample_idx);
    }
    num_dropouts
}
