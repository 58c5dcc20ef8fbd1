//! CARD.md of an imported model.

use super::{
    PUBLISHED_URL, Published,
    published::TRAINED_ON,
    xumx::{GraphFacts, Xumx},
};
use crate::Manifest;
use std::{fmt::Write, path::Path};

/// What a person should know before using the model. `source`: hash and length of the file of weights.
pub(crate) fn text(
    manifest: &Manifest,
    network: &Xumx,
    facts: &GraphFacts,
    file: &Path,
    source: (&str, u64),
    published: Option<&Published>,
) -> String {
    let transform = &manifest.transform;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let use_ = match manifest.offline {
        Some(_) => "for files only: its Wiener filter hears up to a minute of the song before it gives stems",
        None => "streams: in the plugin and on files",
    };
    let mut card =
        format!("# {}\n\nA network of the form of xumx-sliCQ-V2, imported by `unbraid models`.\n", manifest.name);
    card.push('\n');
    let mut row = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(card, "| {key} | {value} |");
    };
    row("", &"");
    row("---", &"---");
    row("use", &use_);
    row("stems", &manifest.stems.join(", "));
    row("sample rate", &format!("{} Hz (others are resampled)", manifest.sample_rate_hz));
    let bins = network.plan.num_bins();
    let (slice_len, hop_len) = (transform.slice_len, manifest.hop_len);
    row("transform", &format!("{}: {bins} bins, slices of {slice_len} samples, hops of {hop_len}", transform.design));
    row("look-ahead", &format!("{} slices", manifest.look_ahead_slices));
    row("parameters", &network.num_params);
    row("operations", &facts.num_nodes);
    row("licence of the weights", &manifest.licence);
    row("weights", &format!("{name}, {} bytes, SHA-256 {}", source.1, source.0));
    if let Some(piece_s) = network.settings.piece_s {
        row("trained on pieces of", &format!("{piece_s} s"));
    }
    match published {
        Some(published) => {
            let _ = write!(card, "\n## Licence\n\n{}\n\nFrom <{PUBLISHED_URL}/{}/{}>.\n\nTrained on: {TRAINED_ON}.\n", published.notice, published.folder, published.file);
            if !published.scores.is_empty() {
                let scores = published.scores.iter().map(|(stem, score)| format!("{stem} {score}"));
                let scores = scores.collect::<Vec<_>>().join(", ");
                let _ = write!(card, "\n## Scores\n\nAs published, SDR in dB on MUSDB18-HQ's test set (BSSEval v4): {scores}. \
                    They were reached without Unbraid sharing out what the masks lack to 1.\n");
            }
        }
        None => card.push_str(
            "\n## Licence\n\nThese weights are none that Unbraid knows by their hash: what they were trained on, how well \
             they separate, and\nwhat you may do with them is for whoever gave them to you to say.\n",
        ),
    }
    card
}
