//! A model folder as users meet it: found, read, checked, and refused with a message that helps.

use models::*;
use std::{fs, path::Path};

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        name: "test".into(),
        licence: "CC0-1.0".into(),
        stems: ["vocals", "drums", "bass", "other"].map(String::from).to_vec(),
        sample_rate_hz: 44_100,
        hop_len: 1008,
        look_ahead_slices: 0,
        transform: Transform {
            design: "mel-32".parse().unwrap(),
            slice_len: 2016,
            transition_len: 504,
            num_coefs: 2156,
            timing: slicqt::Timing::Whole,
        },
        graph: Graph { file: "model.onnx".into(), sha256: String::new() },
        input: Input {
            kind: InputKind::Magnitude,
            name: "magnitudes".into(),
            channels: vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side],
            shape: vec![4, 2156],
        },
        output: Output { kind: OutputKind::Mask, name: "masks".into(), shape: vec![4, 2, 2156] },
        states: vec![State { input: "h".into(), output: "h_next".into(), shape: vec![2, 1, 320] }],
        at_end: [("h".to_string(), vec![0.5; 640])].into(),
        offline: Some(Offline { wiener_window_frames: Some(5000), ..Offline::default() }),
        training: Training { data: vec!["own".into()], hours: 1.5, more: toml::Table::new() },
        scores: [("valid".to_string(), [("vocals".to_string(), 4.5)].into())].into(),
    }
}

fn blocks(num_slices: usize, lead_slices: usize) -> Option<Offline> {
    Some(Offline { block_slices: Some(num_slices), lead_slices, ..Offline::default() })
}

fn write_model(dir: &Path, edit: impl FnOnce(&mut Manifest)) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("model.onnx"), b"a graph").unwrap();
    let mut manifest = manifest();
    manifest.graph.sha256 = sha256_file(&dir.join("model.onnx")).unwrap().0;
    edit(&mut manifest);
    manifest.write(dir).unwrap();
}

fn refusal(edit: impl FnOnce(&mut Manifest)) -> String {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), edit);
    Model::load(dir.path()).expect_err("the model should be refused").to_string()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), |_| ());
    let model = Model::load(dir.path()).unwrap();
    let mut expected = manifest();
    expected.graph.sha256 = model.manifest.graph.sha256.clone();
    assert_eq!(model.manifest, expected);
    assert_eq!(model.onnx_path(), dir.path().join("model.onnx"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing but graph and manifest is left");
    write_model(dir.path(), |m| {
        (m.offline, m.states, m.at_end) = (blocks(8, 3), vec![], Default::default());
        (m.input.shape, m.output.shape) = (vec![8, 4, 2156], vec![8, 4, 2, 2156]);
    });
    assert_eq!(Model::load(dir.path()).unwrap().manifest.offline, blocks(8, 3));
}

#[test]
fn hash_is_sha256() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("abc");
    fs::write(&path, "abc").unwrap();
    // FIPS 180-2, appendix B.1.
    let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_file(&path).unwrap(), (digits.to_string(), 3));
}

#[test]
fn fields_that_contradict_are_named_with_expected_and_actual() {
    type Edit = fn(&mut Manifest);
    let cases: [(Edit, &str, &str, &str); 26] = [
        (|m| m.format = 7, "format:", "expected 3 (or 1 or 2)", "got 7"),
        (|m| m.hop_len = 1000, "hop_len:", "part of transform.slice_len = 2016", "got 1000"),
        (|m| m.hop_len = 4032, "hop_len:", "part of transform.slice_len = 2016", "got 4032"),
        (|m| m.transform.slice_len = 1 << 40, "transform.slice_len:", "1 to 4194304", "got 1099511627776"),
        (|m| m.sample_rate_hz = 48_000, "sample_rate_hz:", "expected 44100 (that of", "got 48000"),
        (|m| m.input.shape = vec![2, 2156], "input.shape:", "expected [4, 2156]", "got [2, 2156]"),
        (|m| m.output.shape[0] = 3, "output.shape:", "expected [4, 2, 2156]", "got [3, 2, 2156]"),
        (|m| m.input.kind = InputKind::Complex, "input.shape:", "[8, 2156] (re and im of channels", "got [4, 2156]"),
        (|m| m.output.kind = OutputKind::Coefs, "output.kind:", "mask with offline.wiener", "got Coefs"),
        (
            |m| (m.output.kind, m.offline) = (OutputKind::ComplexMask, None),
            "output.shape:",
            "[4, 4, 2156] (stems, re and im of left and right",
            "got [4, 2, 2156]",
        ),
        (|m| m.stems = (0..17).map(|i| i.to_string()).collect(), "stems:", "1 to 16 stems", "got 17"),
        (|m| m.stems.clear(), "stems:", "1 to 16 stems", "got 0"),
        (|m| m.input.channels.truncate(3), "input.channels:", "[left, right]", "got [left, right, mid]"),
        (|m| m.graph.file = "../model.onnx".into(), "graph.file:", "name of a file", "got ../model.onnx"),
        (|m| m.graph.sha256 = "abc".into(), "graph.sha256:", "64 hexadecimal", "got abc"),
        (|m| m.states[0].output = "masks".into(), "states:", "different", "masks"),
        (|m| m.look_ahead_slices = 5000, "look_ahead_slices:", "at most 1024", "got 5000"),
        (|m| m.at_end = [("h".into(), vec![0.0; 3])].into(), "at_end.h:", "640 values", "got 3 values"),
        (|m| m.at_end = [("x".into(), vec![0.0; 3])].into(), "at_end.x:", "input of a state", "got 3 values"),
        (
            |m| m.offline = Some(Offline { wiener_window_frames: Some(0), ..Offline::default() }),
            "offline.wiener_window_frames:",
            "1 to 100000",
            "got 0",
        ),
        (|m| m.stems[1] = "vocals".into(), "stems:", "different names", "vocals"),
        (|m| m.offline = blocks(0, 0), "offline.block_slices:", "1 to 4096", "got 0"),
        (|m| m.offline = blocks(4, 4), "offline.lead_slices:", "less than block_slices = 4", "got 4"),
        (
            |m| m.offline = Some(Offline { lead_slices: 1, ..Offline::default() }),
            "offline.lead_slices:",
            "0 without block_slices",
            "got 1",
        ),
        (
            |m| (m.offline, m.look_ahead_slices) = (blocks(4, 0), 2),
            "look_ahead_slices:",
            "0 with offline.block_slices",
            "got 2",
        ),
        (|m| m.offline = blocks(4, 0), "states:", "none with offline.block_slices", "[\"h\"]"),
    ];
    for (edit, field, expected, actual) in cases {
        let message = refusal(edit);
        assert!([field, expected, actual, "manifest.toml"].iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn damaged_graph_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), |_| ());
    fs::write(dir.path().join("model.onnx"), b"a gr").unwrap();
    let message = Model::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("model.onnx") && message.contains("4 bytes") && message.contains("again"), "{message}");
    fs::remove_file(dir.path().join("model.onnx")).unwrap();
    let message = Model::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("model.onnx: cannot be read"), "{message}");
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), |_| ());
    let path = dir.path().join(MANIFEST_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("look_behind = 1\n{text}")).unwrap();
    assert!(Model::load(dir.path()).unwrap_err().to_string().contains("look_behind"));
    fs::write(&path, text.replace("hop_len = 1008\n", "")).unwrap();
    assert!(Model::load(dir.path()).unwrap_err().to_string().contains("hop_len"));
}

#[test]
fn designs_are_text_and_those_of_format_1_are_still_read() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), |_| ());
    let path = dir.path().join(MANIFEST_FILE);
    let text = fs::read_to_string(&path).unwrap();
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        Model::load(dir.path()).map(|model| model.manifest).map_err(|error| error.to_string())
    };
    let expected = read(&text).unwrap();
    let replaced = |old: &str, new: &str| {
        assert!(text.contains(old), "{old} in {text}");
        text.replace(old, new)
    };
    // As version 0.1.0 wrote it.
    let former = "scale = \"mel\"\nnum_bands = 32\nfmin_hz = 115.5";
    let former = replaced("design = \"mel-32\"", former).replace("format = 3", "format = 1");
    assert_eq!(read(&former).unwrap(), expected);
    let at_48 = read(&former.replace("sample_rate_hz = 44100", "sample_rate_hz = 48000")).unwrap();
    assert_eq!(at_48.transform.design, "mel:32:115.5:rate=48000".parse().unwrap());
    let message = read(&former.replace("num_bands = 32\n", "")).unwrap_err();
    assert!(message.contains("missing field `num_bands`"), "{message}");
    let message = read(&former.replace("\"mel\"", "\"melt\"")).unwrap_err();
    assert!(message.contains("bark:..., mel:...") && message.contains("melt"), "{message}");

    let stft = read(&replaced("mel-32", "stft:2016:1008")).unwrap();
    assert_eq!(stft.transform.design.stft_lens(), Some((2016, 1008)));
    for wrong in ["mel-33", "stft:2016", ""] {
        let message = read(&replaced("mel-32", wrong)).unwrap_err();
        assert!(message.contains("design = ") && message.contains("manifest.toml"), "{message}");
    }
}

/// What formats 1 and 2 left unsaid is whole slices, magnitudes and masks.
#[test]
fn format_2_is_still_read_and_format_3_must_say_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let write = |edit: fn(&mut Manifest)| {
        write_model(dir.path(), edit);
        fs::read_to_string(dir.path().join(MANIFEST_FILE)).unwrap()
    };
    let read = |text: &str| {
        fs::write(dir.path().join(MANIFEST_FILE), text).unwrap();
        Model::load(dir.path()).map(|model| model.manifest).map_err(|error| error.to_string())
    };
    let text = write(|_| ());
    let expected = read(&text).unwrap();
    let mut format_2 = text.replace("format = 3", "format = 2");
    for line in ["timing = \"whole\"\n", "kind = \"magnitude\"\n", "kind = \"mask\"\n"] {
        assert!(text.contains(line), "{line} in {text}");
        format_2 = format_2.replace(line, "");
        let message = read(&text.replace(line, "")).unwrap_err();
        assert!(message.contains(&format!("missing field `{}`", line.split(' ').next().unwrap())), "{message}");
    }
    assert_eq!(read(&format_2).unwrap(), expected);

    let complex = write(|m| {
        (m.input.kind, m.input.shape, m.offline) = (InputKind::Complex, vec![8, 2156], None);
        (m.output.kind, m.output.shape) = (OutputKind::ComplexMask, vec![4, 4, 2156]);
        m.transform.timing = slicqt::Timing::Trimmed;
    });
    for line in ["timing = \"trimmed\"\n", "kind = \"complex\"\n", "kind = \"complex-mask\"\n"] {
        assert!(complex.contains(line), "{line} in {complex}");
    }
    let complex = read(&complex).unwrap();
    assert_eq!((complex.input.num_planes(), complex.output.num_planes()), (8, 4));
    assert_eq!(complex.transform.timing, slicqt::Timing::Trimmed);
    let message = read(&text.replace("\"whole\"", "\"early\"")).unwrap_err();
    assert!(message.contains("early") && message.contains("`whole` or `trimmed`"), "{message}");
}

#[test]
fn models_are_found_by_name_and_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let extra = [dir.path().join("nowhere"), dir.path().to_owned()];
    write_model(&dir.path().join("mine"), |_| ());
    let expected = dir.path().join("mine");
    assert_eq!(locate("mine", &extra).unwrap(), expected);
    assert_eq!(locate(expected.to_str().unwrap(), &[]).unwrap(), expected);
    let message = locate("other", &extra).unwrap_err().to_string();
    assert!(message.contains("'other'") && message.contains("nowhere"), "{message}");
    let inner = expected.join("inner");
    fs::create_dir(&inner).unwrap();
    assert!(locate("..", &[inner]).is_err(), "a path is not looked up in the folders");
}
