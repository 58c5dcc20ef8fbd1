//! Work on the items of a list, on as many threads as torch computes with.

use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use std::sync::OnceLock;

/// Calls `work` once for every item, in any order; a thread that is done takes the next item. `memory` makes the working
/// memory of a thread.
///
/// # Panics
/// If `work` does.
pub fn for_each<I: Send, M>(
    items: impl IntoIterator<Item = I, IntoIter: Send>,
    memory: impl Fn() -> M + Send + Sync,
    work: impl Fn(&mut M, I) + Send + Sync,
) {
    let items = items.into_iter();
    match threads() {
        Some(threads) => threads.install(|| items.par_bridge().for_each_init(memory, work)),
        None => {
            let mut memory = memory();
            items.for_each(|item| work(&mut memory, item));
        }
    }
}

/// As many threads as torch had at the first call; None if that is one, the caller's own.
fn threads() -> Option<&'static ThreadPool> {
    static THREADS: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let start = || {
        let num_threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
        let pool = || ThreadPoolBuilder::new().num_threads(num_threads).thread_name(|idx| format!("loss-{idx}"));
        (num_threads > 1).then(|| pool().build().expect("the system starts threads"))
    };
    THREADS.get_or_init(start).as_ref()
}
