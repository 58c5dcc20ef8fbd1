//! One training example: stems drawn from songs, mixed, transformed and pooled onto the network's grid.

use crate::grid::Grid;
use crate::songs::{BASS, DRUMS, OTHER, SILENCE, Song, power, read_chunk};
use num_complex::Complex;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use slicqt::{Plan, Scratch, Slicer};

/// Input channels of the network: magnitudes of left, right, mid, side.
pub const NUM_INPUTS: usize = 4;

/// How often a stem is left out, `[stem]`. Without drums in sight, what sounds below 60 Hz is a bass: the network
/// has to hear that often.
const SILENT_SHARE: [f64; 4] = [0.12, 0.25, 0.08, 0.08];

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
    /// Bass and other are known apart; else their sum stands in the place of other.
    pub all_known: bool,
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
    pub fn draw(&mut self, songs: &[Song], num_slices: usize, rng: &mut StdRng) -> Example {
        let stems = draw_stems(songs, num_slices * self.plan.hop_len(), rng);
        let tilts: Vec<Vec<f32>> = (0..4).map(|_| random_tilt(self.plan, rng)).collect();
        self.transform(&stems.samples, Some(&tilts), num_slices, stems.all_known)
    }

    /// Transforms stems `[stem][channel][sample]` (all of `num_slices` hops) and their sum. `tilts[stem][bin]` are
    /// gains over frequency, applied to the coefficients.
    pub fn transform(
        &mut self,
        stems: &[[Vec<f32>; 2]],
        tilts: Option<&[Vec<f32>]>,
        num_slices: usize,
        all_known: bool,
    ) -> Example {
        let (cells, hop_len) = (self.grid.len(), self.plan.hop_len());
        let mut example = Example {
            features: vec![0.0; num_slices * NUM_INPUTS * cells],
            diagonal: vec![0.0; num_slices * 2 * cells],
            neighbour: vec![0.0; num_slices * 2 * cells],
            linear: vec![0.0; num_slices * 8 * cells],
            energies: [0.0; 4],
            accompaniment_energy: 0.0,
            all_known,
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

struct DrawnStems {
    /// `[stem][channel][sample]`
    samples: Vec<[Vec<f32>; 2]>,
    all_known: bool,
}

/// Draws four stems: from one place of one song, or each from anywhere. Where a song has no bass of its own, its
/// other is taken to hold it, and the example says so.
fn draw_stems(songs: &[Song], num_samples: usize, rng: &mut StdRng) -> DrawnStems {
    let together = rng.random_bool(0.3);
    let with = |stem_idx: usize| (0..songs.len()).filter(|i| songs[*i].stems[stem_idx].is_some()).collect();
    let songs_with: [Vec<usize>; 4] = std::array::from_fn(with);
    let has_bass = &songs_with[BASS];
    let want_bass = !has_bass.is_empty() && rng.random_bool(0.7);
    let pick = |from: &[usize], rng: &mut StdRng| {
        *from.choose_weighted(rng, |i| songs[*i].weight).expect("every stem is in some song")
    };
    let accompaniment = pick(if want_bass { has_bass } else { &songs_with[OTHER] }, rng);
    let common_position = random_position(&songs[accompaniment], num_samples, rng);
    let speed = random_speed(OTHER, rng);
    let mut all_known = true;
    let mut samples = Vec::new();
    for (stem_idx, songs_with_stem) in songs_with.iter().enumerate() {
        let song_idx = match stem_idx {
            _ if together => accompaniment,
            OTHER => accompaniment,
            BASS if want_bass => pick(has_bass, rng),
            BASS => accompaniment,
            _ => pick(songs_with_stem, rng),
        };
        let song = &songs[song_idx];
        let mut position = if together { common_position } else { random_position(song, num_samples, rng) };
        let speed = if together { speed } else { random_speed(stem_idx, rng) };
        let mut gain = 10f32.powf(rng.random_range(-8.0..6.0) / 20.0);
        if rng.random_bool(SILENT_SHARE[stem_idx]) {
            gain = 0.0;
        }
        let swap = rng.random_bool(0.5);
        let mut out = [vec![0.0; num_samples], vec![0.0; num_samples]];
        if let Some(stem) = &song.stems[stem_idx] {
            if !together {
                // Silence teaches little: look for sound a few times.
                for _ in 0..4 {
                    if power(stem, position, num_samples) > SILENCE {
                        break;
                    }
                    position = random_position(song, num_samples, rng);
                }
            }
            read_chunk(stem, position as f64, speed, gain, swap, &mut out);
            if stem_idx == BASS && rng.random_bool(0.5) {
                pluck(&mut out, rng);
            }
            if rng.random_bool(0.6) {
                let width = rng.random_range(0.0..1.6);
                let balance_db: f32 = rng.random_range(-2.0..2.0);
                restage(&mut out, width, 10f32.powf(balance_db / 20.0));
            }
        }
        if stem_idx == OTHER {
            // Is the bass line inside? It is if the song has no bass stem, or one that rests nearly always and here.
            all_known = match &song.stems[BASS] {
                None => false,
                Some(bass) => song.bass_activity > 0.3 || power(bass, position, num_samples) > SILENCE,
            };
        }
        samples.push(out);
    }
    if !all_known {
        // Its bass is inside other already; a second one on top would only blur it.
        samples[BASS].iter_mut().for_each(|c| c.fill(0.0));
    }
    DrawnStems { samples, all_known }
}

fn random_position(song: &Song, num_samples: usize, rng: &mut StdRng) -> usize {
    rng.random_range(0..song.num_samples.saturating_sub(num_samples).max(1))
}

/// Gives a stem the course of plucked notes: a bass that decays like a kick drum is a bass all the same.
fn pluck(stem: &mut [Vec<f32>; 2], rng: &mut StdRng) {
    let period = (44_100.0 * rng.random_range(0.2..0.8)) as usize;
    let decay_samples = 44_100.0 * rng.random_range(0.05..0.4);
    let floor = if rng.random_bool(0.5) { 0.0 } else { rng.random_range(0.0..0.4) };
    let offset = rng.random_range(0..period);
    const ATTACK_LEN: f32 = 130.0; // 3 ms
    for channel in stem {
        for (n, sample) in channel.iter_mut().enumerate() {
            let since = ((n + offset) % period) as f32;
            let envelope = (since / ATTACK_LEN).min(1.0) * (-since / decay_samples).exp();
            *sample *= floor + (1.0 - floor) * envelope;
        }
    }
}

/// Puts a stem elsewhere on the stage: side times `width`, left times and right over `balance`.
fn restage(stem: &mut [Vec<f32>; 2], width: f32, balance: f32) {
    let [left, right] = stem;
    for (l, r) in left.iter_mut().zip(right) {
        let (mid, side) = (0.5 * (*l + *r), 0.5 * width * (*l - *r));
        *l = balance * (mid + side);
        *r = (mid - side) / balance;
    }
}

/// Pitch and tempo together, by up to three semitones, for two draws in three. Drums and bass go down as far as ten:
/// few training songs reach the lowest octave, and there a kick and a sub-bass are told apart by their course alone.
fn random_speed(stem_idx: usize, rng: &mut StdRng) -> f64 {
    let lowest = if matches!(stem_idx, DRUMS | BASS) { -10.0 } else { -3.0 };
    if rng.random_bool(0.35) { 1.0 } else { 2f64.powf(rng.random_range(lowest..3.0) / 12.0) }
}

/// `[bin]` A gentle equaliser: up to 1 dB per octave of tilt around 800 Hz, a broad bump of up to 4 dB, and
/// for half of the draws a shelf of up to 9 dB below 50 to 150 Hz.
fn random_tilt(plan: &Plan<f32>, rng: &mut StdRng) -> Vec<f32> {
    let tilt_db: f32 = rng.random_range(-1.0..1.0);
    let (bump_db, centre, width): (f32, f32, f32) =
        (rng.random_range(-4.0..4.0), rng.random_range(6.0..13.0), rng.random_range(0.7..2.0));
    let shelf_db: f32 = if rng.random_bool(0.5) { rng.random_range(-5.0..9.0) } else { 0.0 };
    let shelf_octave: f32 = rng.random_range(5.6..7.2);
    plan.bins()
        .iter()
        .map(|bin| {
            let octave = (bin.frequency_hz as f32).max(20.0).log2();
            let shelf = shelf_db / (1.0 + (4.0 * (octave - shelf_octave)).exp());
            let db = tilt_db * (octave - 9.6) + bump_db * (-((octave - centre) / width).powi(2)).exp() + shelf;
            10f32.powf(db / 20.0)
        })
        .collect()
}
