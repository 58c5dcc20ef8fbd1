//! What networks with LSTMs over the slices have in common: the names of their states, and what cannot be streamed.

use anyhow::{Result, bail};

/// Names of the states of `num_layers` layers, in order: `h` and `c` of each.
pub fn state_names(num_layers: usize) -> impl Iterator<Item = String> {
    (0..num_layers).flat_map(|layer| ["h", "c"].map(|kind| format!("lstm_{kind}_{layer}")))
}

/// # Errors
/// If the LSTM runs backwards too.
pub fn check_causal(causal: bool) -> Result<()> {
    if !causal {
        bail!("causal=false: the LSTM runs backwards from the end of the song, so there is no graph for one slice");
    }
    Ok(())
}
