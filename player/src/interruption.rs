//! Ctrl-C, and the wish of the system that the program ends.

use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicBool, Ordering};

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on these are noticed, and the program goes on; `then` is called, on another thread.
///
/// # Errors
/// The system does not let it.
pub fn notice(then: impl Fn() + Send + 'static) -> Result<()> {
    let handler = move || {
        IS_INTERRUPTED.store(true, Ordering::Relaxed);
        then();
    };
    ctrlc::set_handler(handler).map_err(|error| anyhow!("cannot listen for Ctrl-C: {error}"))
}

/// Whether one has come.
pub fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}
