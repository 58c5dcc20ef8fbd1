//! `cdae`, `cdae-causal`: the convolutional denoising autoencoder of xumx-sliCQ-V2, one per bucket and stem.
//!
//! For a bucket of F bins and M frames, over the magnitudes of left and right, slices laid end to end (S M frames):
//! convolution 2 -> 50 over (k, M) with stride (1, M/2); convolution 50 -> 51 over (k, 4); transposed convolution
//! 51 -> 50 over (k, 4); transposed convolution 50 -> 2 over (k, M) with stride (1, M/2) and a bias; batch norm and ReLU
//! after the first three, a sigmoid after the last; k = 1 bin if F < 10, 3 if F < 20, else 5 (transform.md). The four
//! stems' stacks are independent of each other and computed together, as groups of one convolution.
//!
//! Time is counted in *halves* of a slice: the first convolution gives two steps per slice, and the rest works on
//! those. Three [`Form`]s differ only in how halves are lined up; in all of them a stream carries, per bucket, the
//! inputs that the next window begins with, the last 3 outputs of the first convolution, and the sums that the two
//! transposed convolutions have begun ([`bucket`]).

mod bucket;
mod graph;
#[cfg(test)]
mod tests;

use super::{
    Architecture, Channel, GraphBuilder, GraphOutput, Layout, LookAhead, Mode, Network, Settings, State, Weights,
};
use crate::transform::Transform;
use anyhow::{Result, bail};
use bucket::{Bucket, BucketState};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use tch::{Kind, Tensor, nn, no_grad};

/// As published.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "cdae",
    about: "the published CDAE of xumx-sliCQ-V2, per bucket and stem; form=realtime (default), offline or causal",
    defaults: |_| defaults(Form::Realtime),
    build,
};

/// With all padding in the past.
pub const CAUSAL: Architecture = Architecture {
    name: "cdae-causal",
    about: "the same with all padding in the past: no look-ahead at the same cost",
    defaults: |_| defaults(Form::Causal),
    build,
};

fn build(vs: &nn::Path, settings: &Settings, transform: &Arc<Transform>) -> Result<Box<dyn Network>> {
    Ok(Box::new(Cdae::new(vs, super::parse(settings)?, transform)))
}

fn defaults(form: Form) -> Settings {
    super::settings(&CdaeConfig { form, outer: 50, inner: 51 })
}

/// Settings of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CdaeConfig {
    /// How halves are lined up.
    pub form: Form,
    /// Channels after the first and third convolution.
    pub outer: i64,
    /// Channels after the second.
    pub inner: i64,
}

/// How the network's halves are lined up with those of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As the published "realtime" weights have it: M - 1 zeros before the first convolution, so that its windows end
    /// with the first frame of a half; nothing before the second, which so looks 3 halves ahead.
    Realtime,
    /// As the published offline weights have it: no padding. Its windows end with their half, 3 halves ahead.
    Offline,
    /// Windows end with their half, and masks are those of the present half: no look-ahead.
    Causal,
}

impl Form {
    /// Halves at the start of a stream for which the second convolution has no whole window yet.
    pub fn missing_halves(self) -> i64 {
        match self {
            Form::Realtime => 3,
            Form::Offline => 4,
            Form::Causal => 0,
        }
    }
}

impl From<Form> for models::cdae::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Realtime => models::cdae::Form::Realtime,
            Form::Offline => models::cdae::Form::Offline,
            Form::Causal => models::cdae::Form::Causal,
        }
    }
}

/// Place of each of our stems (vocals, drums, bass, other) among the published ones (bass, vocals, other, drums).
pub const PUBLISHED_STEMS: [usize; 4] = [1, 3, 0, 2];

/// Slices after which a stream's start no longer matters, and counting ends.
pub const MAX_SEEN: i64 = 2;

/// The network.
pub struct Cdae {
    /// Its settings.
    pub config: CdaeConfig,
    /// `[bucket]`
    pub buckets: Vec<Bucket>,
}

impl Cdae {
    /// A network with random weights.
    pub fn new(vs: &nn::Path, config: CdaeConfig, transform: &Transform) -> Self {
        let buckets = transform.plan.buckets().iter().enumerate();
        let buckets = buckets.map(|(i, bucket)| Bucket::new(&(vs / "bucket" / i), bucket, &config)).collect();
        Cdae { config, buckets }
    }

    /// Masks `[B][S][stem][channel][coef]` of whole signals exactly as the published program computes them: those of a
    /// slice at its own place, with the last slices' masks short of what lies after the end.
    #[cfg(test)]
    pub fn whole_masks(&self, inputs: &Tensor) -> Tensor {
        let masks: Vec<Tensor> = self.buckets.iter().map(|bucket| bucket.whole_masks(inputs)).collect();
        Tensor::cat(&masks, -1)
    }
}

impl Network for Cdae {
    fn layout(&self) -> Layout {
        Layout::Coefs
    }

    fn input_channels(&self) -> Vec<Channel> {
        vec![Channel::Left, Channel::Right]
    }

    fn look_ahead(&self) -> LookAhead {
        LookAhead::Slices(models::cdae::Form::from(self.config.form).look_ahead_slices())
    }

    fn macs_per_slice(&self) -> u64 {
        self.buckets.iter().map(Bucket::macs_per_slice).sum()
    }

    fn set_statistics(&mut self, inputs: &Tensor) {
        no_grad(|| self.buckets.iter_mut().for_each(|bucket| bucket.set_statistics(inputs)));
    }

    fn load_published(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let get = |name: &str, shape: &[i64]| -> Result<Tensor> {
            let Some(tensor) = tensors.get(name) else { bail!("tensor {name} is missing") };
            if tensor.size() != shape {
                bail!("tensor {name}: expected shape {shape:?}, got {:?}", tensor.size());
            }
            Ok(tensor.shallow_clone())
        };
        no_grad(|| {
            for (i, bucket) in self.buckets.iter_mut().enumerate() {
                bucket.load_published(i, PUBLISHED_STEMS, &get)?;
            }
            Ok(())
        })
    }

    fn zero_state(&self, batch_size: i64) -> State {
        let mut tensors: Vec<(String, Tensor)> = vec![];
        if self.config.form != Form::Causal {
            let device = self.buckets[0].device();
            tensors.push(("slices_seen".to_owned(), Tensor::zeros([1], (Kind::Float, device))));
        }
        for (i, bucket) in self.buckets.iter().enumerate() {
            tensors.extend(bucket.zero_state(batch_size).into_named(i));
        }
        State { tensors }
    }

    fn forward(&self, inputs: &Tensor, state: &State, mode: Mode) -> (Tensor, State) {
        let mut tensors = Vec::with_capacity(state.tensors.len());
        let mut given = state.tensors.iter();
        let mut num_seen = MAX_SEEN;
        if self.config.form != Form::Causal {
            let (name, seen) = given.next().expect("made by zero_state");
            num_seen = seen.double_value(&[0]) as i64;
            let next = (seen + inputs.size()[1] as f64).clamp_max(MAX_SEEN as f64);
            tensors.push((name.clone(), next));
        }
        let mut masks = Vec::with_capacity(self.buckets.len());
        for (i, bucket) in self.buckets.iter().enumerate() {
            let state = BucketState::from_named(&mut given, bucket.form);
            let (of_bucket, next) = bucket.forward(inputs, &state, num_seen, mode.is_train());
            masks.push(of_bucket);
            tensors.extend(next.into_named(i));
        }
        (Tensor::cat(&masks, -1), State { tensors })
    }

    fn write_graph(&self, graph: &mut GraphBuilder, magnitudes: &str, weights: &Weights) -> Result<GraphOutput> {
        let cdae = graph::tensors(self, weights)?;
        let models::cdae::CdaeGraph { masks, states, at_end } = cdae.write_into(graph, &magnitudes.to_owned());
        Ok(GraphOutput { masks, states, at_end })
    }
}
