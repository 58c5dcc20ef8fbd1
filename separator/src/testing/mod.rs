//! Model folders with tiny graphs, so that tests of everything around the network need no trained one.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use separator::{Pipeline, testing::{TestModel, runtime}};
//! let dir = std::env::temp_dir().join("identity");
//! let model = TestModel::identity().write(&dir)?;
//! let pipeline = Pipeline::new(&runtime(), &model)?; // vocals are the mix, the other stems silence
//! # Ok(()) }
//! ```

mod onnx;

use crate::{Runtime, find_runtime};
use models::{
    Channel, FORMAT, Graph, Input, Manifest, Model, ModelError, Output, Scale, State, Training, Transform, sha256_file,
};
use onnx::GraphBuilder;
use slicqt::{Design, Plan};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A model whose masks do not depend on the music.
#[derive(Clone, Debug)]
pub struct TestModel {
    /// Its transform.
    pub design: Design,
    /// Its stems.
    pub stems: Vec<String>,
    /// The mask of each stem, everywhere.
    pub masks: Vec<f32>,
    /// If set, the masks rise from 0 over so many hops: a network with a memory.
    pub fade_in_hops: Option<usize>,
    /// If set, ONNX Runtime fails as soon as a magnitude reaches this: a network that breaks while the music plays.
    pub fails_from: Option<f32>,
    /// What it wants to see.
    pub channels: Vec<Channel>,
}

impl TestModel {
    /// A mel-32 model (hops of 1008 samples) with the four stems of the plugin and these masks.
    pub fn with_masks(masks: [f32; 4]) -> Self {
        TestModel {
            design: Design::mel_32(),
            stems: crate::STEMS.map(String::from).to_vec(),
            masks: masks.to_vec(),
            fade_in_hops: None,
            fails_from: None,
            channels: vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side],
        }
    }

    /// A model whose vocals are the mix; the other stems are silence.
    pub fn identity() -> Self {
        TestModel::with_masks([1.0, 0.0, 0.0, 0.0])
    }

    /// Writes graph and manifest into `dir` (made if missing) and loads them.
    ///
    /// # Errors
    /// [`ModelError`]
    ///
    /// # Panics
    /// If the design has no transform.
    ///
    /// # Realtime
    /// Not safe: writes files.
    pub fn write(&self, dir: &Path) -> Result<Model, ModelError> {
        let plan = Plan::<f32>::new(&self.design).expect("a design with a transform");
        let graph = dir.join("model.onnx");
        fs::create_dir_all(dir)
            .and_then(|()| fs::write(&graph, self.graph(plan.num_coefs())))
            .map_err(|source| ModelError::Unwritable { path: graph.clone(), source })?;
        let mut manifest = self.manifest(&plan);
        manifest.graph.sha256 = sha256_file(&graph)?.0;
        manifest.write(dir)?;
        Model::load(dir)
    }

    fn manifest(&self, plan: &Plan) -> Manifest {
        Manifest {
            format: FORMAT,
            name: "test".into(),
            licence: "CC0-1.0".into(),
            stems: self.stems.clone(),
            sample_rate_hz: self.design.sample_rate_hz as u32,
            hop_len: plan.hop_len(),
            look_ahead_slices: 0,
            transform: Transform {
                scale: match self.design.scale {
                    slicqt::Scale::Bark => Scale::Bark,
                    slicqt::Scale::Mel => Scale::Mel,
                },
                num_bands: self.design.num_bands,
                fmin_hz: self.design.fmin_hz,
                slice_len: plan.slice_len(),
                transition_len: plan.transition_len(),
                num_coefs: plan.num_coefs(),
            },
            graph: Graph { file: "model.onnx".into(), sha256: String::new() },
            input: Input {
                name: "magnitudes".into(),
                channels: self.channels.clone(),
                shape: vec![self.channels.len(), plan.num_coefs()],
            },
            output: Output { name: "masks".into(), shape: vec![self.stems.len(), 2, plan.num_coefs()] },
            states: match self.fade_in_hops {
                Some(_) => vec![State { input: "count".into(), output: "count_next".into(), shape: vec![1] }],
                None => Vec::new(),
            },
            training: Training::default(),
            scores: Default::default(),
        }
    }

    /// `masks[stem][channel][coef] = constant[stem] * level + 0 * sum over channels of magnitudes[coef]`
    fn graph(&self, num_coefs: usize) -> Vec<u8> {
        let num_stems = self.stems.len();
        let mut graph = GraphBuilder::new();
        graph.input("magnitudes", &[self.channels.len(), num_coefs]);
        graph.output("masks", &[num_stems, 2, num_coefs]);
        let constants: Vec<f32> = self.masks.iter().flat_map(|&mask| [mask; 2]).collect();
        graph.constant("constants", &[num_stems, 2, 1], &constants);
        graph.constant("zero", &[1], &[0.0]);
        graph.constant_i64("channel_axis", &[0]);
        graph.node("Mul", &["magnitudes", "zero"], "nothing");
        match self.fails_from {
            None => graph.node("ReduceSum", &["nothing", "channel_axis"], "nothing_of_all"),
            Some(limit) => {
                // The number of loud coefficients is an index into a table of one entry.
                graph.constant("limit", &[1], &[limit]);
                graph.constant_i64("length_axis", &[1]);
                graph.node("Div", &["magnitudes", "limit"], "relative");
                graph.node("Floor", &["relative"], "whole");
                graph.node("NonZero", &["whole"], "loud");
                graph.node("Shape", &["loud"], "loud_shape");
                graph.node("Gather", &["loud_shape", "length_axis"], "num_loud");
                graph.node("Gather", &["zero", "num_loud"], "checked");
                graph.node("ReduceSum", &["nothing", "channel_axis"], "sum");
                graph.node("Add", &["sum", "checked"], "nothing_of_all");
            }
        }
        match self.fade_in_hops {
            None => graph.node("Add", &["constants", "nothing_of_all"], "masks"),
            Some(num_hops) => {
                graph.input("count", &[1]);
                graph.output("count_next", &[1]);
                graph.constant("one", &[1], &[1.0]);
                graph.constant("num_hops", &[1], &[num_hops as f32]);
                graph.node("Add", &["count", "one"], "count_next");
                graph.node("Div", &["count", "num_hops"], "rise");
                graph.node("Min", &["rise", "one"], "level");
                graph.node("Mul", &["constants", "level"], "levelled");
                graph.node("Add", &["levelled", "nothing_of_all"], "masks");
            }
        }
        graph.into_bytes()
    }
}

/// The ONNX Runtime of the developer's checkout, loaded.
///
/// # Panics
/// If `cargo xtask setup` was not run; the message says so.
///
/// # Realtime
/// Not safe: opens a library.
pub fn runtime() -> Arc<Runtime> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/onnxruntime"));
    let runtime = find_runtime(&[dir]).and_then(|path| Runtime::load(&path));
    runtime.unwrap_or_else(|error| panic!("tests need ONNX Runtime, run `cargo xtask setup`: {error}"))
}
