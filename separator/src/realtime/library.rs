//! Keeps this library in memory, since a thread of ours may outlive the last instance, and ONNX Runtime alive while one
//! is in it: when the process exits, ONNX Runtime is torn down under whoever uses it.

use std::sync::{
    Once,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

static PIN: Once = Once::new();
static WAIT_AT_EXIT: Once = Once::new();
/// How many threads are in ONNX Runtime.
static NUM_BUSY: AtomicUsize = AtomicUsize::new(0);
static IS_EXITING: AtomicBool = AtomicBool::new(false);
/// So long at most the exit of the process waits: opening a large model, or a job on a busy machine.
#[cfg(unix)]
const EXIT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A thread is in ONNX Runtime as long as it holds this.
pub(crate) struct Busy(());

impl Busy {
    /// None when the process exits: it is too late for ONNX Runtime.
    pub fn begin() -> Option<Busy> {
        NUM_BUSY.fetch_add(1, Ordering::SeqCst);
        let busy = Busy(());
        (!IS_EXITING.load(Ordering::SeqCst)).then_some(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        NUM_BUSY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// From now on the exit of the process waits for threads that are in ONNX Runtime. To be called when its library is
/// loaded: handlers of the exit run in reverse order, so ours comes before its own.
pub(crate) fn wait_at_exit() {
    #[cfg(unix)]
    WAIT_AT_EXIT.call_once(|| {
        extern "C" fn wait() {
            IS_EXITING.store(true, Ordering::SeqCst);
            let start = std::time::Instant::now();
            while NUM_BUSY.load(Ordering::SeqCst) > 0 && start.elapsed() < EXIT_PATIENCE {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        // SAFETY: the handler stays in memory, since the library is pinned before any thread is started.
        unsafe { libc::atexit(wait) };
    });
    // Windows ends all other threads before it tears libraries down.
    #[cfg(not(unix))]
    WAIT_AT_EXIT.call_once(|| ());
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
