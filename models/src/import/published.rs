//! The weights that can be fetched by name.

/// Weights that their authors have published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Name to fetch them by, and of the model that they become.
    pub name: &'static str,
    /// What they are, in a line.
    pub about: &'static str,
    /// Folder of the weights and their settings under [`PUBLISHED_URL`].
    pub folder: &'static str,
    /// The weights in it.
    pub file: &'static str,
    /// Length of the file.
    pub num_bytes: u64,
    /// Its hash.
    pub sha256: &'static str,
    /// Licence of the weights.
    pub licence: &'static str,
    /// Whose work they are, and what one may do with them.
    pub notice: &'static str,
    /// Published scores by stem: SDR in dB.
    pub scores: &'static [(&'static str, f64)],
}

const NOTICE: &str = "\
xumx-sliCQ-V2 by Sevag Hanssian, https://github.com/sevagh/xumx-sliCQ, MIT licence.
The weights were trained on MUSDB18-HQ (https://doi.org/10.5281/zenodo.3338373), whose songs are for non-commercial and
academic use; whether that binds users of the weights is not settled. Ask a lawyer before you earn money with them.";

/// What all of them were trained on.
pub(crate) const TRAINED_ON: &str = "MUSDB18-HQ, training set (songs for non-commercial use)";
/// What the published scores refer to.
pub(crate) const SCORED_ON: &str = "MUSDB18-HQ test, BSSEval v4, as published";

/// Where the authors' files lie; it redirects to their store.
pub const PUBLISHED_URL: &str = "https://github.com/sevagh/xumx-sliCQ/raw/v2";
const FILE: &str = "xumx_slicq_v2.pth";

/// All of them.
pub const PUBLISHED: [Published; 4] = [
    Published {
        name: "xumx-realtime",
        about: "bark-262, streams with a latency of about 0.9 s; 4.07 dB",
        folder: "pretrained_model_realtime",
        file: FILE,
        num_bytes: 62_467_137,
        sha256: "12e25e8b7289117a1edc95fa898d40c074a56bfa9057f0b36b2d4c7c3bafe5c1",
        licence: "MIT",
        notice: NOTICE,
        scores: &[("vocals", 4.53), ("drums", 4.75), ("bass", 3.84), ("other", 3.17)],
    },
    Published {
        name: "xumx-offline",
        about: "bark-262 with a Wiener filter, for files; 4.4 dB",
        folder: "pretrained_model",
        file: FILE,
        num_bytes: 62_466_945,
        sha256: "48c86f90083c8417c47e236b12a848518c3e29d46b1a34d7e275d27b1e3203f8",
        licence: "MIT",
        notice: NOTICE,
        scores: &[("vocals", 4.79), ("drums", 4.85), ("bass", 4.69), ("other", 3.27)],
    },
    Published {
        name: "xumx-tiny",
        about: "mel-32, streams with a latency of about 0.11 s; trained with an SDR loss",
        folder: ".github/pretrained_models_other/pretrained_model_tiny_rt",
        file: FILE,
        num_bytes: 14_749_819,
        sha256: "fefd98596e37f0596b1f7612671712525833ab48466388c8e9110f7b962a5068",
        licence: "MIT",
        notice: NOTICE,
        scores: &[],
    },
    Published {
        name: "xumx-metal",
        about: "mel-32, streams with a latency of about 0.11 s; for metal",
        folder: ".github/pretrained_models_other/pretrained_model_tiny_metal",
        file: FILE,
        num_bytes: 14_749_819,
        sha256: "812c92bc7af9a06d6278fbbae8c230b19017c8fced9606ab68744b1e220451d0",
        licence: "MIT",
        notice: NOTICE,
        scores: &[],
    },
];
