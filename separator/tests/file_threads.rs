//! Models that are for files only: ONNX Runtime shares their operations among threads, and the bits are those of one.

#[path = "../../models/tests/weights/mod.rs"]
mod weights;

mod common;
use common::{Random, bits};
use models::import::{ImportOptions, import};
use separator::{Graph, testing::runtime};
use weights::checkpoints::write_checkpoints;

/// Wide enough that ONNX Runtime finds it worth sharing.
const WIDTH: usize = 8;

#[test]
fn a_graph_gives_the_same_bits_on_several_threads() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("random");
    write_checkpoints(&folder, WIDTH);
    let options = ImportOptions { models_dir: dir.path().join("models"), name: None, licence: None, replace: false };
    let model = import(&folder, &options).unwrap().model;
    let mut random = Random::new(11);
    let input: Vec<f32> = (0..model.manifest.input.shape.iter().product())
        .map(|i: usize| if i.is_multiple_of(9) { 1e-30 } else { 30.0 * (random.sample() + 0.5).powi(4) })
        .collect();
    let run = |num_threads| {
        runtime().set_file_threads(num_threads);
        // No other test of this process has the graph open: it is opened anew.
        let mut network = Graph::open(&runtime(), &model).unwrap().make_state().unwrap();
        let mut masks = vec![f32::NAN; model.manifest.output.shape.iter().product()];
        network.run_into(&input, &mut masks).unwrap();
        masks
    };
    let expected = run(1);
    for num_threads in [2, 3] {
        let masks = run(num_threads);
        let first = bits(&expected).iter().zip(bits(&masks)).position(|(a, b)| *a != b);
        assert_eq!(first, None, "{num_threads} threads");
    }
}
