//! Separates whole songs with the network as it stands and measures global SDR, slice by slice as the plugin does it.

use crate::example::{NUM_INPUTS, features_into};
use crate::grid::Grid;
use crate::network::{Mode, Network};
use crate::songs::{OTHER, Song};
use crate::stems::Known;
use num_complex::Complex;
use slicqt::{OverlapAdd, Plan, Slicer};
use tch::{Device, Tensor, no_grad};

/// Slices that go through the network in one call; the result does not depend on it.
const BLOCK_SLICES: usize = 24;

/// Global SDR in dB per stem, `None` for stems that the song does not have apart:
/// `10 log10(sum s^2 / sum (s - s^)^2)` over all samples and channels.
pub fn separate_and_score(
    network: &Network,
    plan: &Plan<f32>,
    grid: &Grid,
    song: &Song,
    device: Device,
) -> [Option<f64>; 4] {
    let (hop_len, num_coefs) = (plan.hop_len(), plan.num_coefs());
    let num_hops = song.num_samples.div_ceil(hop_len) + 1; // one more hop flushes the overlap-add
    let mut slicers = [Slicer::new(plan), Slicer::new(plan)];
    let mut overlap_adds: Vec<OverlapAdd> = (0..8).map(|_| OverlapAdd::new(plan)).collect();
    let (mut scratch, mut slice, mut hop_out) = (plan.make_scratch(), plan.make_slice(), vec![0.0; hop_len]);
    let (mut magnitudes, mut masked) = (vec![0.0; num_coefs], plan.make_coefs());
    let mut masks = vec![vec![0.0f32; num_coefs]; 4];
    let mut state = network.zero_state(1);
    let (mut signal, mut error) = ([0f64; 4], [0f64; 4]);
    for first in (0..num_hops).step_by(BLOCK_SLICES) {
        let num_slices = BLOCK_SLICES.min(num_hops - first);
        let mut mixes: Vec<[Vec<Complex<f32>>; 2]> = Vec::new();
        let mut features = vec![0.0; num_slices * NUM_INPUTS * grid.len()];
        for (s, features) in features.chunks_exact_mut(NUM_INPUTS * grid.len()).enumerate() {
            let mut mix = [plan.make_coefs(), plan.make_coefs()];
            for (channel, mix) in mix.iter_mut().enumerate() {
                let hop = hop_of_mix(song, first + s, hop_len, channel);
                slicers[channel].slice_into(plan, &hop, &mut slice);
                plan.forward_into(&slice, mix, &mut scratch);
            }
            features_into(grid, &mix, &mut magnitudes, features);
            mixes.push(mix);
        }
        let shape = [num_slices as i64, NUM_INPUTS as i64, grid.num_bins as i64, crate::grid::NUM_CELLS as i64];
        let features = Tensor::from_slice(&features).reshape(shape).to_device(device);
        let (cells, next) = no_grad(|| network.forward(&features, 1, &state, Mode::Apply));
        state = next;
        let cells: Vec<f32> = crate::network::to_cpu(&cells).reshape([-1]).try_into().expect("a flat f32 tensor");
        for (s, mix) in mixes.iter().enumerate() {
            for channel in 0..2 {
                for (stem, masks) in masks.iter_mut().enumerate() {
                    let at = ((s * 4 + stem) * 2 + channel) * grid.len();
                    grid.expand_into(&cells[at..at + grid.len()], masks);
                }
                share_remainder(&mut masks);
                for (stem, masks) in masks.iter().enumerate() {
                    for ((out, c), m) in masked.iter_mut().zip(&mix[channel]).zip(masks) {
                        *out = c * m;
                    }
                    plan.inverse_into(&masked, &mut slice, &mut scratch);
                    overlap_adds[stem * 2 + channel].add_into(&slice, &mut hop_out);
                    let Some(start) = ((first + s) * hop_len).checked_sub(hop_len) else { continue };
                    let Some(truth) = &song.stems[stem] else { continue };
                    for (estimate, truth) in hop_out.iter().zip(&truth[start.min(truth.len())..]) {
                        signal[stem] += (truth[channel] as f64).powi(2);
                        error[stem] += (truth[channel] as f64 - *estimate as f64).powi(2);
                    }
                }
            }
        }
    }
    // Where other holds more than other, there is no score for it.
    let is_apart = |stem: usize| song.stems[stem].is_some() && (stem != OTHER || song.known == Known::All);
    std::array::from_fn(|stem| is_apart(stem).then(|| 10.0 * (signal[stem] / error[stem]).log10()))
}

/// What the four masks leave over is shared out, so that the stems sum to the mix (as `separator` does).
fn share_remainder(masks: &mut [Vec<f32>]) {
    for i in 0..masks[0].len() {
        let share = (1.0 - masks.iter().map(|m| m[i]).sum::<f32>()) / masks.len() as f32;
        masks.iter_mut().for_each(|m| m[i] += share);
    }
}

fn hop_of_mix(song: &Song, hop_idx: usize, hop_len: usize, channel: usize) -> Vec<f32> {
    let mut hop = vec![0.0; hop_len];
    for stem in song.stems.iter().flatten() {
        let start = (hop_idx * hop_len).min(stem.len());
        for (sum, sample) in hop.iter_mut().zip(&stem[start..]) {
            *sum += sample[channel];
        }
    }
    hop
}
