//! What a frame costs without a window: `cargo test --release -p plugin --test editor cost -- --ignored --nocapture`.

use crate::{bench::Bench, song};
use std::time::Duration;

const NUM_FRAMES: usize = 300;

/// Processor time of this thread: other programs do not count.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
#[ignore = "measures, and judges nothing"]
fn a_frame_costs() {
    for scale in [1.0, 2.0] {
        let mut bench = Bench::new(scale);
        bench.hear(song::columns());
        bench.play([0.12, 0.0, 0.5, 0.3, 1.2]);
        let (mut layout, mut tessellation, mut num_triangles) = (Duration::ZERO, Duration::ZERO, 0);
        for _ in 0..NUM_FRAMES {
            let start = thread_time();
            bench.frames(1);
            let middle = thread_time();
            num_triangles = bench.tessellate();
            layout += middle - start;
            tessellation += thread_time() - middle;
        }
        let us = |time: Duration| time.as_micros() / NUM_FRAMES as u128;
        println!(
            "{:.0} %: {} us for the frame, {} us for {num_triangles} triangles; {:.2} % of a core at 30 frames a second",
            100.0 * scale,
            us(layout),
            us(tessellation),
            100.0 * 30.0 * (layout + tessellation).as_secs_f64() / NUM_FRAMES as f64
        );
    }
}
