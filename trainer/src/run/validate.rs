//! Separates whole songs with the network as it stands and measures global SDR, slice by slice as the plugin does it.

use crate::batch::example::{Contents, inputs_into};
use crate::data::Known;
use crate::data::{OTHER, WholeSong};
use crate::network::{LookAhead, Mode, Network};
use crate::transform::Transform;
use num_complex::Complex;
use slicqt::{OverlapAdd, Slicer};
use std::collections::VecDeque;
use tch::{Device, Tensor, no_grad};

/// Gets every piece of every estimate: stem, channel, the sample of the song at which it starts, samples.
pub type Listener<'a> = &'a mut dyn FnMut(usize, usize, usize, &[f32]);

/// Slices that go through the network in one call; the result does not depend on it.
const BLOCK_SLICES: usize = 24;

/// Global SDR in dB per stem, `None` for stems that the song does not have apart:
/// `10 log10(sum s^2 / sum (s - s^)^2)` over all samples and channels.
pub fn separate_and_score(
    network: &dyn Network,
    transform: &Transform,
    song: &WholeSong,
    device: Device,
    heard: Listener,
) -> [Option<f64>; 4] {
    let (plan, contents) = (&transform.plan, Contents::of(network));
    let (layout, positions) = (contents.layout, contents.layout.num_positions(transform));
    let (hop_len, num_coefs) = (plan.hop_len(), plan.num_coefs());
    // More hops flush the overlap-add and the network's look-ahead.
    let delay = (plan.slice_len() - hop_len).div_ceil(hop_len);
    let num_song_hops = song.num_samples.div_ceil(hop_len) + delay;
    let (look_ahead, block_slices) = match network.look_ahead() {
        LookAhead::Slices(num_slices) => (num_slices, BLOCK_SLICES),
        LookAhead::Unbounded => (0, num_song_hops),
    };
    let num_hops = num_song_hops + look_ahead;
    let mut slicers = [Slicer::new(plan), Slicer::new(plan)];
    let mut overlap_adds: Vec<OverlapAdd> = (0..8).map(|_| OverlapAdd::new(plan)).collect();
    let (mut scratch, mut slice, mut hop_out) = (plan.make_scratch(), plan.make_slice(), vec![0.0; hop_len]);
    let (mut magnitudes, mut masked) = (vec![0.0; num_coefs], plan.make_coefs());
    let mut masks = vec![vec![0.0f32; num_coefs]; 4];
    let mut state = network.zero_state(1);
    let (mut signal, mut error) = ([0f64; 4], [0f64; 4]);
    // Mixes that wait for their masks.
    let mut mixes: VecDeque<[Vec<Complex<f32>>; 2]> = VecDeque::new();
    for first in (0..num_hops).step_by(block_slices) {
        let num_slices = block_slices.min(num_hops - first);
        let num_inputs = contents.channels.len();
        let mut inputs = vec![0.0; num_slices * num_inputs * positions];
        for (s, inputs) in inputs.chunks_exact_mut(num_inputs * positions).enumerate() {
            let mut mix = [plan.make_coefs(), plan.make_coefs()];
            for (channel, mix) in mix.iter_mut().enumerate() {
                let hop = hop_of_mix(song, first + s, hop_len, channel);
                slicers[channel].slice_into(plan, &hop, &mut slice);
                plan.forward_into(&slice, mix, &mut scratch);
            }
            inputs_into(transform, &contents, &mix, &mut magnitudes, inputs);
            mixes.push_back(mix);
        }
        let shape = [1, num_slices as i64, num_inputs as i64, positions as i64];
        let inputs = Tensor::from_slice(&inputs).reshape(shape).to_device(device);
        let (all_masks, next) = no_grad(|| network.forward(&inputs, &state, Mode::Apply));
        state = next;
        let all_masks: Vec<f32> = crate::precision::to_cpu(&all_masks).reshape([-1]).try_into().expect("f32, flat");
        for s in 0..num_slices {
            let Some(slice_idx) = (first + s).checked_sub(look_ahead) else { continue };
            let mix = mixes.pop_front().expect("a mix for every mask");
            for channel in 0..2 {
                for (stem, masks) in masks.iter_mut().enumerate() {
                    let at = ((s * 4 + stem) * 2 + channel) * positions;
                    layout.expand_into(transform, &all_masks[at..at + positions], masks);
                }
                share_remainder(&mut masks);
                for (stem, masks) in masks.iter().enumerate() {
                    for ((out, c), m) in masked.iter_mut().zip(&mix[channel]).zip(masks) {
                        *out = c * m;
                    }
                    plan.inverse_into(&masked, &mut slice, &mut scratch);
                    overlap_adds[stem * 2 + channel].add_into(&slice, &mut hop_out);
                    let Some(start) = (slice_idx * hop_len).checked_sub(delay * hop_len) else { continue };
                    heard(stem, channel, start, &hop_out);
                    let Some(truth) = &song.stems[stem] else { continue };
                    for (estimate, truth) in hop_out.iter().zip(&truth[start.min(truth.len())..]) {
                        signal[stem] += (truth[channel] as f64).powi(2);
                        error[stem] += (truth[channel] as f64 - *estimate as f64).powi(2);
                    }
                }
            }
        }
    }
    // Where other also holds what is not other, there is no score for it; nor is there one of silence.
    let is_apart = |stem: usize| signal[stem] > 0.0 && (stem != OTHER || song.known == Known::All);
    std::array::from_fn(|stem| is_apart(stem).then(|| 10.0 * (signal[stem] / error[stem]).log10()))
}

/// What the four masks leave over is shared out, so that the stems sum to the mix (as `separator` does).
fn share_remainder(masks: &mut [Vec<f32>]) {
    for i in 0..masks[0].len() {
        let share = (1.0 - masks.iter().map(|m| m[i]).sum::<f32>()) / masks.len() as f32;
        masks.iter_mut().for_each(|m| m[i] += share);
    }
}

fn hop_of_mix(song: &WholeSong, hop_idx: usize, hop_len: usize, channel: usize) -> Vec<f32> {
    let mut hop = vec![0.0; hop_len];
    for stem in song.stems.iter().flatten() {
        let start = (hop_idx * hop_len).min(stem.len());
        for (sum, sample) in hop.iter_mut().zip(&stem[start..]) {
            *sum += sample[channel];
        }
    }
    hop
}
