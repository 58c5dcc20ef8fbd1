//! Batches made ahead on worker threads. Batch `i` depends only on the seed and `i`, so a run that was stopped goes
//! on with exactly the batches that it would have seen.

use crate::batch::Batch;
use crate::batch::draw::Drawing;
use crate::batch::example::{Contents, Example, ExampleMaker};
use crate::data::Song;
use crate::transform::Transform;
use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// What a batch is made of.
#[derive(Clone, Copy, Debug)]
pub struct BatchConfig {
    /// Slices of a batch over all its examples (about).
    pub num_slices: usize,
    /// Shortest and longest chunk.
    pub chunk_s: (f64, f64),
    /// How examples are drawn.
    pub drawing: Drawing,
    /// Seed of the run.
    pub seed: u64,
}

/// Batches in order, from worker threads.
pub struct Loader {
    /// One queue per worker; batch `i` comes from worker `i % len`.
    queues: Vec<Receiver<Result<Batch>>>,
    next: u64,
}

impl Loader {
    /// Starts `num_workers` threads that make batches from `first` on, a few ahead each.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        songs: &'env [Song],
        transform: &'env Transform,
        contents: &'env Contents,
        config: BatchConfig,
        first: u64,
        num_workers: usize,
    ) -> Self {
        let queues = (0..num_workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(2);
                let start = first + worker as u64;
                scope
                    .spawn(move || make_batches(songs, transform, contents, config, start, num_workers as u64, sender));
                receiver
            })
            .collect();
        Loader { queues, next: 0 }
    }

    /// The next batch; waits for it.
    ///
    /// # Errors
    /// If a song that was there at the start cannot be read any more.
    pub fn next(&mut self) -> Result<Batch> {
        let queue = (self.next % self.queues.len() as u64) as usize;
        self.next += 1;
        self.queues[queue].recv().expect("loader threads live as long as the loader")
    }
}

fn make_batches(
    songs: &[Song],
    transform: &Transform,
    contents: &Contents,
    config: BatchConfig,
    start: u64,
    step: u64,
    sender: SyncSender<Result<Batch>>,
) {
    let mut maker = ExampleMaker::new(transform, contents.clone());
    let mut index = start;
    // Ends when the loader is dropped.
    while sender.send(make_batch(songs, transform, &mut maker, config, index)).is_ok() {
        index += step;
    }
}

/// Batch `index` of a run.
///
/// # Errors
/// If a song cannot be read.
pub fn make_batch(
    songs: &[Song],
    transform: &Transform,
    maker: &mut ExampleMaker,
    config: BatchConfig,
    index: u64,
) -> Result<Batch> {
    let mut rng = StdRng::seed_from_u64(config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
    let slices_per_s = 44_100.0 / transform.plan.hop_len() as f64;
    let seconds = rng.random_range(config.chunk_s.0..=config.chunk_s.1);
    let num_slices = ((seconds * slices_per_s).round() as usize).max(1);
    let batch_size = (config.num_slices / num_slices).max(1);
    let draw = |_| maker.draw(songs, &config.drawing, num_slices, &mut rng);
    let examples = (0..batch_size).map(draw).collect::<Result<Vec<Example>>>()?;
    Ok(Batch::new(examples, num_slices))
}
