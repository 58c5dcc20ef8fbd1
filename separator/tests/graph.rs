//! One graph for all streams of a model: shared, run at once from several threads, and honest about what comes out.

mod common;
use common::*;
use models::{Model, onnx::GraphBuilder, sha256_file};
use separator::{Graph, NetworkState, Pipeline, testing::TestModel, testing::runtime};
use std::{sync::Arc, thread};

fn open(model: &Model) -> Arc<Graph> {
    Graph::open(&runtime(), model).unwrap()
}

/// A network with a memory that listens.
fn model() -> TestModel {
    TestModel { fade_in_hops: Some(20), listens: true, ..TestModel::with_masks([0.1, 0.5, 0.05, 0.2]) }
}

#[test]
fn a_graph_is_opened_once_while_it_is_in_use() {
    let (_dir, first) = write_model(&model());
    let (_dir2, second) = write_model(&model());
    let graph = open(&first);
    assert!(Arc::ptr_eq(&graph, &open(&second)), "the same graph and manifest in another folder");
    assert!(Arc::ptr_eq(&graph, Pipeline::new(&runtime(), &first).unwrap().graph()));
    let (_dir3, other) = write_model(&TestModel { fade_in_hops: Some(21), ..model() });
    assert!(!Arc::ptr_eq(&graph, &open(&other)), "another graph");
    let mut renamed = first.clone();
    renamed.manifest.output.name = "gains".into();
    assert!(Graph::open(&runtime(), &renamed).is_err(), "another manifest is checked by itself");

    let weak = Arc::downgrade(&graph);
    drop(graph);
    assert!(weak.upgrade().is_none(), "nobody else holds it");
    // And many at once, while it is not open: they all get the one that the first opens.
    let graphs: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&first))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(graphs.iter().all(|graph| Arc::ptr_eq(graph, &graphs[0])));
}

/// All outputs of a stream, as bits.
fn outputs_of(state: &mut NetworkState, seed: u64, num_runs: usize) -> Vec<u32> {
    let mut random = Random::new(seed);
    let mut outputs = Vec::new();
    for _ in 0..num_runs {
        state.input_mut().fill_with(|| random.sample().abs());
        state.run().unwrap();
        outputs.extend(state.output().iter().step_by(97).map(|x| x.to_bits()));
    }
    outputs
}

/// The shipped network (recurrent, in many operations) and a small one, run by more threads than there are cores.
#[test]
fn streams_that_run_at_once_do_not_disturb_each_other() {
    let shipped = Model::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/first")).unwrap();
    let (_dir, small) = write_model(&model());
    for (model, num_runs) in [(&shipped, 12), (&small, 400)] {
        let graph = open(model);
        let expected: Vec<_> =
            (0..6).map(|seed| outputs_of(&mut graph.make_state().unwrap(), seed, num_runs)).collect();
        assert_ne!(expected[0], expected[1]);
        thread::scope(|scope| {
            for (seed, expected) in expected.iter().enumerate() {
                let graph = &graph;
                scope.spawn(move || {
                    let mut state = graph.make_state().unwrap();
                    for _ in 0..2 {
                        let outputs = outputs_of(&mut state, seed as u64, num_runs);
                        assert!(outputs == *expected, "stream {seed}");
                        state.reset();
                    }
                });
            }
        });
    }
}

/// The graph says `[4, 2, 2156]`, and gives fewer stems when it hears something.
#[test]
fn an_output_of_another_shape_than_declared_is_an_error() {
    let (dir, _) = write_model(&TestModel::identity());
    let mut graph = GraphBuilder::default();
    let magnitudes = graph.input("magnitudes", &[4, 2156]);
    // One stem less if any magnitude is not 0.
    let loud = graph.node("NonZero", &[&magnitudes], &[]);
    let length = graph.node("Shape", &[&loud], &[]);
    let one = graph.ints(&[1], &[1]);
    let num_loud = graph.node("Gather", &[&length, &one], &[]);
    let few = graph.node("Min", &[&num_loud, &one], &[]);
    let four = graph.ints(&[4], &[1]);
    let num_stems = graph.node("Sub", &[&four, &few], &[]);
    let zero = graph.ints(&[0], &[1]);
    let values = graph.floats(&[0.25; 4 * 2 * 2156], &[4, 2, 2156]);
    let masks = graph.node("Slice", &[&values, &zero, &num_stems], &[]);
    graph.output(&masks, "masks", &[4, 2, 2156]);
    let path = dir.path().join("model.onnx");
    graph.write(&path).unwrap();
    let mut manifest = models::Manifest::read(&dir.path().join(models::MANIFEST_FILE)).unwrap();
    manifest.graph.sha256 = sha256_file(&path).unwrap().0;
    manifest.write(dir.path()).unwrap();
    let model = Model::load(dir.path()).unwrap();
    let mut pipeline = Pipeline::new(&runtime(), &model).unwrap();
    let silence = vec![0.0; 1008];
    let mut stems = vec![[silence.clone(), silence.clone()]; 4];
    pipeline.process_hop([&silence, &silence], &mut stems).unwrap();
    let noise = noise(1008, 1);
    let message = pipeline.process_hop([&noise[0], &noise[1]], &mut stems).unwrap_err().to_string();
    println!("{message}");
    assert!(message.contains("model.onnx") && message.contains("hape"), "{message}");
}

/// What was checked is what runs: a file that another took the place of after the check is refused, although its graph
/// would do.
#[test]
fn a_graph_that_was_exchanged_after_the_check_is_refused() {
    let (dir, checked) = write_model(&TestModel { fade_in_hops: Some(22), ..model() });
    let (other_dir, _other) = write_model(&TestModel { fade_in_hops: Some(23), ..model() });
    std::fs::copy(other_dir.path().join("model.onnx"), dir.path().join("model.onnx")).unwrap();
    let error = Graph::open(&runtime(), &checked).err().expect("another graph").to_string();
    assert!(error.contains("model.onnx") && error.contains(&checked.manifest.graph.sha256), "{error}");
}

/// The file is opened once, so there is no time between the check and the session in which it could be exchanged.
#[cfg(target_os = "linux")]
#[test]
fn the_file_of_a_graph_is_opened_once() {
    use std::os::{fd::FromRawFd, unix::ffi::OsStrExt};
    // Both, since the kernel merges an event that is the same as the one before.
    const OPEN_AND_CLOSE: u32 = libc::IN_OPEN | libc::IN_CLOSE;
    let (_dir, model) = write_model(&TestModel { fade_in_hops: Some(24), ..model() });
    let name = std::ffi::CString::new(model.onnx_path().as_os_str().as_bytes()).unwrap();
    // SAFETY: the name is a C string; the descriptor is this function's own.
    let mut events = unsafe {
        let events = libc::inotify_init1(libc::IN_NONBLOCK);
        assert!(events >= 0 && libc::inotify_add_watch(events, name.as_ptr(), OPEN_AND_CLOSE) >= 0);
        std::fs::File::from_raw_fd(events)
    };
    open(&model);
    let mut bytes = [0; 4096];
    let num_bytes = std::io::Read::read(&mut events, &mut bytes).unwrap();
    assert_eq!(num_bytes / size_of::<libc::inotify_event>(), 2, "one opening, one closing");
}
