//! A trained network as a graph, one slice per run, all memory as explicit state; and the model folder around it.

pub mod parity;

use crate::batch::example::Contents;
use crate::data::STEMS;
use crate::data::{Data, DataFolder};
use crate::network::{GraphOutput, LookAhead, Network, Weights};
use crate::record::RunState;
use crate::run::checkpoint::Checkpoint;
use crate::run::score_checkpoint;
use crate::transform::Transform;
use anyhow::{Context, Result, bail};
use models::Manifest;
use models::onnx::GraphBuilder;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Options of `trainer export`.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Checkpoint to export
    #[arg(long)]
    checkpoint: PathBuf,
    /// Model folder; its name becomes the model's name
    #[arg(long)]
    out: PathBuf,
    /// Licence of the weights, as the training data allows it
    #[arg(long)]
    licence: String,
    /// Folder of songs whose scores go into the manifest (may be given several times)
    #[arg(long)]
    valid: Vec<DataFolder>,
    /// Slices of a block, for a network that needs the whole song: the model is then for files, and takes them in blocks
    /// [default: about 20 s for such a network]
    #[arg(long, value_name = "SLICES")]
    block_slices: Option<usize>,
    /// Slices at either end of a block that are only heard, so that blocks do not show [default: an eighth of a block]
    #[arg(long, value_name = "SLICES", requires = "block_slices")]
    margin_slices: Option<usize>,
}

/// A block of slices, of which some at either end are only heard.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// All of them.
    pub num_slices: usize,
    /// At either end.
    pub margin_slices: usize,
}

impl ExportArgs {
    fn block(&self, network: &dyn Network, transform: &Transform) -> Option<Block> {
        const DEFAULT_S: f64 = 20.0;
        let for_song = || {
            let slices_per_s = transform.design.sample_rate_hz() / transform.plan.hop_len() as f64;
            (DEFAULT_S * slices_per_s) as usize
        };
        let is_for_songs = network.look_ahead() == LookAhead::Unbounded;
        let num_slices = self.block_slices.or_else(|| is_for_songs.then(for_song))?;
        Some(Block { num_slices, margin_slices: self.margin_slices.unwrap_or(num_slices / 8) })
    }
}

/// Writes the model folder of a checkpoint, and checks its graph.
///
/// # Errors
/// If something cannot be read or written, or graph and network differ.
pub fn export(args: &ExportArgs) -> Result<()> {
    let checkpoint = Checkpoint::open(&args.checkpoint)?;
    let run = &checkpoint.state;
    let transform = Arc::new(Transform::new(&run.transform)?);
    let network = checkpoint.open_network(&transform)?;
    let weights = Weights(checkpoint.averaged_weights());
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let block = args.block(&*network, &transform);
    let graph = write_graph(&*network, &weights, &transform, block, &args.out.join("model.onnx"))?;
    let name = args.out.file_name().unwrap_or_default().to_string_lossy();
    let architecture = &run.network.architecture;
    let mut manifest = manifest(&name, &args.licence, architecture, training(run), &*network, &transform, &graph)?;
    for song in Data::open_to_judge(&args.valid)? {
        let scores = score_checkpoint(&checkpoint, &transform, &song.whole()?)?;
        manifest.scores.insert(song.name.clone(), scores);
    }
    manifest.write(&args.out)?;
    let model = models::Model::load(&args.out)?;
    let worst = parity::check(&*network, &transform, &model)?;
    println!("{}: {} operations, masks within {worst:.1e} of the network's", graph.path.display(), graph.num_nodes);
    Ok(())
}

/// Name of the graph's input.
const INPUT: &str = "mix";

/// What the manifest must know of a written graph.
#[derive(Debug)]
pub struct GraphFacts {
    /// Its file.
    pub path: PathBuf,
    /// Operations.
    pub num_nodes: usize,
    states: Vec<models::StateSpec>,
    at_end: BTreeMap<String, Vec<f32>>,
    block: Option<Block>,
}

/// Writes the graph of a network, for one slice per run or for a block of them.
///
/// # Errors
/// If the network cannot be streamed, a weight is missing, or the file cannot be written.
pub fn write_graph(
    network: &dyn Network,
    weights: &Weights,
    transform: &Transform,
    block: Option<Block>,
    path: &Path,
) -> Result<GraphFacts> {
    let mut graph = GraphBuilder::default();
    let g = &mut graph;
    let num_coefs = transform.plan.num_coefs() as i64;
    let contents = Contents::of(network);
    let of_block: Vec<i64> = block.iter().map(|block| block.num_slices as i64).collect();
    let inputs = g.input(INPUT, &[&of_block[..], &[contents.planes().num_planes() as i64, num_coefs]].concat());
    let output = match block {
        Some(block) => GraphOutput::new(network.write_block_graph(g, &inputs, block.num_slices)?, vec![]),
        None => network.write_graph(g, &inputs, weights)?,
    };
    let masks_shape = [&of_block[..], &[STEMS.len() as i64, contents.num_mask_planes() as i64, num_coefs]].concat();
    let shape = g.ints(&masks_shape, &[masks_shape.len() as i64]);
    let masks = g.node("Reshape", &[&output.masks, &shape], &[]);
    g.output(&masks, "masks", &masks_shape);
    let num_nodes = graph.num_nodes();
    graph.write(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(GraphFacts { path: path.to_owned(), num_nodes, states: output.states, at_end: output.at_end, block })
}

/// The manifest of an exported graph.
pub fn manifest(
    name: &str,
    licence: &str,
    network_name: &str,
    training: models::Training,
    network: &dyn Network,
    transform: &Transform,
    graph: &GraphFacts,
) -> Result<Manifest> {
    let (design, plan) = (&transform.design, &transform.plan);
    let look_ahead_slices = match (network.look_ahead(), graph.block) {
        (LookAhead::Slices(num_slices), _) => num_slices,
        (LookAhead::Unbounded, Some(_)) => 0,
        (LookAhead::Unbounded, None) => {
            bail!(
                "network {network_name}: it needs the whole song, so it has no graph for one slice (see --block-slices)"
            )
        }
    };
    let of_block: Vec<usize> = graph.block.iter().map(|block| block.num_slices).collect();
    let contents = Contents::of(network);
    let Some(file) = graph.path.file_name().and_then(|f| f.to_str()) else {
        bail!("{}: no file name", graph.path.display())
    };
    Ok(Manifest {
        format: models::FORMAT,
        name: name.to_owned(),
        licence: licence.to_owned(),
        stems: STEMS.map(str::to_owned).to_vec(),
        sample_rate_hz: design.sample_rate_hz() as u32,
        hop_len: plan.hop_len(),
        look_ahead_slices,
        transform: models::TransformSpec::new(design, plan),
        graph: models::GraphSpec { file: file.to_owned(), sha256: models::sha256_file(&graph.path)?.0 },
        input: models::Input {
            kind: contents.input_kind,
            name: INPUT.to_owned(),
            shape: [&of_block[..], &[contents.planes().num_planes(), plan.num_coefs()]].concat(),
            channels: contents.channels.clone(),
        },
        output: models::Output {
            kind: contents.output_kind,
            name: "masks".to_owned(),
            shape: [&of_block[..], &[STEMS.len(), contents.num_mask_planes(), plan.num_coefs()]].concat(),
        },
        states: graph.states.clone(),
        at_end: graph.at_end.clone(),
        offline: graph.block.map(|block| models::Offline {
            block_slices: Some(block.num_slices),
            margin_slices: block.margin_slices,
            ..Default::default()
        }),
        training,
        scores: Default::default(),
    })
}

/// Where the weights of a run come from.
pub fn training(run: &RunState) -> models::Training {
    models::Training { data: run.data.clone(), hours: run.wall_s / 3600.0, more: Default::default() }
}
