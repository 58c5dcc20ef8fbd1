//! The one test of its process: ONNX Runtime's own switch changes the thread that opens the first session, for good.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

mod common;
use common::*;
use separator::{Graph, testing::TestModel, testing::runtime};

#[test]
fn opening_and_running_a_graph_leaves_denormals_as_they_were() {
    let halve = || std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
    let (_dir, model) = write_model(&TestModel::identity());
    let mut state = Graph::open(&runtime(), &model).unwrap().make_state().unwrap();
    assert!(halve() > 0.0, "after opening");
    state.run().unwrap();
    assert!(halve() > 0.0, "after a run");
}
