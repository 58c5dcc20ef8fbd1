//! UNBRAID: new file. Values that a host gave to the edit controller (`setParamNormalized()`) while audio is being
//! processed, and that have not come with a block yet. Component and controller are one object here: applying them at
//! once would move automation off its sample, and forgetting them would leave them out of the saved state.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// No value is pending.
const NONE: u64 = u64::MAX;
/// A value that a block began with has at least been offered to the processor.
const WAS_OFFERED: u64 = 1 << 32;

pub struct PendingParams {
    /// By parameter hash: the bits of a normalized `f32`, `WAS_OFFERED` or'ed in after one block; or `NONE`.
    values: HashMap<u32, AtomicU64>,
    is_any: AtomicBool,
}

impl PendingParams {
    pub fn new(hashes: &[u32]) -> Self {
        Self {
            values: hashes.iter().map(|hash| (*hash, AtomicU64::new(NONE))).collect(),
            is_any: AtomicBool::new(false),
        }
    }

    /// Whether there is such a parameter.
    pub fn set(&self, hash: u32, normalized: f32) -> bool {
        let Some(value) = self.values.get(&hash) else { return false };
        value.store(u64::from(normalized.to_bits()), Ordering::SeqCst);
        self.is_any.store(true, Ordering::SeqCst);
        true
    }

    pub fn get(&self, hash: u32) -> Option<f32> {
        let value = self.values.get(&hash)?.load(Ordering::SeqCst);
        (value != NONE).then(|| f32::from_bits(value as u32))
    }

    /// All that are pending, as hashes and normalized values.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.values.keys().filter_map(|&hash| Some((hash, self.get(hash)?)))
    }

    pub fn clear(&self) {
        self.values.values().for_each(|value| value.store(NONE, Ordering::SeqCst));
    }

    /// After a block: the host has sent what was pending before it, if it ever will. What came while it ran may have
    /// missed it and stays until after the next one. Realtime-safe.
    pub fn end_block(&self) {
        if !self.is_any.swap(false, Ordering::SeqCst) {
            return;
        }
        for value in self.values.values() {
            let seen = value.load(Ordering::SeqCst);
            if seen == NONE {
                continue;
            }
            let next = if seen & WAS_OFFERED != 0 { NONE } else { seen | WAS_OFFERED };
            // A value that came in between is a new one and stays as it is.
            let _ = value.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst);
            self.is_any.store(true, Ordering::SeqCst);
        }
    }
}
