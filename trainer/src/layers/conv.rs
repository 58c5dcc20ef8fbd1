//! Convolutions, and batch norm.

use tch::{Tensor, nn};

/// Sizes of a [`Conv`].
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// Channels in and out.
    pub channels: [i64; 2],
    /// Rows and columns.
    pub kernel: [i64; 2],
    /// Over rows and columns.
    pub stride: [i64; 2],
    /// Zeros before and after, by rows and columns.
    pub padding: [i64; 2],
    /// Whether it is the transpose of a convolution: strides then multiply.
    pub is_transposed: bool,
}

/// A convolution in two dimensions, with the batch norm behind it if there is one.
pub struct Conv {
    /// `[output][input][row][column]`; if transposed `[input][output][row][column]`
    pub weight: Tensor,
    /// `[output]`
    pub bias: Option<Tensor>,
    /// Over its outputs.
    pub norm: Option<BatchNorm>,
    /// Sizes.
    pub shape: ConvShape,
}

impl Conv {
    /// Random weights (He et al. 2015); with a bias of that value, or with a batch norm.
    pub fn new(vs: &nn::Path, shape: ConvShape, bias: Option<f64>, norm: Option<BatchNorm>) -> Self {
        let ([from, to], [rows, columns]) = (shape.channels, shape.kernel);
        let order = if shape.is_transposed { [from, to, rows, columns] } else { [to, from, rows, columns] };
        // Of a transposed one, an output sees but one tap in every stride.
        let sharing = if shape.is_transposed { shape.stride[0] * shape.stride[1] } else { 1 };
        let bound = (6.0 * sharing as f64 / (from * rows * columns) as f64).sqrt();
        Conv {
            weight: vs.var("weight", &order, nn::Init::Uniform { lo: -bound, up: bound }),
            bias: bias.map(|value| vs.var("bias", &[to], nn::Init::Const(value))),
            norm,
            shape,
        }
    }

    /// `[N][input][row][column]` to `[N][output][row][column]`.
    pub(super) fn apply(&self, x: &Tensor, padding: [i64; 2], train: bool) -> Tensor {
        let (bias, stride) = (self.bias.as_ref(), self.shape.stride);
        let y = match self.shape.is_transposed {
            true => x.conv_transpose2d(&self.weight, bias, stride, padding, [0, 0], 1, [1, 1]),
            false => x.conv2d(&self.weight, bias, stride, padding, [1, 1], 1),
        };
        self.norm.as_ref().map_or_else(|| y.shallow_clone(), |norm| norm.apply(&y, train))
    }

    /// Weight and bias with the batch norm folded in.
    pub(super) fn folded(&self) -> (Tensor, Option<Tensor>) {
        let bias = self.bias.as_ref().map(Tensor::shallow_clone);
        let Some(norm) = &self.norm else { return (self.weight.shallow_clone(), bias) };
        let (factor, offset) = norm.factor_and_offset();
        let mut by_output = [1i64; 4];
        by_output[usize::from(self.shape.is_transposed)] = -1;
        let offset = bias.map_or_else(|| offset.shallow_clone(), |bias| &offset + bias * &factor);
        (&self.weight * factor.reshape(by_output), Some(offset))
    }

    /// Rows or columns that come out of `len`.
    pub(super) fn out_len(&self, axis: usize, len: i64) -> i64 {
        let (kernel, stride, padding) = (self.shape.kernel[axis], self.shape.stride[axis], self.shape.padding[axis]);
        match self.shape.is_transposed {
            true => (len - 1) * stride + kernel - 2 * padding,
            false => (len + 2 * padding - kernel) / stride + 1,
        }
    }
}

/// Batch norm (Ioffe and Szegedy 2015): statistics of the batch in training, running ones afterwards.
pub struct BatchNorm {
    /// `[weight, bias]`, unless it only normalizes.
    affine: Option<[Tensor; 2]>,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    /// As torch has it, and as published networks do.
    const EPSILON: f64 = 1e-5;
    const MOMENTUM: f64 = 0.1;

    /// Factor 1, offset 0.
    pub fn new(vs: &nn::Path, num_channels: i64) -> Self {
        let trained = |name: &str, value: f64| vs.var(name, &[num_channels], nn::Init::Const(value));
        let affine = Some([trained("weight", 1.0), trained("bias", 0.0)]);
        BatchNorm { affine, ..BatchNorm::plain(vs, num_channels) }
    }

    /// Without anything trained.
    pub fn plain(vs: &nn::Path, num_channels: i64) -> Self {
        BatchNorm {
            affine: None,
            running_mean: vs.zeros_no_train("running_mean", &[num_channels]),
            running_var: vs.ones_no_train("running_var", &[num_channels]),
        }
    }

    /// Sets some channels, from `first` on, to trained values: weight, bias, running mean and variance.
    pub fn set(&self, first: i64, values: [&Tensor; 4]) {
        let [weight, bias, mean, var] = values;
        let own = self.affine.iter().flatten().zip([weight, bias]);
        let all = own.chain([(&self.running_mean, mean), (&self.running_var, var)]);
        tch::no_grad(|| all.for_each(|(own, value)| own.narrow(0, first, value.size()[0]).copy_(value)));
    }

    /// Over axis 1.
    pub(super) fn apply(&self, x: &Tensor, train: bool) -> Tensor {
        let [weight, bias] = [0, 1].map(|i| self.affine.as_ref().map(|affine| &affine[i]));
        let (mean, var) = (Some(&self.running_mean), Some(&self.running_var));
        x.batch_norm(weight, bias, mean, var, train, Self::MOMENTUM, Self::EPSILON, true)
    }

    /// What it amounts to after training.
    pub(super) fn factor_and_offset(&self) -> (Tensor, Tensor) {
        let mut factor = (&self.running_var + Self::EPSILON).rsqrt();
        if let Some([weight, _]) = &self.affine {
            factor *= weight;
        }
        let mut offset = -(&self.running_mean * &factor);
        if let Some([_, bias]) = &self.affine {
            offset += bias;
        }
        (factor, offset)
    }
}
