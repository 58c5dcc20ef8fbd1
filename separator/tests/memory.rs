//! Graphs of a few bytes that ask for all the memory there is fail, and nothing else happens. Each is a process of its own,
//! whose address space is bounded, so that a failure of this test does not take the machine with it.
#![cfg(target_os = "linux")]

use models::{
    Model,
    limits::MAX_RUN_BYTES,
    onnx::{Attr, GraphBuilder, Value},
    sha256_file,
};
use separator::{
    Pipeline,
    testing::{TestModel, runtime},
};
use std::{fs, path::Path};

const CHILD: &str = "UNBRAID_MEMORY_CHILD";
/// ONNX Runtime itself, the model, and what this program takes.
const MAX_OTHER_BYTES: usize = 1 << 29;

/// Something large, of the input or of nothing.
type Bomb = fn(&mut GraphBuilder, &Value) -> Value;

const BOMBS: [(&str, Bomb); 6] = [
    ("a constant of 64 GiB", |g, _| {
        let shape = g.ints(&[1 << 17, 1 << 17], &[2]);
        g.node("ConstantOfShape", &[&shape], &[])
    }),
    ("a hundred constants of 512 MiB that are needed at once", |g, _| {
        let shape = g.ints(&[1 << 27], &[1]);
        let parts: Vec<Value> = (0..100).map(|_| g.node("ConstantOfShape", &[&shape], &[])).collect();
        let first: Vec<Value> = parts
            .iter()
            .map(|part| {
                let (start, end) = (g.ints(&[0], &[1]), g.ints(&[1], &[1]));
                g.node("Slice", &[part, &start, &end], &[])
            })
            .collect();
        let all: Vec<&Value> = parts.iter().chain(&first).collect();
        g.node("Concat", &all, &[("axis", Attr::Int(0))])
    }),
    ("doubled thirty times", |g, input| {
        let mut value = input.clone();
        for _ in 0..30 {
            value = g.node("Concat", &[&value.clone(), &value], &[("axis", Attr::Int(0))]);
        }
        value
    }),
    ("expanded to 64 GiB", |g, input| {
        let shape = g.ints(&[1 << 22, 1, 1], &[3]);
        g.node("Expand", &[input, &shape], &[])
    }),
    ("tiled to 64 GiB", |g, input| {
        let repeats = g.ints(&[1 << 11, 1 << 11], &[2]);
        g.node("Tile", &[input, &repeats], &[])
    }),
    ("everything times everything", |g, input| {
        let (column, row, repeats) = (g.ints(&[-1, 1], &[2]), g.ints(&[1, -1], &[2]), g.ints(&[16, 16], &[2]));
        let input = g.node("Tile", &[input, &repeats], &[]);
        let (column, row) = (g.node("Reshape", &[&input, &column], &[]), g.node("Reshape", &[&input, &row], &[]));
        g.node("Mul", &[&column, &row], &[])
    }),
];

/// The identity, plus nothing of the bomb; None is no bomb.
fn write(dir: &Path, bomb: Option<Bomb>) -> Model {
    let good = TestModel::identity().write(dir).unwrap();
    let m = &good.manifest;
    let lens = |shape: &[usize]| shape.iter().map(|&len| len as i64).collect::<Vec<_>>();
    let mut graph = GraphBuilder::default();
    let g = &mut graph;
    let input = g.input(&m.input.name, &lens(&m.input.shape));
    let (zero, shape) = (g.floats(&[0.0], &[1]), g.ints(&lens(&m.output.shape), &[m.output.shape.len() as i64]));
    let mut nothing = zero.clone();
    if let Some(bomb) = bomb {
        let bomb = bomb(g, &input);
        let sum = g.node("ReduceSum", &[&bomb], &[("keepdims", Attr::Int(0))]);
        nothing = g.node("Mul", &[&sum, &zero], &[]);
    }
    let masks = g.node("Expand", &[&nothing, &shape], &[]);
    g.output(&masks, &m.output.name, &lens(&m.output.shape));
    graph.write(&good.onnx_path()).unwrap();
    let mut manifest = m.clone();
    manifest.graph.sha256 = sha256_file(&good.onnx_path()).unwrap().0;
    manifest.write(dir).unwrap();
    Model::load(dir).unwrap()
}

/// The most that this process has had in memory, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}

fn open_and_run(model: &Model) -> Result<(), separator::SeparatorError> {
    let mut pipeline = Pipeline::new(&runtime(), model)?;
    let hop = vec![0.1; pipeline.hop_len()];
    let mut stems = vec![[hop.clone(), hop.clone()]; pipeline.num_stems()];
    (0..4).try_for_each(|_| pipeline.process_hop([&hop, &hop], &mut stems))
}

#[test]
fn a_graph_that_asks_for_all_memory_fails() {
    if let Ok(which) = std::env::var(CHILD) {
        return run_child(which.parse().unwrap());
    }
    for (idx, (what, _)) in BOMBS.iter().enumerate() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_graph_that_asks_for_all_memory_fails", "--nocapture"])
            .env(CHILD, idx.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find(|line| line.starts_with("peak")).unwrap_or("no word").to_owned();
        println!("{what}: {line}");
        assert!(output.status.success(), "{what}: {} {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
}

fn run_child(which: usize) {
    // Well above what it may take, so that what is tested is our bound.
    let max = 5 * MAX_RUN_BYTES as u64;
    let limit = libc::rlimit { rlim_cur: max, rlim_max: max };
    // SAFETY: the limit is a valid struct, and concerns this process only.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let dir = tempfile::tempdir().unwrap();
    open_and_run(&write(dir.path(), None)).expect("without a bomb the graph is a good one");
    let result = open_and_run(&write(dir.path(), Some(BOMBS[which].1)));
    let peak = peak();
    println!("\npeak {} MB: {}", peak >> 20, result.as_ref().err().map_or("ran".into(), ToString::to_string));
    assert!(result.is_err(), "{} ran", BOMBS[which].0);
    assert!(peak < MAX_RUN_BYTES + MAX_OTHER_BYTES, "{} MB", peak >> 20);
    // The others of the process go on.
    open_and_run(&write(dir.path(), None)).expect("after a failure");
}
