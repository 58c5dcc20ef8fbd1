//! The audio thread allocates nothing and frees nothing, whatever the block sizes, also while resetting, falling
//! behind and losing the worker.

mod common;
use common::*;
use separator::{
    AudioSide,
    testing::{CountingAllocator, TestModel, num_allocator_calls},
};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn assert_allocates_nothing(what: &str, action: impl FnOnce()) {
    let before = num_allocator_calls();
    action();
    let num_calls = num_allocator_calls() - before;
    assert_eq!(num_calls, 0, "calls of the allocator in {what}");
}

struct Driver {
    random: Random,
    input: Stereo,
    output: [Stereo; 5],
}

impl Driver {
    fn new(max_len: usize) -> Self {
        let output = std::array::from_fn(|_| [vec![0.0; max_len], vec![0.0; max_len]]);
        Driver { random: Random::new(1), input: noise(max_len, 1), output }
    }

    fn process(&mut self, audio: &mut AudioSide, len: usize) {
        assert_allocates_nothing(&format!("a block of {len}"), || {
            let [delayed, vocals, drums, bass, other] =
                self.output.each_mut().map(|stereo| stereo.each_mut().map(|channel| &mut channel[..len]));
            let input = self.input.each_ref().map(|channel| &channel[..len]);
            audio.process_into(input, delayed, &mut [vocals, drums, bass, other], false);
        });
    }
}

#[test]
fn process_and_reset_do_not_touch_the_allocator() {
    let (_dir, model) = write_model(&TestModel::identity());
    for rate in [44_100.0, 48e3, 192e3] {
        let (engine, mut audio) = start(&model, rate, 1024);
        let mut driver = Driver::new(5000);
        let mut phase = |driver: &mut Driver, num_blocks: usize, pause: Duration| {
            for _ in 0..num_blocks {
                // Mostly within the announced size, sometimes nothing, sometimes far beyond.
                let len = match driver.random.next() % 20 {
                    0 => 0,
                    1 => 5000,
                    _ => (driver.random.next() % 1025) as usize,
                };
                driver.process(&mut audio, len);
                if driver.random.next().is_multiple_of(50) {
                    assert_allocates_nothing("a reset", || audio.reset());
                }
                std::thread::sleep(pause);
            }
        };
        phase(&mut driver, 50, Duration::ZERO); // while it loads
        wait_until_running(&engine);
        phase(&mut driver, 150, Duration::from_millis(10)); // in time
        phase(&mut driver, 500, Duration::ZERO); // too fast for the worker
        engine.delay_jobs(Duration::from_millis(20));
        phase(&mut driver, 100, Duration::from_millis(2)); // a slow worker
        engine.kill_worker();
        phase(&mut driver, 100, Duration::from_millis(2)); // a dead worker
    }
    let mut audio = AudioSide::passthrough(1000, 64);
    let mut driver = Driver::new(500);
    for len in 0..500 {
        driver.process(&mut audio, len);
    }
}
