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
        transform: TransformSpec {
            design: "mel-32".parse().unwrap(),
            slice_len: 2016,
            transition_len: 504,
            num_coefs: 2156,
            timing: slicqt::Timing::Whole,
        },
        graph: GraphSpec { file: "model.onnx".into(), sha256: String::new() },
        input: Input {
            kind: InputKind::Magnitude,
            name: "magnitudes".into(),
            channels: vec![Channel::Left, Channel::Right, Channel::Mid, Channel::Side],
            shape: vec![4, 2156],
        },
        output: Output { kind: OutputKind::Mask, name: "masks".into(), shape: vec![4, 2, 2156] },
        states: vec![StateSpec { input: "h".into(), output: "h_next".into(), shape: vec![2, 1, 320] }],
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
    let mut graph = onnx::GraphBuilder::default();
    let input = graph.input("magnitudes", &[1]);
    graph.output(&input, "masks", &[1]);
    graph.write(&dir.join("model.onnx")).unwrap();
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
    let cases: [(Edit, &str, &str, &str); 27] = [
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
        (|m| m.graph.file = "../model.onnx".into(), "graph.file:", "name of a file", "got \"../model.onnx\""),
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
        (
            |m| m.offline.insert(blocks(4, 1).unwrap()).margin_slices = 2,
            "offline.margin_slices:",
            "less than half",
            "got 2",
        ),
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
    assert_refused(&cases);
}

type Edit = fn(&mut Manifest);

/// What is wrong, the field, what was expected, what is there.
fn assert_refused(cases: &[(Edit, &str, &str, &str)]) {
    for (edit, field, expected, actual) in cases {
        let message = refusal(edit);
        assert!([field, expected, actual, &"manifest.toml"].iter().all(|part| message.contains(**part)), "{message}");
    }
}

/// Whatever would take the host's memory, its file system or its patience.
#[test]
fn manifests_beyond_the_limits_are_refused() {
    fn at_rate(m: &mut Manifest, rate_hz: u32) {
        m.sample_rate_hz = rate_hz;
        m.transform.design = format!("stft:2016:1008:rate={rate_hz}").parse().unwrap();
    }
    fn slices(m: &mut Manifest, slice_len: usize, hop_len: usize) {
        (m.transform.slice_len, m.hop_len) = (slice_len, hop_len);
        m.transform.design = format!("stft:{slice_len}:{hop_len}").parse().unwrap();
    }
    fn states(m: &mut Manifest, num: usize, shape: &[usize]) {
        let state = |i| StateSpec { input: format!("s{i}"), output: format!("s{i}_next"), shape: shape.to_vec() };
        (m.states, m.at_end) = ((0..num).map(state).collect(), Default::default());
    }
    assert_refused(&[
        // D7: the five that aborted, or could.
        (|m| states(m, 1, &[1, 1 << 40]), "states.s0.shape:", "at most 16777216 values", "got [1, 1099511627776]"),
        (|m| m.stems = vec!["a".into(); 1 << 16], "stems:", "1 to 16 stems", "got 65536"),
        (|m| at_rate(m, 4_000_000_000), "sample_rate_hz:", "8000 to 768000 Hz", "got 4000000000"),
        (
            |m| {
                slices(m, 1 << 22, 1 << 21);
                m.look_ahead_slices = 1024;
            },
            "look_ahead_slices:",
            "at most 60 s",
            "got 48790.9 s",
        ),
        (|m| slices(m, 1 << 22, 1), "hop_len:", "at least transform.slice_len / 64 = 65536", "got 1"),
        // Products that wrap around to something small.
        (|m| states(m, 1, &[1 << 32, 1 << 32]), "states.s0.shape:", "at most 16777216", "got [4294967296, 4294967296]"),
        (
            |m| states(m, 1, &[i64::MAX as usize, 3]),
            "states.s0.shape:",
            "at most 16777216",
            "got [9223372036854775807, 3]",
        ),
        (|m| states(m, 5, &[1 << 24]), "states:", "at most 67108864 values together", "got 83886080"),
        (|m| states(m, 5000, &[1]), "states:", "at most 4096", "got 5000"),
        (|m| states(m, 1, &[1; 9]), "states.s0.shape:", "1 to 8 positive", "[1, 1, 1, 1, 1, 1, 1, 1, 1]"),
        (|m| states(m, 1, &[]), "states.s0.shape:", "1 to 8 positive", "got []"),
        (|m| states(m, 1, &[3, 0]), "states.s0.shape:", "1 to 8 positive", "got [3, 0]"),
        (|m| at_rate(m, 7999), "sample_rate_hz:", "8000 to 768000 Hz", "got 7999"),
        (
            |m| m.transform.num_coefs = i64::MAX as usize,
            "transform.num_coefs:",
            "1 to 4194304",
            "got 9223372036854775807",
        ),
        (|m| m.transform.transition_len = 2017, "transform.transition_len:", "at most transform.slice_len", "got 2017"),
        (|m| slices(m, 2048 * 65, 2048), "hop_len:", "/ 64 = 2080", "got 2048"),
        (
            |m| {
                slices(m, 4096, 1024);
                m.offline = Some(Offline { wiener_window_frames: Some(100_000), ..Offline::default() });
                (m.transform.num_coefs, m.input.shape, m.output.shape) = (2049, vec![4, 2049], vec![4, 2, 2049]);
            },
            "look_ahead_slices, offline:",
            "at most 268435456 values",
            "100000 for the filter",
        ),
        (
            |m| {
                (m.offline, m.states, m.at_end) = (blocks(4096, 0), vec![], Default::default());
                (m.input.shape, m.output.shape) = (vec![4096, 4, 2156], vec![4096, 4, 2, 2156]);
            },
            "input.shape:",
            "at most 16777216 values",
            "got [4096, 4, 2156]",
        ),
        (|m| m.at_end = [("h".into(), vec![f32::NAN; 640])].into(), "at_end.h:", "finite", "is not"),
        // D8: names that become names of files.
        (|m| m.stems[0] = "../../.config/x".into(), "stems:", "a-z 0-9 _ + -", "../../.config/x"),
        (|m| m.stems[0] = "/tmp/x".into(), "stems:", "a-z 0-9 _ + -", "/tmp/x"),
        (|m| m.stems[0] = "Vocals".into(), "stems:", "a-z 0-9 _ + -", "Vocals"),
        (|m| m.stems[0] = "aux".into(), "stems:", "device", "aux"),
        (|m| m.stems[0] = String::new(), "stems:", "1 to 32", "\"\""),
        (|m| m.graph.file = "C:model.onnx".into(), "graph.file:", "name of a file", "got \"C:model.onnx\""),
        (|m| m.graph.file = "..".into(), "graph.file:", "name of a file", "got \"..\""),
        (|m| m.name = "a/b".into(), "name:", "name of a file or folder", "got \"a/b\""),
        (|m| m.name = "\u{1b}[2J".into(), "name:", "name of a file or folder", "got \"\\u{1b}[2J\""),
        (|m| m.input.name = String::new(), "names of tensors:", "1 to 1024 bytes", "got \"\""),
        (|m| m.states[0].input = "x".repeat(5000), "names of tensors:", "1 to 1024 bytes", "... (5002 bytes)"),
    ]);
}

#[test]
fn a_manifest_that_is_too_long_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), |_| ());
    let path = dir.path().join(MANIFEST_FILE);
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let message = Model::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("manifest.toml: length: expected at most 16777216 bytes"), "{message}");
    write_model(dir.path(), |_| ());
    fs::File::options().write(true).open(dir.path().join("model.onnx")).unwrap().set_len(1 << 40).unwrap();
    let message = Model::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("model.onnx: length: expected at most 1073741824 bytes"), "{message}");
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

/// With the right checksum: the manifest was written for it.
#[test]
fn graph_with_weights_in_another_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), |_| ());
    let path = dir.path().join("model.onnx");
    let mut bytes = fs::read(&path).unwrap();
    // Another piece of the same graph (field 7), with an initializer (5) whose external_data (13) is empty.
    bytes.extend([0x3a, 4, 0x2a, 2, 0x6a, 0]);
    fs::write(&path, bytes).unwrap();
    let mut manifest = manifest();
    manifest.graph.sha256 = sha256_file(&path).unwrap().0;
    manifest.write(dir.path()).unwrap();
    let message = Model::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("model.onnx: expected weights within the graph's file"), "{message}");
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
    assert_eq!(find_by_name("mine", &extra).unwrap(), expected);
    assert_eq!(locate("mine", &extra).unwrap(), expected);
    assert_eq!(locate(expected.to_str().unwrap(), &[]).unwrap(), expected);
    for message in [find_by_name("other", &extra).unwrap_err(), locate("other", &extra).unwrap_err()] {
        let message = message.to_string();
        assert!(message.contains("'other'") && message.contains("nowhere"), "{message}");
    }
    let inner = expected.join("inner");
    fs::create_dir(&inner).unwrap();
    assert!(locate("..", &[inner]).is_err(), "a path is not looked up in the folders");
}

/// A project's state is somebody else's file.
#[test]
fn names_from_projects_are_names_and_never_paths() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    write_model(&models.join("mine"), |_| ());
    write_model(&dir.path().join("outside"), |_| ());
    let absolute = dir.path().join("outside");
    let dirs = [models.clone()];
    for name in [
        absolute.to_str().unwrap(),
        "../outside",
        "./mine",
        "mine/",
        "mine/.",
        ".",
        "..",
        "",
        r"..\outside",
        r"\\evil\share\m",
        r"C:\models\mine",
        "C:mine",
        "mine:stream",
        "nul",
        "com1",
        "mine.",
        "mine ",
        "mine\0",
        &"m".repeat(10_000),
    ] {
        let error = find_by_name(name, &dirs).unwrap_err();
        assert!(matches!(error, ModelError::Name { .. }), "{name:?}: {error}");
        assert!(error.to_string().len() < 1000 && error.to_string().contains("expected the name of a file"), "{error}");
    }
    assert_eq!(find_by_name("mine", &dirs).unwrap(), models.join("mine"));
}
