//! Batches made ahead on worker threads. Batch `i` depends only on the seed and `i`, so a run that was stopped goes
//! on with exactly the batches that it would have seen.

use crate::example::{Example, ExampleMaker, NUM_INPUTS};
use crate::grid::{Grid, NUM_CELLS};
use crate::loss::Forms;
use crate::songs::Song;
use crate::stems::{Known, Shares};
use rand::{Rng, SeedableRng, rngs::StdRng};
use slicqt::Plan;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;
use tch::{Device, Kind, Tensor};

/// What a batch is made of.
#[derive(Clone, Copy, Debug)]
pub struct BatchConfig {
    /// Slices of a batch over all its examples (about).
    pub num_slices: usize,
    /// Shortest and longest chunk.
    pub chunk_s: (f64, f64),
    /// How often examples of each kind are drawn.
    pub shares: Shares,
    /// Seed of the run.
    pub seed: u64,
}

/// One batch on the CPU.
pub struct Batch {
    /// `[B * S][input][bin][cell]`
    pub features: Tensor,
    /// Targets.
    pub forms: Forms,
    /// B, the number of examples.
    pub batch_size: i64,
}

impl Batch {
    /// Stacks examples of equal length.
    pub fn new(examples: &[Example], num_slices: usize, num_bins: usize) -> Self {
        let (b, s, f, t) = (examples.len() as i64, num_slices as i64, num_bins as i64, NUM_CELLS as i64);
        let stack = |values: fn(&Example) -> &Vec<f32>, shape: &[i64]| {
            let all: Vec<f32> = examples.iter().flat_map(|e| values(e).iter().copied()).collect();
            Tensor::from_slice(&all).reshape(shape)
        };
        let one_each = |value: fn(&Example) -> f32| {
            let all: Vec<f32> = examples.iter().map(value).collect();
            Tensor::from_slice(&all)
        };
        let known: Vec<f32> =
            examples.iter().flat_map(|e| Known::EACH.map(|k| f32::from(u8::from(e.known == k)))).collect();
        let energies: Vec<f32> = examples.iter().flat_map(|e| e.energies).collect();
        Batch {
            features: stack(|e| &e.features, &[b * s, NUM_INPUTS as i64, f, t]),
            forms: Forms {
                diagonal: stack(|e| &e.diagonal, &[b, s, 1, 2, f, t]),
                neighbour: stack(|e| &e.neighbour, &[b, s, 1, 2, f, t]),
                linear: stack(|e| &e.linear, &[b, s, 4, 2, f, t]),
                energies: Tensor::from_slice(&energies).reshape([b, 4]),
                accompaniment_energy: one_each(|e| e.accompaniment_energy),
                known: Tensor::from_slice(&known).reshape([b, 3]),
            },
            batch_size: b,
        }
    }

    /// The batch on another device.
    pub fn to_device(&self, device: Device) -> Batch {
        let to = |t: &Tensor| t.to_kind(Kind::Float).to_device(device);
        let f = &self.forms;
        Batch {
            features: to(&self.features),
            forms: Forms {
                diagonal: to(&f.diagonal),
                neighbour: to(&f.neighbour),
                linear: to(&f.linear),
                energies: to(&f.energies),
                accompaniment_energy: to(&f.accompaniment_energy),
                known: to(&f.known),
            },
            batch_size: self.batch_size,
        }
    }
}

/// Batches in order, from worker threads.
pub struct Loader {
    /// One queue per worker; batch `i` comes from worker `i % len`.
    queues: Vec<Receiver<Batch>>,
    next: u64,
}

impl Loader {
    /// Starts `num_workers` threads that make batches from `first` on, a few ahead each.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        songs: &'env [Song],
        plan: &'env Plan<f32>,
        grid: &'env Grid,
        config: BatchConfig,
        first: u64,
        num_workers: usize,
    ) -> Self {
        let queues = (0..num_workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(2);
                let start = first + worker as u64;
                scope.spawn(move || make_batches(songs, plan, grid, config, start, num_workers as u64, sender));
                receiver
            })
            .collect();
        Loader { queues, next: 0 }
    }

    /// The next batch; waits for it.
    pub fn next(&mut self) -> Batch {
        let queue = (self.next % self.queues.len() as u64) as usize;
        self.next += 1;
        self.queues[queue].recv().expect("loader threads live as long as the loader")
    }
}

fn make_batches(
    songs: &[Song],
    plan: &Plan<f32>,
    grid: &Grid,
    config: BatchConfig,
    start: u64,
    step: u64,
    sender: SyncSender<Batch>,
) {
    let mut maker = ExampleMaker::new(plan, grid);
    let mut index = start;
    // Ends when the loader is dropped.
    while sender.send(make_batch(songs, plan, &mut maker, config, index)).is_ok() {
        index += step;
    }
}

/// Batch `index` of a run.
pub fn make_batch(
    songs: &[Song],
    plan: &Plan<f32>,
    maker: &mut ExampleMaker,
    config: BatchConfig,
    index: u64,
) -> Batch {
    let mut rng = StdRng::seed_from_u64(config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
    let slices_per_s = 44_100.0 / plan.hop_len() as f64;
    let seconds = rng.random_range(config.chunk_s.0..=config.chunk_s.1);
    let num_slices = ((seconds * slices_per_s).round() as usize).max(1);
    let batch_size = (config.num_slices / num_slices).max(1);
    let examples: Vec<Example> =
        (0..batch_size).map(|_| maker.draw(songs, &config.shares, num_slices, &mut rng)).collect();
    Batch::new(&examples, num_slices, plan.num_bins())
}
