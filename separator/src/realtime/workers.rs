//! The worker threads themselves: which of them does what, whether they are still there, and how they are woken.

use super::shared::LaneShared;
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI32, AtomicUsize, Ordering},
    },
    thread::{JoinHandle, Thread},
};

/// Threads that may have been started in place of those that ended. More often than that it would not help.
const MAX_THREADS: usize = 64;

/// What a worker does.
pub(super) enum Task {
    Sleeping,
    /// It looks for jobs. One at most does.
    Lookout,
    Computing(Arc<LaneShared>),
}

/// One worker: its thread, or the one that took its place.
pub(super) struct Worker {
    pub thread: JoinHandle<()>,
    pub task: Task,
    /// Of its thread, at the doorbell.
    pub thread_idx: usize,
    life: Arc<Life>,
}

impl Worker {
    /// Starts a thread for a worker. `work` gets what the thread must keep: [`Life::begin`] first.
    ///
    /// # Errors
    /// If the operating system gives no thread, or too many had to be replaced already.
    pub fn start(doorbell: &Doorbell, work: impl FnOnce(&Life) + Send + 'static) -> io::Result<Worker> {
        let (life, thread_idx) = (Arc::new(Life::default()), doorbell.num_threads.fetch_add(1, Ordering::SeqCst));
        let own_life = life.clone();
        let Some(thread_of_bell) = doorbell.threads.get(thread_idx) else {
            return Err(io::Error::other("too many threads have ended"));
        };
        let thread = std::thread::Builder::new().name("unbraid-worker".into()).spawn(move || work(&own_life))?;
        let _ = thread_of_bell.set(thread.thread().clone());
        Ok(Worker { thread, task: Task::Sleeping, thread_idx, life })
    }

    pub fn is_lookout(&self) -> bool {
        matches!(self.task, Task::Lookout)
    }

    /// Whether its thread has ended, also if something outside has ended it without a word.
    pub fn is_gone(&self) -> bool {
        self.thread.is_finished() || self.life.is_over(&self.thread)
    }
}

/// Whether a thread is still there, as the operating system knows it: one that was ended from outside has not told
/// the standard library.
#[derive(Default)]
pub(super) struct Life {
    /// 0 before it has begun.
    thread_id: AtomicI32,
}

impl Life {
    /// To be called by the thread.
    pub fn begin(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the call has no arguments and cannot fail.
        self.thread_id.store(unsafe { libc::gettid() }, Ordering::Release);
    }

    #[cfg(target_os = "linux")]
    fn is_over(&self, _: &JoinHandle<()>) -> bool {
        let thread_id = self.thread_id.load(Ordering::Acquire);
        // Not `pthread_kill`: the C library says of threads that have ended that all is well.
        // SAFETY: signal 0 is not sent; only whether it could be is told.
        let is_there = thread_id == 0 || unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread_id, 0) } == 0;
        !is_there && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
    }

    #[cfg(windows)]
    fn is_over(&self, thread: &JoinHandle<()>) -> bool {
        use std::{ffi::c_void, os::windows::io::AsRawHandle};
        const ENDED: u32 = 0;
        #[link(name = "kernel32")]
        unsafe extern "system" {
            fn WaitForSingleObject(handle: *mut c_void, milliseconds: u32) -> u32;
        }
        let _ = &self.thread_id;
        // SAFETY: the handle is open as long as `thread` is; nothing is waited for.
        unsafe { WaitForSingleObject(thread.as_raw_handle(), 0) == ENDED }
    }

    #[cfg(not(any(target_os = "linux", windows)))]
    fn is_over(&self, _: &JoinHandle<()>) -> bool {
        let _ = &self.thread_id;
        false
    }
}

/// Wakes the lookout. It takes no lock, so that a thread of the host's may ring; but it is a system call.
pub(crate) struct Doorbell {
    threads: Box<[OnceLock<Thread>]>,
    num_threads: AtomicUsize,
    /// Index of the thread that is on the lookout, or was last.
    lookout: AtomicUsize,
}

impl Doorbell {
    pub fn new() -> Self {
        Doorbell {
            threads: (0..MAX_THREADS).map(|_| OnceLock::new()).collect(),
            num_threads: AtomicUsize::new(0),
            lookout: AtomicUsize::new(usize::MAX),
        }
    }

    /// Makes the pool look at once. What it shall see must have been written before, in sequentially consistent order:
    /// who takes the lookout says so first and looks then.
    pub fn ring(&self) {
        if let Some(thread) = self.threads.get(self.lookout.load(Ordering::SeqCst)).and_then(OnceLock::get) {
            thread.unpark();
        }
    }

    /// From now on it rings for this thread.
    pub(super) fn set_lookout(&self, thread_idx: usize) {
        self.lookout.store(thread_idx, Ordering::SeqCst);
    }
}
