//! What a transform makes the live path wait.

use slicqt::{Plan, Sample, Timing};

/// The latency of the plugin with a causal network on this transform, in samples at the transform's rate: a hop must
/// fill, and what trimmed slices overlap must come before they give a sample; the worker has a hop, or half of a long
/// one, and a fade must fit in. `separator::latency_samples` says the same for a host at the model's rate whose blocks
/// are no longer than what the worker has.
pub fn live_latency_samples<T: Sample>(plan: &Plan<T>) -> usize {
    let hop_len = plan.hop_len();
    let budget = (hop_len / 2).max(hop_len.min(1024));
    hop_len + plan.delay_samples(Timing::Trimmed) + budget + (hop_len / 4).clamp(32, 256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::Model;
    use slicqt::Design;
    use std::path::Path;

    /// The plugin's own function, for the shipped model on the same transform.
    #[test]
    fn latency_is_the_plugins() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/first");
        let manifest = Model::load(&dir).unwrap().manifest;
        let plan = Plan::<f32>::new(&Design::bark_262()).unwrap();
        assert_eq!(plan.slice_len(), manifest.transform.slice_len, "the shipped model's transform");
        assert_eq!(live_latency_samples(&plan), separator::latency_samples(&manifest, 44_100.0, 512));
        assert_eq!(live_latency_samples(&plan), 18_317);

        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/mix");
        let manifest = Model::load(&dir).unwrap().manifest;
        let plan = Plan::<f32>::new(&Design::stft(3072, 768, 44_100.0)).unwrap();
        assert_eq!(live_latency_samples(&plan), separator::latency_samples(&manifest, 44_100.0, 512));
    }
}
