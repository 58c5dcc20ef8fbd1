//! Separates whole songs with the network as it stands and measures global SDR, slice by slice as the plugin does it.

use crate::batch::example::Contents;
use crate::data::{Known, OTHER, STEMS, WholeSong};
use crate::network::{LookAhead, Mode, Network};
use crate::transform::Transform;
use num_complex::Complex;
use separator::Stereo;
use separator::stages::{Analysis, Masking, Slice, Synthesis};
use slicqt::Timing;
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
    let plan = &transform.plan;
    let (hop_len, num_coefs) = (plan.hop_len(), plan.num_coefs());
    let (look_ahead, is_whole) = match network.look_ahead() {
        LookAhead::Slices(num_slices) => (num_slices, false),
        LookAhead::Unbounded => (0, true),
    };
    // The engine's stages, with the network in the place of its graph.
    let contents = Contents::of(network);
    let planes = contents.planes();
    let mut analysis = Analysis::new(plan.clone(), Timing::Whole);
    let mut masking = Masking::new(contents.output_kind, STEMS.len(), num_coefs);
    let mut synthesis = Synthesis::new(plan.clone(), Timing::Whole, STEMS.len(), look_ahead);
    let delay_hops = synthesis.delay_samples() / hop_len;
    let num_hops = song.num_samples.div_ceil(hop_len) + delay_hops;
    let block_slices = if is_whole { num_hops } else { BLOCK_SLICES };
    let (layout, positions) = (contents.layout, contents.layout.num_positions(transform));
    let (num_inputs, num_planes) = (planes.num_planes(), contents.num_mask_planes());

    let mut input = vec![0.0; num_inputs * num_coefs];
    let mut output = vec![0.0; STEMS.len() * num_planes * num_coefs];
    let mut stems: Vec<Stereo> = STEMS.iter().map(|_| [vec![0.0; hop_len], vec![0.0; hop_len]]).collect();
    let mut state = network.zero_state(1);
    let (mut signal, mut error) = ([0f64; 4], [0f64; 4]);
    // Mixes that wait for their masks.
    let mut mixes: VecDeque<[Vec<Complex<f32>>; 2]> = VecDeque::new();
    for first in (0..num_hops).step_by(block_slices) {
        let num_slices = block_slices.min(num_hops - first);
        let mut inputs = vec![0.0; num_slices * num_inputs * positions];
        for (s, inputs) in inputs.chunks_exact_mut(num_inputs * positions).enumerate() {
            let hop = hop_of_mix(song, first + s, hop_len);
            let mut mix = [plan.make_coefs(), plan.make_coefs()];
            analysis.analyse_into([&hop[0], &hop[1]], &mut mix);
            planes.write_into(&mix, &mut input);
            layout.pool_planes_into(transform, &input, inputs);
            mixes.push_back(mix);
        }
        let shape = [1, num_slices as i64, num_inputs as i64, positions as i64];
        let inputs = Tensor::from_slice(&inputs).reshape(shape).to_device(device);
        let (all_masks, next) = no_grad(|| network.forward(&inputs, &state, Mode::Apply));
        state = next;
        let all_masks: Vec<f32> = crate::precision::to_cpu(&all_masks).reshape([-1]).try_into().expect("f32, flat");
        for (s, masks) in all_masks.chunks_exact(output.len() / num_coefs * positions).enumerate() {
            let is_answered = first + s >= look_ahead;
            let mix = if is_answered { mixes.pop_front() } else { None };
            for (masks, out) in masks.chunks_exact(positions).zip(output.chunks_exact_mut(num_coefs)) {
                layout.expand_into(transform, masks, out);
            }
            let slice = mix.as_ref().map(|mix| Slice { mix, output: &output });
            if let Some(slice) = slice {
                masking.measure_residual(slice);
            }
            let mut estimate = |stem: usize, channel: usize, coefs: &mut [Complex<f32>]| match slice {
                Some(slice) => masking.estimate_into(slice, stem, channel, coefs),
                None => coefs.fill(Complex::default()),
            };
            let hop = hop_of_mix(song, first + s, hop_len);
            synthesis.synthesize_into([&hop[0], &hop[1]], &mut estimate, &mut stems);
            let Some(start) = (first + s).checked_sub(delay_hops) else { continue };
            let start = start * hop_len;
            for (stem, estimate) in stems.iter().enumerate() {
                for (channel, samples) in estimate.iter().enumerate() {
                    heard(stem, channel, start, samples);
                    let Some(truth) = &song.stems[stem] else { continue };
                    for (estimate, truth) in samples.iter().zip(&truth[start.min(truth.len())..]) {
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

/// `[channel][sample]`
fn hop_of_mix(song: &WholeSong, hop_idx: usize, hop_len: usize) -> Stereo {
    let mut hop = [vec![0.0; hop_len], vec![0.0; hop_len]];
    for stem in song.stems.iter().flatten() {
        let start = (hop_idx * hop_len).min(stem.len());
        for (i, sample) in stem[start..].iter().take(hop_len).enumerate() {
            hop[0][i] += sample[0];
            hop[1][i] += sample[1];
        }
    }
    hop
}
