//! The published transform's own numbers (`../shared/golden`, made with xumx-sliCQ-V2).

use safetensors::SafeTensors;
use slicqt::{Design, Plan, forward_whole, inverse_whole};
use std::{fs, path::PathBuf};

/// The golden folder, or `None` with a word on the terminal.
fn golden() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    if !dir.is_dir() {
        eprintln!("SKIPPED: no golden data at {}", dir.display());
        return None;
    }
    Some(dir)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The samples `[channel][sample]` of a `.npy` of f32.
fn npy(path: PathBuf) -> Vec<Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let header_len = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let samples = floats(&bytes[10 + header_len..]);
    samples.chunks(samples.len() / 2).map(|c| c.to_vec()).collect()
}

fn check(design: Design, name: &str) {
    let Some(dir) = golden() else { return };
    let plan = Plan::<f32>::new(&design).unwrap();
    let file = fs::read(dir.join(format!("slicqt_{name}_1s.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let num_blocks = tensors.names().iter().filter(|n| n.starts_with("block")).count();
    assert_eq!(plan.buckets().len(), num_blocks);
    for (channel, samples) in npy(dir.join("input_3s.npy")).iter().enumerate() {
        let coefs = forward_whole(&plan, &samples[..44_100]);
        let mut num_compared = 0;
        for (b, bucket) in plan.buckets().iter().enumerate() {
            let block = tensors.tensor(&format!("block{b:02}")).unwrap();
            let shape = block.shape(); // channel, bin, slice, frame, re/im
            let num_slices = coefs.len() / plan.num_coefs();
            assert_eq!(&shape[1..4], [bucket.num_bins, num_slices, bucket.num_frames], "{name} bucket {b}");
            let expected = floats(block.data());
            let expected = &expected[channel * expected.len() / 2..(channel + 1) * expected.len() / 2];
            let peak = expected.iter().fold(0f32, |a, x| a.max(x.abs()));
            let mut worst = 0f32;
            for (i, pair) in expected.chunks_exact(2).enumerate() {
                let (m, rest) = (i % shape[3], i / shape[3]);
                let (s, f) = (rest % shape[2], rest / shape[2]);
                let c = coefs[s * plan.num_coefs() + bucket.coefs.start + f * shape[3] + m];
                worst = worst.max((c.re - pair[0]).abs()).max((c.im - pair[1]).abs());
                num_compared += 1;
            }
            assert!(worst <= 1e-5 * peak, "{name} bucket {b}: {worst} off at a peak of {peak}");
        }
        assert_eq!(num_compared, coefs.len());
    }
}

#[test]
fn forward_bark_262() {
    check(Design::bark_262(), "large");
}

#[test]
fn forward_mel_32() {
    check(Design::mel_32(), "tiny");
}

#[test]
fn positions_and_frames() {
    let Some(dir) = golden() else { return };
    for (design, name) in [(Design::bark_262(), "large"), (Design::mel_32(), "tiny")] {
        let plan = Plan::<f32>::new(&design).unwrap();
        let file = fs::read(dir.join(format!("design_{name}.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let pos = tensors.tensor("pos").unwrap();
        let pos: Vec<i32> = pos.data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect();
        for (j, bin) in plan.bins().iter().enumerate() {
            assert_eq!(bin.position, pos[j] as usize, "{name} bin {j}");
            let g = tensors.tensor(&format!("g{j:03}")).unwrap();
            assert_eq!(bin.num_frames, g.shape()[0], "{name} bin {j}");
        }
    }
}

/// The published inverse treats the mirrors of windows that reach below DC wrongly (mel-32: band 1): it misses what f32
/// allows, and this one does not.
#[test]
fn the_published_inverse_is_wrong_near_dc() {
    let Some(dir) = golden() else { return };
    let file = fs::read(dir.join("slicqt_tiny_1s.safetensors")).unwrap();
    let published = floats(SafeTensors::deserialize(&file).unwrap().tensor("recon_reference").unwrap().data());
    let plan = Plan::<f32>::new(&Design::mel_32()).unwrap();
    let signals = npy(dir.join("input_3s.npy"));
    for (published, signal) in published.chunks_exact(published.len() / signals.len()).zip(&signals) {
        let signal = &signal[..published.len()];
        let db = |estimate: &[f32]| {
            let energy = |x: f32| (x as f64).powi(2);
            let error: f64 = signal.iter().zip(estimate).map(|(s, e)| energy(s - e)).sum();
            10.0 * (signal.iter().map(|s| energy(*s)).sum::<f64>() / error).log10()
        };
        let (theirs, ours) = (db(published), db(&inverse_whole(&plan, &forward_whole(&plan, signal), signal.len())));
        eprintln!("mel-32: published {theirs:.1} dB, this crate {ours:.1} dB");
        assert!(ours > 125.0 && theirs < ours - 20.0, "published {theirs} dB, this crate {ours} dB");
    }
}
