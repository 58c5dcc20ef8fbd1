//! The built plugin in real hosts, end to end: an in-process CLAP host and an in-process VST3
//! host, a song whose stems are known, and what the tests
//! measure with. The tests themselves lie in `tests/`, the demo program in `src/bin/demo`.
#![warn(missing_docs)]

pub mod host;
pub mod isolated;
pub mod measure;
pub mod places;
#[cfg(target_os = "linux")]
pub mod screen;
pub mod signal;
pub mod vst3_host;
