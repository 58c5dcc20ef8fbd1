//! Work on the items of a list, on as many threads as torch computes with.

use std::sync::Mutex;
use std::thread;

/// Calls `work` once for every item, in any order; a thread that is done takes the next item. `memory` makes the working
/// memory of a thread. The caller's own thread works too.
///
/// # Panics
/// If `work` does.
pub fn for_each<I: Send, M>(
    items: impl IntoIterator<Item = I, IntoIter: Send>,
    memory: impl Fn() -> M + Sync,
    work: impl Fn(&mut M, I) + Sync,
) {
    let items = Mutex::new(items.into_iter());
    let run = || {
        let mut memory = memory();
        loop {
            let Some(item) = items.lock().expect("no item is taken by a thread that panics").next() else { break };
            work(&mut memory, item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..tch::get_num_threads().max(1) {
            scope.spawn(run);
        }
        run();
    });
}
