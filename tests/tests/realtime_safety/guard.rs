//! Watches what one thread does between two points.
//!
//! - **Allocations and frees**, and POSIX locks: this program defines `malloc`, `free`, `pthread_mutex_lock` and their
//!   kin itself. As the executable comes first in the order of symbol look-up, the plugin's library calls these too.
//! - **System calls**: syscall user dispatch (Linux 5.11, `prctl`) turns each one into a signal while it is switched on;
//!   the handler counts the call, switches dispatch off until the next watch, and carries the call out.

use std::cell::Cell;
use std::ffi::{c_int, c_long, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// What happened while somebody watched.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Calls that allocate.
    pub num_allocations: usize,
    /// Calls that free memory.
    pub num_frees: usize,
    /// POSIX mutexes and read-write locks taken.
    pub num_locks: usize,
    /// At most one for each watch.
    pub num_system_calls: usize,
    /// Its number.
    pub last_system_call: Option<c_long>,
}

thread_local! {
    /// Whether this thread is watched. No destructors and constant initial values: reading these allocates nothing.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static SEEN: Cell<Seen> = const {
        Cell::new(Seen { num_allocations: 0, num_frees: 0, num_locks: 0, num_system_calls: 0, last_system_call: None })
    };
    /// Read by the kernel at each system call of this thread.
    static SELECTOR: Cell<u8> = const { Cell::new(ALLOW) };
}

/// Where the last system call that was seen came from, innermost first; the second number counts them.
static TRACE: ([AtomicPtr<c_void>; 32], AtomicUsize) =
    ([const { AtomicPtr::new(null_mut()) }; 32], AtomicUsize::new(0));

/// Prints where the last system call that was seen came from.
pub fn tell_last_system_call() {
    let addresses: Vec<_> = TRACE.0.iter().take(TRACE.1.load(Ordering::Acquire)).collect();
    let addresses: Vec<_> = addresses.into_iter().map(|address| address.load(Ordering::Relaxed)).collect();
    // SAFETY: addresses of code, as `backtrace` gave them; 2 is the standard error output.
    unsafe { libc::backtrace_symbols_fd(addresses.as_ptr(), addresses.len() as c_int, 2) };
}

const ALLOW: u8 = 0;
const BLOCK: u8 = 1;
// From <linux/prctl.h>.
const PR_SET_SYSCALL_USER_DISPATCH: c_int = 59;
const PR_SYS_DISPATCH_ON: libc::c_ulong = 1;

/// Watches the thread that made it.
pub struct Guard {
    /// Not `Send`: the selector belongs to the thread.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Guard {
    /// Prepares this thread for being watched.
    pub fn new() -> Guard {
        static HANDLER: OnceLock<()> = OnceLock::new();
        HANDLER.get_or_init(|| {
            // SAFETY: a zeroed sigaction is valid; the handler touches thread-locals and registers only.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                let handler = on_system_call as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                action.sa_sigaction = handler as libc::sighandler_t;
                action.sa_flags = libc::SA_SIGINFO;
                assert_eq!(libc::sigaction(libc::SIGSYS, &action, null_mut()), 0);
            }
        });
        let selector = SELECTOR.with(Cell::as_ptr);
        // SAFETY: the selector lives as long as its thread.
        let result = unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, selector) };
        assert_eq!(
            result,
            0,
            "this kernel has no syscall user dispatch (Linux 5.11): {}",
            std::io::Error::last_os_error()
        );
        // The first call of it loads a library.
        // SAFETY: there is room for one address.
        unsafe { libc::backtrace(&mut null_mut(), 1) };
        SEEN.set(Seen::default());
        Guard { _thread: std::marker::PhantomData }
    }

    /// Runs `action` under watch.
    pub fn watch<T>(&mut self, action: impl FnOnce() -> T) -> T {
        IS_WATCHED.set(true);
        SELECTOR.set(BLOCK);
        let result = action();
        SELECTOR.set(ALLOW);
        IS_WATCHED.set(false);
        result
    }

    /// All that was seen so far.
    pub fn seen(&self) -> Seen {
        SEEN.get()
    }
}

fn note(what: impl FnOnce(&mut Seen)) {
    if IS_WATCHED.get() {
        let mut seen = SEEN.get();
        what(&mut seen);
        SEEN.set(seen);
    }
}

extern "C" fn on_system_call(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // First of all: the calls below, and the one that ends this handler, must pass.
    SELECTOR.set(ALLOW);
    // SAFETY: the kernel hands SA_SIGINFO handlers a ucontext_t.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let number = registers[libc::REG_RAX as usize];
    note(|seen| {
        seen.num_system_calls += 1;
        seen.last_system_call = Some(number);
    });
    IS_WATCHED.set(false);
    let mut addresses = [null_mut(); 32];
    // SAFETY: it was called before, so that it loads no library now.
    let count = unsafe { libc::backtrace(addresses.as_mut_ptr(), addresses.len() as c_int) };
    TRACE.0.iter().zip(addresses).for_each(|(place, address)| place.store(address, Ordering::Relaxed));
    TRACE.1.store(count as usize, Ordering::Release);
    IS_WATCHED.set(true);
    let [a, b, c, d, e, f] = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9]
        .map(|register| registers[register as usize]);
    // SAFETY: the very call that the program was about to make; errno belongs to the interrupted code and is put back.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        let result = libc::syscall(number, a, b, c, d, e, f);
        registers[libc::REG_RAX as usize] = if result == -1 { -c_long::from(*errno) } else { result };
        *errno = kept;
    }
}

// SAFETY, of all definitions below: same arguments, same contract; the originals of glibc do the work.

unsafe extern "C" {
    // What glibc's own malloc and its kin are called underneath.
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(pointer: *mut c_void);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    note(|seen| seen.num_allocations += 1);
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    note(|seen| seen.num_allocations += 1);
    unsafe { __libc_calloc(count, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    note(|seen| seen.num_allocations += 1);
    unsafe { __libc_realloc(pointer, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    note(|seen| seen.num_allocations += 1);
    unsafe { __libc_memalign(alignment, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    note(|seen| seen.num_allocations += 1);
    unsafe { __libc_memalign(alignment, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    note(|seen| seen.num_allocations += 1);
    let pointer = unsafe { __libc_memalign(alignment, size) };
    if pointer.is_null() {
        return libc::ENOMEM;
    }
    unsafe { *out = pointer };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(pointer: *mut c_void) {
    if !pointer.is_null() {
        note(|seen| seen.num_frees += 1);
    }
    unsafe { __libc_free(pointer) }
}

/// Defines a POSIX lock function that counts and passes the call on to the next library's.
macro_rules! counted_lock {
    ($name:ident, $lock:ty) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(lock: *mut $lock) -> c_int {
            static REAL: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
            note(|seen| seen.num_locks += 1);
            let mut real = REAL.load(Ordering::Acquire);
            if real.is_null() {
                let name = concat!(stringify!($name), "\0");
                real = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) };
                REAL.store(real, Ordering::Release);
            }
            // SAFETY: libc's function of this name has this type.
            let real: unsafe extern "C" fn(*mut $lock) -> c_int = unsafe { std::mem::transmute(real) };
            unsafe { real(lock) }
        }
    };
}

counted_lock!(pthread_mutex_lock, libc::pthread_mutex_t);
counted_lock!(pthread_mutex_trylock, libc::pthread_mutex_t);
counted_lock!(pthread_rwlock_rdlock, libc::pthread_rwlock_t);
counted_lock!(pthread_rwlock_wrlock, libc::pthread_rwlock_t);
