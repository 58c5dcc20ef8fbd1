//! Files of weights: named tensors of f32.

use super::{ImportError, torch};
use crate::cdae::BatchNorm;
use safetensors::{Dtype, SafeTensors};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// One tensor, the last axis fastest.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub shape: Vec<usize>,
    /// As Python has it, as in torch.FloatStorage or F32.
    pub kind: String,
    /// None if the kind is another than f32.
    pub values: Option<Vec<f32>>,
}

/// All tensors of one file by name.
#[derive(Debug)]
pub(crate) struct Tensors {
    pub path: PathBuf,
    pub by_name: BTreeMap<String, Tensor>,
}

impl Tensors {
    /// Reads a `.safetensors` file, or else what `torch.save` wrote.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
        let by_name = if is_safetensors { read_safetensors(path)? } else { torch::read_state_dict(path)? };
        Ok(Tensors { path: path.to_owned(), by_name })
    }

    /// The values of a tensor that must have this shape, all of them finite.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32], ImportError> {
        let expected = || format!("f32 {shape:?}");
        let Some(tensor) = self.by_name.get(name) else {
            return Err(ImportError::field(&self.path, name, expected(), "no tensor of this name"));
        };
        match &tensor.values {
            Some(values) if tensor.shape == shape => match values.iter().find(|value| !value.is_finite()) {
                None => Ok(values),
                Some(value) => Err(ImportError::field(&self.path, name, "finite numbers", value)),
            },
            Some(_) => Err(ImportError::field(&self.path, name, expected(), format!("f32 {:?}", tensor.shape))),
            None => {
                let actual = format!("{} {:?}", tensor.kind, tensor.shape);
                Err(ImportError::field(&self.path, name, expected(), actual))
            }
        }
    }
}

/// Takes tensors by name and remembers which.
pub(crate) struct Reader<'a> {
    tensors: &'a Tensors,
    pub used: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(tensors: &'a Tensors) -> Self {
        Reader { tensors, used: vec![] }
    }

    /// As [`Tensors::get`].
    pub fn get(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, ImportError> {
        let values = self.tensors.get(&name, shape)?.to_vec();
        self.used.push(name);
        Ok(values)
    }

    /// The batch norm whose tensors begin with `prefix`.
    pub fn batch_norm(&mut self, prefix: &str, num_channels: usize) -> Result<BatchNorm, ImportError> {
        let mut get = |name: &str| self.get(format!("{prefix}.{name}"), &[num_channels]);
        let norm = BatchNorm {
            weight: get("weight")?,
            bias: get("bias")?,
            mean: get("running_mean")?,
            var: get("running_var")?,
        };
        match norm.var.iter().find(|var| **var < 0.0) {
            None => Ok(norm),
            Some(negative) => {
                let field = format!("{prefix}.running_var");
                Err(ImportError::field(&self.tensors.path, field, "variances of at least 0", negative))
            }
        }
    }
}

/// Longer files are refused: the largest published one has 60 MB.
const MAX_SAFETENSORS_LEN: u64 = 1 << 30;

/// A file that is no longer than it may be.
pub(crate) fn read_at_most(path: &Path, max_len: u64) -> Result<Vec<u8>, ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let mut bytes = vec![];
    File::open(path).map_err(unreadable)?.take(max_len + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > max_len {
        return Err(ImportError::field(path, "length", format!("at most {max_len} bytes"), "more"));
    }
    Ok(bytes)
}

fn read_safetensors(path: &Path) -> Result<BTreeMap<String, Tensor>, ImportError> {
    let bytes = read_at_most(path, MAX_SAFETENSORS_LEN)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| ImportError::damaged(path, error))?;
    let tensors = tensors.iter().map(|(name, view)| {
        let values = (view.dtype() == Dtype::F32).then(|| floats(view.data()));
        (name.to_owned(), Tensor { shape: view.shape().to_vec(), kind: format!("{:?}", view.dtype()), values })
    });
    Ok(tensors.collect())
}

/// Little-endian f32.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
}
