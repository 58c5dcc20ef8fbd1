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
    let elapsed_ns = match ORIGIN.get() {
        Some(origin) => origin.elapsed().as_nanos() as i64,
        None => 0,
    };
    #[cfg(test)]
    let elapsed_ns = elapsed_ns + SKIPPED_NS.load(std::sync::atomic::Ordering::SeqCst);
    elapsed_ns
}

#[cfg(test)]
static SKIPPED_NS: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);

/// Lets so much time pass at once.
#[cfg(test)]
pub(crate) fn skip(time: std::time::Duration) {
    SKIPPED_NS.fetch_add(time.as_nanos() as i64, std::sync::atomic::Ordering::SeqCst);
}
