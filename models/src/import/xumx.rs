//! The weights of xumx-sliCQ-V2, checked and with the batch norms folded into the convolutions.
//!
//! Per bucket of F bins and M frames four independent stacks (bass, vocals, other, drums): convolution 2 -> 50 over
//! (k, M) with stride M/2, convolution 50 -> 51 over (k, 4), transposed 51 -> 50 over (k, 4), transposed 50 -> 2 over
//! (k, M) with stride M/2 and a bias; batch norm and ReLU after all but the last, a sigmoid after that.

use super::{ImportError, settings::Settings, tensors::Tensors};
use slicqt::{Bucket, Plan};
use std::path::Path;

/// The order of the stacks.
pub(crate) const STEMS: [&str; 4] = ["bass", "vocals", "other", "drums"];
/// Channels after the first convolution, and after the third.
pub(crate) const OUTER: usize = 50;
/// Channels after the second.
pub(crate) const INNER: usize = 51;
/// Frames of the second and third kernel.
pub(crate) const TAPS: usize = 4;
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// The whole network.
pub(crate) struct Xumx {
    pub settings: Settings,
    pub plan: Plan<f32>,
    /// `[bucket]`
    pub buckets: Vec<BucketNetwork>,
    pub num_params: usize,
    /// Tensors of the file that the network has no use for.
    pub unused: Vec<String>,
}

/// The network of one bucket.
pub(crate) struct BucketNetwork {
    pub bucket: Bucket,
    /// Bins of all kernels.
    pub kernel: usize,
    /// `[bin]` Added to magnitudes, then multiplied.
    pub mean: Vec<f32>,
    pub scale: Vec<f32>,
    /// `[stem]`
    pub stacks: Vec<Stack>,
}

/// One stem's convolutions in one bucket; batch norms are folded in.
pub(crate) struct Stack {
    /// `[50][2][k][M]` and `[50]`
    pub conv_1: (Vec<f32>, Vec<f32>),
    /// `[51][50][k][4]` and `[51]`
    pub conv_2: (Vec<f32>, Vec<f32>),
    /// `[51 in][50 out][k][4]` and `[50]`
    pub transposed_1: (Vec<f32>, Vec<f32>),
    /// `[50 in][2 out][k][M]` and `[2]`
    pub transposed_2: (Vec<f32>, Vec<f32>),
}

/// Bins of the kernels in a bucket of so many bins.
fn kernel_of(num_bins: usize) -> usize {
    match num_bins {
        0..10 => 1,
        10..20 => 3,
        _ => 5,
    }
}

impl Xumx {
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
        let mut reader = Reader { tensors, used: vec![] };
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
        Ok(Xumx { settings, plan, buckets, num_params, unused })
    }
}

/// The bucket that a tensor belongs to.
fn bucket_of(name: &str) -> Option<usize> {
    name.strip_prefix("sliced_umx.")?.split('.').next()?.parse().ok().filter(|idx| *idx < 100_000)
}

struct Reader<'a> {
    tensors: &'a Tensors,
    used: Vec<String>,
}

impl Reader<'_> {
    fn get(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, ImportError> {
        let values = self.tensors.get(&name, shape)?.to_vec();
        self.used.push(name);
        Ok(values)
    }

    fn bucket(&mut self, idx: usize, bucket: &Bucket) -> Result<BucketNetwork, ImportError> {
        let (num_bins, num_frames) = (bucket.num_bins, bucket.num_frames);
        let kernel = kernel_of(num_bins);
        let stacks =
            (0..STEMS.len()).map(|stem| self.stack(&format!("sliced_umx.{idx}.cdaes.{stem}"), kernel, num_frames));
        let stacks = stacks.collect::<Result<Vec<_>, _>>()?;
        Ok(BucketNetwork {
            bucket: bucket.clone(),
            kernel,
            mean: self.get(format!("sliced_umx.{idx}.input_mean"), &[num_bins])?,
            scale: self.get(format!("sliced_umx.{idx}.input_scale"), &[num_bins])?,
            stacks,
        })
    }

    fn stack(&mut self, prefix: &str, kernel: usize, num_frames: usize) -> Result<Stack, ImportError> {
        let mut conv_1 = self.get(format!("{prefix}.0.weight"), &[OUTER, 2, kernel, num_frames])?;
        let mut conv_2 = self.get(format!("{prefix}.3.weight"), &[INNER, OUTER, kernel, TAPS])?;
        let mut transposed_1 = self.get(format!("{prefix}.6.weight"), &[INNER, OUTER, kernel, TAPS])?;
        let transposed_2 = self.get(format!("{prefix}.9.weight"), &[OUTER, 2, kernel, num_frames])?;
        let (factors, bias_1) = self.batch_norm(&format!("{prefix}.1"), OUTER)?;
        scale_rows(&mut conv_1, &factors, 2 * kernel * num_frames);
        let (factors, bias_2) = self.batch_norm(&format!("{prefix}.4"), INNER)?;
        scale_rows(&mut conv_2, &factors, OUTER * kernel * TAPS);
        let (factors, bias_3) = self.batch_norm(&format!("{prefix}.7"), OUTER)?;
        for rows in transposed_1.chunks_exact_mut(OUTER * kernel * TAPS) {
            scale_rows(rows, &factors, kernel * TAPS);
        }
        Ok(Stack {
            conv_1: (conv_1, bias_1),
            conv_2: (conv_2, bias_2),
            transposed_1: (transposed_1, bias_3),
            transposed_2: (transposed_2, self.get(format!("{prefix}.9.bias"), &[2])?),
        })
    }

    /// A batch norm at rest, `(x - mean) / sqrt(var + eps) * weight + bias`, as a factor and a bias per channel.
    fn batch_norm(&mut self, prefix: &str, num_channels: usize) -> Result<(Vec<f64>, Vec<f32>), ImportError> {
        let mut get = |name: &str| self.get(format!("{prefix}.{name}"), &[num_channels]);
        let (weight, bias, mean, var) = (get("weight")?, get("bias")?, get("running_mean")?, get("running_var")?);
        if let Some(negative) = var.iter().find(|var| **var < 0.0) {
            let field = format!("{prefix}.running_var");
            return Err(ImportError::field(&self.tensors.path, field, "variances of at least 0", negative));
        }
        let factors: Vec<f64> =
            weight.iter().zip(&var).map(|(w, v)| f64::from(*w) / (f64::from(*v) + BATCH_NORM_EPSILON).sqrt()).collect();
        let biases = bias.iter().zip(&mean).zip(&factors).map(|((b, m), f)| (f64::from(*b) - f64::from(*m) * f) as f32);
        let biases = biases.collect();
        Ok((factors, biases))
    }
}

/// Multiplies each row of `row_len` values with its factor.
fn scale_rows(values: &mut [f32], factors: &[f64], row_len: usize) {
    for (row, factor) in values.chunks_exact_mut(row_len).zip(factors) {
        row.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
}
