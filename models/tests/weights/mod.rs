//! Files of weights in the form of the published ones, with random numbers, written byte by byte as `torch.save` does.
#![allow(dead_code, reason = "every test uses some of it")]

pub mod checkpoints;

use models::import::SETTINGS_FILE;
use slicqt::{Design, Plan, Scale};
use std::{fs, io::Write, path::Path};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Name, shape and values.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// What a test does to good tensors.
pub type Edit = fn(&mut Vec<NamedTensor>);

/// The tensor of this name.
pub fn find<'a>(tensors: &'a mut [NamedTensor], name: &str) -> &'a mut NamedTensor {
    tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap()
}

/// A smaller transform than the published ones, so that tests are short; it has buckets of several kinds.
pub const SETTINGS: &str = r#"{"args": {"fscale": "mel", "fbins": 12, "fmin": 310.0, "fgamma": 0.0, "realtime": true,
    "seq_dur": 0.1}, "best_epoch": 3, "train_loss_history": [1.0, 0.5]}"#;

pub fn plan() -> Plan<f32> {
    Plan::new(&Design::new(Scale::Mel, 12, 310.0, 44_100.0).with_published_lens()).unwrap()
}

/// All tensors of a network for [`SETTINGS`].
pub fn state_dict() -> Vec<NamedTensor> {
    state_dict_of(&plan())
}

/// All tensors of a network for a transform.
pub fn state_dict_of(plan: &Plan<f32>) -> Vec<NamedTensor> {
    let mut seed = 1u64;
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let is_positive = name.ends_with("running_var") || name.ends_with("input_scale");
        let values = (0..shape.iter().product()).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (seed >> 40) as f32 / (1 << 24) as f32 - 0.5;
            if is_positive { value + 1.0 } else { value }
        });
        tensors.push((name, shape.to_vec(), values.collect()));
    };
    for (b, bucket) in plan.buckets().iter().enumerate() {
        let (f, m) = (bucket.num_bins, bucket.num_frames);
        let k = if f < 10 {
            1
        } else if f < 20 {
            3
        } else {
            5
        };
        for stem in 0..4 {
            let prefix = format!("sliced_umx.{b}.cdaes.{stem}");
            let batch_norm = |add: &mut dyn FnMut(String, &[usize]), layer: usize, len: usize| {
                for name in ["weight", "bias", "running_mean", "running_var"] {
                    add(format!("{prefix}.{layer}.{name}"), &[len]);
                }
            };
            add(format!("{prefix}.0.weight"), &[50, 2, k, m]);
            batch_norm(&mut add, 1, 50);
            add(format!("{prefix}.3.weight"), &[51, 50, k, 4]);
            batch_norm(&mut add, 4, 51);
            add(format!("{prefix}.6.weight"), &[51, 50, k, 4]);
            batch_norm(&mut add, 7, 50);
            add(format!("{prefix}.9.weight"), &[50, 2, k, m]);
            add(format!("{prefix}.9.bias"), &[2]);
        }
        add(format!("sliced_umx.{b}.input_mean"), &[f]);
        add(format!("sliced_umx.{b}.input_scale"), &[f]);
    }
    tensors
}

/// The same with counters of batches beside, as `torch.save` writes it: a file `xumx_slicq_v2.pth`, and [`SETTINGS`].
pub fn write_pth(dir: &Path, tensors: &[NamedTensor]) -> std::path::PathBuf {
    write_pth_with(dir, tensors, SETTINGS)
}

/// The same beside other settings.
pub fn write_pth_with(dir: &Path, tensors: &[NamedTensor], settings: &str) -> std::path::PathBuf {
    write_settings(dir, settings);
    let path = dir.join("xumx_slicq_v2.pth");
    fs::write(&path, pth_bytes(&pickle(tensors), tensors)).unwrap();
    path
}

pub fn write_settings(dir: &Path, settings: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(SETTINGS_FILE), settings).unwrap();
}

/// The zip archive around a pickle and the storages.
pub fn pth_bytes(pickle: &[u8], tensors: &[NamedTensor]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
    let mut file = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("xumx_slicq_v2/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    file("data.pkl", pickle);
    file("byteorder", b"little");
    for (i, (.., values)) in tensors.iter().enumerate() {
        file(&format!("data/{i}"), &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
    }
    file(&format!("data/{}", tensors.len()), &7i64.to_le_bytes());
    file("version", b"3\n");
    zip.finish().unwrap().into_inner()
}

/// Protocol 2, with the opcodes and the memo that CPython's pickler uses for a state dict.
pub fn pickle(tensors: &[NamedTensor]) -> Vec<u8> {
    let mut p = Pickler { bytes: vec![0x80, 2], num_memos: 0 };
    p.global("collections", "OrderedDict");
    p.bytes.extend(b")R");
    p.memo();
    p.bytes.push(b'(');
    for (i, (name, shape, values)) in tensors.iter().enumerate() {
        p.text(name);
        p.tensor("FloatStorage", i, shape, values.len());
    }
    p.text("sliced_umx.0.cdaes.0.1.num_batches_tracked");
    p.tensor("LongStorage", tensors.len(), &[], 1);
    p.bytes.push(b'u');
    // OrderedDict's attribute `_metadata`.
    p.bytes.push(b'}');
    p.text("_metadata");
    p.global("collections", "OrderedDict");
    p.bytes.extend(b")Rsb.");
    p.bytes
}

struct Pickler {
    bytes: Vec<u8>,
    num_memos: u32,
}

impl Pickler {
    fn memo(&mut self) {
        match u8::try_from(self.num_memos) {
            Ok(key) => self.bytes.extend([b'q', key]),
            Err(_) => {
                self.bytes.push(b'r');
                self.bytes.extend(self.num_memos.to_le_bytes());
            }
        }
        self.num_memos += 1;
    }

    fn global(&mut self, module: &str, name: &str) {
        self.bytes.extend(format!("c{module}\n{name}\n").bytes());
        self.memo();
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.bytes());
        self.memo();
    }

    fn int(&mut self, value: usize) {
        match value {
            0..256 => self.bytes.extend([b'K', value as u8]),
            256..65536 => self.bytes.extend([b'M', value as u8, (value >> 8) as u8]),
            _ => {
                self.bytes.push(b'J');
                self.bytes.extend((value as i32).to_le_bytes());
            }
        }
    }

    fn tuple(&mut self, values: &[usize]) {
        match values.len() {
            0 => self.bytes.push(b')'),
            len @ 1..4 => {
                values.iter().for_each(|value| self.int(*value));
                self.bytes.push(0x84 + len as u8);
            }
            _ => {
                self.bytes.push(b'(');
                values.iter().for_each(|value| self.int(*value));
                self.bytes.push(b't');
            }
        }
        self.memo();
    }

    fn tensor(&mut self, storage: &str, key: usize, shape: &[usize], len: usize) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.bytes.extend(b"((");
        self.text("storage");
        self.global("torch", storage);
        self.text(&key.to_string());
        self.text("cpu");
        self.int(len);
        self.bytes.push(b't');
        self.memo();
        self.bytes.push(b'Q');
        self.int(0);
        self.tuple(shape);
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        self.tuple(&strides);
        self.bytes.push(0x89);
        self.global("collections", "OrderedDict");
        self.bytes.extend(b")Rt");
        self.memo();
        self.bytes.push(b'R');
        self.memo();
    }
}
