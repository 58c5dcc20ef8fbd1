//! A model folder that was read, validated and hash-checked.

use crate::{Channel, MANIFEST_FILE, Manifest, ModelError, OutputKind, sha256_file};
use std::path::{Path, PathBuf};

/// Slices that are kept while a network looks ahead: a bound, so that no manifest can ask for all memory.
const MAX_LOOK_AHEAD_SLICES: usize = 1024;
/// The same for slices that go through the graph at once.
const MAX_BLOCK_SLICES: usize = 4096;
/// The most stems that a model may have.
const MAX_STEMS: usize = 16;
/// The longest slices that slicqt makes.
const MAX_SLICE_LEN: usize = 1 << 22;
/// The same for the Wiener filter's windows.
const MAX_WINDOW_FRAMES: usize = 100_000;

/// A model on disk whose manifest makes sense and whose graph is the one that the manifest was written for.
#[derive(Clone, Debug)]
pub struct Model {
    /// The model's folder.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Model {
    /// Reads, validates and hash-checks the model in `dir`.
    ///
    /// # Errors
    /// [`ModelError`] names the file, the field, what was expected and what is there.
    ///
    /// # Realtime
    /// Not safe: reads files.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join(MANIFEST_FILE);
        let manifest = Manifest::read(&path)?;
        validate(&manifest, &path)?;
        let model = Model { dir: dir.to_owned(), manifest };
        let graph = model.onnx_path();
        let (actual, num_bytes) = sha256_file(&graph)?;
        let expected = model.manifest.graph.sha256.to_lowercase();
        if actual != expected {
            return Err(ModelError::Checksum { path: graph, expected, actual, num_bytes });
        }
        Ok(model)
    }

    /// The graph's file.
    pub fn onnx_path(&self) -> PathBuf {
        self.dir.join(&self.manifest.graph.file)
    }

    /// An error about one field of this model's manifest, for what only the graph or the transform can tell.
    pub fn field_error(&self, field: impl Into<String>, expected: impl ToString, actual: impl ToString) -> ModelError {
        field_error(&self.dir.join(MANIFEST_FILE), field, expected, actual)
    }
}

fn field_error(path: &Path, field: impl Into<String>, expected: impl ToString, actual: impl ToString) -> ModelError {
    ModelError::Field {
        path: path.to_owned(),
        field: field.into(),
        expected: expected.to_string(),
        actual: actual.to_string(),
    }
}

/// What can be checked without the transform and without the graph.
fn validate(manifest: &Manifest, path: &Path) -> Result<(), ModelError> {
    let require = |holds: bool, field: &str, expected: String, actual: String| {
        if holds { Ok(()) } else { Err(field_error(path, field, expected, actual)) }
    };
    let m = manifest;
    let num_coefs = m.transform.num_coefs;
    require(m.sample_rate_hz > 0, "sample_rate_hz", "a positive number of Hz".into(), m.sample_rate_hz.to_string())?;
    let num_stems = m.stems.len();
    require((1..=MAX_STEMS).contains(&num_stems), "stems", format!("1 to {MAX_STEMS} stems"), num_stems.to_string())?;
    require(all_different(&m.stems), "stems", "different names".into(), format!("{:?}", m.stems))?;
    let rate_hz = m.transform.design.sample_rate_hz();
    require(
        rate_hz == f64::from(m.sample_rate_hz),
        "sample_rate_hz",
        format!("{rate_hz} (that of transform.design = \"{}\")", m.transform.design),
        m.sample_rate_hz.to_string(),
    )?;
    // The latency follows from these two, before anybody computes the transform.
    let slice_len = m.transform.slice_len;
    require(
        slice_len > 0 && slice_len <= MAX_SLICE_LEN,
        "transform.slice_len",
        format!("1 to {MAX_SLICE_LEN}"),
        slice_len.to_string(),
    )?;
    require(
        m.hop_len > 0 && m.hop_len < slice_len && slice_len.is_multiple_of(m.hop_len),
        "hop_len",
        format!("a part of transform.slice_len = {slice_len}, as a half or a quarter"),
        m.hop_len.to_string(),
    )?;
    let known_channels =
        [vec![Channel::Left, Channel::Right], vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side]];
    require(
        known_channels.contains(&m.input.channels),
        "input.channels",
        "[left, right] or [left, right, mid, side]".into(),
        format!("{:?}", m.input.channels).to_lowercase(),
    )?;
    validate_offline(m, path)?;
    let block_slices = m.offline.as_ref().and_then(|offline| offline.block_slices);
    let (block, slices) = match block_slices {
        Some(num_slices) => (vec![num_slices], "block_slices, "),
        None => (vec![], ""),
    };
    let input_shape = [block.clone(), vec![m.input.num_planes(), num_coefs]].concat();
    require(
        m.input.shape == input_shape,
        "input.shape",
        format!("{input_shape:?} ({slices}{}, num_coefs)", planes(m.input.kind.num_planes(), "channels")),
        format!("{:?}", m.input.shape),
    )?;
    let output_shape = [block, vec![m.stems.len(), m.output.num_planes(), num_coefs]].concat();
    require(
        m.output.shape == output_shape,
        "output.shape",
        format!(
            "{output_shape:?} ({slices}stems, {}, num_coefs)",
            planes(m.output.kind.num_planes(), "left and right")
        ),
        format!("{:?}", m.output.shape),
    )?;
    let mut names = vec![m.input.name.clone(), m.output.name.clone()];
    for state in &m.states {
        names.extend([state.input.clone(), state.output.clone()]);
        let field = format!("states.{}.shape", state.input);
        require(
            state.shape.iter().all(|&len| len > 0),
            &field,
            "positive lengths".into(),
            format!("{:?}", state.shape),
        )?;
    }
    require(all_different(&names), "states", "different tensor names".into(), format!("{names:?}"))?;
    for (name, values) in &m.at_end {
        let state = m.states.iter().find(|state| state.input == *name);
        let expected = match state {
            Some(state) => format!("{} values, as many as states.{name} has", state.shape.iter().product::<usize>()),
            None => "the input of a state".into(),
        };
        let holds = state.is_some_and(|state| values.len() == state.shape.iter().product::<usize>());
        require(holds, &format!("at_end.{name}"), expected, format!("{} values", values.len()))?;
    }
    require(
        m.look_ahead_slices <= MAX_LOOK_AHEAD_SLICES,
        "look_ahead_slices",
        format!("at most {MAX_LOOK_AHEAD_SLICES}"),
        m.look_ahead_slices.to_string(),
    )?;
    let file = Path::new(&m.graph.file);
    require(
        file.components().count() == 1 && file.file_name() == Some(file.as_os_str()),
        "graph.file",
        "the name of a file in the model's folder".into(),
        m.graph.file.clone(),
    )?;
    require(
        m.graph.sha256.len() == 64 && m.graph.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "graph.sha256",
        "64 hexadecimal digits".into(),
        m.graph.sha256.clone(),
    )
}

/// What only models for files have.
fn validate_offline(m: &Manifest, path: &Path) -> Result<(), ModelError> {
    let require = |holds: bool, field: &str, expected: String, actual: String| {
        if holds { Ok(()) } else { Err(field_error(path, field, expected, actual)) }
    };
    let Some(offline) = &m.offline else { return Ok(()) };
    if let Some(frames) = offline.wiener_window_frames {
        require(
            (1..=MAX_WINDOW_FRAMES).contains(&frames),
            "offline.wiener_window_frames",
            format!("1 to {MAX_WINDOW_FRAMES}"),
            frames.to_string(),
        )?;
        // The filter's covariances are those of real masks.
        let (expected, actual) = ("mask with offline.wiener_window_frames".into(), format!("{:?}", m.output.kind));
        require(m.output.kind == OutputKind::Mask, "output.kind", expected, actual)?;
    }
    let lead_slices = offline.lead_slices.to_string();
    let Some(num_slices) = offline.block_slices else {
        return require(offline.lead_slices == 0, "offline.lead_slices", "0 without block_slices".into(), lead_slices);
    };
    require(
        (1..=MAX_BLOCK_SLICES).contains(&num_slices),
        "offline.block_slices",
        format!("1 to {MAX_BLOCK_SLICES}"),
        num_slices.to_string(),
    )?;
    require(
        offline.lead_slices < num_slices,
        "offline.lead_slices",
        format!("less than block_slices = {num_slices}"),
        lead_slices,
    )?;
    // Blocks know nothing of each other.
    let look_ahead = m.look_ahead_slices;
    require(look_ahead == 0, "look_ahead_slices", "0 with offline.block_slices".into(), look_ahead.to_string())?;
    let states: Vec<&str> = m.states.iter().map(|state| state.input.as_str()).collect();
    require(states.is_empty(), "states", "none with offline.block_slices".into(), format!("{states:?}"))
}

/// The planes of a shape, in words.
fn planes(num_planes: usize, channels: &str) -> String {
    if num_planes == 1 { channels.to_owned() } else { format!("re and im of {channels}") }
}

fn all_different(names: &[String]) -> bool {
    names.iter().enumerate().all(|(i, name)| !names[..i].contains(name))
}
