//! From the drawn stems of one example to numbers: mixed, transformed, and laid out as the network and its losses
//! want them ([`Contents`]).

use crate::batch::combinations::{combinations, form_weights, parts};
use crate::batch::draw::{Drawing, draw_stems};
use crate::data::Known;
use crate::data::Song;
use crate::network::{Channel, InputKind, Network, OutputKind};
use crate::transform::{Layout, Transform};
use anyhow::Result;
use num_complex::Complex;
use rand::rngs::StdRng;
use separator::stages::Planes;
use slicqt::{Scratch, Slicer};

/// What a batch holds: as little as network and losses need.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Where inputs and quadratic forms lie.
    pub layout: Layout,
    /// Channels of the inputs.
    pub channels: Vec<Channel>,
    /// What of them.
    pub input_kind: InputKind,
    /// What the masks are that the forms are of.
    pub output_kind: OutputKind,
    /// Also the forms of the magnitude MSE.
    pub magnitude_forms: bool,
    /// Also the mix's coefficients and the stems' samples, for losses in time.
    pub waveforms: bool,
    /// Also the coefficients of the mix and of what is known apart.
    pub coefs: bool,
}

impl Contents {
    /// What `network` needs for its inputs and for forms; nothing for losses beyond complex MSE and mask sum.
    pub fn of(network: &dyn Network) -> Self {
        Contents {
            layout: network.layout(),
            channels: network.input_channels(),
            input_kind: network.input_kind(),
            output_kind: network.output_kind(),
            magnitude_forms: false,
            waveforms: false,
            coefs: false,
        }
    }

    /// What the engine makes of the mix for such inputs.
    pub fn planes(&self) -> Planes {
        Planes::new(self.input_kind, self.channels.clone())
    }

    /// Planes of a stem's mask.
    pub fn num_mask_planes(&self) -> usize {
        2 * self.output_kind.num_planes()
    }
}

/// `S` slices of one mix, as flat arrays over `[slice]...[position]`; see [`crate::batch::forms`].
#[derive(Default)]
pub struct Example {
    /// `[slice][input][position]`
    pub inputs: Vec<f32>,
    /// `[slice][channel][position]` Mixture power; the mix has energy 1.
    pub diagonal: Vec<f32>,
    /// `[slice][channel][position]` The same, between a cell and the next; empty for [`Layout::Coefs`].
    pub neighbour: Vec<f32>,
    /// `[slice][stem][plane][position]` Correlation of mix and stem, collected over the combinations.
    pub linear: Vec<f32>,
    /// `[slice][stem][channel][position]` The same of magnitudes; empty unless asked for.
    pub magnitude_linear: Vec<f32>,
    /// `[slice]` Mean energy of the combinations.
    pub constant: Vec<f32>,
    /// What of the stems is known apart.
    pub known: Option<Known>,
    /// `[slice][channel][coef]` Coefficients of the mix; empty unless asked for.
    pub mix: Vec<Complex<f32>>,
    /// `[stem][channel][sample]` The stems, at least as long as the slices cover them whole; empty unless asked for.
    pub targets: Vec<[Vec<f32>; 2]>,
    /// `[slice][part][channel][coef]` What is known apart ([`parts`]); empty unless asked for.
    pub parts: Vec<Complex<f32>>,
}

/// Turns drawn stems into [`Example`]s; one per loader thread.
pub struct ExampleMaker<'a> {
    transform: &'a Transform,
    contents: Contents,
    scratch: Scratch<f32>,
    slice: Vec<f32>,
    /// `[stem][channel]`
    slicers: Vec<[Slicer<f32>; 2]>,
    /// `[stem][channel][coef]`
    coefs: Vec<[Vec<Complex<f32>>; 2]>,
    /// `[channel][coef]`
    mix: [Vec<Complex<f32>>; 2],
    planes: Planes,
    /// `[input][coef]`
    inputs: Vec<f32>,
}

impl<'a> ExampleMaker<'a> {
    /// Working memory for one thread.
    pub fn new(transform: &'a Transform, contents: Contents) -> Self {
        let plan = &transform.plan;
        let coefs = || [plan.make_coefs(), plan.make_coefs()];
        let planes = contents.planes();
        ExampleMaker {
            inputs: vec![0.0; planes.num_planes() * plan.num_coefs()],
            planes,
            transform,
            contents,
            scratch: plan.make_scratch(),
            slice: plan.make_slice(),
            slicers: (0..4).map(|_| [Slicer::new(plan), Slicer::new(plan)]).collect(),
            coefs: (0..4).map(|_| coefs()).collect(),
            mix: coefs(),
        }
    }

    /// Draws, mixes and transforms `num_slices` slices.
    ///
    /// # Errors
    /// If a stem cannot be read.
    pub fn draw(&mut self, songs: &[Song], drawing: &Drawing, num_slices: usize, rng: &mut StdRng) -> Result<Example> {
        let stems = draw_stems(songs, drawing, num_slices * self.transform.plan.hop_len(), rng)?;
        Ok(self.transform(stems.samples, num_slices, stems.known))
    }

    /// Transforms stems `[stem][channel][sample]` (all of `num_slices` hops) and their sum.
    pub fn transform(&mut self, stems: Vec<[Vec<f32>; 2]>, num_slices: usize, known: Known) -> Example {
        let (transform, plan) = (self.transform, &self.transform.plan);
        let positions = self.contents.layout.num_positions(transform);
        let num_inputs = self.planes.num_planes();
        let mask_planes = self.contents.num_mask_planes();
        let zeros = |wanted: bool, len: usize| vec![0.0; if wanted { num_slices * len * positions } else { 0 }];
        let on_grid = self.contents.layout == Layout::Grid;
        let mut example = Example {
            inputs: zeros(true, num_inputs),
            diagonal: zeros(true, 2),
            neighbour: zeros(on_grid, 2),
            linear: zeros(true, 4 * mask_planes),
            magnitude_linear: zeros(self.contents.magnitude_forms, 8),
            known: Some(known),
            ..Example::default()
        };
        let has_mix = self.contents.waveforms || self.contents.coefs;
        if has_mix {
            example.mix.reserve_exact(num_slices * 2 * plan.num_coefs());
        }
        let mut mix_energy = 0f64;
        self.slicers.iter_mut().flatten().for_each(Slicer::reset);
        for s in 0..num_slices {
            self.transform_slice(&stems, s);
            let inputs = &mut example.inputs[s * num_inputs * positions..(s + 1) * num_inputs * positions];
            self.planes.write_into(&self.mix, &mut self.inputs);
            self.contents.layout.pool_planes_into(transform, &self.inputs, inputs);
            mix_energy += self.add_forms(&mut example, s, known);
            if has_mix {
                self.mix.iter().for_each(|mix| example.mix.extend_from_slice(mix));
            }
            if self.contents.coefs {
                for stems in parts(known) {
                    (0..2).for_each(|channel| example.parts.extend(self.sum_of(stems, channel)));
                }
            }
        }
        if self.contents.waveforms {
            example.targets = stems;
        }
        // Every example counts alike: the mix has energy 1 (silence stays silence).
        let scale = 1.0 / mix_energy.max(1e-3);
        let Example { diagonal, neighbour, linear, magnitude_linear, constant, .. } = &mut example;
        for values in [diagonal, neighbour, linear, magnitude_linear, constant] {
            values.iter_mut().for_each(|v| *v *= scale as f32);
        }
        example
    }

    /// Coefficients of all stems and their sum at slice `s`.
    fn transform_slice(&mut self, stems: &[[Vec<f32>; 2]], s: usize) {
        let plan = &self.transform.plan;
        let hop_len = plan.hop_len();
        for (stem_idx, stem) in stems.iter().enumerate() {
            for (channel, samples) in stem.iter().enumerate() {
                let hop = &samples[s * hop_len..(s + 1) * hop_len];
                self.slicers[stem_idx][channel].slice_into(plan, hop, &mut self.slice);
                let coefs = &mut self.coefs[stem_idx][channel];
                plan.forward_into(&self.slice, coefs, &mut self.scratch);
            }
        }
        for channel in 0..2 {
            for (i, mix) in self.mix[channel].iter_mut().enumerate() {
                *mix = self.coefs.iter().map(|stem| stem[channel][i]).sum();
            }
        }
    }

    /// Quadratic forms of slice `s`; returns the energy of the mix.
    fn add_forms(&mut self, example: &mut Example, s: usize, known: Known) -> f64 {
        let (grid, on_grid) = (&self.transform.grid, self.contents.layout == Layout::Grid);
        let positions = self.contents.layout.num_positions(self.transform);
        let mask_planes = self.contents.num_mask_planes();
        let (each, all) = form_weights(known);
        let parts = parts(known);
        let (mut mix_energy, mut constant) = (0f64, 0f64);
        for (channel, mix) in self.mix.iter().enumerate() {
            let at = (s * 2 + channel) * positions..(s * 2 + channel + 1) * positions;
            let diagonal = &mut example.diagonal[at.clone()];
            if on_grid {
                grid.add_power(mix, diagonal, &mut example.neighbour[at]);
            } else {
                for ((out, x), w) in diagonal.iter_mut().zip(mix).zip(grid.energy_weights()) {
                    *out = w * x.norm_sqr();
                }
            }
            let energy_of_mix = grid.energy(mix);
            mix_energy += energy_of_mix;
            constant += all as f64 * energy_of_mix;

            let sums: Vec<Vec<Complex<f32>>> = parts.iter().map(|stems| self.sum_of(stems, channel)).collect();
            constant += sums.iter().map(|part| each as f64 * grid.energy(part)).sum::<f64>();
            // A mask's linear term: `each` times the correlation `conj(X) Y` with its own part, `all` times that with
            // the mix. Real masks have the real part of it, complex masks both.
            for plane in 0..mask_planes / 2 {
                let mut of_parts = vec![vec![0.0; positions]; parts.len()];
                for (part, linear) in sums.iter().zip(&mut of_parts) {
                    if plane == 0 {
                        grid.add_product(on_grid, |i| mix[i].re * part[i].re + mix[i].im * part[i].im, linear);
                    } else {
                        grid.add_product(on_grid, |i| mix[i].re * part[i].im - mix[i].im * part[i].re, linear);
                    }
                }
                let totals: Vec<f32> =
                    (0..positions).map(|i| all * of_parts.iter().map(|part| part[i]).sum::<f32>()).collect();
                for (stems, part) in parts.iter().zip(&of_parts) {
                    for stem in *stems {
                        let row = (s * 4 + stem) * mask_planes + channel * mask_planes / 2 + plane;
                        for ((out, own), total) in example.linear[row * positions..].iter_mut().zip(part).zip(&totals) {
                            *out = each * own + total;
                        }
                    }
                }
            }
            if self.contents.magnitude_forms {
                let combinations = combinations(known);
                let share = 1.0 / combinations.len() as f32;
                let size: Vec<f32> = mix.iter().map(|x| share * x.norm()).collect();
                for combination in &combinations {
                    let sum = self.sum_of(combination, channel);
                    let mut linear = vec![0.0; positions];
                    grid.add_product(on_grid, |i| size[i] * sum[i].norm(), &mut linear);
                    for stem in combination {
                        let at = ((s * 4 + stem) * 2 + channel) * positions;
                        example.magnitude_linear[at..].iter_mut().zip(&linear).for_each(|(out, v)| *out += v);
                    }
                }
            }
        }
        example.constant.push(constant as f32);
        mix_energy
    }

    /// Coefficients of a sum of stems.
    fn sum_of(&self, stems: &[usize], channel: usize) -> Vec<Complex<f32>> {
        let mut sum = self.coefs[stems[0]][channel].clone();
        for stem in &stems[1..] {
            sum.iter_mut().zip(&self.coefs[*stem][channel]).for_each(|(sum, c)| *sum += c);
        }
        sum
    }
}
