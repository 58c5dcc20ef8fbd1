//! Attention over slices, and what a slice learns of those after it.

use super::{HEAD_WIDTH, HEADS};
use crate::layers::{Attention, Gru, Linear, Norm, Ops};
use tch::nn;

/// What a slice learns of those after it, from the present one.
pub struct Future {
    num_slices: i64,
    norm: Norm,
    /// Over time, up to the present.
    time: Gru,
    /// Of what is remembered at present.
    memory_norm: Norm,
    memory: Linear,
    /// From the slice that is due to the slices between it and the present, and as many before it.
    query_norm: Norm,
    attention: Attention,
}

impl Future {
    /// Random weights.
    pub fn new(vs: &nn::Path, width: i64, num_slices: i64) -> Self {
        Future {
            num_slices,
            norm: Norm::new(&(vs / "norm"), width),
            time: Gru::new(&(vs / "time"), width, width),
            memory_norm: Norm::new(&(vs / "memory_norm"), width),
            memory: Linear::new(&(vs / "memory"), width, width),
            query_norm: Norm::new(&(vs / "query_norm"), width),
            attention: Attention::new(&(vs / "attention"), width, HEADS, HEAD_WIDTH, 2 * num_slices + 1, num_slices),
        }
    }

    /// The bands of the slice that is due, from those of the present one.
    pub fn apply<O: Ops>(&self, ops: &mut O, now: &O::Value) -> O::Value {
        let now = ops.cut(now);
        let due = ops.delay(&now, self.num_slices, "due");
        let normed = ops.norm(&now, &self.norm);
        let heard = ops.gru_in_time(&normed, &self.time, "future");
        let heard = ops.add(&now, &heard);
        let heard = ops.norm(&heard, &self.memory_norm);
        let memory = ops.linear(&heard, &self.memory);
        let query = ops.norm(&due, &self.query_norm);
        let seen = attend(ops, &query, &heard, &self.attention, "ahead");
        let due = ops.add(&due, &memory);
        ops.add(&due, &seen)
    }
}

/// Attention from `queries` to `keys`, both `[S][B][band][width]`.
pub fn attend<O: Ops>(ops: &mut O, queries: &O::Value, keys: &O::Value, layer: &Attention, state: &str) -> O::Value {
    let queries = ops.linear(queries, &layer.queries);
    let both = ops.linear(keys, &layer.keys_values);
    let (keys, values) = (ops.narrow(&both, 1, 0, layer.inner()), ops.narrow(&both, 1, layer.inner(), layer.inner()));
    let seen = ops.attend([&queries, &keys, &values], layer, state);
    ops.linear(&seen, &layer.out)
}
