//! Keeps this library in memory, since a thread of ours may outlive the last instance, and ONNX Runtime alive while one
//! is in it: when the process exits, ONNX Runtime is torn down under whoever uses it.

use std::{
    sync::{
        Once,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

static PIN: Once = Once::new();
/// How many threads are in ONNX Runtime, and how many of them open it or a model.
static NUM_BUSY: AtomicUsize = AtomicUsize::new(0);
static NUM_LOADING: AtomicUsize = AtomicUsize::new(0);
static IS_EXITING: AtomicBool = AtomicBool::new(false);
/// So long at most the exit of the process waits: opening a large model, or a job on a busy machine.
const EXIT_PATIENCE: Duration = Duration::from_secs(10);

/// A thread is in ONNX Runtime as long as it holds this.
pub(crate) struct Busy {
    is_loading: bool,
}

impl Busy {
    /// For a job. None when the process exits: it is too late for ONNX Runtime.
    pub fn begin() -> Option<Busy> {
        NUM_BUSY.fetch_add(1, Ordering::SeqCst);
        let busy = Busy { is_loading: false };
        (!IS_EXITING.load(Ordering::SeqCst)).then_some(busy)
    }

    /// For opening ONNX Runtime or a model; to be called by the host's thread, before the loader starts.
    pub fn load() -> Option<Busy> {
        NUM_LOADING.fetch_add(1, Ordering::SeqCst);
        NUM_BUSY.fetch_add(1, Ordering::SeqCst);
        let busy = Busy { is_loading: true };
        WAIT_AT_THREAD_END.with(|_| ());
        (!IS_EXITING.load(Ordering::SeqCst)).then_some(busy)
    }
}

/// A thread that something has ended from outside is in ONNX Runtime no more, although it has dropped nothing.
pub(crate) fn forget_busy_thread() {
    NUM_BUSY.fetch_sub(1, Ordering::SeqCst);
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.is_loading {
            NUM_LOADING.fetch_sub(1, Ordering::SeqCst);
        }
        NUM_BUSY.fetch_sub(1, Ordering::SeqCst);
    }
}

thread_local! {
    static WAIT_AT_THREAD_END: WaitForLoads = const { WaitForLoads };
}

/// What ONNX Runtime makes while it opens a model it destroys at exit before any handler of ours can run. But the exit
/// begins with the end of the thread that calls it, the host's main thread: the one that activates plugins.
struct WaitForLoads;

impl Drop for WaitForLoads {
    fn drop(&mut self) {
        wait_for(&NUM_LOADING);
    }
}

fn wait_for(count: &AtomicUsize) {
    let start = Instant::now();
    while count.load(Ordering::SeqCst) > 0 && start.elapsed() < EXIT_PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}

/// From now on the exit of the process waits for threads that are in ONNX Runtime. To be called whenever a model has been
/// opened: handlers of the exit run in reverse order, so ours comes before ONNX Runtime's own.
pub(crate) fn wait_at_exit() {
    #[cfg(unix)]
    {
        extern "C" fn wait() {
            IS_EXITING.store(true, Ordering::SeqCst);
            wait_for(&NUM_BUSY);
        }
        // SAFETY: the handler stays in memory, since the library is pinned before any thread is started.
        unsafe { libc::atexit(wait) };
    }
    // Windows ends all other threads before it tears libraries down.
}

/// From now on the host cannot unload the library that this code is in (a plugin, or the program itself). Threads
/// that open a model or compute a long job are not waited for.
pub(crate) fn pin() {
    PIN.call_once(pin_now);
}

#[cfg(unix)]
fn pin_now() {
    use std::mem::MaybeUninit;

    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let address_in_here = pin as fn() as *const std::ffi::c_void;
    // SAFETY: `info` is writable and as large as `dladdr` expects; any address may be asked for.
    let is_found = unsafe { libc::dladdr(address_in_here, info.as_mut_ptr()) } != 0;
    // SAFETY: all-zero bytes are a valid `Dl_info`, and that is what it is if `dladdr` did not fill it in.
    let info = unsafe { info.assume_init() };
    if is_found && !info.dli_fname.is_null() {
        // SAFETY: the name is a C string that lives as long as the library does. The handle is never closed: that, and
        // RTLD_NODELETE, is what pins it.
        unsafe { libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
    }
}

#[cfg(windows)]
fn pin_now() {
    use std::{ffi::c_void, ptr};

    const PIN: u32 = 1;
    const FROM_ADDRESS: u32 = 4;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, name_or_address: *const c_void, module: *mut *mut c_void) -> i32;
    }
    let address_in_here = pin as fn() as *const c_void;
    let mut module = ptr::null_mut();
    // SAFETY: `module` is writable; with FROM_ADDRESS the name is an address.
    unsafe { GetModuleHandleExW(PIN | FROM_ADDRESS, address_in_here, &mut module) };
}

#[cfg(not(any(unix, windows)))]
fn pin_now() {}
