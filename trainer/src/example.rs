//! One training example: stems drawn from songs, mixed, transformed and pooled onto the network's grid.

use crate::augment::random_tilt;
use crate::draw::draw_stems;
use crate::grid::Grid;
use crate::songs::{BASS, OTHER, Song};
use crate::stems::{Known, Shares};
use num_complex::Complex;
use rand::rngs::StdRng;
use slicqt::{Plan, Scratch, Slicer};

/// Input channels of the network: magnitudes of left, right, mid, side.
pub const NUM_INPUTS: usize = 4;

/// `S` slices of one mix, as flat arrays over `[slice]...[bin][cell]`.
pub struct Example {
    /// `[slice][input][bin][cell]` Logarithms of pooled magnitudes.
    pub features: Vec<f32>,
    /// `[slice][channel][bin][cell]` Mixture power on the grid, see [`crate::loss`]; the mix has energy 1.
    pub diagonal: Vec<f32>,
    /// `[slice][channel][bin][cell]` The same, between a cell and the next.
    pub neighbour: Vec<f32>,
    /// `[slice][stem][channel][bin][cell]` Correlation of stem and mix.
    pub linear: Vec<f32>,
    /// Energy of each stem, in parts of the mix's.
    pub energies: [f32; 4],
    /// Energy of bass and other together.
    pub accompaniment_energy: f32,
    /// What of the stems is known apart.
    pub known: Known,
}

/// Turns drawn stems into [`Example`]s; one per loader thread.
pub struct ExampleMaker<'a> {
    plan: &'a Plan<f32>,
    grid: &'a Grid,
    scratch: Scratch<f32>,
    slice: Vec<f32>,
    /// `[stem][channel]`
    slicers: Vec<[Slicer<f32>; 2]>,
    /// `[stem][channel][coef]`
    coefs: Vec<[Vec<Complex<f32>>; 2]>,
    /// `[channel][coef]`
    mix: [Vec<Complex<f32>>; 2],
    magnitudes: Vec<f32>,
}

impl<'a> ExampleMaker<'a> {
    /// Working memory for one thread.
    pub fn new(plan: &'a Plan<f32>, grid: &'a Grid) -> Self {
        let coefs = || [plan.make_coefs(), plan.make_coefs()];
        ExampleMaker {
            plan,
            grid,
            scratch: plan.make_scratch(),
            slice: plan.make_slice(),
            slicers: (0..4).map(|_| [Slicer::new(plan), Slicer::new(plan)]).collect(),
            coefs: (0..4).map(|_| coefs()).collect(),
            mix: coefs(),
            magnitudes: vec![0.0; plan.num_coefs()],
        }
    }

    /// Draws, mixes and transforms `num_slices` slices.
    pub fn draw(&mut self, songs: &[Song], shares: &Shares, num_slices: usize, rng: &mut StdRng) -> Example {
        let stems = draw_stems(songs, shares, num_slices * self.plan.hop_len(), rng);
        let tilts: Vec<Vec<f32>> = (0..4).map(|_| random_tilt(self.plan, rng)).collect();
        self.transform(&stems.samples, Some(&tilts), num_slices, stems.known)
    }

    /// Transforms stems `[stem][channel][sample]` (all of `num_slices` hops) and their sum. `tilts[stem][bin]` are
    /// gains over frequency, applied to the coefficients.
    pub fn transform(
        &mut self,
        stems: &[[Vec<f32>; 2]],
        tilts: Option<&[Vec<f32>]>,
        num_slices: usize,
        known: Known,
    ) -> Example {
        let (cells, hop_len) = (self.grid.len(), self.plan.hop_len());
        let mut example = Example {
            features: vec![0.0; num_slices * NUM_INPUTS * cells],
            diagonal: vec![0.0; num_slices * 2 * cells],
            neighbour: vec![0.0; num_slices * 2 * cells],
            linear: vec![0.0; num_slices * 8 * cells],
            energies: [0.0; 4],
            accompaniment_energy: 0.0,
            known,
        };
        let (mut energies, mut mix_energy, mut accompaniment_energy) = ([0f64; 4], 0f64, 0f64);
        self.slicers.iter_mut().flatten().for_each(Slicer::reset);
        for s in 0..num_slices {
            for (stem_idx, stem) in stems.iter().enumerate() {
                for (channel, samples) in stem.iter().enumerate() {
                    let hop = &samples[s * hop_len..(s + 1) * hop_len];
                    self.slicers[stem_idx][channel].slice_into(self.plan, hop, &mut self.slice);
                    let coefs = &mut self.coefs[stem_idx][channel];
                    self.plan.forward_into(&self.slice, coefs, &mut self.scratch);
                    if let Some(tilts) = tilts {
                        for (bin, gain) in self.plan.bins().iter().zip(&tilts[stem_idx]) {
                            let frames = &mut coefs[bin.coef_offset..bin.coef_offset + bin.num_frames];
                            frames.iter_mut().for_each(|c| *c *= gain);
                        }
                    }
                }
            }
            self.mix_stems();
            let features = &mut example.features[s * NUM_INPUTS * cells..(s + 1) * NUM_INPUTS * cells];
            features_into(self.grid, &self.mix, &mut self.magnitudes, features);
            for (channel, mix) in self.mix.iter().enumerate() {
                let at = (s * 2 + channel) * cells..(s * 2 + channel + 1) * cells;
                self.grid.add_power(mix, &mut example.diagonal[at.clone()], &mut example.neighbour[at]);
                mix_energy += self.grid.energy(mix);
                for (stem_idx, energy) in energies.iter_mut().enumerate() {
                    let at = (s * 4 + stem_idx) * 2 + channel;
                    let linear = &mut example.linear[at * cells..(at + 1) * cells];
                    *energy += self.grid.add_correlation(mix, &self.coefs[stem_idx][channel], linear);
                }
                let (bass, other) = (&self.coefs[BASS][channel], &self.coefs[OTHER][channel]);
                accompaniment_energy += bass
                    .iter()
                    .zip(other)
                    .zip(self.plan.coef_energy_weights())
                    .map(|((b, o), w)| (b + o).norm_sqr() * w)
                    .sum::<f32>() as f64;
            }
        }
        // Every example counts alike: the mix has energy 1 (silence stays silence).
        let scale = 1.0 / mix_energy.max(1e-3);
        for values in [&mut example.diagonal, &mut example.neighbour, &mut example.linear] {
            values.iter_mut().for_each(|v| *v *= scale as f32);
        }
        example.energies = energies.map(|e| (e * scale) as f32);
        example.accompaniment_energy = (accompaniment_energy * scale) as f32;
        example
    }

    fn mix_stems(&mut self) {
        for channel in 0..2 {
            for (i, mix) in self.mix[channel].iter_mut().enumerate() {
                *mix = self.coefs.iter().map(|stem| stem[channel][i]).sum();
            }
        }
    }
}

/// Features `[input][bin][cell]` of one slice of a mix `[channel][coef]`; `magnitudes` is working memory.
pub fn features_into(grid: &Grid, mix: &[Vec<Complex<f32>>; 2], magnitudes: &mut [f32], features: &mut [f32]) {
    for (input, features) in features.chunks_exact_mut(grid.len()).enumerate() {
        for (out, (l, r)) in magnitudes.iter_mut().zip(mix[0].iter().zip(&mix[1])) {
            *out = match input {
                0 => *l,
                1 => *r,
                2 => (l + r) * 0.5,
                _ => (l - r) * 0.5,
            }
            .norm();
        }
        grid.pool_into(magnitudes, features);
    }
}
