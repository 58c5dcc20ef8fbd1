//! CARD.md of an imported model.

use super::Published;
use crate::Manifest;
use std::fmt::{Display, Write};

/// What a person should know before using the model, and does not stand in its manifest.
pub(crate) struct Card<'a> {
    /// What the network is.
    pub form: &'a str,
    /// Where the model can be used.
    pub usage: &'a str,
    pub num_bins: usize,
    pub num_params: usize,
    pub num_nodes: usize,
    pub sources: Vec<Source>,
    /// Seconds of the pieces that it was trained on.
    pub piece_s: Option<f64>,
}

/// A file of weights.
pub(crate) struct Source {
    pub name: String,
    pub num_bytes: u64,
    pub sha256: String,
}

impl Card<'_> {
    /// The whole card.
    pub fn text(&self, manifest: &Manifest, published: Option<&Published>) -> String {
        let transform = &manifest.transform;
        let mut card = format!("# {}\n\n{}, imported by `unbraid models`.\n\n", manifest.name, self.form);
        let mut row = |key: &str, value: &dyn Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(card, "| {key} | {value} |");
        };
        row("", &"");
        row("---", &"---");
        row("use", &self.usage);
        row("stems", &manifest.stems.join(", "));
        row("sample rate", &format!("{} Hz (others are resampled)", manifest.sample_rate_hz));
        let (bins, slice_len, hop_len) = (self.num_bins, transform.slice_len, manifest.hop_len);
        row(
            "transform",
            &format!("{}: {bins} bins, slices of {slice_len} samples, hops of {hop_len}", transform.design),
        );
        match manifest.offline.as_ref().and_then(|offline| offline.block_slices) {
            Some(num_slices) => row("at a time", &format!("{num_slices} slices")),
            None => row("look-ahead", &format!("{} slices", manifest.look_ahead_slices)),
        }
        row("parameters", &self.num_params);
        row("operations", &self.num_nodes);
        row("licence of the weights", &manifest.licence);
        for source in &self.sources {
            row("weights", &format!("{}, {} bytes, SHA-256 {}", source.name, source.num_bytes, source.sha256));
        }
        if let Some(piece_s) = self.piece_s {
            row("trained on pieces of", &format!("{piece_s} s"));
        }
        match published {
            Some(published) => {
                let (notice, url, trained_on) = (published.notice, published.url(), published.trained_on);
                let _ = write!(card, "\n## Licence\n\n{notice}\n\nFrom <{url}>.\n\nTrained on: {trained_on}.\n");
                if !published.scores.is_empty() {
                    let scores = published.scores.iter().map(|(stem, score)| format!("{stem} {score}"));
                    let scores = scores.collect::<Vec<_>>().join(", ");
                    let _ = write!(
                        card,
                        "\n## Scores\n\nAs published, SDR in dB on MUSDB18-HQ's test set (BSSEval v4): {scores}. \
                         They were reached without Unbraid sharing out what the masks lack to 1.\n"
                    );
                }
            }
            None => card.push_str(
                "\n## Licence\n\nThe hash of these weights is not that of any published model known to Unbraid: what they were trained on, how \
                 well they separate, and\nwhat you may do with them is for whoever gave them to you to say.\n",
            ),
        }
        card
    }
}
