//! The worker threads of the process: few, shared by all lanes, the most urgent job first.
//!
//! The audio thread must not wake anybody (that would be a system call), so somebody has to look. One idle worker does,
//! the *lookout*; the others sleep until it finds a job, hands the lookout over and computes. While sound flows it looks
//! every quarter of a millisecond; for lanes that are quiet only as often as their time budget needs; while no plugin is
//! activated not at all.

use super::{clock, library, worker_lane::WorkerLane};
use std::{
    any::Any,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};
use thread_priority::{ThreadPriority, set_current_thread_priority};

/// While sound flows, the lookout looks this often.
const LOOK_NS: i64 = 250_000;
/// More workers than this gain nothing: memory and caches are shared.
const MAX_WORKERS: usize = 16;
/// How long the last instance waits for the workers to end.
const END_PATIENCE: Duration = Duration::from_millis(40);

/// The pool of the process, as long as any instance lives.
static POOL: Mutex<Weak<Pool>> = Mutex::new(Weak::new());

/// Worker threads and the lanes that they serve.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Lanes whose jobs nobody computes at the moment. A worker takes a lane out, and puts it back afterwards.
    #[expect(clippy::vec_box, reason = "they go in and out with every job, by pointer")]
    lanes: Mutex<Vec<Box<WorkerLane>>>,
    roster: Mutex<Roster>,
    /// To wake them, by index.
    workers: OnceLock<Vec<Thread>>,
    stop: AtomicBool,
}

/// Who does what; workers that are in neither compute.
#[derive(Default)]
struct Roster {
    lookout: Option<usize>,
    sleeping: Vec<usize>,
}

enum Found {
    Job(Box<WorkerLane>),
    LookAgain(Duration),
    Nothing,
}

/// Makes the pool look at once. Not for the audio thread in real time: a system call.
#[derive(Clone)]
pub(crate) struct Wake(Weak<Shared>);

impl Wake {
    pub fn wake(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.wake_lookout();
        }
    }
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
            roster: Mutex::default(),
            workers: OnceLock::new(),
            stop: AtomicBool::new(false),
        });
        let mut pool = Pool { shared, threads: Vec::new() };
        for worker_idx in 0..num_workers {
            let shared = pool.shared.clone();
            // One core is left to threads of ordinary priority, however many jobs there are.
            let is_raised = worker_idx + 1 < num_workers.max(2);
            let thread = thread::Builder::new().name("unbraid-worker".into()).spawn(move || {
                if is_raised {
                    raise_priority();
                }
                shared.work(worker_idx);
            });
            match thread {
                Ok(thread) => pool.threads.push(thread),
                Err(error) if pool.threads.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        // Until then they find nobody to wake, and there is no lane yet.
        let _ = pool.shared.workers.set(pool.threads.iter().map(|thread| thread.thread().clone()).collect());
        Ok(pool)
    }

    /// Adds a lane. It leaves by itself when it is over.
    pub fn add(&self, lane: WorkerLane) {
        lock(&self.shared.lanes).push(Box::new(lane));
        self.shared.wake_lookout();
    }

    pub fn wake(&self) -> Wake {
        Wake(Arc::downgrade(&self.shared))
    }

    /// Whether no worker is left: something outside ended their threads.
    pub fn is_dead(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }
}

impl Drop for Pool {
    /// The last instance is gone. Workers are waited for, but not for long: one may be in the middle of a job. It may
    /// finish it, since the library stays in memory.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.threads.iter().for_each(|worker| worker.thread().unpark());
        let start = Instant::now();
        for worker in self.threads.drain(..) {
            while !worker.is_finished() && start.elapsed() < END_PATIENCE {
                thread::sleep(Duration::from_micros(200));
            }
            if worker.is_finished() {
                // Panics of jobs were caught and reported where they happened.
                let _ = worker.join();
            }
        }
        lock(&self.shared.lanes).clear();
    }
}

impl Shared {
    fn wake_lookout(&self) {
        if let Some(worker_idx) = lock(&self.roster).lookout {
            self.unpark(worker_idx);
        }
    }

    fn unpark(&self, worker_idx: usize) {
        if let Some(worker) = self.workers.get().and_then(|workers| workers.get(worker_idx)) {
            worker.unpark();
        }
    }

    /// A worker's life.
    fn work(&self, worker_idx: usize) {
        while !self.stop.load(Ordering::Acquire) {
            if !self.is_lookout(worker_idx) {
                thread::park();
                continue;
            }
            match self.find_job() {
                Found::Job(lane) => {
                    let Some(_busy) = library::Busy::begin() else { return };
                    self.hand_over_lookout();
                    if let Some(lane) = run_job(lane) {
                        lock(&self.lanes).push(lane);
                        // It may have to look sooner than without this lane.
                        self.wake_lookout();
                    }
                }
                Found::LookAgain(after) => thread::park_timeout(after),
                Found::Nothing => thread::park(),
            }
        }
    }

    /// Takes the lookout if nobody has it.
    fn is_lookout(&self, worker_idx: usize) -> bool {
        let mut roster = lock(&self.roster);
        roster.sleeping.retain(|&sleeping| sleeping != worker_idx);
        let lookout = *roster.lookout.get_or_insert(worker_idx);
        if lookout != worker_idx {
            roster.sleeping.push(worker_idx);
        }
        lookout == worker_idx
    }

    fn hand_over_lookout(&self) {
        let mut roster = lock(&self.roster);
        roster.lookout = None;
        if let Some(worker_idx) = roster.sleeping.pop() {
            self.unpark(worker_idx);
        }
    }

    /// Takes out the lane with the most urgent job; lanes that are over are dropped.
    fn find_job(&self) -> Found {
        let now_ns = clock::now_ns();
        let mut lanes = lock(&self.lanes);
        let over: Vec<Box<WorkerLane>> = lanes.extract_if(.., |lane| lane.is_over()).collect();
        let due = lanes.iter().enumerate().filter_map(|(idx, lane)| Some((lane.next_due_ns()?, idx)));
        let found = match due.min() {
            Some((_, idx)) => Found::Job(lanes.swap_remove(idx)),
            None => match lanes.iter().filter_map(|lane| lane.look_again_ns(now_ns, LOOK_NS)).min() {
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
