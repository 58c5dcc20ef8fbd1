//! Spleeter's weights for two stems: two checkpoints in a folder, or in the Python package that brings them.

use super::{
    ImportError, ImportOptions, Imported, PUBLISHED, Published,
    card::{Card, Source},
    folder::{Draft, Place, unwritable},
    licence_of,
    tensors::Tensors,
    torch::{read_state_dict_from, zip_error},
    unet::UNet,
    unet_graph::{self, BlockShape},
};
use crate::{
    Channel, FORMAT, GraphSpec, Input, InputKind, Manifest, Offline, Output, OutputKind, Training, TransformSpec,
    sha256_file,
};
use slicqt::{Design, Plan};
use std::{
    fs::{self, File},
    io::{BufReader, Cursor, Read},
    path::{Path, PathBuf},
};
use zip::ZipArchive;

/// The order of the checkpoints by name.
const STEMS: [&str; 2] = ["vocals", "accompaniment"];
/// The published ones, in this order.
const SHA256: [&str; 2] = [
    "385ea3372c6a3ceee01f6ded5504bb7ee1e9f0101950ae58869dc18382deb75c",
    "3e4d6ede1ecad091468550773e77934aac3f1e039c0697fc9039aba9b935e344",
];
const PUBLISHED_NAME: &str = "spleeter-2stems";

/// The published transform: FFTs of 4096 samples, Hann, at 44.1 kHz.
const FFT_LEN: usize = 4096;
const HOP_LEN: usize = 1024;
const SAMPLE_RATE_HZ: u32 = 44_100;
/// The published pieces: frames, and the bins below 11,025 Hz.
const NUM_SLICES: usize = 512;
const NUM_BINS: usize = 1024;
/// The first slice of a stream ends with its first hop and is centred a hop before the song. The published pieces begin
/// with the frame that is centred on the song's first sample, our second slice: so ours is the last of a piece.
const LEAD_SLICES: usize = NUM_SLICES - 1;

/// Longer files are refused: each has 59 MB.
const MAX_CHECKPOINT_LEN: u64 = 1 << 28;

/// The two files, read.
pub(crate) struct Checkpoints {
    /// Of the stems, in their order.
    files: [Checkpoint; 2],
    published: Option<&'static Published>,
}

struct Checkpoint {
    /// Its path; within a package, the package's with that of the entry behind it.
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
}

impl Checkpoints {
    /// The checkpoints in this folder or package; None if it is nothing that has checkpoints.
    pub fn find(weights: &Path) -> Result<Option<Checkpoints>, ImportError> {
        let unreadable = |source| ImportError::Unreadable { path: weights.to_owned(), source };
        let is_checkpoint = |path: &Path| path.extension().is_some_and(|extension| extension == "ckpt");
        let mut files = vec![];
        if fs::metadata(weights).map_err(unreadable)?.is_dir() {
            for entry in fs::read_dir(weights).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                if is_checkpoint(&path) {
                    files.push(path);
                }
            }
            if files.is_empty() {
                return Ok(None);
            }
            files.sort();
            let read = |path: &PathBuf| {
                let unreadable = |source| ImportError::Unreadable { path: path.clone(), source };
                Checkpoint::read(File::open(path).map_err(unreadable)?, path.clone(), unreadable)
            };
            return Checkpoints::new(weights, &files, read).map(Some);
        }
        if is_checkpoint(weights) {
            let expected = "the folder that holds the checkpoints of both stems";
            return Err(ImportError::field(weights, "weights", expected, "one checkpoint"));
        }
        let file = File::open(weights).map_err(unreadable)?;
        // What is no zip archive at all is for others to tell.
        let Ok(mut archive) = ZipArchive::new(BufReader::new(file)) else { return Ok(None) };
        files.extend(
            archive.file_names().flatten().map(|name| PathBuf::from(&*name)).filter(|name| is_checkpoint(name)),
        );
        if files.is_empty() {
            return Ok(None);
        }
        files.sort();
        let read = |name: &PathBuf| {
            let name = name.to_string_lossy();
            let entry = archive.by_name(&name).map_err(|error| zip_error(weights, &name, error))?;
            let damaged = |error| ImportError::damaged(weights, format!("{name}: {error}"));
            Checkpoint::read(entry, weights.join(&*name), damaged)
        };
        Checkpoints::new(weights, &files, read).map(Some)
    }

    fn new(
        weights: &Path,
        files: &[PathBuf],
        read: impl FnMut(&PathBuf) -> Result<Checkpoint, ImportError>,
    ) -> Result<Checkpoints, ImportError> {
        let files: &[PathBuf; 2] = files.try_into().map_err(|_| {
            let expected = "two .ckpt files: vocals, then accompaniment in the order of their names";
            let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).map(|n| n.to_string_lossy()).collect();
            ImportError::field(weights, "checkpoints", expected, format!("{}: {}", names.len(), names.join(", ")))
        })?;
        let files: Vec<Checkpoint> = files.iter().map(read).collect::<Result<_, _>>()?;
        let mut files: [Checkpoint; 2] = files.try_into().ok().expect("two were read");
        let is_published = |files: &[Checkpoint; 2]| files.iter().zip(SHA256).all(|(file, hash)| file.sha256 == hash);
        if !is_published(&files) {
            files.reverse();
            // Whatever they are called now.
            if !is_published(&files) {
                files.reverse();
            }
        }
        let published = PUBLISHED.iter().find(|published| published.name == PUBLISHED_NAME);
        let published = published.filter(|_| is_published(&files));
        Ok(Checkpoints { files, published })
    }

    /// Makes the model's folder; `name` if the weights are not known by their hash.
    pub fn import(self, name: String, options: &ImportOptions) -> Result<Imported, ImportError> {
        let name = self.published.map_or(name, |published| published.name.to_owned());
        let place = Place::new(options.name.clone().unwrap_or(name), options)?;
        let design = Design::stft(FFT_LEN, HOP_LEN, SAMPLE_RATE_HZ.into());
        let plan = Plan::new(&design).expect("a plain STFT with a hop of a quarter");
        let [vocals, accompaniment] = &self.files;
        let networks = [vocals.network()?, accompaniment.network()?];
        let name = place.name.clone();
        place.fill(self.published, |graph| {
            let shape = BlockShape { num_slices: NUM_SLICES, num_bins: NUM_BINS, num_coefs: plan.num_coefs() };
            let num_nodes = unet_graph::write(&networks, shape, graph).map_err(unwritable(graph))?;
            let manifest = self.manifest(&name, &design, &plan, graph, options)?;
            let num_params = networks.iter().map(|network| network.num_params).sum();
            let card = Card {
                form: "Two U-Nets of the form of Spleeter's",
                usage: "for files only: its networks hear pieces of 11.9 s of the song at once",
                num_bins: plan.num_bins(),
                num_params,
                num_nodes,
                sources: self.files.iter().map(Checkpoint::source).collect(),
                piece_s: None,
            };
            let card = card.text(&manifest, self.published);
            let unused = networks
                .iter()
                .zip(STEMS)
                .flat_map(|(network, stem)| network.unused.iter().map(move |tensor| format!("{tensor} ({stem})")));
            Ok(Draft { manifest, card, num_params, num_nodes, unused: unused.collect() })
        })
    }

    fn manifest(
        &self,
        name: &str,
        design: &Design,
        plan: &Plan,
        graph: &Path,
        options: &ImportOptions,
    ) -> Result<Manifest, ImportError> {
        let num_coefs = plan.num_coefs();
        let trained_on = self.published.map_or("not stated", |published| published.trained_on);
        Ok(Manifest {
            format: FORMAT,
            name: name.to_owned(),
            licence: licence_of(self.published, options),
            stems: STEMS.map(str::to_owned).to_vec(),
            sample_rate_hz: SAMPLE_RATE_HZ,
            hop_len: plan.hop_len(),
            look_ahead_slices: 0,
            transform: TransformSpec::new(design, plan),
            graph: GraphSpec { file: "model.onnx".to_owned(), sha256: sha256_file(graph)?.0 },
            input: Input {
                kind: InputKind::Magnitude,
                name: "magnitudes".to_owned(),
                channels: vec![Channel::Left, Channel::Right],
                shape: vec![NUM_SLICES, 2, num_coefs],
            },
            output: Output {
                kind: OutputKind::Mask,
                name: "masks".to_owned(),
                shape: vec![NUM_SLICES, STEMS.len(), 2, num_coefs],
            },
            states: vec![],
            at_end: Default::default(),
            offline: Some(Offline { block_slices: Some(NUM_SLICES), lead_slices: LEAD_SLICES, ..Offline::default() }),
            training: Training { data: vec![trained_on.to_owned()], ..Default::default() },
            scores: Default::default(),
        })
    }
}

impl Checkpoint {
    fn read(
        file: impl Read,
        path: PathBuf,
        error: impl FnOnce(std::io::Error) -> ImportError,
    ) -> Result<Checkpoint, ImportError> {
        let mut bytes = vec![];
        file.take(MAX_CHECKPOINT_LEN + 1).read_to_end(&mut bytes).map_err(error)?;
        if bytes.len() as u64 > MAX_CHECKPOINT_LEN {
            let expected = format!("at most {MAX_CHECKPOINT_LEN} bytes");
            return Err(ImportError::field(&path, "length", expected, "more"));
        }
        let sha256 = base::sha256_bytes(&bytes);
        Ok(Checkpoint { path, bytes, sha256 })
    }

    fn network(&self) -> Result<UNet, ImportError> {
        let by_name = read_state_dict_from(Cursor::new(&self.bytes), &self.path)?;
        UNet::new(&Tensors { path: self.path.clone(), by_name })
    }

    fn source(&self) -> Source {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Source { name, num_bytes: self.bytes.len() as u64, sha256: self.sha256.clone() }
    }
}
