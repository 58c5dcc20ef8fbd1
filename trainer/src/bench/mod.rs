//! What training costs on this machine.

mod losses;
mod operations;
mod throughput;

pub use losses::{BenchArgs, HELP, bench_losses};
pub use throughput::{ThroughputArgs, measure_throughput};
