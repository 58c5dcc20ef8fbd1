//! Threads that separate a file together. Each takes a batch through all stages; in every stage there is one batch at a
//! time, in the order of the file. So what a stage remembers is as if one thread had done it all, and so are the bits.

use super::{
    batch::{Batch, Entry, Exit, NetworkPart, Place, entry_and_exit},
    order::{Failure, Interruption, Order},
};
use crate::{DenormalsAreZero, Graph, SeparatorError, Stereo, graph::PartState, schedule::Schedule};
use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// The threads of a file.
pub(super) struct Workers {
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
    /// Being filled.
    batch: Batch,
    free: Vec<Batch>,
    num_given: u64,
    num_taken: u64,
}

/// All stages, in their order.
struct Line {
    order: Order,
    entry: Mutex<Entry>,
    networks: Vec<Mutex<NetworkPart>>,
    exit: Mutex<Exit>,
}

impl Workers {
    /// None if the graph cannot be cut.
    pub fn start(
        graph: &Arc<Graph>,
        schedule: &Schedule,
        num_threads: usize,
    ) -> Result<Option<Workers>, SeparatorError> {
        let Some(states) = PartState::of_all(graph)? else { return Ok(None) };
        let num_parts = states.len();
        let output_kind = graph.model().manifest.output.kind;
        let network = |(part_idx, state)| {
            let place = Place { is_first: part_idx == 0, is_last: part_idx + 1 == num_parts };
            Mutex::new(NetworkPart { state, place, output_kind, num_resets: 0 })
        };
        let (entry, exit) = entry_and_exit(graph, schedule);
        let line = Arc::new(Line {
            order: Order::new(num_parts + 2),
            entry: Mutex::new(entry),
            networks: states.into_iter().enumerate().map(network).collect(),
            exit: Mutex::new(exit),
        });
        // One for each thread, one that is filled, and one that waits.
        let free = (0..=num_threads).map(|_| Batch::new(graph)).collect::<Result<_, _>>()?;
        let mut workers =
            Workers { batch: Batch::new(graph)?, line, threads: Vec::new(), free, num_given: 0, num_taken: 0 };
        for _ in 0..num_threads {
            let line = workers.line.clone();
            let thread = thread::Builder::new().name("unbraid-file".to_owned()).spawn(move || line.work());
            workers.threads.push(thread.map_err(SeparatorError::Thread)?);
        }
        Ok(Some(workers))
    }

    /// The mix of the job that is being filled, `[channel][sample]`.
    pub fn mix_mut(&mut self) -> &mut Stereo {
        let job_idx = self.batch.num_jobs;
        &mut self.batch.jobs[job_idx].mix
    }

    /// The job is full. Gives the stems of every job that is done, in their order.
    pub fn push(&mut self, is_end: bool, give: &mut dyn FnMut(&mut [Stereo])) -> Result<(), SeparatorError> {
        let job_idx = self.batch.num_jobs;
        self.batch.jobs[job_idx].is_end = is_end;
        self.batch.num_jobs += 1;
        if !self.batch.is_full() {
            return Ok(());
        }
        while self.take_done(self.free.is_empty(), give)? {}
        let next = self.free.pop().expect("it was waited for");
        self.submit(next);
        Ok(())
    }

    /// Nothing more comes: gives all the rest.
    pub fn finish(&mut self, give: &mut dyn FnMut(&mut [Stereo])) -> Result<(), SeparatorError> {
        while self.free.is_empty() {
            self.take_done(true, give)?;
        }
        let next = self.free.pop().expect("it was waited for");
        self.submit(next);
        while self.num_taken < self.num_given {
            self.take_done(true, give)?;
        }
        Ok(())
    }

    fn submit(&mut self, next: Batch) {
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.idx = self.num_given;
        self.num_given += 1;
        self.line.order.give(batch);
    }

    /// Whether there was a batch.
    fn take_done(&mut self, can_wait: bool, give: &mut dyn FnMut(&mut [Stereo])) -> Result<bool, SeparatorError> {
        let batch = match self.line.order.take_done(can_wait) {
            Ok(batch) => batch,
            Err(Failure::Error(error)) => return Err(error),
            Err(Failure::Panic) => {
                let panic = self.threads.drain(..).find_map(|thread| thread.join().err());
                std::panic::resume_unwind(panic.unwrap_or_else(|| Box::new("a thread of the separator panicked")));
            }
        };
        let Some(mut batch) = batch else { return Ok(false) };
        self.num_taken += 1;
        for job in batch.jobs_mut() {
            give(&mut job.stems);
            job.mix.iter_mut().for_each(Vec::clear);
        }
        batch.num_jobs = 0;
        self.free.push(batch);
        Ok(true)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.line.order.stop();
        for thread in self.threads.drain(..) {
            // If it panicked, the caller was told.
            let _ = thread.join();
        }
    }
}

impl Line {
    /// What a thread does.
    fn work(&self) {
        let _told = TellOfPanic(&self.order);
        let _denormals = DenormalsAreZero::new();
        while let Some(batch) = self.order.next() {
            match self.process(batch) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.order.fail(error),
                Err(_over) => return,
            }
        }
    }

    /// Takes a batch through all stages.
    fn process(&self, mut batch: Batch) -> Result<Result<(), SeparatorError>, Interruption> {
        let (idx, order) = (batch.idx, &self.order);
        order.enter(0, idx, None)?;
        lock(&self.entry).run(batch.jobs_mut());
        order.leave(0, None)?;

        let mut num_through = 0;
        loop {
            match self.separate(&mut batch, num_through) {
                Ok(Ok(None)) => break,
                // A diverged state does not recover by itself.
                Ok(Ok(Some(job_idx))) => {
                    num_through = job_idx + 1;
                    let num_resets = order.reset(self.network_stages(), idx);
                    for network in &self.networks {
                        let mut network = lock(network);
                        network.state.reset();
                        network.num_resets = num_resets;
                    }
                }
                Ok(Err(error)) => return Ok(Err(error)),
                Err(Interruption::Reset) => {}
                Err(Interruption::Over) => return Err(Interruption::Over),
            }
        }

        order.enter(self.networks.len() + 1, idx, None)?;
        lock(&self.exit).run(batch.jobs_mut());
        order.finish(batch);
        Ok(Ok(()))
    }

    fn network_stages(&self) -> Range<usize> {
        1..self.networks.len() + 1
    }

    /// Takes jobs from `start` on through the network; the index of one whose output cannot be used.
    fn separate(&self, batch: &mut Batch, start: usize) -> Result<Result<Option<usize>, SeparatorError>, Interruption> {
        let num_resets = self.order.num_resets();
        for (stage, network) in self.network_stages().zip(&self.networks) {
            self.order.enter(stage, batch.idx, Some(num_resets))?;
            {
                let mut network = lock(network);
                // Between turn and lock another batch may have had everything reset.
                if network.num_resets != num_resets {
                    return Err(Interruption::Reset);
                }
                match network.run(&mut batch.jobs_mut()[start..]) {
                    Ok(None) => {}
                    Ok(Some(job_idx)) => return Ok(Ok(Some(start + job_idx))),
                    Err(error) => return Ok(Err(error)),
                }
            }
            self.order.leave(stage, Some(num_resets))?;
        }
        Ok(Ok(None))
    }
}

/// Ends the others when a thread panics: they would wait for it.
struct TellOfPanic<'a>(&'a Order);

impl Drop for TellOfPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.panic();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
