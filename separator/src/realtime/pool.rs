//! The worker threads of the process: few, shared by all lanes, the most urgent job first.
//!
//! The audio thread must not wake anybody (that would be a system call), so somebody has to look. One idle worker does,
//! the *lookout*; the others sleep until it finds a job, hands the lookout over and computes. It looks closely when a host
//! is about to complete a job (`lookout.rs`), for lanes that are quiet only as often as their time budget needs, and not at
//! all while no plugin is played.
//!
//! A worker whose thread has ended is noticed by the next that looks for the lookout, and by whoever asks an engine how
//! it is doing; another thread takes its place.

use super::{
    clock, library,
    shared::LaneShared,
    worker_lane::WorkerLane,
    workers::{Doorbell, Task, Worker},
};
use std::{
    any::Any,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use thread_priority::{ThreadPriority, set_current_thread_priority};

/// More workers than this gain nothing: memory and caches are shared.
const MAX_WORKERS: usize = 16;
/// How long the last instance waits for the workers to end.
const END_PATIENCE: Duration = Duration::from_millis(40);

/// The pool of the process, as long as any instance lives.
static POOL: Mutex<Weak<Pool>> = Mutex::new(Weak::new());

/// Worker threads and the lanes that they serve.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    /// Lanes whose jobs nobody computes at the moment. A worker takes a lane out, and puts it back afterwards.
    #[expect(clippy::vec_box, reason = "they go in and out with every job, by pointer")]
    lanes: Mutex<Vec<Box<WorkerLane>>>,
    workers: Mutex<Vec<Worker>>,
    /// As many as there are meant to be.
    num_workers: usize,
    doorbell: Arc<Doorbell>,
    num_replaced: AtomicU64,
    stop: AtomicBool,
    #[cfg(any(test, feature = "testing"))]
    hooks: super::test_hooks::PoolHooks,
}

enum Found {
    Job(Box<WorkerLane>),
    LookAgain(Duration),
    Nothing,
}

impl Pool {
    /// The pool of the process; started if there is none.
    ///
    /// # Errors
    /// If the operating system gives no thread at all.
    pub fn get() -> std::io::Result<Arc<Pool>> {
        let mut pool = lock(&POOL);
        if let Some(pool) = pool.upgrade() {
            return Ok(pool);
        }
        let new = Arc::new(Pool::start(num_workers())?);
        *pool = Arc::downgrade(&new);
        Ok(new)
    }

    fn start(num_workers: usize) -> std::io::Result<Pool> {
        clock::init();
        let shared = Arc::new(Shared {
            lanes: Mutex::default(),
            workers: Mutex::default(),
            num_workers,
            doorbell: Arc::new(Doorbell::new()),
            num_replaced: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            #[cfg(any(test, feature = "testing"))]
            hooks: Default::default(),
        });
        let pool = Pool { shared };
        // Locked, so that none looks for itself on a list that it is not on yet.
        let mut workers = lock(&pool.shared.workers);
        for worker_idx in 0..num_workers {
            match pool.shared.start_worker(worker_idx) {
                Ok(worker) => workers.push(worker),
                Err(error) if workers.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        drop(workers);
        Ok(pool)
    }

    /// Adds a lane. It leaves by itself when it is over.
    pub fn add(&self, lane: WorkerLane) {
        lock(&self.shared.lanes).push(Box::new(lane));
        // Now there is something to look after beside the job that a worker may have at hand.
        wake_if_nobody_looks(&lock(&self.shared.workers));
        self.shared.doorbell.ring();
    }

    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.shared.doorbell
    }

    #[cfg(any(test, feature = "testing"))]
    pub fn hooks(&self) -> &super::test_hooks::PoolHooks {
        &self.shared.hooks
    }

    /// Puts new threads in the place of those that have ended. False if no worker is left.
    pub fn mend(&self) -> bool {
        self.shared.mend(&mut lock(&self.shared.workers))
    }

    /// How many threads have ended and were replaced.
    pub fn num_replaced(&self) -> u64 {
        self.shared.num_replaced.load(Ordering::Relaxed)
    }
}

impl Drop for Pool {
    /// The last instance is gone. Workers are waited for, but not for long: one may be in the middle of a job. It may
    /// finish it, since the library stays in memory.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let workers = std::mem::take(&mut *lock(&self.shared.workers));
        workers.iter().for_each(|worker| worker.thread.thread().unpark());
        let start = Instant::now();
        for worker in workers {
            while !worker.is_gone() && start.elapsed() < END_PATIENCE {
                thread::sleep(Duration::from_micros(200));
            }
            // One that was ended from outside cannot be joined: the standard library waits for its last word.
            if worker.thread.is_finished() {
                // Panics of jobs were caught and reported where they happened.
                let _ = worker.thread.join();
            }
        }
        lock(&self.shared.lanes).clear();
    }
}

impl Shared {
    fn start_worker(self: &Arc<Self>, worker_idx: usize) -> std::io::Result<Worker> {
        let shared = self.clone();
        Worker::start(&self.doorbell, move |life| {
            life.begin();
            if shared.is_raised(worker_idx) {
                raise_priority();
            }
            shared.work(worker_idx);
        })
    }

    /// One core is left to threads of ordinary priority, however many jobs there are.
    fn is_raised(&self, worker_idx: usize) -> bool {
        worker_idx + 1 < self.num_workers.max(2)
    }

    /// A worker's life.
    fn work(self: &Arc<Self>, worker_idx: usize) {
        let mut has_brought_lane_back = false;
        while !self.stop.load(Ordering::Acquire) {
            if !self.take_lookout(worker_idx) {
                if std::mem::take(&mut has_brought_lane_back) {
                    // It may have to be looked after sooner than without this lane.
                    self.doorbell.ring();
                }
                thread::park();
                continue;
            }
            has_brought_lane_back = false;
            #[cfg(any(test, feature = "testing"))]
            self.hooks.obey(false);
            match self.find_job() {
                Found::Job(lane) => {
                    let Some(_busy) = library::Busy::begin() else { return };
                    if lane.is_quick() {
                        // To wake somebody else would take longer.
                        lock(&self.lanes).extend(run_job(lane));
                        continue;
                    }
                    self.hand_over_lookout(worker_idx, lane.shared());
                    #[cfg(any(test, feature = "testing"))]
                    self.hooks.obey(true);
                    if let Some(lane) = run_job(lane) {
                        lock(&self.lanes).push(lane);
                        has_brought_lane_back = true;
                    }
                }
                Found::LookAgain(after) => thread::park_timeout(after),
                Found::Nothing => thread::park(),
            }
        }
    }

    /// Takes the lookout if nobody has it, or from a worker of ordinary priority if this one is raised: that one goes back
    /// to sleep when it has looked once more.
    fn take_lookout(self: &Arc<Self>, worker_idx: usize) -> bool {
        let mut workers = lock(&self.workers);
        let other = workers.iter().enumerate().find(|(idx, other)| *idx != worker_idx && other.is_lookout());
        let is_taken = match other {
            Some((_, lookout)) if lookout.is_gone() => {
                self.mend(&mut workers);
                false
            }
            Some((other_idx, _)) => !self.is_raised(worker_idx) || self.is_raised(other_idx),
            None => false,
        };
        if !is_taken {
            workers.iter_mut().filter(|other| other.is_lookout()).for_each(|other| other.task = Task::Sleeping);
        }
        // None when the pool ends.
        let Some(worker) = workers.get_mut(worker_idx) else { return false };
        worker.task = if is_taken { Task::Sleeping } else { Task::Lookout };
        if !is_taken {
            // Before it looks.
            self.doorbell.set_lookout(worker.thread_idx);
        }
        !is_taken
    }

    /// The lookout computes; somebody who sleeps takes its place, if anybody does. Not if this lane is all there is to look
    /// after: to wake others for nothing would cost as much as a short job.
    fn hand_over_lookout(&self, worker_idx: usize, lane: &Arc<LaneShared>) {
        let mut workers = lock(&self.workers);
        if let Some(worker) = workers.get_mut(worker_idx) {
            worker.task = Task::Computing(lane.clone());
        }
        // After it says that it computes: who adds a lane looks at that then.
        if !lock(&self.lanes).is_empty() {
            wake_if_nobody_looks(&workers);
        }
    }

    fn mend(self: &Arc<Self>, workers: &mut [Worker]) -> bool {
        for (worker_idx, worker) in workers.iter_mut().enumerate().filter(|(_, worker)| worker.is_gone()) {
            let Ok(new) = self.start_worker(worker_idx) else { continue };
            let old = std::mem::replace(worker, new);
            self.num_replaced.fetch_add(1, Ordering::Relaxed);
            // What it had at hand is gone with it.
            if let Task::Computing(lane) = old.task {
                if !old.thread.is_finished() {
                    library::forget_busy_thread();
                }
                lane.set_failed(
                    "a thread of the separation was ended from outside. Deactivate and activate the plugin to start it \
                     again, and please report this"
                        .to_owned(),
                );
            }
        }
        workers.iter().any(|worker| !worker.is_gone())
    }

    /// Takes out the lane with the most urgent job; lanes that are over are dropped.
    fn find_job(&self) -> Found {
        let now_ns = clock::now_ns();
        let mut lanes = lock(&self.lanes);
        let over: Vec<Box<WorkerLane>> = lanes.extract_if(.., |lane| lane.is_over()).collect();
        let due = lanes.iter().enumerate().filter_map(|(idx, lane)| Some((lane.next_due_ns()?, idx)));
        let found = match due.min() {
            Some((_, idx)) => Found::Job(lanes.swap_remove(idx)),
            None => match lanes.iter().filter_map(|lane| lane.look_again_ns(now_ns)).min() {
                Some(look_ns) => Found::LookAgain(Duration::from_nanos(look_ns as u64)),
                None => Found::Nothing,
            },
        };
        // Freeing a model's last stream takes its time: not while others wait for the list.
        drop(lanes);
        drop(over);
        found
    }
}

/// A worker that sleeps goes on the lookout, if nobody is.
fn wake_if_nobody_looks(workers: &[Worker]) {
    if !workers.iter().any(Worker::is_lookout)
        && let Some(sleeper) = workers.iter().find(|worker| matches!(worker.task, Task::Sleeping))
    {
        sleeper.thread.thread().unpark();
    }
}

/// One job of a lane. None if the lane has failed: then its audio side goes on with the mix.
fn run_job(mut lane: Box<WorkerLane>) -> Option<Box<WorkerLane>> {
    let shared = lane.shared().clone();
    let run = AssertUnwindSafe(move || lane.run_job().map(|()| lane));
    match catch_unwind(run) {
        Ok(Ok(lane)) => return Some(lane),
        Ok(Err(error)) => shared.set_failed(error.to_string()),
        Err(panic) => shared.set_failed(internal_error(&*panic)),
    }
    None
}

/// What the user reads when our own code has failed.
pub(crate) fn internal_error(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    format!(
        "the separation stopped because of an internal error ({text}). Deactivate and activate the plugin to start it \
         again, and please report this"
    )
}

/// All cores but one, which is the host's; on two cores both, since one would be half of the machine.
fn num_workers() -> usize {
    let num_cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (num_cores - 1).clamp(num_cores.min(2), MAX_WORKERS)
}

/// Above ordinary programs, below the audio threads. Where the system does not grant it, the priority stays as it is.
fn raise_priority() {
    #[cfg(unix)]
    {
        use thread_priority::{
            RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        };
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
        if set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).is_ok() {
            return;
        }
    }
    let _ = set_current_thread_priority(ThreadPriority::Max);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
