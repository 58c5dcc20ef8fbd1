//! What a transform makes the live path wait.

use slicqt::{Plan, Sample, Timing};

/// The latency of the plugin with a causal network on this transform, in samples at the transform's rate: of its own
/// function, for trimmed slices and blocks of up to 512 samples.
pub fn live_latency_samples<T: Sample>(plan: &Plan<T>) -> usize {
    separator::latency_samples_of(plan.hop_len(), plan.delay_samples(Timing::Trimmed))
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
