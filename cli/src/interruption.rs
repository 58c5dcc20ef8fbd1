//! Ctrl-C, checked between two blocks, so that no half-written file stays behind.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, anyhow, bail};

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Exit status of a program that was interrupted, as shells have it.
pub const EXIT_STATUS: u8 = 130;

/// From now on, the first Ctrl-C (or SIGTERM, SIGHUP) only leaves a note for [`check`]; the second ends the program.
pub fn listen() -> Result<()> {
    let handler = || {
        if IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_STATUS.into());
        }
    };
    ctrlc::set_handler(handler).map_err(|error| anyhow!("cannot listen for Ctrl-C: {error}"))
}

/// Whether there was one.
pub fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}

/// An error if there was one.
pub fn check() -> Result<()> {
    if is_interrupted() {
        bail!("interrupted");
    }
    Ok(())
}
