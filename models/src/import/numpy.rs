//! Numpy arrays in a pickle of protocol 2: `_reconstruct(ndarray, (0,), b'b')` with the state
//! `(1, shape, dtype, is_fortran, bytes)`, where `dtype` is `dtype('f4', False, True)` with a state that begins with
//! `(3, '<'`, and bytes are `_codecs.encode(text, 'latin1')` (numpy, `ndarray.__reduce__`, `ndarray.__setstate__`).

use super::{
    ImportError,
    pickle::{Node, NodeId, Pickle},
    tensors::{Tensor, floats},
    torch::Budget,
};
use std::path::Path;

/// An array as the pickle describes it.
pub(crate) struct Array<'a> {
    /// As in `<f4`.
    kind: String,
    shape: Vec<usize>,
    is_fortran: bool,
    /// One character per byte.
    text: &'a str,
}

impl<'a> Array<'a> {
    pub fn of(pickle: &'a Pickle, value: NodeId) -> Option<Array<'a>> {
        let (_, state) = pickle.call(value, "_reconstruct")?;
        let &[_, shape, dtype, is_fortran, bytes] = pickle.tuple(state?)? else { return None };
        let (dtype_args, dtype_state) = pickle.call(dtype, "dtype")?;
        let byte_order = pickle.text(*pickle.tuple(dtype_state?)?.get(1)?)?;
        let kind = pickle.text(*dtype_args.first()?)?;
        let Node::Bool(is_fortran) = *pickle.node(is_fortran) else { return None };
        let (&[text, encoding], _) = pickle.call(bytes, "encode")? else { return None };
        (pickle.text(encoding)? == "latin1").then_some(())?;
        Some(Array {
            kind: format!("{byte_order}{kind}"),
            shape: pickle.counts(shape)?,
            is_fortran,
            text: pickle.text(text)?,
        })
    }

    pub fn read(self, name: &str, path: &Path, budget: &mut Budget) -> Result<Tensor, ImportError> {
        let order = if self.is_fortran { " in Fortran's order" } else { "" };
        let kind = format!("numpy {}{order}", self.kind);
        if self.kind != "<f4" || self.is_fortran {
            return Ok(Tensor { shape: self.shape, kind, values: None });
        }
        let disagree = |what: &str| ImportError::damaged(path, format!("{name}: {what}"));
        // At most a byte of the array to a byte of the text.
        budget.take(self.text.len() / 4, name, path)?;
        let bytes: Result<Vec<u8>, _> = self.text.chars().map(|c| u8::try_from(u32::from(c))).collect();
        let bytes = bytes.map_err(|_| disagree("a character that is no byte"))?;
        let num_values = self.shape.iter().try_fold(1usize, |product, len| product.checked_mul(*len));
        if num_values.and_then(|num_values| num_values.checked_mul(4)) != Some(bytes.len()) {
            return Err(disagree(&format!("{} bytes for f32 {:?}", bytes.len(), self.shape)));
        }
        Ok(Tensor { shape: self.shape, kind, values: Some(floats(&bytes)) })
    }
}
