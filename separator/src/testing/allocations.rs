//! How often a thread calls the allocator, for tests of what the audio thread runs.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static NUM_CALLS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts its calls. A test makes it its `#[global_allocator]`.
pub struct CountingAllocator;

/// Calls of [`CountingAllocator`] by this thread so far, to get memory, grow it or give it back.
pub fn num_allocator_calls() -> usize {
    NUM_CALLS.get()
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        NUM_CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NUM_CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
