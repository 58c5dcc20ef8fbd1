//! Weights as users have them: `.pth` and `.safetensors`, whole, cut off, and foreign.

mod importing;
mod weights;

use importing::{assert_names, options, refusal};
use models::{
    Manifest,
    import::{ImportOptions, SETTINGS_FILE, import},
};
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use weights::*;

#[test]
fn pth_and_safetensors_become_the_same_model() {
    let dir = tempfile::tempdir().unwrap();
    let tensors = state_dict();
    let pth = write_pth(&dir.path().join("mine"), &tensors);
    // Both the folder and the file, whose name says nothing, are named after the folder.
    let from_pth = import(pth.parent().unwrap(), &options(dir.path())).unwrap();
    assert_eq!(from_pth.model.manifest.name, "mine");
    assert_eq!(from_pth.unused, Vec::<String>::new());
    assert_eq!(from_pth.published, None);
    let num_values = |name: &str| !name.contains("running_");
    let num_params: usize = tensors.iter().filter(|(name, ..)| num_values(name)).map(|(.., values)| values.len()).sum();
    assert_eq!(from_pth.num_params, num_params);
    assert!(from_pth.num_nodes < 200, "{} operations", from_pth.num_nodes);

    let other = dir.path().join("other.safetensors");
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(&other, safetensors::serialize(views, None).unwrap()).unwrap();
    write_settings(dir.path(), SETTINGS);
    let from_safetensors = import(&other, &options(dir.path())).unwrap();
    assert_eq!(from_safetensors.model.manifest.name, "other");
    let (a, b) = (&from_pth.model.manifest, &from_safetensors.model.manifest);
    assert_eq!(a.graph.sha256, b.graph.sha256, "one graph");
    assert_eq!((a.look_ahead_slices, a.licence.as_str(), &a.offline), (2, "CC0-1.0", &None));
    assert_eq!(a.stems, ["bass", "vocals", "other", "drums"]);
    // A length as the published program chooses it, which we would not choose.
    assert_ne!(slicqt::Design::next_slice_len(a.transform.slice_len), a.transform.slice_len);
    assert_eq!(a.transform.design.to_string(), "mel:12:310:lens=published");
    assert_eq!(from_pth.model.manifest, Manifest::read(&from_pth.model.dir.join("manifest.toml")).unwrap());
    let card = fs::read_to_string(from_pth.model.dir.join("CARD.md")).unwrap();
    assert_names(
        &card,
        &["# mine", "CC0-1.0", "xumx_slicq_v2.pth", "SHA-256", "mel:12:310", "whoever gave them to you"],
    );
    let mut names: Vec<_> =
        fs::read_dir(&from_pth.model.dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["CARD.md", "manifest.toml", "model.onnx"]);
}

#[test]
fn a_model_is_replaced_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let pth = write_pth(&dir.path().join("mine"), &state_dict());
    let first = import(&pth, &options(dir.path())).unwrap();
    let message = import(&pth, &options(dir.path())).unwrap_err().to_string();
    assert_names(&message, &["mine", "--name", "--replace"]);
    // Offline weights are told from realtime ones by the settings alone.
    write_settings(&dir.path().join("mine"), &SETTINGS.replace("\"realtime\": true,", ""));
    let second = import(&pth, &ImportOptions { replace: true, ..options(dir.path()) }).unwrap();
    assert_eq!(second.model.manifest.offline.unwrap().wiener_window_frames, Some(5000));
    assert_ne!(first.model.manifest.graph.sha256, second.model.manifest.graph.sha256);
    assert_eq!(fs::read_dir(dir.path().join("models")).unwrap().count(), 1);
    let message = import(&pth, &ImportOptions { name: Some("../x".into()), ..options(dir.path()) }).unwrap_err();
    assert_names(&message.to_string(), &["name", "../x"]);
}

#[test]
fn truncated_files_are_refused_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let pth = write_pth(&dir.path().join("mine"), &state_dict());
    let whole = fs::read(&pth).unwrap();
    for len in [0, 1, 100, whole.len() / 2, whole.len() - 1000, whole.len() - 1] {
        fs::write(&pth, &whole[..len]).unwrap();
        assert_names(&refusal(&pth, dir.path()), &["xumx_slicq_v2.pth", "not a complete file of weights", "again"]);
    }
    // A bit that fell over in transit: the archive knows better.
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&pth, damaged).unwrap();
    assert_names(&refusal(&pth, dir.path()), &["xumx_slicq_v2.pth", "not a complete file of weights"]);
    fs::write(&pth, "<html>Not found</html>").unwrap();
    assert_names(&refusal(&pth, dir.path()), &["zip"]);
    fs::remove_file(&pth).unwrap();
    assert_names(&refusal(&pth, dir.path()), &["xumx_slicq_v2.pth", "cannot be read"]);
}

#[test]
fn foreign_pickles_are_named_and_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let pth = write_pth(&dir.path().join("mine"), &[]);
    let mut cases = vec![
        (b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.".to_vec(), vec!["os.system", "nothing of it was run"]),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.".to_vec(), vec!["builtins.eval"]),
        (b"\x80\x02ctorch.nn\nModule\n)R.".to_vec(), vec!["torch.nn.Module", "state dicts"]),
        (b"\x80\x02K\x05.".to_vec(), vec!["no dict"]),
        (b"\x80\x02}X\x01\0\0\0aK\x05s.".to_vec(), vec!["a: expected a tensor"]),
        (b"\x80\x02(((".to_vec(), vec!["the pickle ends after 5 bytes"]),
        (b"\x80\x02u.".to_vec(), vec!["no mark"]),
        (b"\x80\x02h\x07.".to_vec(), vec!["a reference to nothing"]),
        (b"\x80\x02i.".to_vec(), vec!["opcode 0x69"]),
        (b"\x80\x02X\xff\xff\xff\x7f".to_vec(), vec!["ends after"]),
    ];
    // No pickle that is cut off, or has one byte changed, makes it panic.
    let whole = pickle(&state_dict()[..3]);
    cases.extend((0..whole.len()).map(|len| (whole[..len].to_vec(), vec!["pickle"])));
    for (pickle, parts) in cases {
        fs::write(&pth, pth_bytes(&pickle, &[])).unwrap();
        assert_names(&refusal(&pth, dir.path()), &parts);
    }
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] = changed[position].wrapping_add(0x55);
        fs::write(&pth, pth_bytes(&changed, &state_dict()[..3])).unwrap();
        refusal(&pth, dir.path());
    }
}

/// Small files that would become large, deep or slow (D21, D22).
#[test]
fn pickles_that_amplify_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pth = write_pth(&dir.path().join("mine"), &[]);
    // The same wrapper around a parameter a million times: a call whose argument is what the last one gave.
    let global = b"ctorch._utils\n_rebuild_parameter\nq\x00".as_slice();
    let wrap = b"h\x00h\x01\x85Rq\x010".as_slice();
    let wrapped =
        |num: usize| [b"\x80\x02}X\x01\0\0\0a", global, b"0K\x05q\x010", &wrap.repeat(num), b"h\x01s."].concat();
    let rank = b"\x80\x02}X\x01\0\0\0a(KKKKKKKKKttRs.";
    let steps = |start: &[u8], step: &[u8]| [start, &step.repeat(3_000_000)].concat();
    let cases = [
        (wrapped(5), "a: expected a tensor"),
        (steps(b"\x80\x02", b")"), "more than 2097152 steps"),
        (steps(b"\x80\x02", b"("), "more than 2097152 steps"),
        (steps(b"\x80\x02N", b"\x94"), "more than 2097152 steps"),
        (rank.to_vec(), "pickle"),
    ];
    for (pickle, part) in cases {
        fs::write(&pth, pth_bytes(&pickle, &[])).unwrap();
        assert_names(&refusal(&pth, dir.path()), &[part]);
    }
    // Within the limit of steps, and as deep as that goes.
    fs::write(&pth, pth_bytes(&wrapped(300_000), &[])).unwrap();
    refusal(&pth, dir.path());
    fs::File::options()
        .write(true)
        .open(dir.path().join("mine").join(SETTINGS_FILE))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert_names(&refusal(&pth, dir.path()), &["xumx_slicq_v2.json", "at most 16777216 bytes"]);
}

/// `UNBRAID_FUZZ_CASES` says how many.
#[test]
fn damaged_pickles_are_refused_or_read() {
    let num_cases = std::env::var("UNBRAID_FUZZ_CASES").map_or(300, |text| text.parse().expect("a number"));
    let dir = tempfile::tempdir().unwrap();
    let pth = write_pth(&dir.path().join("mine"), &[]);
    let tensors = &state_dict()[..3];
    let whole = pickle(tensors);
    for case in 0..num_cases {
        // Without storages the file is small; what is read right is refused as incomplete.
        fs::write(&pth, pth_bytes(&models::testing::Mutator::new(case).bytes(&whole), &tensors[..1])).unwrap();
        refusal(&pth, dir.path());
    }
}

#[test]
fn wrong_tensors_are_named_with_expected_and_actual() {
    let cases: [(Edit, &[&str]); 6] = [
        (
            |tensors| find(tensors, "sliced_umx.0.cdaes.1.3.weight").1 = vec![50, 51, 1, 4],
            &["sliced_umx.0.cdaes.1.3.weight", "expected f32 [51, 50, 1, 4]", "got f32 [50, 51, 1, 4]"],
        ),
        (
            |tensors| tensors.retain(|tensor| tensor.0 != "sliced_umx.1.input_scale"),
            &["sliced_umx.1.input_scale", "no tensor of this name"],
        ),
        (
            |tensors| find(tensors, "sliced_umx.0.cdaes.0.9.bias").2[1] = f32::NAN,
            &["sliced_umx.0.cdaes.0.9.bias", "finite", "NaN"],
        ),
        (
            |tensors| find(tensors, "sliced_umx.0.cdaes.0.1.running_var").2[0] = -1.0,
            &["sliced_umx.0.cdaes.0.1.running_var", "at least 0", "-1"],
        ),
        (
            |tensors| tensors.push(("sliced_umx.0.cdaes.0.lstm.weight".into(), vec![1], vec![0.0])),
            &["cdaes.0.lstm.weight", "another network"],
        ),
        (|tensors| tensors.push(("sliced_umx.99.input_mean".into(), vec![1], vec![0.0])), &["buckets", "got 100"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (edit, parts) in cases {
        let mut tensors = state_dict();
        edit(&mut tensors);
        let pth = write_pth(&dir.path().join("mine"), &tensors);
        let message = refusal(&pth, dir.path());
        assert_names(&message, parts);
        assert_names(&message, &["xumx_slicq_v2.pth"]);
    }
}

#[test]
fn wrong_settings_are_named_with_expected_and_actual() {
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("mine");
    let pth = write_pth(&weights, &state_dict());
    let cases: [(&str, &str, &[&str]); 12] = [
        ("\"mel\"", "\"cqlog\"", &["args.fscale", "bark", "got \"cqlog\""]),
        ("\"fscale\"", "\"scale\"", &["args.fscale", "mel", "got nothing"]),
        ("12", "12.5", &["args.fbins", "whole number", "12.5"]),
        ("12", "40", &["sliced_umx", "buckets, as the transform of the settings has", "got 10 buckets"]),
        ("310.0", "-3", &["args.fmin", "above 0", "-3"]),
        ("310.0", "40000", &["args", "lowest frequency", "40000"]),
        ("\"realtime\": true", "\"realtime\": 1", &["args.realtime", "true or false", "1"]),
        ("\"realtime\": true", "\"lstm\": true", &["args.lstm", "false", "true"]),
        ("\"realtime\": true", "\"nb_channels\": 1", &["args.nb_channels", "2", "1"]),
        ("\"realtime\": true", "\"sample_rate\": 44.1", &["args.sample_rate", "8000", "44.1"]),
        ("\"args\"", "\"arguments\"", &["args", "table", "nothing"]),
        ("{", "[", &["not a complete file", "line 1"]),
    ];
    for (from, to, parts) in cases {
        write_settings(&weights, &SETTINGS.replacen(from, to, 1));
        let message = refusal(&pth, dir.path());
        assert_names(&message, parts);
    }
    fs::remove_file(weights.join(models::import::SETTINGS_FILE)).unwrap();
    assert_names(&refusal(&pth, dir.path()), &["xumx_slicq_v2.json", "cannot be read"]);
    fs::remove_file(&pth).unwrap();
    assert_names(&refusal(&weights, dir.path()), &["one .pth or .safetensors", "0 such files"]);
}
