//! The weights of xumx-sliCQ-V2, checked: a [`Cdae`] of 50 and 51 channels with the stacks bass, vocals, other, drums.

use super::{
    ImportError,
    settings::Settings,
    tensors::{Reader, Tensors},
};
use crate::{
    StateSpec,
    cdae::{BucketStacks, Cdae, CdaeGraph, Form, Stack, TAPS, kernel_bins},
    onnx::GraphBuilder,
};
use slicqt::{Bucket, Plan};
use std::{collections::BTreeMap, io, path::Path};

/// The order of the stacks.
pub(crate) const STEMS: [&str; 4] = ["bass", "vocals", "other", "drums"];
const OUTER: usize = 50;
const INNER: usize = 51;

/// The whole network.
pub(crate) struct Xumx {
    pub settings: Settings,
    pub plan: Plan<f32>,
    pub cdae: Cdae,
    pub num_params: usize,
    /// Tensors of the file that the network has no use for.
    pub unused: Vec<String>,
}

/// What the manifest must know of the graph.
pub(crate) struct GraphFacts {
    pub states: Vec<StateSpec>,
    pub at_end: BTreeMap<String, Vec<f32>>,
    pub num_nodes: usize,
}

impl Xumx {
    /// Writes the graph: input `magnitudes` `[2, num_coefs]`, output `masks` `[4, 2, num_coefs]`.
    pub fn write(&self, path: &Path) -> io::Result<GraphFacts> {
        let mut graph = GraphBuilder::default();
        let num_coefs = self.plan.num_coefs() as i64;
        let magnitudes = graph.input("magnitudes", &[2, num_coefs]);
        let CdaeGraph { masks, states, at_end } = self.cdae.write_into(&mut graph, &magnitudes);
        graph.output(&masks, "masks", &[STEMS.len() as i64, 2, num_coefs]);
        let num_nodes = graph.num_nodes();
        graph.write(path)?;
        Ok(GraphFacts { states, at_end, num_nodes })
    }

    /// Checks the weights against the transform that the settings describe.
    pub fn new(tensors: &Tensors, settings: Settings, settings_path: &Path) -> Result<Xumx, ImportError> {
        let plan = Plan::new(&settings.design)
            .map_err(|error| ImportError::field(settings_path, "args", "a transform that can be inverted", error))?;
        let num_buckets = 1 + tensors.by_name.keys().filter_map(|name| bucket_of(name)).max().unwrap_or(0);
        if num_buckets != plan.buckets().len() {
            let field = "sliced_umx.*";
            let expected = format!("{} buckets, as the transform of the settings has", plan.buckets().len());
            return Err(ImportError::field(&tensors.path, field, expected, format!("{num_buckets} buckets")));
        }
        let mut reader = Reader::new(tensors);
        let buckets = plan.buckets().iter().enumerate().map(|(idx, bucket)| reader.bucket(idx, bucket));
        let buckets = buckets.collect::<Result<Vec<_>, _>>()?;
        let used: std::collections::HashSet<String> = reader.used.drain(..).collect();
        let num_params = used
            .iter()
            .filter(|name| !name.contains("running_"))
            .map(|name| tensors.by_name[name].shape.iter().product::<usize>())
            .sum();
        let unused = tensors.by_name.keys().filter(|name| !used.contains(*name));
        let unused: Vec<String> = unused.filter(|name| !name.ends_with(".num_batches_tracked")).cloned().collect();
        // A layer that we do not know changes what the others mean.
        if let Some(unknown) = unused.iter().find(|name| name.contains(".cdaes.")) {
            let expected = "no layers but convolutions 0, 3, 6, 9 and batch norms 1, 4, 7";
            return Err(ImportError::field(&tensors.path, unknown, expected, "a layer of another network"));
        }
        let form = if settings.is_realtime { Form::Realtime } else { Form::Offline };
        Ok(Xumx { settings, plan, cdae: Cdae { form, outer: OUTER, inner: INNER, buckets }, num_params, unused })
    }
}

/// The bucket that a tensor belongs to.
fn bucket_of(name: &str) -> Option<usize> {
    name.strip_prefix("sliced_umx.")?.split('.').next()?.parse().ok().filter(|idx| *idx < 100_000)
}

impl Reader<'_> {
    fn bucket(&mut self, idx: usize, bucket: &Bucket) -> Result<BucketStacks, ImportError> {
        let kernel = kernel_bins(bucket.num_bins);
        let stacks = (0..STEMS.len())
            .map(|stem| self.stack(&format!("sliced_umx.{idx}.cdaes.{stem}"), kernel, bucket.num_frames));
        let stacks = stacks.collect::<Result<Vec<_>, _>>()?;
        Ok(BucketStacks {
            bucket: bucket.clone(),
            mean: self.get(format!("sliced_umx.{idx}.input_mean"), &[bucket.num_bins])?,
            scale: self.get(format!("sliced_umx.{idx}.input_scale"), &[bucket.num_bins])?,
            stacks,
        })
    }

    fn stack(&mut self, prefix: &str, kernel: usize, num_frames: usize) -> Result<Stack, ImportError> {
        Ok(Stack {
            conv_1: self.get(format!("{prefix}.0.weight"), &[OUTER, 2, kernel, num_frames])?,
            norm_1: self.batch_norm(&format!("{prefix}.1"), OUTER)?,
            conv_2: self.get(format!("{prefix}.3.weight"), &[INNER, OUTER, kernel, TAPS])?,
            norm_2: self.batch_norm(&format!("{prefix}.4"), INNER)?,
            transposed_1: self.get(format!("{prefix}.6.weight"), &[INNER, OUTER, kernel, TAPS])?,
            norm_3: self.batch_norm(&format!("{prefix}.7"), OUTER)?,
            transposed_2: self.get(format!("{prefix}.9.weight"), &[OUTER, 2, kernel, num_frames])?,
            bias: self.get(format!("{prefix}.9.bias"), &[2])?,
        })
    }
}
