//! What a graph's file may hold, told from its bytes. The messages are put together by hand, since no builder of ours
//! makes such graphs.

use models::{
    graph::{GraphFacts, check_graph},
    onnx::{Attr, GraphBuilder},
};
use std::path::Path;

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn field(number: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.as_ref().len() as u64), bytes.as_ref().to_vec()].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    [number(1, 8), field(7, graph.concat())].concat()
}

fn tensor(dims: &[u64], more: &[Vec<u8>]) -> Vec<u8> {
    [dims.iter().flat_map(|&dim| number(1, dim)).collect(), number(2, 1), more.concat()].concat()
}

fn node(op_type: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    [field(4, op_type), attributes.iter().flat_map(|attribute| field(5, attribute)).collect()].concat()
}

/// A graph in which a node holds a graph in which ... `depth` times, around `inner`.
fn nested(inner: Vec<u8>, depth: usize) -> Vec<u8> {
    (0..depth).fold(inner, |inner, _| field(1, node("If", &[[field(1, "then_branch"), field(6, inner)].concat()])))
}

fn refusal(bytes: &[u8]) -> String {
    let refusal = check_graph(bytes).expect_err("the graph should be refused");
    format!("expected {}, got {}", refusal.expected, refusal.actual)
}

fn assert_refused(bytes: &[u8], parts: &[&str]) {
    let message = refusal(bytes);
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn graphs_of_ours_pass_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut g = GraphBuilder::default();
    let input = g.input("x", &[2, 3]);
    let weights = g.floats(&[1.0; 6], &[2, 3]);
    let axis = g.ints(&[1], &[1]);
    let product = g.node("Mul", &[&input, &weights], &[]);
    let sum = g.node("ReduceSum", &[&product, &axis], &[("keepdims", Attr::Int(1))]);
    g.output(&sum, "y", &[2, 1]);
    let path = dir.path().join("g.onnx");
    g.write(&path).unwrap();
    let facts = check_graph(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(facts, GraphFacts { num_nodes: 3, num_tensors: 2, num_values: 7 });
    let first = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("first/model.onnx")).unwrap();
    let facts = check_graph(&first).unwrap();
    assert!(facts.num_nodes > 10 && facts.num_values > 2_000_000, "{facts:?}");
}

/// D27: no checksum covers them, and their place may be anywhere.
#[test]
fn weights_outside_the_file_are_refused_wherever_they_hide() {
    let location = field(13, [field(1, "location"), field(2, "../../weights.bin")].concat());
    let external = tensor(&[4], &[location.clone(), number(14, 1)]);
    let constant = |tensor: &[u8]| node("Constant", &[[field(1, "value"), field(5, tensor)].concat()]);
    let parts = ["weights within the graph's file", "another file"];
    assert_refused(&model(&[field(5, &external)]), &parts);
    assert_refused(&model(&[field(1, constant(&external))]), &parts);
    assert_refused(&model(&[nested(field(5, &external), 3)]), &parts);
    assert_refused(&model(&[nested(field(1, constant(&external)), 2)]), &parts);
    let several = node("Constant", &[field(10, &external)]);
    assert_refused(&model(&[field(1, several)]), &parts);
    // Each of the two marks alone, and with data in the file besides.
    let data = field(9, [0; 16]);
    assert_refused(&model(&[field(5, tensor(&[4], &[location, data.clone()]))]), &parts);
    let elsewhere = tensor(&[4], &[data.clone(), number(14, 1)]);
    assert_refused(&model(&[field(5, elsewhere)]), &["weights within", "elsewhere"]);
    // In a second graph that a parser merges with the first.
    let merged = [model(&[]), field(7, field(5, &external))].concat();
    assert_refused(&merged, &parts);
    check_graph(&model(&[field(5, tensor(&[4], &[data, number(14, 0)]))])).unwrap();
}

#[test]
fn what_could_run_for_ever_or_grow_without_bound_is_refused() {
    assert_refused(&model(&[field(1, node("Loop", &[]))]), &["operations that end", "a Loop"]);
    assert_refused(&model(&[field(1, node("StringConcat", &[]))]), &["operations on numbers", "a StringConcat"]);
    assert_refused(&model(&[nested(field(1, node("Loop", &[])), 4)]), &["operations that end", "a Loop"]);
    assert_refused(&[model(&[]), field(25, "")].concat(), &["plain operators", "functions"]);
    assert_refused(&[model(&[]), field(20, "")].concat(), &["inference", "training"]);
    assert_refused(&model(&[field(15, "")]), &["dense", "sparse"]);
    assert_refused(&model(&[field(1, node("Constant", &[field(22, "")]))]), &["dense", "sparse"]);
    let foreign = [node("Anything", &[]), field(7, "com.example")].concat();
    assert_refused(&model(&[field(1, foreign)]), &["ai.onnx", "com.example"]);
    let sequence = field(11, [field(1, "x"), field(2, field(4, ""))].concat());
    assert_refused(&model(&[sequence]), &["tensors as inputs", "sequence"]);
    check_graph(&model(&[nested(vec![], 8)])).unwrap();
    assert_refused(&model(&[nested(vec![], 9)]), &["at most 8 graphs within graphs"]);
    // As deep as bytes go: the walk must not run out of stack.
    assert_refused(&model(&[nested(vec![], 2000)]), &["at most 8 graphs"]);
    let many = field(1, node("Relu", &[])).repeat((1 << 20) + 1);
    assert_refused(&model(&[many]), &["at most 1048576 operations"]);
    let many = model(&[field(1, field(1, "").repeat((1 << 24) + 1))]);
    assert_refused(&many, &["at most 16777216 fields"]);
}

#[test]
fn tensors_hold_what_they_announce() {
    let announce = |dims: &[u64], len: usize| model(&[field(5, tensor(dims, &[field(9, vec![0; len])]))]);
    check_graph(&announce(&[2, 3], 24)).unwrap();
    check_graph(&announce(&[], 4)).unwrap();
    check_graph(&announce(&[0, 3], 0)).unwrap();
    assert_refused(&announce(&[1 << 40], 4), &["values that they announce", "1099511627776 values in 4 bytes"]);
    assert_refused(&announce(&[1 << 33, 1 << 33], 4), &["more than 2^64 values in 4 bytes"]);
    assert_refused(&announce(&[u64::MAX], 4), &["lengths of at least 0", "length -1"]);
    // Packed, as writers other than ours have dims.
    let packed = model(&[field(5, [field(1, varint(1 << 40)), field(9, [0; 4])].concat())]);
    assert_refused(&packed, &["1099511627776 values"]);
}

#[test]
fn what_is_no_protocol_buffer_is_refused() {
    assert_refused(b"", &["an ONNX model", "0 bytes without a graph"]);
    assert_refused(b"PK\x03\x04 not a graph", &["an ONNX model"]);
    assert_refused(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], &["ends within a field"]);
    assert_refused(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], &["more than 64 bits"]);
    assert_refused(&[0x0b], &["wire type 3"]);
    assert_refused(&number(7, 1), &["field 7 of a Model that is a number"]);
    assert_refused(&[0x00, 0x00], &["field of number 0"]);
    // Every beginning of a good file: refused, or a shorter good file, never a panic.
    let tensor = tensor(&[4], &[field(9, [1; 16])]);
    let whole = model(&[field(1, node("Relu", &[])), field(5, tensor)]);
    check_graph(&whole).unwrap();
    for len in 3..whole.len() {
        refusal(&whole[..len]);
    }
}
