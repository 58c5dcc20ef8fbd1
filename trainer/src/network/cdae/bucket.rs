//! One bucket of [`super`]: the four stems' stacks, side by side.

use super::{CdaeConfig, Form};
use crate::network::weights::NORM_EPSILON;
use tch::{Device, Kind, Tensor, nn};

/// Frames of the second and third kernel, in halves.
const TAPS: i64 = models::cdae::TAPS as i64;
const STEMS: i64 = 4;

/// The stacks of one bucket; stems lie side by side as groups.
pub struct Bucket {
    /// How halves are lined up.
    pub form: Form,
    /// The transform's.
    pub bucket: slicqt::Bucket,
    /// F.
    num_bins: i64,
    /// M.
    num_frames: i64,
    /// Bins of all kernels.
    kernel: i64,
    outer: i64,
    inner: i64,
    /// `[bin]` Added to magnitudes: minus their mean.
    input_mean: Tensor,
    /// `[bin]` Factor after that: one over their deviation.
    input_scale: Tensor,
    /// `[stem * outer][2][k][M]`
    conv1: Tensor,
    norm1: nn::BatchNorm,
    /// `[stem * inner][outer][k][4]`
    conv2: Tensor,
    norm2: nn::BatchNorm,
    /// `[stem * inner][outer][k][4]`
    conv3: Tensor,
    norm3: nn::BatchNorm,
    /// `[stem * outer][2][k][M]`
    conv4: Tensor,
    /// `[stem * 2]`
    bias4: Tensor,
}

/// What a bucket remembers, see [`Bucket::zero_state`]; `[B]` first.
pub struct BucketState {
    /// `[2][bin][P]` Normalized inputs that the next window begins with.
    pub inputs: Tensor,
    /// `[stem * outer][bin][3]` Last outputs of the first convolution.
    pub halves: Tensor,
    /// `[stem * outer][bin][3]` Sums that the third convolution has begun.
    pub sums3: Tensor,
    /// `[stem * 2][bin][M/2]` Sums that the fourth convolution has begun.
    pub sums4: Tensor,
    /// `[stem * 2][bin][M/2]` The masks of the first half of a slice whose second half is to come; realtime form only.
    pub first_half: Option<Tensor>,
}

impl BucketState {
    /// With the names of bucket `i`.
    pub fn into_named(self, i: usize) -> Vec<(String, Tensor)> {
        let mut named = vec![
            (format!("inputs_{i}"), self.inputs),
            (format!("halves_{i}"), self.halves),
            (format!("sums3_{i}"), self.sums3),
            (format!("sums4_{i}"), self.sums4),
        ];
        named.extend(self.first_half.map(|t| (format!("first_half_{i}"), t)));
        named
    }

    /// Takes a bucket's tensors from a list in the order of [`BucketState::into_named`].
    ///
    /// # Panics
    /// If there are too few.
    pub fn from_named<'a>(given: &mut impl Iterator<Item = &'a (String, Tensor)>, form: Form) -> Self {
        let mut next = || given.next().expect("made by zero_state").1.shallow_clone();
        BucketState {
            inputs: next(),
            halves: next(),
            sums3: next(),
            sums4: next(),
            first_half: (form == Form::Realtime).then(next),
        }
    }
}

impl Bucket {
    /// Stacks with random weights for a bucket of a plan.
    pub fn new(vs: &nn::Path, bucket: &slicqt::Bucket, config: &CdaeConfig) -> Self {
        let (num_bins, num_frames) = (bucket.num_bins as i64, bucket.num_frames as i64);
        let kernel = models::cdae::kernel_bins(bucket.num_bins) as i64;
        let (outer, inner) = (config.outer, config.inner);
        // torch's own start for convolutions: uniform within one over the root of the inputs to an output.
        let weight = |name: &str, shape: &[i64], fan_in: i64| {
            let bound = 1.0 / (fan_in as f64).sqrt();
            vs.var(name, shape, nn::Init::Uniform { lo: -bound, up: bound })
        };
        let norm = |name: &str, channels: i64| {
            let config = nn::BatchNormConfig { eps: NORM_EPSILON, ws_init: nn::Init::Const(1.0), ..Default::default() };
            nn::batch_norm2d(vs / name, STEMS * channels, config)
        };
        let k = kernel;
        Bucket {
            form: config.form,
            bucket: bucket.clone(),
            num_bins,
            num_frames,
            kernel,
            outer,
            inner,
            input_mean: vs.zeros_no_train("input_mean", &[num_bins]),
            input_scale: vs.ones_no_train("input_scale", &[num_bins]),
            conv1: weight("conv1", &[STEMS * outer, 2, k, num_frames], 2 * k * num_frames),
            norm1: norm("norm1", outer),
            conv2: weight("conv2", &[STEMS * inner, outer, k, TAPS], outer * k * TAPS),
            norm2: norm("norm2", inner),
            conv3: weight("conv3", &[STEMS * inner, outer, k, TAPS], inner * k * TAPS),
            norm3: norm("norm3", outer),
            conv4: weight("conv4", &[STEMS * outer, 2, k, num_frames], outer * k * 2),
            bias4: vs.var("bias4", &[STEMS * 2], nn::Init::Const(0.0)),
        }
    }

    /// Where its weights are.
    pub fn device(&self) -> Device {
        self.conv1.device()
    }

    /// Multiply-accumulates of one slice: two halves through four convolutions.
    pub fn macs_per_slice(&self) -> u64 {
        let inside = self.num_bins - self.kernel + 1;
        let ends = 2 * self.outer * 2 * self.num_frames * inside;
        let middle = 2 * self.outer * self.inner * TAPS * (inside - self.kernel + 1);
        (STEMS * self.kernel * 2 * (ends + middle)) as u64
    }

    /// Inputs that the first window of a stream begins with: all but the first frame of a half, or one half.
    pub fn past_len(&self) -> i64 {
        if self.form == Form::Realtime { self.num_frames - 1 } else { self.num_frames / 2 }
    }

    /// The memory before the first slice.
    pub fn zero_state(&self, batch_size: i64) -> BucketState {
        let inside = self.num_bins - self.kernel + 1;
        let zeros = |channels: i64, bins: i64, frames: i64| {
            Tensor::zeros([batch_size, channels, bins, frames], (Kind::Float, self.device()))
        };
        let half = || zeros(STEMS * 2, self.num_bins, self.num_frames / 2);
        BucketState {
            inputs: zeros(2, self.num_bins, self.past_len()),
            halves: zeros(STEMS * self.outer, inside, TAPS - 1),
            sums3: zeros(STEMS * self.outer, inside, TAPS - 1),
            sums4: half(),
            first_half: (self.form == Form::Realtime).then(half),
        }
    }

    /// Mean and deviation by bin, from inputs `[B][S][2][coef]` of all buckets.
    pub fn set_statistics(&mut self, inputs: &Tensor) {
        let bins = self.own(inputs).permute([3, 0, 1, 2, 4]).flatten(1, -1);
        let mean = bins.mean_dim([1].as_slice(), false, Kind::Float);
        let deviation = bins.std_dim([1].as_slice(), true, false);
        self.input_mean.copy_(&-mean);
        self.input_scale.copy_(&(deviation + 1e-4).reciprocal());
    }

    /// `[B][S][2][bin][frame]` of inputs `[B][S][2][coef]` of all buckets.
    fn own(&self, inputs: &Tensor) -> Tensor {
        let own = inputs.narrow(-1, self.bucket.coefs.start as i64, self.bucket.coefs.len() as i64);
        own.unflatten(-1, [self.num_bins, self.num_frames])
    }

    /// Normalized inputs, slices end to end: `[B][2][bin][S * frame]`.
    fn normalized(&self, inputs: &Tensor) -> Tensor {
        let own = self.own(inputs).permute([0, 2, 3, 1, 4]).flatten(3, 4);
        let by_bin = |t: &Tensor| t.reshape([1, 1, -1, 1]);
        (own + by_bin(&self.input_mean)) * by_bin(&self.input_scale)
    }

    fn conv1(&self, x: &Tensor, train: bool) -> Tensor {
        let out = x.conv2d(&self.conv1, None::<&Tensor>, [1, self.num_frames / 2], [0, 0], [1, 1], 1);
        norm_relu(&self.norm1, &out, train)
    }

    fn conv2(&self, x: &Tensor, train: bool) -> Tensor {
        let out = x.conv2d(&self.conv2, None::<&Tensor>, [1, 1], [0, 0], [1, 1], STEMS);
        norm_relu(&self.norm2, &out, train)
    }

    /// Sums, before batch norm.
    fn conv3(&self, x: &Tensor) -> Tensor {
        x.conv_transpose2d(&self.conv3, None::<&Tensor>, [1, 1], [0, 0], [0, 0], STEMS, [1, 1])
    }

    /// Sums, before bias and sigmoid.
    fn conv4(&self, x: &Tensor) -> Tensor {
        let stride = [1, self.num_frames / 2];
        x.conv_transpose2d(&self.conv4, None::<&Tensor>, stride, [0, 0], [0, 0], STEMS, [1, 1])
    }

    /// `[B][stem * 2][bin][S * frame]` to masks `[B][S][stem][channel][coef of the bucket]`.
    fn masks(&self, sums: &Tensor) -> Tensor {
        let masks = (sums + self.bias4.reshape([1, -1, 1, 1])).sigmoid();
        let masks = masks.unflatten(3, [-1, self.num_frames]).unflatten(1, [STEMS, 2]);
        masks.permute([0, 4, 1, 2, 3, 5]).flatten(4, 5)
    }

    /// Masks as a stream gives them, and the state after them. `num_seen` slices went before; the published forms begin
    /// with the first slice: before it there are no halves, not even silent ones.
    pub fn forward(&self, inputs: &Tensor, state: &BucketState, num_seen: i64, train: bool) -> (Tensor, BucketState) {
        let num_halves = 2 * inputs.size()[1];
        let half_len = self.num_frames / 2;
        let x = Tensor::cat(&[&state.inputs, &self.normalized(inputs)], 3);
        // The first window of the offline form would reach over the start.
        let skipped = i64::from(num_seen == 0 && self.form == Form::Offline);
        let from_start = x.narrow(3, skipped * half_len, x.size()[3] - skipped * half_len);
        let halves1 = self.conv1(&from_start, train).constant_pad_nd([skipped, 0]);
        let before = Tensor::cat(&[&state.halves, &halves1], 3);
        // Steps at the front for which there were no four halves yet; batch norms must not see them.
        let missing = (self.form.missing_halves() - 2 * num_seen).clamp(0, num_halves);
        let there = num_halves - missing;
        let mut halves3 =
            Tensor::zeros([x.size()[0], STEMS * self.outer, halves1.size()[2], num_halves], (Kind::Float, x.device()));
        let mut begun3 = state.sums3.shallow_clone();
        if there > 0 {
            let halves2 = self.conv2(&before.narrow(3, missing, there + TAPS - 1), train).constant_pad_nd([missing, 0]);
            let sums3;
            (sums3, begun3) = add_begun(&self.conv3(&halves2), &state.sums3, num_halves);
            halves3 = norm_relu(&self.norm3, &sums3.narrow(3, missing, there), train).constant_pad_nd([missing, 0]);
        }
        let (sums4, begun4) = add_begun(&self.conv4(&halves3), &state.sums4, num_halves * half_len);
        let (given, first_half) = match &state.first_half {
            None => (sums4, None),
            Some(first) => {
                let all = Tensor::cat(&[first, &sums4], 3);
                let len = num_halves * half_len;
                (all.narrow(3, 0, len), Some(all.narrow(3, len, half_len)))
            }
        };
        let last = |t: &Tensor, len: i64| t.narrow(3, t.size()[3] - len, len);
        let next = BucketState {
            inputs: last(&x, self.past_len()),
            halves: last(&before, TAPS - 1),
            sums3: begun3,
            sums4: begun4,
            first_half,
        };
        (self.masks(&given), next)
    }

    /// See [`super::Cdae::whole_masks`].
    #[cfg(test)]
    pub fn whole_masks(&self, inputs: &Tensor) -> Tensor {
        let padding = if self.form == Form::Realtime { self.num_frames - 1 } else { 0 };
        let x = self.normalized(inputs).constant_pad_nd([padding, 0]);
        let halves2 = self.conv2(&self.conv1(&x, false), false);
        let halves3 = norm_relu(&self.norm3, &self.conv3(&halves2), false);
        self.masks(&self.conv4(&halves3).narrow(3, 0, inputs.size()[1] * self.num_frames))
    }

    /// Copies the weights of a published state dict (`sliced_umx.INDEX.*`, each stem by itself) into this bucket; stacks
    /// come in the order `stems`.
    ///
    /// # Errors
    /// If a tensor is missing or of another shape.
    pub fn load_published(
        &mut self,
        index: usize,
        stems: [usize; 4],
        get: &dyn Fn(&str, &[i64]) -> anyhow::Result<Tensor>,
    ) -> anyhow::Result<()> {
        let (outer, inner, k, m) = (self.outer, self.inner, self.kernel, self.num_frames);
        let join = |suffix: &str, shape: &[i64]| -> anyhow::Result<Tensor> {
            let parts: Vec<Tensor> = stems
                .iter()
                .map(|stem| get(&format!("sliced_umx.{index}.cdaes.{stem}.{suffix}"), shape))
                .collect::<anyhow::Result<_>>()?;
            Ok(Tensor::cat(&parts, 0))
        };
        self.conv1.copy_(&join("0.weight", &[outer, 2, k, m])?);
        self.conv2.copy_(&join("3.weight", &[inner, outer, k, TAPS])?);
        self.conv3.copy_(&join("6.weight", &[inner, outer, k, TAPS])?);
        self.conv4.copy_(&join("9.weight", &[outer, 2, k, m])?);
        self.bias4.copy_(&join("9.bias", &[2])?);
        for (layer, norm, len) in
            [(1, &mut self.norm1, outer), (4, &mut self.norm2, inner), (7, &mut self.norm3, outer)]
        {
            let join = |name: &str| join(&format!("{layer}.{name}"), &[len]);
            norm.running_mean.copy_(&join("running_mean")?);
            norm.running_var.copy_(&join("running_var")?);
            norm.ws.as_mut().expect("affine").copy_(&join("weight")?);
            norm.bs.as_mut().expect("affine").copy_(&join("bias")?);
        }
        self.input_mean.copy_(&get(&format!("sliced_umx.{index}.input_mean"), &[self.num_bins])?);
        self.input_scale.copy_(&get(&format!("sliced_umx.{index}.input_scale"), &[self.num_bins])?);
        Ok(())
    }
}

fn norm_relu(norm: &nn::BatchNorm, x: &Tensor, train: bool) -> Tensor {
    use nn::ModuleT;
    norm.forward_t(x, train).relu()
}

/// Adds what was begun before to the front of `sums`; returns the first `len` steps and what is begun after them.
fn add_begun(sums: &Tensor, begun: &Tensor, len: i64) -> (Tensor, Tensor) {
    let total = sums.size()[3];
    let sums = sums + begun.constant_pad_nd([0, total - begun.size()[3]]);
    (sums.narrow(3, 0, len), sums.narrow(3, len, total - len))
}
