//! The walk over a graph's protocol buffer: `cargo +nightly fuzz run graph`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = models::graph::check_graph(bytes);
});
