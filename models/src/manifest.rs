//! The typed `manifest.toml`.

use crate::{
    ModelError,
    limits::MAX_MANIFEST_BYTES,
    validate::{check_len, validate},
};
use serde::{Deserialize, Serialize};
use slicqt::{Design, Plan, Sample, Timing};
use std::{collections::BTreeMap, fs, path::Path};

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.toml";

/// The format that this version writes. Formats 1 and 2 are still read, and upgraded in memory:
/// - format 1 named its transform by `scale`, `num_bands` and `fmin_hz`;
/// - format 2 knew neither `transform.timing` nor `input.kind` nor `output.kind`: whole slices, magnitudes and masks.
pub const FORMAT: u32 = 3;

/// Scores of one data set: SDR in dB by stem.
pub type Scores = BTreeMap<String, f64>;

/// Everything that a program must know about a model before it opens the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Name of the model; by convention also of its folder.
    pub name: String,
    /// Licence of the weights.
    pub licence: String,
    /// Names of the stems, in the order of the graph's output: 1 to 16.
    pub stems: Vec<String>,
    /// Sample rate that the model was trained at.
    pub sample_rate_hz: u32,
    /// Samples from one slice to the next: half of `transform.slice_len`, or what a plain STFT has.
    pub hop_len: usize,
    /// How many slices after the current one the output depends on; 0 is causal.
    pub look_ahead_slices: usize,
    /// The transform whose coefficients the graph sees.
    pub transform: TransformSpec,
    /// The network.
    pub graph: GraphSpec,
    /// What goes into the graph.
    pub input: Input,
    /// What comes out.
    pub output: Output,
    /// The graph's memory of the past; zeros at reset.
    #[serde(default)]
    pub states: Vec<StateSpec>,
    /// What a state becomes when the input has ended (before the slices of silence that fill the look-ahead), by the
    /// name of its input: a network that was trained on whole songs may know where they end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_end: BTreeMap<String, Vec<f32>>,
    /// Only for models that must hear more of the song than a live stream could wait for: they are for files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Offline>,
    /// Where the weights come from.
    #[serde(default)]
    pub training: Training,
    /// Scores by data set.
    #[serde(default)]
    pub scores: BTreeMap<String, Scores>,
}

/// The transform, and what follows from it: facts that the program checks when it computes the transform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformSpec {
    /// As text, in [`Design`]'s grammar: `bark-262`, `mel:40:80`, `stft:4096:1024`, ... Its rate is `sample_rate_hz`.
    #[serde(with = "design_text")]
    pub design: Design,
    /// Samples of a slice.
    pub slice_len: usize,
    /// Samples of the rise, and of the fall, of the slicing window.
    pub transition_len: usize,
    /// Coefficients of one slice and channel.
    pub num_coefs: usize,
    /// When slices are cut and samples let go: `whole`, or `trimmed`, which drops what changed coefficients spread into
    /// the margins of a slice and waits for `transition_len` samples instead of half a slice. A plain STFT has no
    /// margins: there both are the same.
    #[serde(with = "timing_text")]
    pub timing: Timing,
}

impl TransformSpec {
    /// A design, and what its plan says of it; whole slices.
    pub fn new<T: Sample>(design: &Design, plan: &Plan<T>) -> Self {
        TransformSpec {
            design: design.clone(),
            slice_len: plan.slice_len(),
            transition_len: plan.transition_len(),
            num_coefs: plan.num_coefs(),
            timing: Timing::Whole,
        }
    }
}

mod design_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use slicqt::Design;

    pub fn serialize<S: Serializer>(design: &Design, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(design)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Design, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod timing_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// slicqt's `Early` is not among them: `trimmed` waits for less and costs nothing more.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Timing {
        Whole,
        Trimmed,
    }

    pub fn serialize<S: Serializer>(timing: &slicqt::Timing, serializer: S) -> Result<S::Ok, S::Error> {
        match timing {
            slicqt::Timing::Whole => Timing::Whole.serialize(serializer),
            slicqt::Timing::Trimmed => Timing::Trimmed.serialize(serializer),
            slicqt::Timing::Early => Err(serde::ser::Error::custom("a manifest has no timing 'early'")),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<slicqt::Timing, D::Error> {
        Ok(match Timing::deserialize(deserializer)? {
            Timing::Whole => slicqt::Timing::Whole,
            Timing::Trimmed => slicqt::Timing::Trimmed,
        })
    }
}

/// The network's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// File name in the model's folder.
    pub file: String,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// The network's input, f32: the mixture's coefficients of one slice, `[plane][coef]`, or of many slices at once,
/// `[slice][plane][coef]`, if [`Offline::block_slices`] is set. A channel has [`InputKind::num_planes`] planes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What the planes hold.
    pub kind: InputKind,
    /// Name in the graph.
    pub name: String,
    /// The channels, in order.
    pub channels: Vec<Channel>,
    /// `[planes, num_coefs]`, or `[block_slices, planes, num_coefs]`.
    pub shape: Vec<usize>,
}

impl Input {
    /// Planes of one slice, of all channels.
    pub fn num_planes(&self) -> usize {
        self.kind.num_planes() * self.channels.len()
    }
}

/// What a network sees of a coefficient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// Its magnitude: one plane a channel.
    #[default]
    Magnitude,
    /// All of it, two planes a channel: real parts, then imaginary parts (`left re, left im, right re, right im, ...`).
    Complex,
}

impl InputKind {
    /// Planes of one channel.
    pub fn num_planes(self) -> usize {
        match self {
            InputKind::Magnitude => 1,
            InputKind::Complex => 2,
        }
    }
}

/// A channel that the network sees. The complex coefficients are mixed before the magnitude is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Left.
    Left,
    /// Right.
    Right,
    /// (left + right) / 2.
    Mid,
    /// (left - right) / 2.
    Side,
}

/// The network's output, f32: `[stem][plane][coef]` of one slice, or of many slices, `[slice][stem][plane][coef]`, if
/// [`Offline::block_slices`] is set. The planes are those of left and right, [`OutputKind::num_planes`] each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// What the planes hold.
    pub kind: OutputKind,
    /// Name in the graph.
    pub name: String,
    /// `[stems, planes, num_coefs]`, or `[block_slices, stems, planes, num_coefs]`.
    pub shape: Vec<usize>,
}

impl Output {
    /// Planes of one stem, left and right.
    pub fn num_planes(&self) -> usize {
        2 * self.kind.num_planes()
    }
}

/// What a network says of each stem's coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// Real factors of the mixture's coefficients, 0..=1: one plane a channel.
    #[default]
    Mask,
    /// Complex factors of the mixture's coefficients, two planes a channel: `left re, left im, right re, right im`.
    ComplexMask,
    /// The coefficients themselves, in the planes of `ComplexMask`.
    Coefs,
}

impl OutputKind {
    /// Planes of one channel.
    pub fn num_planes(self) -> usize {
        match self {
            OutputKind::Mask => 1,
            OutputKind::ComplexMask | OutputKind::Coefs => 2,
        }
    }
}

/// One tensor of memory, f32: what leaves as `output` goes back in as `input` with the next slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSpec {
    /// Name of the graph's input.
    pub input: String,
    /// Name of the graph's output.
    pub output: String,
    /// Shape of both.
    pub shape: Vec<usize>,
}

/// What a model for files does that a stream could not wait for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offline {
    /// A Wiener filter after the masks, per bucket over windows of this many frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wiener_window_frames: Option<usize>,
    /// So many slices go through the graph at once, block after block, which then needs no memory of the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_slices: Option<usize>,
    /// Slices of silence in front of the first slice, in the first block: fewer than a block has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lead_slices: usize,
    /// Slices at either end of a block whose output is not used: they are there to be heard, so that blocks do not show.
    /// Blocks overlap by twice as many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub margin_slices: usize,
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// Where the weights come from; fields other than these two are free.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The data, as readers know it.
    #[serde(default)]
    pub data: Vec<String>,
    /// Hours of training.
    #[serde(default)]
    pub hours: f64,
    /// Anything else.
    #[serde(flatten)]
    pub more: toml::Table,
}

impl Manifest {
    /// Reads a manifest; [`Model::load`](crate::Model::load) also validates it.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`], [`ModelError::Syntax`], or [`ModelError::Field`] for another format.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        check_len(path, MAX_MANIFEST_BYTES)?;
        let text =
            fs::read_to_string(path).map_err(|source| ModelError::Unreadable { path: path.to_owned(), source })?;
        let syntax = |error: toml::de::Error| ModelError::Syntax { path: path.to_owned(), message: error.to_string() };
        // The format comes first: a later format may have fields that would otherwise be reported as unknown.
        let mut table: toml::Table = toml::from_str(&text).map_err(syntax)?;
        let former = table.get("format").and_then(toml::Value::as_integer);
        match former.filter(|former| (1..FORMAT.into()).contains(former)) {
            Some(former) => {
                let syntax = |message| ModelError::Syntax { path: path.to_owned(), message };
                if former == 1 {
                    name_design(&mut table).map_err(syntax)?;
                }
                name_kinds(&mut table);
                table.try_into().map_err(|error: toml::de::Error| syntax(error.to_string()))
            }
            // A format that is missing is reported by the parser.
            None if table.get("format").is_some_and(|format| format.as_integer() != Some(FORMAT.into())) => {
                Err(ModelError::Field {
                    path: path.to_owned(),
                    field: "format".into(),
                    expected: format!("{FORMAT} (or 1 or 2)"),
                    actual: table["format"].to_string(),
                })
            }
            None => toml::from_str(&text).map_err(syntax),
        }
    }

    /// Whether it makes sense and keeps to the [`limits`](crate::limits): [`Model::load`](crate::Model::load) asks this
    /// before anything is allocated for the model. `dir` is the model's folder, for the error.
    ///
    /// # Errors
    /// [`ModelError::Field`] names the field, what was expected and what is there.
    pub fn validate(&self, dir: &Path) -> Result<(), ModelError> {
        validate(self, dir)
    }

    /// Writes `manifest.toml` into a model's folder, replacing the old one in one step.
    ///
    /// # Errors
    /// [`ModelError::Unwritable`].
    pub fn write(&self, dir: &Path) -> Result<(), ModelError> {
        let path = dir.join(MANIFEST_FILE);
        let text = toml::to_string_pretty(self).map_err(std::io::Error::other);
        text.and_then(|text| base::write_whole(&path, text)).map_err(|source| ModelError::Unwritable { path, source })
    }
}

/// Makes format 2 of format 1: one text for `scale`, `num_bands` and `fmin_hz`. The error names the one that is missing.
fn name_design(table: &mut toml::Table) -> Result<(), String> {
    let rate = table.get("sample_rate_hz").map_or(String::new(), |rate| format!(":rate={rate}"));
    // Without a transform at all, the parser says so.
    let Some(toml::Value::Table(transform)) = table.get_mut("transform") else { return Ok(()) };
    let mut part = |name: &str| match transform.remove(name) {
        Some(value) => Ok(value.to_string().trim_matches('"').to_owned()),
        None => Err(format!("missing field `{name}` in `transform`, as format 1 has it")),
    };
    let design = format!("{}:{}:{}{rate}", part("scale")?, part("num_bands")?, part("fmin_hz")?);
    transform.insert("design".to_owned(), design.into());
    Ok(())
}

/// Makes format 3 of format 2: says what formats 1 and 2 left unsaid.
fn name_kinds(table: &mut toml::Table) {
    for (section, field, value) in
        [("transform", "timing", "whole"), ("input", "kind", "magnitude"), ("output", "kind", "mask")]
    {
        // Without a section, the parser says so; with the field, the file is of a format that it does not name.
        if let Some(toml::Value::Table(section)) = table.get_mut(section) {
            section.entry(field).or_insert(value.into());
        }
    }
    table.insert("format".to_owned(), i64::from(FORMAT).into());
}
