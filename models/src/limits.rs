//! What a model may ask of the machine. A manifest is somebody else's word: nothing is allocated for it before
//! [`Model::load`](crate::Model::load) has held it against these, and a product that overflows is beyond every limit.
//!
//! Each leaves room for several times the largest published model.

use std::ops::RangeInclusive;

/// Sample rates, in Hz. Resampling tables grow with the rate.
pub const SAMPLE_RATES_HZ: RangeInclusive<u32> = 8_000..=768_000;

/// Stems of a model.
pub const MAX_STEMS: usize = 16;

/// Characters of a stem's name.
pub const MAX_STEM_NAME_LEN: usize = 32;

/// Bytes of a model's name, or of a file's in its folder.
pub const MAX_FILE_NAME_LEN: usize = 100;

/// Bytes of a tensor's name.
pub const MAX_TENSOR_NAME_LEN: usize = 1024;

/// Samples of a slice, as slicqt has it.
pub const MAX_SLICE_LEN: usize = 1 << 22;

/// Coefficients of a slice, as slicqt has it.
pub const MAX_COEFS: usize = 1 << 22;

/// Slices over each sample: `slice_len / hop_len`.
pub const MAX_OVERLAP: usize = 64;

/// Slices that a network looks ahead.
pub const MAX_LOOK_AHEAD_SLICES: usize = 1024;

/// Latency of a model that streams, and of the plugin in a host, in seconds.
pub const MAX_LATENCY_S: usize = 60;

/// Slices that go through the graph at once.
pub const MAX_BLOCK_SLICES: usize = 4096;

/// Frames of the Wiener filter's windows.
pub const MAX_WINDOW_FRAMES: usize = 100_000;

/// Number of states.
pub const MAX_STATES: usize = 4096;

/// Axes of a state.
pub const MAX_STATE_RANK: usize = 8;

/// Values of one state; input and output of the graph may have as many.
pub const MAX_TENSOR_LEN: usize = 1 << 24;

/// Values of all states together.
pub const MAX_TOTAL_STATE_LEN: usize = 1 << 26;

/// Values of all `at_end` entries together: they are text in the manifest.
pub const MAX_TOTAL_AT_END_LEN: usize = 1 << 20;

/// Values that a pipeline keeps of the past while it waits for what it looks ahead to: 1 GiB of f32.
pub const MAX_BUFFERED_LEN: usize = 1 << 28;

/// Length of the manifest's file.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 24;

/// Length of the graph's file.
pub const MAX_GRAPH_BYTES: u64 = 1 << 30;

/// Operations of a graph, those within other operations included.
pub const MAX_GRAPH_NODES: usize = 1 << 20;

/// Tensors in the graph's file.
pub const MAX_GRAPH_TENSORS: usize = 1 << 20;

/// Values of these tensors together.
pub const MAX_GRAPH_VALUES: usize = 1 << 29;

/// Fields of the graph's file, each of which becomes an object, a text or a number in memory.
pub const MAX_GRAPH_FIELDS: usize = 1 << 24;

/// Bytes that ONNX Runtime may hold for what is between inputs and outputs, of all graphs in the process together.
pub const MAX_RUN_BYTES: usize = 2 << 30;

/// Graphs within graphs: the branches of conditions and the bodies of loops.
pub const MAX_GRAPH_DEPTH: usize = 8;

/// The product, if it is at most `max`.
pub(crate) fn product_within(lens: &[usize], max: usize) -> Option<usize> {
    // An early zero must not hide that the rest overflows, nor a zero at the end an overflow before it.
    lens.iter().try_fold(1usize, |product, &len| product.checked_mul(len)).filter(|&product| product <= max)
}
