//! How many operations libtorch runs: on a GPU every one of them is launched by itself, and small ones cost what their
//! launch costs. Counted on any machine.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

// ATen/record_function.h, of which libtorch_cpu exports these two.
unsafe extern "C" {
    #[link_name = "_ZN2at17addGlobalCallbackENS_22RecordFunctionCallbackE"]
    fn add_global_callback(callback: RecordFunctionCallback) -> u64;
    #[link_name = "_ZNK2at14RecordFunction4nameEv"]
    fn name_of(function: *const c_void) -> *const c_char;
}

/// `at::RecordFunctionCallback`: it is trivially copyable, so that it goes by value as a C struct does.
#[repr(C)]
struct RecordFunctionCallback {
    /// Returns a `std::unique_ptr`, which the caller makes room for.
    start: extern "C" fn(*mut *mut c_void, *const c_void) -> *mut *mut c_void,
    end: extern "C" fn(*const c_void, *mut c_void),
    sampling_probability: f64,
    /// By `at::RecordScope`, of which the first is operations.
    scopes: [bool; 10],
    needs_inputs: bool,
    needs_outputs: bool,
    needs_ids: bool,
}

/// What only looks at memory in another way, or gets some.
const FREE: [&str; 24] = [
    "alias",
    "as_strided",
    "chunk",
    "detach",
    "empty",
    "empty_like",
    "empty_strided",
    "expand",
    "is_nonzero",
    "item",
    "narrow",
    "permute",
    "reshape",
    "select",
    "slice",
    "split",
    "squeeze",
    "t",
    "transpose",
    "unfold",
    "unsqueeze",
    "view",
    "_local_scalar_dense",
    "_reshape_alias",
];

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static NUM_OPERATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// For every operation that has begun, whether one within it was counted: only innermost ones are.
    static HAS_COUNTED: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
}

extern "C" fn start(context: *mut *mut c_void, _function: *const c_void) -> *mut *mut c_void {
    HAS_COUNTED.with_borrow_mut(|open| open.push(false));
    // SAFETY: the caller made room for a pointer; null is an empty `unique_ptr`.
    unsafe { context.write(std::ptr::null_mut()) };
    context
}

extern "C" fn end(function: *const c_void, _context: *mut c_void) {
    // SAFETY: libtorch hands a function that lives until this returns, and its name ends with a 0.
    let name = unsafe { CStr::from_ptr(name_of(function)) }.to_bytes();
    let name = name.strip_prefix(b"aten::").unwrap_or(name);
    let is_free = FREE.iter().any(|free| free.as_bytes() == name);
    let is_new = HAS_COUNTED.with_borrow_mut(|open| {
        let has_counted = open.pop().unwrap_or(true);
        // Getting memory does not make an operation one that is made of others.
        if let Some(outer) = open.last_mut() {
            *outer |= has_counted || !is_free;
        }
        !has_counted && !is_free
    });
    if is_new && IS_COUNTING.load(Relaxed) {
        NUM_OPERATIONS.fetch_add(1, Relaxed);
    }
}

/// Operations that `work` runs, on all threads: those that compute something, backwards too.
pub fn count<T>(work: impl FnOnce() -> T) -> (T, u64) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let mut scopes = [false; 10];
        scopes[0] = true;
        let (needs_inputs, needs_outputs, needs_ids) = (false, false, false);
        let callback = RecordFunctionCallback {
            start,
            end,
            sampling_probability: 1.0,
            scopes,
            needs_inputs,
            needs_outputs,
            needs_ids,
        };
        // SAFETY: the struct is laid out as libtorch has it, and both functions live for ever.
        unsafe { add_global_callback(callback) };
    });
    NUM_OPERATIONS.store(0, Relaxed);
    IS_COUNTING.store(true, Relaxed);
    let result = work();
    IS_COUNTING.store(false, Relaxed);
    (result, NUM_OPERATIONS.load(Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn operations_are_counted_once_and_views_are_not() {
        let x = Tensor::ones([3, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        // Other tests run operations meanwhile: they can only add to the count.
        let num = |work: &dyn Fn() -> Tensor| (0..50).map(|_| count(work).1).min().expect("fifty");
        assert_eq!(num(&|| x.transpose(0, 1)), 0);
        assert_eq!(num(&|| x.sigmoid()), 1);
        assert_eq!(num(&|| x.sigmoid().transpose(0, 1).tanh()), 2);
        // It gets memory for its results by other operations.
        assert_eq!(num(&|| x.layer_norm([4], None::<&Tensor>, None::<&Tensor>, 1e-5, true)), 1);
        let forwards = num(&|| (&x * &x).sum(Kind::Float));
        let both = num(&|| {
            let loss = (&x * &x).sum(Kind::Float);
            loss.backward();
            loss
        });
        assert!(both > forwards, "{both} and {forwards}");
    }
}
