//! What can be told of a manifest without the transform and without the graph: whether it makes sense, and whether it
//! keeps to the [`limits`](crate::limits).

use crate::{
    Channel, MANIFEST_FILE, Manifest, ModelError, OutputKind, StateSpec,
    limits::*,
    names::{FILE_NAME, STEM_NAME, is_file_name, is_stem_name},
};
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    path::Path,
};

/// An error about one field of the manifest in `dir`.
pub(crate) fn field_error(
    path: &Path,
    field: impl Into<String>,
    expected: impl ToString,
    actual: impl ToString,
) -> ModelError {
    ModelError::Field {
        path: path.to_owned(),
        field: field.into(),
        expected: expected.to_string(),
        actual: shortened(actual.to_string()),
    }
}

/// A field may hold megabytes.
fn shortened(text: String) -> String {
    const MAX_SHOWN: usize = 200;
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// The length of a file, which is refused if longer than it may be, before any of it is read.
pub(crate) fn check_len(path: &Path, max_bytes: u64) -> Result<u64, ModelError> {
    let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        // A pipe or a device has no length, and may have no end.
        return Err(unreadable(std::io::Error::other("not a file")));
    }
    let num_bytes = metadata.len();
    if num_bytes <= max_bytes {
        return Ok(num_bytes);
    }
    Err(field_error(path, "length", format!("at most {max_bytes} bytes"), format!("{num_bytes} bytes")))
}

type Checked = Result<(), ModelError>;

struct Validator<'a> {
    m: &'a Manifest,
    path: &'a Path,
}

/// Checks the manifest of the model in `dir`.
pub(crate) fn validate(manifest: &Manifest, dir: &Path) -> Result<(), ModelError> {
    let path = dir.join(MANIFEST_FILE);
    let validator = Validator { m: manifest, path: &path };
    validator.names()?;
    validator.rate_and_slices()?;
    validator.offline()?;
    validator.input_and_output()?;
    validator.states()?;
    validator.at_end()?;
    validator.memory()
}

impl Validator<'_> {
    fn require(&self, holds: bool, field: &str, expected: impl ToString, actual: impl ToString) -> Checked {
        if holds { Ok(()) } else { Err(field_error(self.path, field, expected, actual)) }
    }

    fn at_most<T: PartialOrd + ToString>(&self, field: &str, max: T, actual: T) -> Checked {
        self.require(actual <= max, field, format!("at most {}", max.to_string()), actual)
    }

    fn names(&self) -> Checked {
        let m = self.m;
        self.require(is_file_name(&m.name), "name", FILE_NAME, quoted(&m.name))?;
        let num_stems = m.stems.len();
        self.require((1..=MAX_STEMS).contains(&num_stems), "stems", format!("1 to {MAX_STEMS} stems"), num_stems)?;
        self.require(m.stems.iter().all(|stem| is_stem_name(stem)), "stems", STEM_NAME, quoted(&m.stems))?;
        self.require(all_different(m.stems.iter()), "stems", "different names", quoted(&m.stems))?;
        self.require(is_file_name(&m.graph.file), "graph.file", FILE_NAME, quoted(&m.graph.file))?;
        let is_hash = m.graph.sha256.len() == 64 && m.graph.sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
        self.require(is_hash, "graph.sha256", "64 hexadecimal digits", &m.graph.sha256)
    }

    fn rate_and_slices(&self) -> Checked {
        let m = self.m;
        let rates = SAMPLE_RATES_HZ;
        let expected = format!("{} to {} Hz", rates.start(), rates.end());
        self.require(rates.contains(&m.sample_rate_hz), "sample_rate_hz", expected, m.sample_rate_hz)?;
        let design_rate_hz = m.transform.design.sample_rate_hz();
        self.require(
            design_rate_hz == f64::from(m.sample_rate_hz),
            "sample_rate_hz",
            format!("{design_rate_hz} (that of transform.design = \"{}\")", m.transform.design),
            m.sample_rate_hz,
        )?;
        let (slice_len, num_coefs) = (m.transform.slice_len, m.transform.num_coefs);
        let within = |max: usize| format!("1 to {max}");
        let holds = (1..=MAX_SLICE_LEN).contains(&slice_len);
        self.require(holds, "transform.slice_len", within(MAX_SLICE_LEN), slice_len)?;
        let holds = m.transform.transition_len <= slice_len;
        let expected = format!("at most transform.slice_len = {slice_len}");
        self.require(holds, "transform.transition_len", expected, m.transform.transition_len)?;
        self.require((1..=MAX_COEFS).contains(&num_coefs), "transform.num_coefs", within(MAX_COEFS), num_coefs)?;
        self.require(
            m.hop_len > 0 && m.hop_len < slice_len && slice_len.is_multiple_of(m.hop_len),
            "hop_len",
            format!("a part of transform.slice_len = {slice_len}, as a half or a quarter"),
            m.hop_len,
        )?;
        let expected = format!("at least transform.slice_len / {MAX_OVERLAP} = {}", slice_len.div_ceil(MAX_OVERLAP));
        self.require(slice_len / m.hop_len <= MAX_OVERLAP, "hop_len", expected, m.hop_len)?;
        self.at_most("look_ahead_slices", MAX_LOOK_AHEAD_SLICES, m.look_ahead_slices)?;
        // A job fills in a hop and waits for the rest of its slice and for what the network looks ahead. No overflow
        // after the checks above.
        let latency = slice_len + m.look_ahead_slices * m.hop_len;
        self.require(
            latency <= MAX_LATENCY_S * m.sample_rate_hz as usize,
            "look_ahead_slices",
            format!("a latency of at most {MAX_LATENCY_S} s"),
            format!(
                "{:.1} s (slices of {slice_len} samples and {} of look-ahead, {} samples each)",
                latency as f64 / f64::from(m.sample_rate_hz),
                m.look_ahead_slices,
                m.hop_len
            ),
        )
    }

    /// What only models for files have.
    fn offline(&self) -> Checked {
        let m = self.m;
        let Some(offline) = &m.offline else { return Ok(()) };
        if let Some(frames) = offline.wiener_window_frames {
            let holds = (1..=MAX_WINDOW_FRAMES).contains(&frames);
            self.require(holds, "offline.wiener_window_frames", format!("1 to {MAX_WINDOW_FRAMES}"), frames)?;
            // The filter's covariances are those of real masks.
            let holds = m.output.kind == OutputKind::Mask;
            let expected = "mask with offline.wiener_window_frames";
            self.require(holds, "output.kind", expected, quoted(m.output.kind))?;
        }
        let (lead, margin) = (offline.lead_slices, offline.margin_slices);
        let Some(num_slices) = offline.block_slices else {
            self.require(margin == 0, "offline.margin_slices", "0 without block_slices", margin)?;
            return self.require(lead == 0, "offline.lead_slices", "0 without block_slices", lead);
        };
        let holds = (1..=MAX_BLOCK_SLICES).contains(&num_slices);
        self.require(holds, "offline.block_slices", format!("1 to {MAX_BLOCK_SLICES}"), num_slices)?;
        let expected = format!("less than block_slices = {num_slices}");
        self.require(lead < num_slices, "offline.lead_slices", expected, lead)?;
        let expected = format!("less than half of what block_slices = {num_slices} and lead_slices = {lead} leave");
        let holds = margin.checked_mul(2).is_some_and(|margins| margins < num_slices - lead);
        self.require(holds, "offline.margin_slices", expected, margin)?;
        // Blocks know nothing of each other.
        let look_ahead = m.look_ahead_slices;
        self.require(look_ahead == 0, "look_ahead_slices", "0 with offline.block_slices", look_ahead)?;
        let states: Vec<&str> = m.states.iter().map(|state| state.input.as_str()).collect();
        self.require(states.is_empty(), "states", "none with offline.block_slices", quoted(states))
    }

    fn input_and_output(&self) -> Checked {
        let m = self.m;
        let known =
            [vec![Channel::Left, Channel::Right], vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side]];
        self.require(
            known.contains(&m.input.channels),
            "input.channels",
            "[left, right] or [left, right, mid, side]",
            quoted(&m.input.channels).to_lowercase(),
        )?;
        let block_slices = m.offline.as_ref().and_then(|offline| offline.block_slices);
        let (block, slices) = match block_slices {
            Some(num_slices) => (vec![num_slices], "block_slices, "),
            None => (vec![], ""),
        };
        let num_coefs = m.transform.num_coefs;
        let input = [block.clone(), vec![m.input.num_planes(), num_coefs]].concat();
        let expected = format!("{input:?} ({slices}{}, num_coefs)", planes(m.input.kind.num_planes(), "channels"));
        self.require(m.input.shape == input, "input.shape", expected, quoted(&m.input.shape))?;
        let output = [block, vec![m.stems.len(), m.output.num_planes(), num_coefs]].concat();
        let expected =
            format!("{output:?} ({slices}stems, {}, num_coefs)", planes(m.output.kind.num_planes(), "left and right"));
        self.require(m.output.shape == output, "output.shape", expected, quoted(&m.output.shape))?;
        for (field, shape) in [("input.shape", &m.input.shape), ("output.shape", &m.output.shape)] {
            self.tensor_len(field, shape)?;
        }
        Ok(())
    }

    /// The number of values of a tensor.
    fn tensor_len(&self, field: &str, shape: &[usize]) -> Result<usize, ModelError> {
        product_within(shape, MAX_TENSOR_LEN).ok_or_else(|| {
            field_error(self.path, field, format!("a tensor of at most {MAX_TENSOR_LEN} values"), quoted(shape))
        })
    }

    fn states(&self) -> Checked {
        let m = self.m;
        self.at_most("states", MAX_STATES, m.states.len())?;
        let names = m.states.iter().flat_map(|state| [&state.input, &state.output]);
        let names: Vec<&String> = [&m.input.name, &m.output.name].into_iter().chain(names).collect();
        let expected = format!("1 to {MAX_TENSOR_NAME_LEN} bytes, none of them a control character");
        for name in &names {
            let holds = (1..=MAX_TENSOR_NAME_LEN).contains(&name.len()) && !name.chars().any(char::is_control);
            self.require(holds, "names of tensors", &expected, quoted(name))?;
        }
        self.require(all_different(names.iter()), "states", "different tensor names", quoted(&names))?;
        let mut total = 0usize;
        for state in &m.states {
            let field = format!("states.{}.shape", state.input);
            self.require(
                (1..=MAX_STATE_RANK).contains(&state.shape.len()) && state.shape.iter().all(|&len| len > 0),
                &field,
                format!("1 to {MAX_STATE_RANK} positive lengths"),
                quoted(&state.shape),
            )?;
            // No overflow: at most MAX_STATES of at most MAX_TENSOR_LEN.
            total += self.tensor_len(&field, &state.shape)?;
        }
        let expected = format!("at most {MAX_TOTAL_STATE_LEN} values together");
        self.require(total <= MAX_TOTAL_STATE_LEN, "states", expected, format!("{total} values"))
    }

    fn at_end(&self) -> Checked {
        let states: BTreeMap<&str, &StateSpec> =
            self.m.states.iter().map(|state| (state.input.as_str(), state)).collect();
        let mut total = 0usize;
        for (name, values) in &self.m.at_end {
            let (holds, expected) = match states.get(name.as_str()) {
                Some(state) => {
                    // Within limits, as states were checked before.
                    let len = state.shape.iter().product::<usize>();
                    (values.len() == len, format!("{len} values, as many as states.{name} has"))
                }
                None => (false, "the input of a state".to_owned()),
            };
            self.require(holds, &format!("at_end.{name}"), expected, format!("{} values", values.len()))?;
            let is_finite = values.iter().all(|value| value.is_finite());
            self.require(is_finite, &format!("at_end.{name}"), "finite numbers", "one that is not")?;
            total += values.len();
        }
        let expected = format!("at most {MAX_TOTAL_AT_END_LEN} values together");
        self.require(total <= MAX_TOTAL_AT_END_LEN, "at_end", expected, format!("{total} values"))
    }

    /// What the pipeline keeps of the mix, as samples, coefficients and masks, until the masks and the filter are there.
    fn memory(&self) -> Checked {
        let m = self.m;
        let (num_coefs, num_stems) = (m.transform.num_coefs, m.stems.len());
        let offline = m.offline.clone().unwrap_or_default();
        let mask_slices = 1 + m.look_ahead_slices + offline.block_slices.unwrap_or(0);
        // Buckets have at least 16 frames a slice, plain STFTs one.
        let min_frames = if m.transform.design.stft_lens().is_some() { 1 } else { 16 };
        let filter_slices = offline.wiener_window_frames.map_or(0, |frames| frames.div_ceil(min_frames));
        // Both channels, complex; and the stems' masks besides.
        let (coefs, masks) = (4, m.output.num_planes() * num_stems);
        let samples = product_within(&[mask_slices + filter_slices, 2, m.hop_len], MAX_BUFFERED_LEN);
        let waiting = product_within(&[mask_slices, coefs, num_coefs], MAX_BUFFERED_LEN);
        let filtered = product_within(&[filter_slices, coefs + masks, num_coefs], MAX_BUFFERED_LEN);
        let total = [samples, waiting, filtered].into_iter().try_fold(0usize, |sum, len| Some(sum + len?));
        self.require(
            total.is_some_and(|total| total <= MAX_BUFFERED_LEN),
            "look_ahead_slices, offline",
            format!("at most {MAX_BUFFERED_LEN} values to keep"),
            format!("{mask_slices} slices for the masks, {filter_slices} for the filter, of {num_coefs} coefficients"),
        )
    }
}

/// The planes of a shape, in words.
fn planes(num_planes: usize, channels: &str) -> String {
    if num_planes == 1 { channels.to_owned() } else { format!("re and im of {channels}") }
}

/// As Rust would write it: control characters cannot reach a terminal.
fn quoted(value: impl Debug) -> String {
    format!("{value:?}")
}

fn all_different<T: std::hash::Hash + Eq>(mut names: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    names.all(|name| seen.insert(name))
}
