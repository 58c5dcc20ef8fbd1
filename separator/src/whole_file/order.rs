//! In which order threads may do what: batches pass every stage one after the other.

use super::batch::Batch;
use crate::SeparatorError;
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Queues of batches, and whose turn it is at every stage.
pub(super) struct Order {
    inner: Mutex<Inner>,
    /// For the threads: a batch to do, or another turn.
    may_go_on: Condvar,
    /// For the caller, who would be woken at every turn otherwise.
    has_done: Condvar,
}

struct Inner {
    todo: VecDeque<Batch>,
    /// In the order of the stream.
    done: VecDeque<Batch>,
    /// `[stage]`, the index of the batch that may enter next, or is in it.
    turns: Vec<u64>,
    /// How often the network was reset because of an output that could not be used.
    num_resets: u64,
    end: End,
}

enum End {
    NotYet,
    /// Nothing more will come: threads stop.
    Stopped,
    Failed(SeparatorError),
    Panicked,
}

/// Why a thread need not go on with its batch.
pub(super) enum Interruption {
    /// The network was reset: through it again.
    Reset,
    /// The separator is gone, or another thread failed.
    Over,
}

/// Why the caller gets no more batches.
pub(super) enum Failure {
    Error(SeparatorError),
    Panic,
}

impl Order {
    pub fn new(num_stages: usize) -> Self {
        let inner = Inner {
            todo: VecDeque::new(),
            done: VecDeque::new(),
            turns: vec![0; num_stages],
            num_resets: 0,
            end: End::NotYet,
        };
        Order { inner: Mutex::new(inner), may_go_on: Condvar::new(), has_done: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn give(&self, batch: Batch) {
        self.lock().todo.push_back(batch);
        self.may_go_on.notify_all();
    }

    /// The next batch to be computed; None when threads should stop.
    pub fn next(&self) -> Option<Batch> {
        let mut inner = self.lock();
        loop {
            if !matches!(inner.end, End::NotYet) {
                return None;
            }
            if let Some(batch) = inner.todo.pop_front() {
                return Some(batch);
            }
            inner = wait(&self.may_go_on, inner);
        }
    }

    /// The next batch that is done. None if there is none yet and `can_wait` is false.
    pub fn take_done(&self, can_wait: bool) -> Result<Option<Batch>, Failure> {
        let mut inner = self.lock();
        loop {
            if let Some(batch) = inner.done.pop_front() {
                return Ok(Some(batch));
            }
            match std::mem::replace(&mut inner.end, End::Stopped) {
                End::Failed(error) => return Err(Failure::Error(error)),
                End::Panicked => return Err(Failure::Panic),
                end => inner.end = end,
            }
            if !can_wait {
                return Ok(None);
            }
            inner = wait(&self.has_done, inner);
        }
    }

    pub fn num_resets(&self) -> u64 {
        self.lock().num_resets
    }

    /// Waits until a batch may enter a stage; `num_resets` is what is known of the network, for its stages.
    pub fn enter(&self, stage: usize, batch_idx: u64, num_resets: Option<u64>) -> Result<(), Interruption> {
        let mut inner = self.lock();
        loop {
            if !matches!(inner.end, End::NotYet) {
                return Err(Interruption::Over);
            }
            if num_resets.is_some_and(|known| known != inner.num_resets) {
                return Err(Interruption::Reset);
            }
            if inner.turns[stage] == batch_idx {
                return Ok(());
            }
            inner = wait(&self.may_go_on, inner);
        }
    }

    /// Lets the next batch enter a stage.
    pub fn leave(&self, stage: usize, num_resets: Option<u64>) -> Result<(), Interruption> {
        let mut inner = self.lock();
        // A batch that was in a stage of the network during a reset goes through it again, when its turn comes.
        if num_resets.is_some_and(|known| known != inner.num_resets) {
            return Err(Interruption::Reset);
        }
        inner.turns[stage] += 1;
        drop(inner);
        self.may_go_on.notify_all();
        Ok(())
    }

    /// Makes all batches from this one on go through stages of the network again. The new number of resets.
    pub fn reset(&self, stages: std::ops::Range<usize>, batch_idx: u64) -> u64 {
        let mut inner = self.lock();
        inner.num_resets += 1;
        inner.turns[stages].fill(batch_idx);
        let num_resets = inner.num_resets;
        drop(inner);
        self.may_go_on.notify_all();
        num_resets
    }

    /// The batch has left the last stage.
    pub fn finish(&self, batch: Batch) {
        let mut inner = self.lock();
        *inner.turns.last_mut().expect("stages") += 1;
        inner.done.push_back(batch);
        drop(inner);
        self.may_go_on.notify_all();
        self.has_done.notify_all();
    }

    pub fn fail(&self, error: SeparatorError) {
        self.end(End::Failed(error));
    }

    pub fn panic(&self) {
        self.end(End::Panicked);
    }

    pub fn stop(&self) {
        self.end(End::Stopped);
    }

    /// What ended it first counts.
    fn end(&self, end: End) {
        let mut inner = self.lock();
        if matches!(inner.end, End::NotYet) {
            inner.end = end;
        }
        drop(inner);
        self.may_go_on.notify_all();
        self.has_done.notify_all();
    }
}

fn wait<'a>(condvar: &Condvar, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
    condvar.wait(inner).unwrap_or_else(PoisonError::into_inner)
}
