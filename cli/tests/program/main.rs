//! The built program, run as users run it.

mod batches;
mod cases;
mod command;
mod eval;
mod inspect;
#[cfg(target_os = "linux")]
mod install;
#[cfg(target_os = "linux")]
mod memory;
mod models;
mod separate;
