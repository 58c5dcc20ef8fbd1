//! What `torch.save(model.state_dict(), path)` writes: a zip archive with a pickle, `NAME/data.pkl`, and the bytes of
//! every storage, `NAME/data/KEY`, uncompressed and little-endian. A dict of numpy arrays has all in the pickle.

use super::{
    ImportError,
    numpy::Array,
    pickle::{Node, NodeId, Pickle, PickleError},
    tensors::{Tensor, floats},
};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
};
use zip::{ZipArchive, result::ZipError};

/// All that a state dict needs, and a dict of numpy arrays.
const KNOWN: [(&str, &str); 17] = [
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "FloatStorage"),
    ("torch", "DoubleStorage"),
    ("torch", "HalfStorage"),
    ("torch", "BFloat16Storage"),
    ("torch", "LongStorage"),
    ("torch", "IntStorage"),
    ("torch", "ShortStorage"),
    ("torch", "CharStorage"),
    ("torch", "ByteStorage"),
    ("torch", "BoolStorage"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
];

/// Numbers within the pickle take up to two bytes for each of theirs: more than both networks of Spleeter need.
const MAX_PICKLE_LEN: usize = 1 << 27;

/// Far above any published model; a pickle that claims more is refused.
const MAX_STORAGE_LEN: usize = 1 << 28;

/// Values of all tensors of a file, 1 GiB of f32: tensors may share their storage, so that a small file could name any
/// number of them.
const MAX_TOTAL_VALUES: usize = 1 << 28;

/// How often a tensor may be declared a parameter; once is what PyTorch does.
const MAX_WRAPPERS: usize = 4;

/// Room for what is read from a file.
pub(crate) struct Budget {
    num_values_left: usize,
}

impl Budget {
    /// Reserves this many values against the limit, before they are allocated.
    pub fn take(&mut self, num_values: usize, name: &str, path: &Path) -> Result<(), ImportError> {
        match self.num_values_left.checked_sub(num_values) {
            Some(left) => {
                self.num_values_left = left;
                Ok(())
            }
            None => Err(ImportError::damaged(path, format!("{name}: with it more than {MAX_TOTAL_VALUES} values"))),
        }
    }
}

/// Reads every tensor of a state dict.
pub(crate) fn read_state_dict(path: &Path) -> Result<BTreeMap<String, Tensor>, ImportError> {
    let file = File::open(path).map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
    read_state_dict_from(BufReader::new(file), path)
}

/// The same, of a file that is elsewhere; `path` names it in errors.
pub(crate) fn read_state_dict_from(
    file: impl Read + Seek,
    path: &Path,
) -> Result<BTreeMap<String, Tensor>, ImportError> {
    let archive = ZipArchive::new(file).map_err(|error| zip_error(path, "the zip archive", error))?;
    let pickle_name = archive.file_names().flatten().find(|name| name.ends_with("/data.pkl"));
    let pickle_name = pickle_name.map(|name| name.into_owned());
    let Some(pickle_name) = pickle_name else {
        return Err(ImportError::damaged(path, "a zip archive without data.pkl, so not one that torch.save wrote"));
    };
    let mut archive = Archive { path, archive, prefix: pickle_name.trim_end_matches("data.pkl").to_owned() };
    if let Ok(order) = archive.read("byteorder", 64)
        && order != b"little"
    {
        let order = String::from_utf8_lossy(&order).into_owned();
        return Err(ImportError::field(path, "byteorder", "little", order));
    }
    let bytes = archive.read("data.pkl", MAX_PICKLE_LEN)?;
    let pickle = Pickle::parse(&bytes, &KNOWN).map_err(|error| match error {
        PickleError::Foreign { module, name } => ImportError::ForeignPickle { path: path.to_owned(), module, name },
        PickleError::Malformed(message) => ImportError::damaged(path, message),
    })?;
    let Node::Dict(entries) = pickle.root() else {
        return Err(ImportError::damaged(path, "the pickle is no dict of tensors"));
    };
    let mut storages = HashMap::new();
    let mut storage_budget = Budget { num_values_left: MAX_TOTAL_VALUES };
    let mut budget = Budget { num_values_left: MAX_TOTAL_VALUES };
    let mut tensors = BTreeMap::new();
    for (key, value) in entries {
        let Some(name) = pickle.text(*key) else {
            return Err(ImportError::damaged(path, "a key of the state dict is no text"));
        };
        let tensor = if let Some(view) = View::of(&pickle, *value) {
            view.read(name, &mut archive, &mut storages, [&mut storage_budget, &mut budget])?
        } else if let Some(array) = Array::of(&pickle, *value) {
            array.read(name, path, &mut budget)?
        } else {
            return Err(ImportError::field(path, name, "a tensor", "something else (not a plain state dict)"));
        };
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

struct Archive<'a, R> {
    path: &'a Path,
    archive: ZipArchive<R>,
    /// `NAME/`
    prefix: String,
}

impl<R: Read + Seek> Archive<'_, R> {
    /// A file of the archive, checked against its CRC-32; longer than `max_len` is an error.
    fn read(&mut self, name: &str, max_len: usize) -> Result<Vec<u8>, ImportError> {
        let name = format!("{}{name}", self.prefix);
        let entry = self.archive.by_name(&name).map_err(|error| zip_error(self.path, &name, error))?;
        let mut bytes = Vec::new();
        let read = entry.take(max_len as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| ImportError::damaged(self.path, format!("{name}: {error}")))?;
        match bytes.len() <= max_len {
            true => Ok(bytes),
            false => {
                Err(ImportError::damaged(self.path, format!("{name}: longer than the {max_len} bytes it should have")))
            }
        }
    }
}

pub(crate) fn zip_error(path: &Path, name: &str, error: ZipError) -> ImportError {
    match error {
        ZipError::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            ImportError::Unreadable { path: path.to_owned(), source }
        }
        error => ImportError::damaged(path, format!("{name}: {error}")),
    }
}

/// A tensor as the pickle describes it.
struct View<'a> {
    /// As in FloatStorage.
    kind: &'a str,
    key: &'a str,
    storage_len: usize,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> View<'a> {
    /// `_rebuild_tensor_v2(('storage', kind, key, device, len), offset, shape, strides, ...)`, or a parameter of it.
    fn of(pickle: &'a Pickle, mut value: NodeId) -> Option<View<'a>> {
        for _ in 0..MAX_WRAPPERS {
            let Some((args, _)) = pickle.call(value, "_rebuild_parameter") else { break };
            value = *args.first()?;
        }
        let (args, _) = pickle.call(value, "_rebuild_tensor_v2")?;
        let &[storage, offset, shape, strides, ..] = args else { return None };
        let Node::Persistent(storage) = pickle.node(storage) else { return None };
        let &[_, kind, key, _, len] = pickle.tuple(*storage)? else { return None };
        let Node::Global(kind) = pickle.node(kind) else { return None };
        Some(View {
            kind,
            key: pickle.text(key)?,
            storage_len: pickle.count(len)?,
            offset: pickle.count(offset)?,
            shape: pickle.counts(shape)?,
            strides: pickle.counts(strides)?,
        })
    }

    fn read(
        self,
        name: &str,
        archive: &mut Archive<impl Read + Seek>,
        storages: &mut HashMap<String, Vec<f32>>,
        [storage_budget, budget]: [&mut Budget; 2],
    ) -> Result<Tensor, ImportError> {
        let kind = format!("torch.{}", self.kind);
        if self.kind != "FloatStorage" {
            return Ok(Tensor { shape: self.shape, kind, values: None });
        }
        let path = archive.path;
        let disagree = |what: &str| ImportError::damaged(path, format!("{name}: {what}"));
        if self.storage_len > MAX_STORAGE_LEN || self.strides.len() != self.shape.len() {
            return Err(disagree("its size and its strides make no sense"));
        }
        if !storages.contains_key(self.key) {
            storage_budget.take(self.storage_len, name, path)?;
            let bytes = archive.read(&format!("data/{}", self.key), 4 * self.storage_len)?;
            if bytes.len() != 4 * self.storage_len {
                let message = format!("{} values announced, {} bytes there", self.storage_len, bytes.len());
                return Err(disagree(&message));
            }
            storages.insert(self.key.to_owned(), floats(&bytes));
        }
        let storage = &storages[self.key];
        let num_values = self.shape.iter().try_fold(1usize, |product, len| product.checked_mul(*len));
        let Some(num_values) = num_values.filter(|&num_values| num_values <= storage.len()) else {
            return Err(disagree("more values than its storage holds"));
        };
        budget.take(num_values, name, path)?;
        let mut values = Vec::with_capacity(num_values);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..num_values {
            let steps = index.iter().zip(&self.strides).map(|(i, stride): (&usize, _)| i.saturating_mul(*stride));
            let position = steps.fold(self.offset, usize::saturating_add);
            values.push(*storage.get(position).ok_or_else(|| disagree("it reaches beyond its storage"))?);
            for (i, len) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *len {
                    break;
                }
                *i = 0;
            }
        }
        Ok(Tensor { shape: self.shape, kind, values: Some(values) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tensors may share a storage, so every one counts by itself.
    #[test]
    fn tensors_have_room_for_so_many_values_together() {
        let mut budget = Budget { num_values_left: 10 };
        budget.take(6, "a", Path::new("w.pth")).unwrap();
        let message = budget.take(5, "b", Path::new("w.pth")).unwrap_err().to_string();
        assert!(message.contains("w.pth") && message.contains("b: with it more than 268435456 values"), "{message}");
        budget.take(4, "c", Path::new("w.pth")).unwrap();
        assert!(budget.take(usize::MAX, "d", Path::new("w.pth")).is_err());
    }
}
