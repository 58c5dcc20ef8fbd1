//! Wall time in nanoseconds, as one number that fits into an atomic.

use std::{sync::OnceLock, time::Instant};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Fixes the origin; call it before the audio thread asks for the time.
pub(crate) fn init() {
    ORIGIN.get_or_init(Instant::now);
}

/// Nanoseconds since [`init`].
///
/// # Realtime
/// Safe: the kernel's vDSO, the mach timebase and the performance counter are all read without a system call.
pub(crate) fn now_ns() -> i64 {
    match ORIGIN.get() {
        Some(origin) => origin.elapsed().as_nanos() as i64,
        None => 0,
    }
}
