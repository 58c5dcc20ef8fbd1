//! Published weights as model folders: `.pth` (as PyTorch saves a state dict) and `.safetensors` files of
//! xumx-sliCQ-V2. Needs no Python and no libtorch, and runs nothing of what is in the file.
//!
//! Realtime weights become a model that streams, with a look-ahead of two slices; offline weights one for files, whose
//! masks go through a Wiener filter.

mod card;
mod error;
mod pickle;
mod published;
mod settings;
mod tensors;
mod torch;
mod xumx;

pub use error::ImportError;
pub use published::{PUBLISHED, PUBLISHED_URL, Published};

use crate::{Channel, FORMAT, Graph, Input, Manifest, Model, Offline, Output, Training, Transform, sha256_file};
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

/// Makes a model folder from weights: a folder that holds one `.pth` or `.safetensors` file and
/// [`SETTINGS_FILE`], or such a file beside its settings. The folder is written beside its place and renamed.
///
/// # Errors
/// [`ImportError`] names the file, the field, what was expected and what is there.
///
/// # Realtime
/// Not safe: reads and writes files.
pub fn import(weights: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let (file, settings_path) = find(weights)?;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => default_name(weights),
    };
    let is_name = Path::new(&name).file_name() == Some(name.as_ref()) && !name.starts_with('.');
    if !is_name {
        return Err(ImportError::field(&options.models_dir, "name", "the name of a folder", format!("\"{name}\"")));
    }
    let dir = options.models_dir.join(&name);
    if dir.exists() && !options.replace {
        return Err(ImportError::Exists { dir });
    }
    let settings = Settings::read(&settings_path)?;
    let (sha256, num_bytes) = sha256_file(&file)?;
    let published = PUBLISHED.iter().find(|published| published.sha256 == sha256);
    let network = Xumx::new(&Tensors::read(&file)?, settings, &settings_path)?;
    let part = options.models_dir.join(format!(".{name}.part"));
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| ImportError::Unwritable { path, source }
    };
    let _ = fs::remove_dir_all(&part);
    fs::create_dir_all(&part).map_err(unwritable(&part))?;
    let write = || -> Result<GraphFacts, ImportError> {
        let graph = part.join("model.onnx");
        let facts = network.write(&graph).map_err(unwritable(&graph))?;
        let licence = published.map(|published| published.licence.to_owned()).or(options.licence.clone());
        let licence = licence.unwrap_or_else(|| "not stated: ask whoever published the weights".to_owned());
        let manifest = manifest(&name, &licence, &network, &facts, &graph, published)?;
        manifest.write(&part)?;
        let card = card::text(&manifest, &network, &facts, &file, (&sha256, num_bytes), published);
        let card_path = part.join("CARD.md");
        fs::write(&card_path, card).map_err(unwritable(&card_path))?;
        Model::load(&part)?;
        Ok(facts)
    };
    let facts = write().inspect_err(|_| {
        let _ = fs::remove_dir_all(&part);
    })?;
    put_in_place(&part, &dir).map_err(unwritable(&dir))?;
    let model = Model::load(&dir)?;
    let (num_params, num_nodes) = (network.num_params, facts.num_nodes);
    Ok(Imported { model, num_params, num_nodes, published, unused: network.unused })
}

/// Renames a folder to its place; what was there goes only after that has worked.
fn put_in_place(part: &Path, dir: &Path) -> std::io::Result<()> {
    if !dir.exists() {
        return fs::rename(part, dir);
    }
    let old = part.with_extension("old");
    let _ = fs::remove_dir_all(&old);
    fs::rename(dir, &old)?;
    if let Err(error) = fs::rename(part, dir) {
        let _ = fs::rename(&old, dir);
        return Err(error);
    }
    fs::remove_dir_all(&old)
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
    let offline = (!settings.is_realtime).then_some(Offline { wiener_window_frames: Some(WIENER_WINDOW_FRAMES) });
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
        transform: Transform {
            design: settings.design.clone(),
            slice_len: plan.slice_len(),
            transition_len: plan.transition_len(),
            num_coefs,
        },
        graph: Graph { file: "model.onnx".to_owned(), sha256: sha256_file(graph)?.0 },
        input: Input {
            name: "magnitudes".to_owned(),
            channels: vec![Channel::Left, Channel::Right],
            shape: vec![2, num_coefs],
        },
        output: Output { name: "masks".to_owned(), shape: vec![stems.len(), 2, num_coefs] },
        stems,
        states: facts.states.clone(),
        at_end: facts.at_end.clone(),
        offline,
        training: Training {
            data: vec![published.map_or("not stated".to_owned(), |_| published::TRAINED_ON.to_owned())],
            ..Default::default()
        },
        scores: scores.into_iter().collect(),
    })
}
