//! The built program, run as users run it.

mod command;
mod eval;
#[cfg(target_os = "linux")]
mod memory;
mod models;
mod separate;
