//! The audio side's end of a lane's rings, and how long it may wait there.

use super::{
    clock::now_ns,
    job::PooledJob,
    shared::{FAILED, LOADING, LaneShared},
    workers::Doorbell,
};
use rtrb::{Consumer, Producer};
use std::{sync::Arc, thread, time::Duration};

/// How long an offline render waits for one result of a worker that is at work.
const JOB_PATIENCE_NS: i64 = 120_000_000_000;
/// The same while the model is being opened: large graphs on slow disks take their time.
const LOADING_PATIENCE_NS: i64 = 600_000_000_000;
/// Between two looks at the ring.
const LOOK: Duration = Duration::from_micros(50);

/// Until when the audio thread may wait for stems.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// As long as the host is ahead of the wall clock; nothing at all if that time has passed.
    Until(i64),
    /// The host says that it renders offline: until the stems come, or the worker is gone.
    Offline,
}

pub(crate) struct Link {
    pub to_worker: Producer<PooledJob>,
    pub from_worker: Consumer<PooledJob>,
    pub shared: Arc<LaneShared>,
    pub doorbell: Arc<Doorbell>,
    /// An offline render has given this lane up until something comes again.
    pub gave_up: bool,
}

impl Link {
    /// Sleeps until a worker sends something. False if it may not wait (any longer), or if nothing will ever come.
    ///
    /// # Realtime
    /// Safe if `patience` has run out: then it reads the clock and no more.
    pub fn wait_for_result(&mut self, patience: Patience) -> bool {
        let start = now_ns();
        while self.from_worker.is_empty() {
            let now = now_ns();
            let state = self.shared.state();
            let may_wait = match patience {
                Patience::Until(end) => now < end,
                Patience::Offline => {
                    let limit = if state == LOADING { LOADING_PATIENCE_NS } else { JOB_PATIENCE_NS };
                    self.gave_up |= now - start > limit;
                    !self.gave_up
                }
            };
            if !may_wait {
                return false;
            }
            // A lane that failed or was closed lets go of its end of the rings.
            let is_gone = state == FAILED || self.from_worker.is_abandoned();
            if is_gone && self.from_worker.is_empty() {
                return false;
            }
            self.doorbell.ring();
            thread::sleep(LOOK);
        }
        true
    }
}
