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

mod allocations;

pub use allocations::{CountingAllocator, num_allocator_calls};

use crate::{Runtime, find_runtime};
use models::{
    Channel, FORMAT, GraphSpec, Input, InputKind, Manifest, Model, ModelError, Offline, Output, OutputKind, StateSpec,
    Training, TransformSpec, onnx::GraphBuilder, sha256_file,
};
use slicqt::{Design, Plan, Timing};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A model whose masks do not depend on the music, unless it listens.
#[derive(Clone, Debug)]
pub struct TestModel {
    /// Its transform.
    pub design: Design,
    /// Its stems.
    pub stems: Vec<String>,
    /// The mask of each stem, everywhere.
    pub masks: Vec<f32>,
    /// If set, the masks rise from 0 over this many hops: a network with a state.
    pub fade_in_hops: Option<usize>,
    /// If set, ONNX Runtime fails as soon as a magnitude reaches this: a network that breaks while the music plays.
    pub fails_from: Option<f32>,
    /// How many slices it looks ahead: it keeps its masks back for so long.
    pub look_ahead_slices: usize,
    /// If set, the masks are those above times m / (1 + m), m the sum of what goes in of the same coefficient: a network
    /// that listens, to each slice by itself.
    pub listens: bool,
    /// If set, it is for files and takes so many slices at once, the first block with so many of silence in front: slices
    /// and lead. Unless it listens, the masks rise within each block, from 1 / slices of the above to all of it.
    pub blocks: Option<(usize, usize)>,
    /// Slices at either end of a block that are only heard.
    pub margin_slices: usize,
    /// If set, it is for files, with a Wiener filter over windows of this many frames.
    pub wiener_window_frames: Option<usize>,
    /// Its input channels.
    pub channels: Vec<Channel>,
    /// Magnitudes, or complex coefficients.
    pub input_kind: InputKind,
    /// What it gives: the masks above, real or with the imaginary parts below, or the products of the real ones with the
    /// left and right of its input, which then must be complex.
    pub output_kind: OutputKind,
    /// Imaginary parts of complex masks, as many as there are masks.
    pub imaginary: Vec<f32>,
    /// When slices are cut.
    pub timing: Timing,
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
            look_ahead_slices: 0,
            listens: false,
            blocks: None,
            margin_slices: 0,
            wiener_window_frames: None,
            channels: vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side],
            input_kind: InputKind::Magnitude,
            output_kind: OutputKind::Mask,
            imaginary: vec![0.0; 4],
            timing: Timing::Whole,
        }
    }

    /// The same with this many stems, named `stem-1` and so on, and masks of 1/2, 1/4, 1/8, ...
    #[must_use]
    pub fn with_num_stems(self, num_stems: usize) -> Self {
        TestModel {
            stems: (1..=num_stems).map(|n| format!("stem-{n}")).collect(),
            masks: (1..=num_stems).map(|n| 0.5f32.powi(n as i32)).collect(),
            imaginary: vec![0.0; num_stems],
            ..self
        }
    }

    /// The same, of another kind of input and output.
    #[must_use]
    pub fn of_kind(self, input_kind: InputKind, output_kind: OutputKind) -> Self {
        TestModel { input_kind, output_kind, ..self }
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
            .and_then(|()| self.graph(plan.num_coefs()).write(&graph))
            .map_err(|source| ModelError::Unwritable { path: graph.clone(), source })?;
        let mut manifest = self.manifest(&plan);
        manifest.graph.sha256 = sha256_file(&graph)?.0;
        manifest.write(dir)?;
        Model::load(dir)
    }

    fn manifest(&self, plan: &Plan) -> Manifest {
        let block = self.blocks.iter().map(|(num_slices, _)| *num_slices);
        let shape = |lens: &[usize]| block.clone().chain(lens.iter().copied()).collect();
        let offline = Offline {
            wiener_window_frames: self.wiener_window_frames,
            block_slices: self.blocks.map(|(num_slices, _)| num_slices),
            lead_slices: self.blocks.map_or(0, |(_, lead)| lead),
            margin_slices: self.margin_slices,
        };
        Manifest {
            format: FORMAT,
            name: "test".into(),
            licence: "CC0-1.0".into(),
            stems: self.stems.clone(),
            sample_rate_hz: self.design.sample_rate_hz() as u32,
            hop_len: plan.hop_len(),
            look_ahead_slices: self.look_ahead_slices,
            transform: TransformSpec { timing: self.timing, ..TransformSpec::new(&self.design, plan) },
            graph: GraphSpec { file: "model.onnx".into(), sha256: String::new() },
            input: Input {
                kind: self.input_kind,
                name: "magnitudes".into(),
                channels: self.channels.clone(),
                shape: shape(&[self.num_planes(), plan.num_coefs()]),
            },
            output: Output {
                kind: self.output_kind,
                name: "masks".into(),
                shape: shape(&[self.stems.len(), 2 * self.output_kind.num_planes(), plan.num_coefs()]),
            },
            states: self.states(plan.num_coefs()),
            at_end: Default::default(),
            offline: (offline != Offline::default()).then_some(offline),
            training: Training::default(),
            scores: Default::default(),
        }
    }

    fn num_planes(&self) -> usize {
        self.input_kind.num_planes() * self.channels.len()
    }

    fn states(&self, num_coefs: usize) -> Vec<StateSpec> {
        let state = |name: &str, shape: &[usize]| StateSpec {
            input: name.to_owned(),
            output: format!("{name}_next"),
            shape: shape.to_vec(),
        };
        let count = self.fade_in_hops.map(|_| state("count", &[1]));
        let planes = 2 * self.output_kind.num_planes();
        let kept_len = if self.output_kind == OutputKind::Coefs { num_coefs } else { 1 };
        let shape = [self.stems.len(), planes, kept_len];
        let kept = (0..self.look_ahead_slices).map(|i| state(&format!("kept_{i}"), &shape));
        count.into_iter().chain(kept).collect()
    }

    /// `masks[stem][channel][coef] = constant[stem] * level + 0 * sum over channels of magnitudes[coef]`, with a block of
    /// slices in front of both; a network that listens multiplies instead of adding 0.
    fn graph(&self, num_coefs: usize) -> GraphBuilder {
        let (num_stems, num_coefs) = (self.stems.len() as i64, num_coefs as i64);
        let mut graph = GraphBuilder::default();
        let g = &mut graph;
        let block = self.blocks.map(|(num_slices, _)| num_slices as i64);
        let shape = |lens: &[i64]| block.into_iter().chain(lens.iter().copied()).collect::<Vec<_>>();
        let input = g.input("magnitudes", &shape(&[self.num_planes() as i64, num_coefs]));
        // Complex parts have signs.
        let magnitudes = match self.input_kind {
            InputKind::Magnitude => input.clone(),
            InputKind::Complex => g.node("Abs", &[&input], &[]),
        };
        let num_planes = 2 * self.output_kind.num_planes() as i64;
        let planes_of = |(&mask, &imaginary): (&f32, &f32)| match self.output_kind {
            OutputKind::Mask => vec![mask; 2],
            OutputKind::ComplexMask => vec![mask, imaginary, mask, imaginary],
            OutputKind::Coefs => vec![mask; 4],
        };
        let values: Vec<f32> = self.masks.iter().zip(&self.imaginary).flat_map(planes_of).collect();
        let constants = g.floats(&values, &[num_stems, num_planes, 1]);
        let zero = g.floats(&[0.0], &[1]);
        let channel_axis = g.ints(&[-2], &[1]);
        let nothing = g.node("Mul", &[&magnitudes, &zero], &[]);
        let mut nothing_of_all = g.node("ReduceSum", &[&nothing, &channel_axis], &[]);
        if let Some(limit) = self.fails_from {
            // The number of loud coefficients is an index into a table of one entry.
            let (limit, length_axis) = (g.floats(&[limit], &[1]), g.ints(&[1], &[1]));
            let relative = g.node("Div", &[&magnitudes, &limit], &[]);
            let whole = g.node("Floor", &[&relative], &[]);
            let loud = g.node("NonZero", &[&whole], &[]);
            let loud_shape = g.node("Shape", &[&loud], &[]);
            let num_loud = g.node("Gather", &[&loud_shape, &length_axis], &[]);
            let checked = g.node("Gather", &[&zero, &num_loud], &[]);
            nothing_of_all = g.node("Add", &[&nothing_of_all, &checked], &[]);
        }
        let mut levelled = constants;
        if let Some(num_hops) = self.fade_in_hops {
            let count = g.input("count", &[1]);
            let (one, num_hops) = (g.floats(&[1.0], &[1]), g.floats(&[num_hops as f32], &[1]));
            let count_next = g.node("Add", &[&count, &one], &[]);
            g.output(&count_next, "count_next", &[1]);
            let rise = g.node("Div", &[&count, &num_hops], &[]);
            let level = g.node("Min", &[&rise, &one], &[]);
            levelled = g.node("Mul", &[&levelled, &level], &[]);
        }
        let mut kept_len = 1;
        if self.output_kind == OutputKind::Coefs {
            // Left and right come first, as re and im of each: the planes of the output.
            let (start, end, axis) = (g.ints(&[0], &[1]), g.ints(&[4], &[1]), g.ints(&[-2], &[1]));
            let mut mix = g.node("Slice", &[&input, &start, &end, &axis], &[]);
            if block.is_some() {
                let stem_axis = g.ints(&[1], &[1]);
                mix = g.node("Unsqueeze", &[&mix, &stem_axis], &[]);
            }
            levelled = g.node("Mul", &[&levelled, &mix], &[]);
            kept_len = num_coefs;
        }
        for i in 0..self.look_ahead_slices {
            let shape = [num_stems, num_planes, kept_len];
            let kept = g.input(&format!("kept_{i}"), &shape);
            g.output(&levelled, &format!("kept_{i}_next"), &shape);
            levelled = kept;
        }
        if self.listens {
            let one = g.floats(&[1.0], &[1]);
            let sum = g.node("ReduceSum", &[&magnitudes, &channel_axis], &[]);
            let more = g.node("Add", &[&sum, &one], &[]);
            nothing_of_all = g.node("Div", &[&sum, &more], &[]);
        }
        if let Some(num_slices) = block {
            let stem_axis = g.ints(&[1], &[1]);
            nothing_of_all = g.node("Unsqueeze", &[&nothing_of_all, &stem_axis], &[]);
            if !self.listens {
                let ramp: Vec<f32> = (1..=num_slices).map(|n| n as f32 / num_slices as f32).collect();
                let ramp = g.floats(&ramp, &[num_slices, 1, 1, 1]);
                levelled = g.node("Mul", &[&levelled, &ramp], &[]);
            }
        }
        let combine = if self.listens { "Mul" } else { "Add" };
        let masks = g.node(combine, &[&levelled, &nothing_of_all], &[]);
        g.output(&masks, "masks", &shape(&[num_stems, num_planes, num_coefs]));
        graph
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
