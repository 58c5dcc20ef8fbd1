//! The audio side's end of the rings.

use super::{
    job::PooledJob,
    shared::{FAILED, Shared},
};
use rtrb::{Consumer, Producer};
use std::{
    sync::Arc,
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// How long an offline render waits for one result before it takes the worker for dead.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Link {
    pub to_worker: Producer<PooledJob>,
    pub from_worker: Consumer<PooledJob>,
    pub shared: Arc<Shared>,
    /// To wake it up, in offline renders only.
    pub worker: Thread,
    /// The worker was silent for too long; it is not waited for again until it sends something.
    pub gave_up: bool,
}

impl Link {
    /// Offline renders only: sleeps until the worker sends something. False if it never will.
    pub fn wait_for_result(&mut self) -> bool {
        let start = Instant::now();
        while self.from_worker.is_empty() {
            // The worker gives up its end of the rings when it ends, whatever the reason.
            let is_dead = self.shared.state() == FAILED || self.from_worker.is_abandoned();
            self.gave_up |= start.elapsed() > PATIENCE;
            if (is_dead && self.from_worker.is_empty()) || self.gave_up {
                return false;
            }
            self.worker.unpark();
            thread::sleep(Duration::from_micros(50));
        }
        true
    }
}
